"""Multiplies two numbers: if this runs, Python, TensorFlow and the way to them are all right."""

import tensorflow as tf

a = tf.constant(6.0)
b = tf.constant(7.0)
print(f"{a.numpy():g} x {b.numpy():g} = {tf.multiply(a, b).numpy():g}")
