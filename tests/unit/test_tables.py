"""Tables on terminals of any width, and of any script."""

import pytest
from rich.cells import cell_len

from cloudkite.show import screen

COLUMNS = ["job", "state", "machine", "created (UTC)", "ran", "cost"]
ROWS = [
    ("penguins-20261124-143005-9f3c", "SUCCEEDED", "e2-standard-4", "2026-11-24 14:30", "12m 05s", "0.03 USD"),
    ("꽃 분류 과제", "FAILED", "n1-standard-4 + 1 T4", "2026-11-24 14:31", "42s", "0.0041 USD"),
]


def shown(monkeypatch, capsys, width: int, **options) -> list[str]:
    screen._consoles.clear()
    monkeypatch.setattr(screen.console(), "width", width)
    screen.table(COLUMNS, ROWS, right=[4, 5], **options)
    screen._consoles.clear()
    return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "width, missing",
    [(160, []), (100, ["machine"]), (80, ["machine", "created (UTC)"]), (60, ["machine", "created (UTC)", "ran"])],
)
def test_a_narrow_table_leaves_out_what_can_be_spared_and_folds_nothing(monkeypatch, capsys, width, missing):
    lines = shown(monkeypatch, capsys, width, spare=[2, 3, 4])
    assert [name for name in COLUMNS if name not in lines[0]] == missing
    assert max(map(cell_len, lines)) <= width
    assert sum("USD" in line for line in lines) == len(ROWS)
    assert len(lines) == len(ROWS) + 2, "a row is one line"
    assert all(sum(word in line for line in lines) == 1 for word in ("SUCCEEDED", "FAILED", "0.03 USD"))


def test_wide_letters_take_two_columns_and_all_stays_aligned(monkeypatch, capsys):
    lines = shown(monkeypatch, capsys, 160)
    starts = [
        cell_len(line[: line.index(word)])
        for line in lines
        for word in ("state", "SUCCEEDED", "FAILED")
        if word in line
    ]
    assert len(starts) == 3 and len(set(starts)) == 1
