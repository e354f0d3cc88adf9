"""The pages of this repository: links lead somewhere, and what is in two languages says the same."""

from __future__ import annotations

import re

import pytest

from clouds.pages import CLONE, dead_links, same_in_both_languages

PAGES = sorted(
    str(path.relative_to(CLONE))
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "infra/**/*.md",
        "tests/*.md",
        "packages/catalog/*.md",
        "packages/environments/*.md",
    )
    for path in CLONE.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page: str) -> None:
    assert not dead_links(page)


def test_both_languages_show_the_same() -> None:
    for page in sorted((CLONE / "docs").glob("*.ko.md")):
        if page.name == "data.ko.md":
            continue  # its placeholders are words of the language: test_data_page.py
        same_in_both_languages(f"docs/{page.name.removesuffix('.ko.md')}")


# One word for one thing, as docs/style.md has it: what a page must not call it, by what it is called.
KOREAN = {
    "트레이너": "학습기|트레이너기",
    "작업": "잡(?:이|을|은|의|에) ",
    "워커": "작업자 풀",
    "데이터": "데이타",
    "할당량": "쿼터",
}
ENGLISH = {"local.pay": r"local\.upgrade"}


@pytest.mark.parametrize("language, words", [("ko", KOREAN), ("en", ENGLISH)])
def test_a_thing_has_one_name(language: str, words: dict[str, str]) -> None:
    pages = [page for page in CLONE.rglob("*.md") if not {".venv", ".cloudkite", "node_modules"} & set(page.parts)]
    chosen = [page for page in pages if page.name.endswith(".ko.md") == (language == "ko")]
    assert len(chosen) >= 4
    wrong = [
        f"{page.relative_to(CLONE)}: {found[0]!r} is called {name}"
        for page in chosen
        for name, other in words.items()
        if (found := re.search(other, page.read_text(encoding="utf-8")))
    ]
    assert not wrong
