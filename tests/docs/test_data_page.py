"""What docs/data.md says about fields is what `new` does, in both languages."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from cloudkite.data import table
from cloudkite.show.errors import BadValue
from clouds.pages import CLONE

PAGES = ("docs/data.md", "docs/data.ko.md")


def rows(page: str, name: str) -> list[list[str]]:
    """The rows of the table that follows a comment, without the marks around what is typed."""
    text = (CLONE / page).read_text(encoding="utf-8").split(f"<!-- {name} -->")[1].split("\n\n")[1]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def save(folder: Path, field: str, mark: str = ",") -> Path:
    """A table with a column x of fields that are all a bit different, so that none is one value only."""
    path, last = folder / "t.csv", re.search(r"\d(?=\D*$)", field)
    assert last
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=mark)
        writer.writerow(["x", "other", "y"])
        for i in range(40):
            other = field if i < 15 else f"{field[: last.start()]}{i % 6}{field[last.end() :]}"
            writer.writerow(
                [field if "/" in field and mark == "," and i % 2 else other, i % 7, "yes" if i % 3 else "no"]
            )
    return path


@pytest.mark.parametrize("page", PAGES)
def test_fields_are_read_as_the_page_says(tmp_path: Path, page: str) -> None:
    found = rows(page, "fields")
    assert len(found) > 15
    for field, kind, becomes in found:
        made = table.read(save(tmp_path, field), "y")
        assert (field, made.columns["x"]) == (field, kind)
        table.write(made, tmp_path / "copy.csv")
        with (tmp_path / "copy.csv").open(encoding="utf-8", newline="") as file:
            assert (field, next(csv.DictReader(file))["x"]) == (field, becomes)


@pytest.mark.parametrize("page", PAGES)
def test_what_stays_open_is_settled_as_the_page_says(tmp_path: Path, page: str) -> None:
    for field, mark, hint in rows(page, "open"):
        path = save(tmp_path, field, mark)
        if field == "120/80":  # each another
            lines = path.read_text(encoding="utf-8").replace("120/8", "{}/8").splitlines()
            path.write_text("\n".join(line.format(100 + i) for i, line in enumerate(lines)) + "\n", encoding="utf-8")
        with pytest.raises(BadValue) as told:
            table.read(path, "y")
        assert told.value.hint == hint


def test_both_languages_have_the_same_tables() -> None:
    one, other = ((CLONE / page).read_text(encoding="utf-8") for page in PAGES)
    for pattern in (r"^\| `.*", r"^#+ ", r"`--[a-z]+"):
        counts = [len(re.findall(pattern, text, re.MULTILINE)) for text in (one, other)]
        assert counts[0] == counts[1], pattern
    assert [rows(PAGES[0], name) for name in ("fields", "open")] == [
        rows(PAGES[1], name) for name in ("fields", "open")
    ]
