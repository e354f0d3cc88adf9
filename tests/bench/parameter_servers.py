"""One process of training with parameter servers, told by TF_CONFIG which; without it, the same work in one process.

    python parameter_servers.py HOW ROWS BATCH UNITS EPOCHS     HOW: loop, or fit (Keras' own)

The coordinator prints the seconds of each epoch as JSON, and ends; workers and parameter servers serve until they are
ended. https://www.tensorflow.org/tutorials/distribute/parameter_server_training
"""

import json
import os
import sys
import time

import keras
import numpy as np
import tensorflow as tf

HOW, (ROWS, BATCH, UNITS, EPOCHS) = sys.argv[1], map(int, sys.argv[2:6])
WIDTH = 64


def build() -> keras.Model:
    """Two hidden layers."""
    hidden = [keras.layers.Dense(UNITS, "relu") for _ in range(2)]
    return keras.Sequential([keras.Input((WIDTH,)), *hidden, keras.layers.Dense(1)])


def rows(_context: object = None) -> tf.data.Dataset:
    """Batches without an end."""
    x = np.random.default_rng(0).standard_normal((ROWS, WIDTH), "float32")
    return tf.data.Dataset.from_tensor_slices((x, x.sum(1, keepdims=True))).shuffle(ROWS).repeat().batch(BATCH)


def fit(strategy: tf.distribute.Strategy) -> None:
    """As one would like to write it."""
    with strategy.scope():
        model = build()
        model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    model.fit(rows(), epochs=EPOCHS, steps_per_epoch=ROWS // BATCH, verbose=0, shuffle=False)


def loop(strategy: tf.distribute.Strategy) -> None:
    """Steps handed to whichever worker is free; without workers, one after the other."""
    with strategy.scope():
        model, optimizer = build(), keras.optimizers.SGD(0.01)
        optimizer.build(model.trainable_variables)

    @tf.function
    def step(batches):
        def of_replica(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
            optimizer.apply_gradients(
                zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
            )
            return loss

        return strategy.reduce("MEAN", strategy.run(of_replica, args=next(batches)), axis=None)

    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        dealt = tf.function(lambda: strategy.distribute_datasets_from_function(rows))
        batches = iter(coordinator.create_per_worker_dataset(dealt))
    else:
        coordinator, batches = None, iter(rows())
    for epoch in range(1, EPOCHS + 1):
        began = time.perf_counter()
        for _ in range(ROWS // BATCH):
            if coordinator:
                coordinator.schedule(step, args=(batches,))
            else:
                step(batches)
        if coordinator:
            coordinator.join()
        print(json.dumps({"epoch": epoch, "epochs": EPOCHS, "seconds": time.perf_counter() - began}), flush=True)


def main() -> None:
    """Serve, or train."""
    how = {"loop": loop, "fit": fit}[HOW]
    if "TF_CONFIG" not in os.environ:
        how(tf.distribute.get_strategy())
        return
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type in ("worker", "ps"):
        server = tf.distribute.Server(
            resolver.cluster_spec(), job_name=resolver.task_type, task_index=resolver.task_id, protocol="grpc"
        )
        server.join()
    try:
        how(tf.distribute.ParameterServerStrategy(resolver))
    except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as problem:
        print(json.dumps({"problem": f"{type(problem).__name__}: {problem}"}), flush=True)
    sys.stdout.flush()
    os._exit(0)  # the coordinator's own end waits for workers that serve for ever


main()
