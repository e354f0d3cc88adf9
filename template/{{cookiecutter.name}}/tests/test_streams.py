"""The two kinds of input give the same kind of stream: whole epochs, any start, parts for workers."""

import numpy as np
import tensorflow as tf
from conftest import made, write

from trainer import arrays, csv_files, data


def first_column(stream: tf.data.Dataset, count: int) -> list[list]:
    name = next(iter(data.COLUMNS))
    return [[*rows[name].numpy().tolist(), *labels.numpy().tolist()] for rows, labels in stream.take(count)]


def streams(tmp_path):
    """(rows to train on, maker of the stream) in memory, and streamed from three files with a part held out."""
    paths = [write(tmp_path / f"part-{i}.csv", made(70)[i * 20 :]) for i in range(3)]
    files = csv_files.find(str(tmp_path / "part-*.csv"), data.COLUMNS, data.LABEL, data.CLASSES)
    assert files.paths == [str(path) for path in paths]
    blocks = list(csv_files.once(files))
    table = arrays.join([block[1:] for block in blocks])
    yield 150, lambda **how: arrays.endless(table, **how)
    hashes = np.concatenate([block[0].numpy() for block in blocks])
    rows = int((hashes >= csv_files.held_slots(0.3)).sum())
    yield rows, lambda **how: csv_files.endless(files, 0.3, rows, **how)


def test_every_row_comes_once_an_epoch_in_another_order(tmp_path):
    for rows, stream in streams(tmp_path):
        once, again = (
            np.concatenate([labels.numpy() for _, labels in stream(batch=1, seed=3, start=start).take(rows)])
            for start in (0, rows)
        )
        assert sorted(once.tolist()) == sorted(again.tolist())
        assert once.tolist() != again.tolist()


def test_a_stream_can_start_anywhere(tmp_path):
    for rows, stream in streams(tmp_path):
        whole = first_column(stream(batch=8, seed=1, start=0), 2 * rows // 8)
        for start in (1, rows // 8, rows // 8 + 3):
            assert first_column(stream(batch=8, seed=1, start=start), 4) == whole[start : start + 4]


def test_workers_share_each_batch(tmp_path):
    for _, stream in streams(tmp_path):
        whole = [labels.numpy().tolist() for _, labels in stream(batch=8, seed=1, start=2).take(20)]
        parts = [
            [labels.numpy().tolist() for _, labels in stream(batch=8, seed=1, start=2, worker=w, workers=2).take(20)]
            for w in range(2)
        ]
        assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_each_class_is_held_out_alike():
    labels = np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    hashes = np.random.default_rng(0).permutation(len(labels))
    out = arrays.held_out(hashes, labels, 0.2)
    assert [int(out[labels == c].sum()) for c in range(4)] == [10, 2, 1, 0]
    assert not arrays.held_out(hashes, labels, 0.0).any()
    assert arrays.held_out(hashes, np.linspace(0, 1, 50, dtype="float32"), 0.2).sum() == 10
