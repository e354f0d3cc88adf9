"""docs/money.md shows `prices` as it is: all but the digits, which are the catalogue's."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal

import pytest

from cloudkite.journey import pricing
from cloudkite.money.currency import DOLLAR
from cloudkite.money.offered.means import Means
from cloudkite.workspace import throw_away
from clouds.pages import CLONE
from tests.jobs import account


@pytest.mark.parametrize("page", ["docs/money.md", "docs/money.ko.md"])
def test_the_machines_are_those_that_are_shown(page: str, tmp_path, monkeypatch, capsys) -> None:
    found = Means(Decimal(10), Decimal("7.50"), rate=DOLLAR, limits={"N1 and E2 vCPUs": 2200, "T4": 1})
    here = dataclasses.replace(account(), region="asia-northeast3")
    monkeypatch.setattr(pricing, "_account", lambda *_arguments: (here, []))
    monkeypatch.setattr(pricing, "_means", lambda *_arguments: (found, []))
    monkeypatch.setenv("COLUMNS", "140")
    pricing.show(throw_away(tmp_path), "", pricing.Wishes(gpu="t4"))
    text = (CLONE / page).read_text(encoding="utf-8")
    (sample,) = re.findall(r"^<!-- prices -->\n```\n(.*?)^```", text, re.S | re.M)
    shown = capsys.readouterr().out
    assert _plain(shown) == _plain(sample)


def _plain(text: str) -> list[str]:
    """Lines without what the catalogue decides: digits, and the widths that follow from them."""
    return [re.sub(r"\d+", "0", re.sub(r"\s+", " ", line.strip(" ─"))) for line in text.strip().splitlines()]
