"""What the program has to know of a project before it runs. Whoever runs it looks first (cloudkite/engine/facts.py).

A question of the program itself that is refused, because an API was turned on a moment ago, would end the whole run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from infra.settings import Settings

VARIABLE = "CLOUDKITE_KNOWN"  # for the plain command line: what `encoded` gives

OURS = "cloudkite-"  # what the names of our preferences start with


@dataclass(frozen=True)
class Preference:
    """A quota preference to declare: `slug` names it in the program, `name` on Google.

    `asks` is for more than Google gives by itself, for which it wants somebody to write to. `settled`: it is as it
    should be, so that nothing has to be written.
    """

    slug: str
    name: str
    service: str
    quota_id: str
    region: str
    value: int
    asks: bool = False
    settled: bool = False


@dataclass(frozen=True)
class Known:
    """One project: its number, and its quota preferences, those that lead a quota back among them."""

    project_number: str
    preferences: tuple[Preference, ...] = ()

    def encoded(self) -> str:
        """One line of text, for an environment variable."""
        return json.dumps(asdict(self))

    @staticmethod
    def given() -> Known | None:
        """What the environment says; None where it says nothing. Raises ValueError, KeyError or TypeError."""
        text = os.environ.get(VARIABLE)
        return Known.decoded(json.loads(text)) if text else None

    @staticmethod
    def decoded(values: Mapping[str, Any]) -> Known:
        """The inverse of `encoded`, of its JSON."""
        rows = tuple(Preference(**row) for row in values["preferences"])
        return Known(str(values["project_number"]), rows)


def written(settings: Settings) -> tuple[Preference, ...]:
    """The preferences that the settings write down; `quota_id` is "" where only the metric is known."""
    return tuple(
        Preference(slug, name(slug), quota.service, quota.names()[0], quota.region, quota.value, quota.request)
        for quota in settings.quotas
        for slug in [_slug(*quota.names(), quota.region)]
    )


def name(slug: str) -> str:
    """What a preference is called on Google, unless the quota has one of another name."""
    return f"{OURS}{slug}"[:63].rstrip("-")


def _slug(quota_id: str, metric: str, region: str) -> str:
    words = quota_id.removesuffix("PerProjectPerRegion") or metric.rpartition("/")[2]
    return f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+', '-', words)}-{region}".lower()
