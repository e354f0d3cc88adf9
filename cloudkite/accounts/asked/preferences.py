"""Quota preferences: which the settings need, beside what the project has. Read from Cloud Quotas, changed by `up`.

https://cloud.google.com/docs/quotas/reference/rest/v1/projects.locations.quotaPreferences
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudkite.accounts.api import pages, send, table
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, from_google, is_off
from cloudkite.show.text import _
from infra.mistakes import nearest

if TYPE_CHECKING:
    from infra.known import Preference
    from infra.settings import Settings

UNLIMITED = -1
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """What to declare. `ready` False: the project can't be asked yet, and what the state has stays as it is.

    `likely` is then what will be declared, as far as the settings tell. `warnings` are told beside it; with `mistakes`
    in the settings nothing may be declared.
    """

    preferences: tuple[Preference, ...] = ()
    warnings: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    ready: bool = True
    likely: tuple[Preference, ...] = ()


@dataclass(frozen=True)
class Book:
    """The quotas of a project: `infos` by service, and the preferences that it has."""

    infos: Mapping[str, Sequence[Body]]
    preferences: Sequence[Body]

    def info(self, service: str, quota: str) -> Body | None:
        """The quota called `quota`, its id or its metric, that differs by region."""
        return next(
            (
                info
                for info in self.infos.get(service, ())
                if quota in (info.get("quotaId"), info.get("metric")) and "region" in info.get("dimensions", ())
            ),
            None,
        )

    def preference(self, service: str, quota_id: str, region: str) -> Body | None:
        """The one preference that there can be for a quota in a region, whatever its name."""
        wanted = (service, quota_id, {"region": region})
        return next(
            (one for one in self.preferences if (one["service"], one["quotaId"], one.get("dimensions")) == wanted), None
        )


def read(target: Target, wanted: Iterable[str]) -> Book | None:
    """The project's preferences, and the quotas of the services `wanted`, or that have a preference of ours.

    None where the API is off, or not on yet. Raises UserError.
    """
    url = f"https://cloudquotas.googleapis.com/v1/projects/{target.account.project}/locations/global"
    preferences = _all(target, f"{url}/quotaPreferences")
    infos = {}
    for service in sorted({*wanted, *(one["service"] for one in preferences or () if _is_ours(one))}):
        found = _all(target, f"{url}/services/{service}/quotaInfos")
        if found is None:
            return None
        changed = {one["quotaId"] for one in preferences or () if one["service"] == service}
        infos[service] = _with_defaults(target, service, found, changed)
    return None if preferences is None else Book(infos, preferences)


def _all(target: Target, url: str) -> list[Body] | None:
    """The whole list at `url`; None where its API is off."""
    doing, token, found = _("read the quotas"), "", []
    while True:
        query = {"pageSize": 500, **({"pageToken": token} if token else {})}
        response = send(target, "GET", url, doing, again=True, params=query)
        if is_off(response):
            return None
        if not response.ok:
            raise from_google(response, doing)
        page = table(response, doing)
        found += page.get(url.rpartition("/")[2], [])
        token = page.get("nextPageToken", "")
        if not token:
            return found


def _with_defaults(target: Target, service: str, infos: list[Body], changed: Collection[str]) -> list[Body]:
    """The same with what the quotas that were `changed` are by themselves: where Cloud Quotas leaves it out, Service
    Usage tells it, to who may ask. https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/QuotaBucket
    """
    untold = [one for one in infos if one["quotaId"] in changed and not _tells_defaults(one)]
    if not untold:
        return infos
    project = target.account.project
    url = f"https://serviceusage.googleapis.com/v1beta1/projects/{project}/services/{service}/consumerQuotaMetrics"
    try:
        metrics = {one["metric"]: one for one in pages(target, url, "metrics", _("read the quotas"))}
    except UserError:
        return infos
    told = {
        one["quotaId"]: {
            **one,
            "dimensionsInfos": [*one.get("dimensionsInfos", ()), *_defaults(metrics[one["metric"]])],
        }
        for one in untold
        if one.get("metric") in metrics
    }
    return [told.get(one["quotaId"], one) for one in infos]


def _tells_defaults(info: Body) -> bool:
    return any("resetValue" in entry.get("details", {}) for entry in info.get("dimensionsInfos", ()))


def _defaults(metric: Body) -> Iterator[Body]:
    """What Service Usage tells of a metric that differs by region, in the words of Cloud Quotas."""
    for limit in metric.get("consumerQuotaLimits", ()):
        for bucket in limit.get("quotaBuckets", ()) if "{region}" in limit.get("unit", "") else ():
            if (value := bucket.get("defaultLimit")) is not None:
                region = bucket.get("dimensions", {}).get("region")
                place = {"dimensions": {"region": region}, "applicableLocations": [region]} if region else {}
                yield {"details": {"resetValue": value}, **place}


def choose(target: Target, settings: Settings, kept: Sequence[Preference]) -> Choice:
    """What to declare for the settings; `kept` are the preferences in the account's state. Raises UserError."""
    from infra.known import written

    wanted = written(settings)
    book = read(target, {one.service for one in (*wanted, *kept)})
    if book is None:
        likely = tuple(kept) or tuple(one for one in wanted if one.quota_id)
        return Choice(tuple(kept), ready=not wanted and not kept, likely=likely)
    warnings: list[str] = []
    mistakes: list[str] = []
    chosen = []
    for plain, quota in zip(wanted, settings.quotas, strict=True):
        name = plain.quota_id or quota.names()[1]
        info = book.info(plain.service, name)
        if info is None:
            mistakes.append(_no_such(settings, name, book.infos[plain.service]))
            continue
        one = replace(plain, quota_id=info["quotaId"])
        if (made := _chosen(one, name, info, book, warnings, mistakes)) is not None:
            chosen.append(made)
    chosen += _led_back(chosen, wanted, kept, book, warnings)
    return Choice(tuple(chosen), tuple(warnings), tuple(mistakes))


