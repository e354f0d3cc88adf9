"""docs/start.md shows the questions that `start` asks, what is said of wrong answers, and what the doctor looks at."""

from __future__ import annotations

import re

import pytest

from clouds.pages import CLONE, same_in_both_languages
from tests.account.steps import STEPS

PAGES = ("docs/start.md", "docs/start.ko.md")


def text(page: str) -> str:
    return (CLONE / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_questions_are_those_that_are_asked(page: str) -> None:
    """What is asked, and said of each wrong answer, tests/account/test_start.py sees at a terminal."""
    table = text(page).split("<!-- questions -->")[1].split("\n\n")[1]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == [re.sub(r"( \[[^]]*\])?: $", "", step.asked) for step in STEPS]
    for (_question, typed, said, hint), step in zip(rows, STEPS, strict=True):
        known = {answer: (error, helps) for answer, error, helps in step.wrong}
        assert known[typed][0] == said
        assert known[typed][1].strip() == hint.removesuffix("…").strip()


def test_both_languages_say_the_same() -> None:
    same_in_both_languages("docs/start")
    samples = [re.findall(r"^```\n(.*?)^```", text(page), re.S | re.M) for page in PAGES]
    assert samples[0] == samples[1] and len(samples[0]) == 1
