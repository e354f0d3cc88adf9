"""Learns a little, writes a checkpoint, reads it into a new variable, and goes on from there."""

import os

import tensorflow as tf

folder = os.environ.get("AIP_CHECKPOINT_DIR", "output/checkpoints").rstrip("/")  # gs://BUCKET/... in a job


def learn(weight, steps):
    """Step by step towards 3, where (weight - 3)^2 is least."""
    for _ in range(steps):
        weight.assign_sub(0.1 * 2.0 * (weight - 3.0))
    print(f"{weight.numpy():.4f} after {steps} more steps")


first = tf.Variable(0.0)
learn(first, 10)
path = tf.train.Checkpoint(weight=first).write(f"{folder}/first")

second = tf.Variable(0.0)
tf.train.Checkpoint(weight=second).read(path).assert_consumed()
print(f"{second.numpy():.4f} read back from {path}")
learn(second, 10)
