"""Pages as tests read them: their commands, tables, names and links."""

from __future__ import annotations

import re
from pathlib import Path

CLONE = Path(__file__).resolve().parents[4]
LINKS = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def read(page: str) -> str:
    return (CLONE / page).read_text(encoding="utf-8")


def commands(page: str) -> list[list[str]]:
    """The commands of each bash block, without their comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```", read(page), re.S | re.M)
    return [[re.split(r"\s+# ?", line)[0].strip() for line in block.splitlines()] for block in blocks]


def rows(page: str) -> list[list[str]]:
    """The cells of all tables, without their heads."""
    found = re.findall(r"^\|(.*)\|$", read(page), re.M)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in found if not re.fullmatch(r"[-|]+", row)]


def names(text: str) -> list[str]:
    """What stands in backticks outside of blocks: names and commands, which no language changes."""
    return re.findall(r"`([^`]*)`", re.sub(r"```.*?```", "", text, flags=re.S))


def same_in_both_languages(page: str) -> None:
    """`page`.md and `page`.ko.md show the same commands, tables, names and links."""
    english, korean = f"{page}.md", f"{page}.ko.md"
    assert commands(english) == commands(korean)
    assert [len(row) for row in rows(english)] == [len(row) for row in rows(korean)]
    for row, same in zip(rows(english), rows(korean), strict=True):
        assert set(names(row[0])) == set(names(same[0])), row[0]
        assert [set(LINKS.findall(cell)) for cell in row] == [set(LINKS.findall(cell)) for cell in same]
    assert sorted(names(read(english))) == sorted(names(read(korean)))
    assert len(re.findall(r"^#", read(english), re.M)) == len(re.findall(r"^#", read(korean), re.M))
    assert f"]({Path(korean).name})" in read(english)
    assert f"]({Path(english).name})" in read(korean)


def dead_links(page: str) -> list[str]:
    """Links to files that are not there."""
    text = re.sub(r"```.*?```|`[^`]*`", "", read(page), flags=re.S)
    return [link for link in LINKS.findall(text) if not ((CLONE / page).parent / link).exists()]
