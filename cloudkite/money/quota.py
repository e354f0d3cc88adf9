"""Whether the project's quotas let a job run: read from Cloud Quotas, never from documented defaults.

https://cloud.google.com/docs/quotas/reference/rest/v1/projects.locations.services.quotaInfos
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalog.quotas import Need
from cloudkite.accounts.api import pages, send, table
from cloudkite.accounts.asked.preferences import UNLIMITED, effective
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _


@dataclass(frozen=True)
class Reading:
    """One quota beside what a job needs of it. `limit` None could not be read (`problem` says why), -1 is unlimited."""

    title: str
    quota_id: str
    metric: str
    needed: int
    limit: int | None
    problem: str = ""

    @property
    def enough(self) -> bool:
        """Whether the job fits as far as is known; what could not be read never blocks."""
        return self.limit is None or self.limit == UNLIMITED or self.limit >= self.needed


def read(target: Target, needs: Sequence[Need], region: str = "") -> list[Reading]:
    """What the project has of each quota in a region, "" for the account's. A failure is a `problem`, nothing more."""
    return [_read(target, need, region or target.account.region) for need in needs]


def _read(target: Target, need: Need, region: str) -> Reading:
    meter = need.meter
    try:
        info = _info(target, need)
    except UserError as error:
        first = error.message.partition(". ")[0]  # Google goes on with how to enable the API
        return Reading(meter.title, meter.id, meter.metric, need.amount, None, first)
    if info is None:
        return Reading(meter.title, meter.id, meter.metric, need.amount, None, _("the service does not list it"))
    limit = effective(info, region)
    problem = "" if limit is not None else _("it says nothing about {region}").format(region=region)
    return Reading(meter.title, info.get("quotaId", meter.id), meter.metric, need.amount, limit, problem)


def _info(target: Target, need: Need) -> dict[str, Any] | None:
    """The quota by its id where that is known and right, else found among all by its metric."""
    base = f"https://cloudquotas.googleapis.com/v1/projects/{target.account.project}/locations/global/services"
    url = f"{base}/{need.meter.service}"
    doing = _("read the quotas")
    if need.meter.id:
        response = send(target, "GET", f"{url}/quotaInfos/{need.meter.id}", doing, again=True)
        if response.ok:
            return table(response, doing)
        if response.status_code != 404:
            raise from_google(response, doing)
    if not need.meter.metric:
        return None
    infos = pages(target, f"{url}/quotaInfos", "quotaInfos", doing, {"pageSize": 500})
    return next(
        (i for i in infos if i.get("metric") == need.meter.metric and "region" in i.get("dimensions", [])), None
    )


def unread(readings: Sequence[Reading]) -> list[str]:
    """What to tell of quotas that could not be read, one line a reason."""
    reasons: dict[str, list[str]] = {}
    for reading in readings:
        if reading.limit is None:
            reasons.setdefault(reading.problem, []).append(reading.title)
    return [
        _("quota of {titles} could not be read: {problem}").format(titles=", ".join(titles), problem=problem)
        for problem, titles in reasons.items()
    ]


def refuse(
    readings: Sequence[Reading], tier: str, region: str, instead: str = "", parallel: int = 1
) -> UserError | None:
    """The error for quotas that are too small, None when all are enough. `tier` is the account's: trial or paid.

    `instead` is the option by which the same job runs elsewhere, "" where there is none; `parallel` is how many tries
    of a tuning job would run at once, each with the same part of what is needed.
    """
    short = [r for r in readings if not r.enough]
    if not short:
        return None
    fewer = min((r.limit or 0) // (r.needed // parallel) for r in short)
    told = ", ".join(
        _("{title}: needs {needed}, has {limit}").format(title=r.title, needed=r.needed, limit=r.limit) for r in short
    )
    if parallel > 1 and fewer:
        hint = _("--parallel {count} fits: the tries take longer, and cost the same").format(count=fewer)
    elif instead and tier == "trial":
        hint = _("a trial can't ask for quota: train on Cloud Run ({option}), or upgrade to a paid account")
        hint = hint.format(option=instead)
    elif tier == "trial":
        hint = _("a trial can't ask for quota: take a smaller machine or no GPU, or upgrade to a paid account")
    else:
        hint = _(
            "ask for it: add {{quotaId: {id}, value: {value}, request: true}} to cloudkite:quotas "
            "and run `uv run invoke up`"
        ).format(id=short[0].quota_id or short[0].metric, value=short[0].needed)
        if instead:
            hint = _("{first}; until then train on Cloud Run: {option}").format(first=hint, option=instead)
    return UserError(_("the quota in {region} is too small ({told})").format(region=region, told=told), hint)