def _no_such(settings: Settings, name: str, infos: Sequence[Body]) -> str:
    known = {str(info.get(key, "")) for info in infos for key in ("quotaId", "metric")}
    close = nearest(name, known)
    advice = _("did you mean {name}?").format(name=close) if close else _("no quota has a name like it")
    return _("cloudkite:quotas names {name}; {project} has no such quota; {advice}").format(
        name=name, project=settings.project, advice=advice
    )


def _chosen(
    one: Preference, name: str, info: Body, book: Book, warnings: list[str], mistakes: list[str]
) -> Preference | None:
    """The preference to declare; None where the quota is so by itself."""
    present = book.preference(one.service, one.quota_id, one.region)
    default = reset(info, one.region, present)
    more = default is not None and default != UNLIMITED and one.value > default
    place = {"name": name, "region": one.region, "default": _("unlimited") if default == UNLIMITED else default}
    if more and not one.asks:
        said = _("quota {name} in {region} is {default} by itself: a guard-rail of {value} can't raise it "
                 "(`request: true` asks Google for more)")  # fmt: skip
        warnings.append(said.format(value=one.value, **place))
    elif one.asks and default is not None and not more:
        said = _("quota {name} in {region} is {default} by itself: you don't have to ask for {value} "
                 "(without `request: true` it would be lowered)")  # fmt: skip
        warnings.append(said.format(value=one.value, **place))
    if default is not None and more != one.asks:
        one = replace(one, value=default, asks=False)
    settled = present is not None and preferred(present) == one.value
    if one.asks and not settled and (reason := ineligible(info)):
        said = _("cloudkite:quotas asks for {value} of {name} in {region}; Google grants no more: {reason}")
        mistakes.append(said.format(value=one.value, name=name, region=one.region, reason=reason))
    if present is None and one.value == default:
        return None
    return replace(one, name=_name(present) if present else one.name, settled=settled)


def _led_back(
    chosen: Sequence[Preference],
    wanted: Sequence[Preference],
    kept: Sequence[Preference],
    book: Book,
    warnings: list[str],
) -> list[Preference]:
    """Preferences of ours that no setting asks for any more, at the values that their quotas have by themselves."""
    from infra.known import OURS, Preference

    asked = {(one.service, one.quota_id, one.region) for one in (*chosen, *wanted)}
    there = {(one.service, one.quota_id, one.region): one for one in kept}
    found = []
    for present in book.preferences:
        key = (present["service"], present["quotaId"], present.get("dimensions", {}).get("region", ""))
        before = there.get(key)
        if key in asked or not (before or _is_ours(present)):
            continue
        info = book.info(*key[:2])
        value = reset(info, key[2], present) if info else None
        now = preferred(present)
        if value is None:
            value = now
            said = _("quota {name} in {region} stays at {value}: what it was before isn't known")
            warnings.append(said.format(name=key[1], region=key[2], value=value))
        if before or value != now:
            slug = before.slug if before else _name(present).removeprefix(OURS)
            found.append(Preference(slug, _name(present), *key, value, settled=value == now))
    return found


def effective(info: Body, region: str) -> int | None:
    """The limit of a QuotaInfo in a region, None when it says nothing about it."""
    return _details(info, region, "value")


def reset(info: Body, region: str, present: Body | None) -> int | None:
    """What a quota is in a region without any preference, None when nobody says."""
    told = _details(info, region, "resetValue")
    return told if told is not None or present is not None else effective(info, region) or 0


def _details(info: Body, region: str, field: str) -> int | None:
    """An entry of the region's own wins over one for a list of places, that over one for everywhere."""
    found: dict[int, int] = {}
    for entry in info.get("dimensionsInfos", []):
        value = entry.get("details", {}).get(field)
        own = entry.get("dimensions", {}).get("region")
        places = entry.get("applicableLocations", ["global"])
        if value is None:
            continue
        if own == region:
            found[0] = int(value)
        elif own is None and region in places:
            found[1] = int(value)
        elif own is None and places == ["global"]:
            found[2] = int(value)
    return found[min(found)] if found else None


def ineligible(info: Body) -> str:
    """Why Google grants no more of a quota, "" where it may."""
    told = info.get("quotaIncreaseEligibility", {})
    return "" if told.get("isEligible", True) else str(told.get("ineligibilityReason") or _("it gives no reason"))


def preferred(present: Body) -> int:
    """What a preference prefers; 0 may come back as nothing."""
    return int(present.get("quotaConfig", {}).get("preferredValue") or 0)


def _name(present: Body) -> str:
    return str(present["name"]).rpartition("/")[2]


def _is_ours(present: Body) -> bool:
    return _name(present).startswith("cloudkite-")
