"""The two kinds of input give the same kind of stream: whole epochs, any start, parts for workers."""

import numpy as np
import pytest
from conftest import made, write

from trainer import rows


@pytest.fixture(params=["in memory", "streamed"])
def source(request, tmp_path) -> rows.Source:
    """Rows of three files, of which none or some are held out."""
    for i in range(3):
        write(tmp_path / f"part-{i}.csv", made(70)[i * 20 :])
    files = rows.find(str(tmp_path / "part-*.csv"))
    assert len(files.paths) == 3
    return rows.in_memory(files, 0.0) if request.param == "in memory" else rows.streamed(files, 0.3)


def batches(source: rows.Source, count: int, **how) -> list:
    """What `count` batches hold."""
    stream = source.stream(**{"batch": 8, "steps": source.rows // 8, "seed": 1, "start": 0, **how})
    return [[*next(iter(x.values())).numpy().ravel().tolist(), *y.numpy().tolist()] for x, y in stream.take(count)]


def test_every_row_comes_once_an_epoch_in_another_order(source):
    once, again = (batches(source, source.rows, batch=1, steps=source.rows, start=n) for n in (0, source.rows))
    assert sorted(map(str, once)) == sorted(map(str, again))
    assert once != again


def test_a_stream_can_start_anywhere(source):
    whole = batches(source, 2 * source.rows // 8)
    for start in (1, source.rows // 8, source.rows // 8 + 3):
        assert str(batches(source, 4, start=start)) == str(whole[start : start + 4])


def test_workers_share_each_batch(source):
    def labels(count: int, **how) -> list:
        stream = source.stream(batch=8, steps=source.rows // 8, seed=1, start=2, **how)
        return [y.numpy().tolist() for _, y in stream.take(count)]

    parts = [labels(20, worker=w, workers=2) for w in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == labels(20)


def test_each_class_is_held_out_alike():
    labels = np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    hashes = np.random.default_rng(0).permutation(len(labels))
    out = rows.held_out(hashes, labels, 0.2)
    assert [int(out[labels == c].sum()) for c in range(4)] == [10, 2, 1, 0]
    assert not rows.held_out(hashes, labels, 0.0).any()
    assert rows.held_out(hashes, np.linspace(0, 1, 50, dtype="float32"), 0.2).sum() == 10
