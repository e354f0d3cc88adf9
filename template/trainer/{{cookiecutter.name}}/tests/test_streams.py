"""What the rows become: whole epochs, any start, parts for workers, and parts to train on and to hold out."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import made, write

from trainer import data
from trainer.kit import rows


@pytest.fixture
def source(tmp_path) -> rows.Source:
    """Rows of three files, of which some are held out."""
    for i in range(3):
        write(tmp_path / f"part-{i}.csv", made(70)[i * 20 :])
    return rows.read(str(tmp_path / "part-*.csv"), 0.3, 0.0)


def deal(source: rows.Source, **how) -> tf.data.Dataset:
    """The stream of the training rows."""
    chosen = source.parts["training"]
    return rows.stream(source.table, chosen, **{"batch": 8, "steps": len(chosen) // 8, "seed": 1, "start": 0, **how})


def batches(source: rows.Source, count: int, **how) -> list:
    """What `count` batches hold."""
    found = deal(source, **how).take(count)
    return [[*next(iter(x.values())).numpy().ravel().tolist(), *y.numpy().tolist()] for x, y in found]


def test_every_row_comes_once_an_epoch_in_another_order(source):
    count = len(source.parts["training"])
    once, again = (batches(source, count, batch=1, steps=count, start=n) for n in (0, count))
    assert sorted(map(str, once)) == sorted(map(str, again))
    assert once != again


def test_a_stream_can_start_anywhere(source):
    steps = len(source.parts["training"]) // 8
    whole = batches(source, 2 * steps + 4)
    for start in (1, steps, steps + 3):
        assert str(batches(source, 4, start=start)) == str(whole[start : start + 4])


def test_workers_share_each_batch(source):
    def labels(count: int, **how) -> list:
        return [y.numpy().tolist() for _, y in deal(source, start=2, **how).take(count)]

    parts = [labels(20, worker=w, workers=2) for w in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == labels(20)


def test_each_class_is_held_out_alike(monkeypatch):
    monkeypatch.setattr(data, "GROUP", "")
    monkeypatch.setattr(data, "TIME", "")
    monkeypatch.setattr(data, "CLASSES", ("a", "b", "c", "d"))
    labels = np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    keys = np.random.default_rng(0).permutation(len(labels))
    which = rows.parts(labels, keys, 0.2, 0.1)
    assert [np.bincount(which[labels == c], minlength=3).tolist() for c in range(4)] == [
        [35, 10, 5], [7, 2, 1], [1, 0, 1], [1, 0, 0]]  # fmt: skip
    assert not rows.parts(labels, keys, 0.0, 0.0).any()
    many = rows.parts(np.zeros(1000, int), np.maximum(np.arange(1000), 900), 0.2, 0.0)  # 901 rows are the same one
    assert 90 < many.sum() < 100
    monkeypatch.setattr(data, "GROUP", "patient")
    which = rows.parts(labels, keys // 7, 0.2, 0.0)
    assert all(len({*which[keys // 7 == group]}) == 1 for group in range(9)) and 6 < which.sum() < 20
