"""The settings of an account: read from Pulumi.<account>.yaml in one place, checked, and told in the user's words."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pulumi

from infra.reading import Mistakes, Section, nearest
from infra.regions import REGIONS

VERTEX = "aiplatform.googleapis.com"

# 6 to 30 characters: https://cloud.google.com/resource-manager/docs/creating-managing-projects
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_BILLING_ACCOUNT = re.compile(r"[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}")
_EMAIL = re.compile(r"[^\s@:,;]+@[^\s@:,;]+\.[^\s@:,;.]+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_QUOTA_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]+")
_METRIC = re.compile(r"[a-z0-9.-]+\.googleapis\.com/[a-z0-9_/.-]+", re.IGNORECASE)

# Values that pulumi.Config hands over as JSON text.
_STRUCTURED = ("budget", "quotas", "logRetentionDays", "stagingDays")


class SettingsError(pulumi.RunError):
    """Mistakes in an account's settings, one in each line; the engine prints it without a traceback."""

    def __init__(self, stack: str, mistakes: list[str]) -> None:
        super().__init__("\n".join(f"Pulumi.{stack}.yaml: {mistake}" for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class Budget:
    """A budget per month, before credits. `currency` None means the billing account's own.

    `thresholds` are fractions of `amount` (1.0 is all of it); `emails` hear of each.
    """

    billing_account: str
    amount: Decimal
    currency: str | None
    thresholds: tuple[float, ...]
    emails: tuple[str, ...]


@dataclass(frozen=True)
class Quota:
    """A quota of one region, named by its id or by its metric (the other is None).

    Without `request` it is a guard-rail, which lowers and never raises; with it, Google is asked for more, never less.
    """

    value: int
    quota_id: str | None
    metric: str | None
    region: str
    service: str
    request: bool


@dataclass(frozen=True)
class Settings:
    """One account. `owner` is the member that submits jobs ("" for none); `access_token` signs the provider in.

    The token is never in the file: on Google it is None and the person's own credentials are used.
    """

    stack: str
    project: str
    region: str
    target: str
    tier: str
    owner: str
    budget: Budget | None
    quotas: tuple[Quota, ...]
    log_retention_days: int
    staging_days: int
    access_token: str | None = field(default=None, repr=False)

    @property
    def labels(self) -> dict[str, str]:
        """On everything that can carry labels: only what is labelled so is ever deleted."""
        return {"managed-by": "cloudkite", "account": self.stack}

    @property
    def contact(self) -> str:
        """The e-mail address that Google answers requests for quota to, or ""."""
        kind, _, email = self.owner.partition(":")
        return self.budget.emails[0] if self.budget and self.budget.emails else email if kind == "user" else ""

    @staticmethod
    def load(access_token: str | None = None) -> Settings:
        """The settings of the stack that Pulumi is running. Raises SettingsError."""
        from pulumi.runtime.config import CONFIG, get_config_env

        config = {**get_config_env(), **CONFIG.get()}
        for key in _STRUCTURED:
            if isinstance(text := config.get(f"cloudkite:{key}"), str):
                config[f"cloudkite:{key}"] = _from_json(text)
        token = access_token or os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
        return Settings.parse(config, pulumi.get_stack(), token)

    @staticmethod
    def parse(config: Mapping[str, Any], stack: str, access_token: str | None = None) -> Settings:
        """Settings out of the `config` of a settings file. Raises SettingsError that tells all mistakes at once."""
        mistakes = Mistakes()
        ours = ("gcp:", "cloudkite:")
        top = Section({key: value for key, value in config.items() if str(key).startswith(ours)}, "", mistakes)
        project = top.take(
            "gcp:project",
            _matching(_PROJECT),
            "a project id is needed: 6 to 30 lower-case letters, digits and hyphens, starting with a letter",
        )
        region = top.take("gcp:region", _region, _region_hint(config.get("gcp:region")), "us-central1")
        target = top.take("cloudkite:target", _one_of("google", "local"), "allowed are google and local", "google")
        tier = top.take("cloudkite:tier", _one_of("trial", "paid"), "allowed are trial and paid", "trial")
        owner = top.take("cloudkite:owner", _member, "user:E-MAIL or serviceAccount:E-MAIL is needed", "")
        budget = _budget(top.section("cloudkite:budget"))
        quotas = tuple(_quota(item, region, tier) for item in top.sections("cloudkite:quotas"))
        _no_quota_twice(quotas, mistakes)
        days = top.take("cloudkite:logRetentionDays", _whole(1, 3650), "a whole number from 1 to 3650 is needed", 30)
        staging = top.take("cloudkite:stagingDays", _whole(1, 365), "a whole number from 1 to 365 is needed", 14)
        top.unknown()
        settings = Settings(
            stack, project, region, target, tier, owner, budget, quotas, days, staging, access_token or None
        )
        if not mistakes and any(quota.request for quota in quotas) and not settings.contact:
            mistakes.append("cloudkite:quotas has a request; cloudkite:budget.emails must name whom Google answers")
        if mistakes:
            raise SettingsError(stack, mistakes)
        return settings


def _budget(section: Section | None) -> Budget | None:
    if section is None:
        return None
    account = section.take(
        "billingAccount", _matching(_BILLING_ACCOUNT), "an id like 012345-6789AB-CDEF01 is needed (Billing shows it)"
    )
    amount = section.take("amount", _amount, "a number above 0 is needed: the budget of a month")
    currency = section.take("currency", _matching(_CURRENCY), "three capital letters are needed, like USD or KRW", None)
    thresholds = section.take(
        "thresholds",
        _thresholds,
        "fractions of the amount are needed, like [0.5, 0.9, 1.0], each up to 2",
        (0.5, 0.9, 1.0),
    )
    emails = section.take("emails", _emails, "a list of at most five different e-mail addresses is needed", ())
    section.unknown()
    return Budget(account, amount, currency, thresholds, emails)


def _quota(section: Section, region: str, tier: str) -> Quota:
    quota_id = section.take("quotaId", _matching(_QUOTA_ID), "a quota id of Cloud Quotas is needed", None)
    metric = section.take("metric", _matching(_METRIC), "a metric like aiplatform.googleapis.com/... is needed", None)
    if (section.values.get("quotaId") is None) == (section.values.get("metric") is None):
        section.mistakes.append(f"{section.prefix.rstrip('.')} must name either quotaId or metric")
    service = section.take("service", _matching(re.compile(r"[a-z0-9.-]+\.googleapis\.com")), "e.g. " + VERTEX, VERTEX)
    where = section.take("region", _region, _region_hint(section.values.get("region")), region)
    value = section.take("value", _whole(0, 1_000_000_000), "a whole number from 0 is needed")
    request = section.take("request", _flag, "true or false is needed", False)
    if request and tier == "trial":
        name = quota_id or metric
        section.mistakes.append(
            f"{section.prefix}request is True for {name}; a trial account can't ask for more quota: "
            "leave request out, or upgrade and set cloudkite:tier to paid"
        )
    section.unknown()
    return Quota(value, quota_id, metric, where, service, request)


def _no_quota_twice(quotas: tuple[Quota, ...], mistakes: Mistakes) -> None:
    seen: set[tuple[str | None, str]] = set()
    for quota in quotas:
        key = (quota.quota_id or quota.metric, quota.region)
        if key in seen and all(key):
            mistakes.append(f"cloudkite:quotas names {key[0]} in {key[1]} twice; one value is needed")
        seen.add(key)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _matching(pattern: re.Pattern[str]) -> Any:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError
        return value

    return check


def _one_of(*allowed: str) -> Any:
    return _matching(re.compile("|".join(allowed)))


def _region(value: Any) -> str:
    if value not in REGIONS:
        raise ValueError
    return value


def _region_hint(value: Any) -> str:
    near = nearest(value, REGIONS) if isinstance(value, str) else ""
    return f"a region with custom training is needed, {f'did you mean {near}?' if near else 'like us-central1'}"


def _member(value: Any) -> str:
    kind, colon, email = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in ("user", "serviceAccount") or not colon or not _EMAIL.fullmatch(email):
        raise ValueError
    return value


def _whole(low: int, high: int) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _amount(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError
    amount = Decimal(str(value))
    if not amount.is_finite() or amount <= 0:
        raise ValueError
    return amount


def _thresholds(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    if any(isinstance(part, bool) or not isinstance(part, int | float) or not 0 < part <= 2 for part in value):
        raise ValueError
    return tuple(sorted({float(part) for part in value}))


def _emails(value: Any) -> tuple[str, ...]:
    # Five is Google's limit of channels on a budget.
    if not isinstance(value, list) or len(value) > 5 or len(set(value)) != len(value):
        raise ValueError
    return tuple(_matching(_EMAIL)(email) for email in value)
