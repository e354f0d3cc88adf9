"""The pages of this repository: links lead somewhere, and what is in two languages says the same."""

from __future__ import annotations

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
    for page in ("docs/reliability", "docs/security"):
        same_in_both_languages(page)
