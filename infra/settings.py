"""The settings of an account: one model of Pulumi.<account>.yaml, for the program, the tasks and editors.

Run as `python -m infra.settings` it writes settings.schema.json, by which an editor completes and checks such a file.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, SkipJsonSchema

from catalog import accelerators, quotas
from catalog.book import UnknownName
from catalog.machines import machines
from catalog.regions import regions, regions_with
from infra.mistakes import ALLOWED, SettingsError, nearest, told

SCHEMA = Path(__file__).with_name("settings.schema.json")
VERTEX = "aiplatform.googleapis.com"

_OURS = ("gcp:", "cloudkite:")

# Values that pulumi.Config hands over as JSON text.
_STRUCTURED = ("budget", "quotas", "logRetentionDays", "stagingDays", "members", "ci", "learners", "stops", "alsoIn")


def _setting(name: str, about: str, allowed: str = "", default: Any = ..., **limits: Any) -> Any:
    """A field that the file calls `name`: what it is for, and what a value must be."""
    return Field(
        default, alias=name, description=about, json_schema_extra={ALLOWED: allowed} if allowed else None, **limits
    )


def _exact(value: Any) -> Any:
    """The decimal number that the person wrote, which YAML reads as a float."""
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _day(value: Any) -> Any:
    """A day as the file has it: YAML reads 2026-11-29 without quotes as a date, Pulumi's own as a moment."""
    try:
        return datetime.date.fromisoformat(value.removesuffix("T00:00:00Z")) if isinstance(value, str) else value
    except ValueError:
        return value


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_TRAINING = "a region with custom training is needed"


def _region(name: str) -> str:
    if name not in regions():
        near = nearest(name, regions())
        raise ValueError(f"{_TRAINING}, did you mean {near}?" if near else "")  # "": what is allowed is said instead
    return name


def _different(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError
    return values


_REGION = f"{_TRAINING}, like us-central1"
Region = Annotated[str, AfterValidator(_region), WithJsonSchema({"type": "string", "enum": sorted(regions())})]
Regions = Annotated[tuple[Region, ...], BeforeValidator(_fixed), AfterValidator(_different)]
Email = Annotated[str, Field(pattern=r"^[^\s@:,;]+@[^\s@:,;]+\.[^\s@:,;.]+$")]
Member = Annotated[str, Field(pattern=r"^(user|serviceAccount|group):[^\s@:,;]+@[^\s@:,;]+\.[^\s@:,;.]+$")]
Members = Annotated[tuple[Member, ...], BeforeValidator(_fixed), AfterValidator(_different)]
Amount = Annotated[
    Decimal, BeforeValidator(_exact), Field(gt=0), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
]
Day = Annotated[
    datetime.date, BeforeValidator(_day), Field(ge=datetime.date(2008, 4, 7)),  # Google Cloud's first
    WithJsonSchema({"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"}),
]  # fmt: skip
Thresholds = Annotated[
    tuple[Annotated[float, Field(gt=0, le=2)], ...],
    BeforeValidator(_fixed),
    AfterValidator(lambda parts: tuple(sorted(set(parts)))),
    Field(min_length=1),
]
# Five is Google's limit of channels on a budget.
Emails = Annotated[tuple[Email, ...], BeforeValidator(_fixed), AfterValidator(_different), Field(max_length=5)]


class _Model(BaseModel):
    """What a mapping in the file may say: nothing else, and no text where a number is meant."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


class Budget(_Model):
    """A budget per month, or for the whole of a free trial, before credits."""

    billing_account: str = _setting(
        "billingAccount",
        "The billing account that pays. Billing > Account management shows its id.",
        "an id like 012345-6789AB-CDEF01 is needed (Billing shows it)",
        pattern=r"^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$",
    )
    amount: Amount = _setting(
        "amount",
        "Per period, in the billing account's own currency, before credits.",
        "a number above 0 is needed: the budget of a month",
    )
    period: Literal["month", "trial"] = _setting(
        "period",
        "A calendar month, or the 90 days of a free trial's credit, from cloudkite:trialStarted.",
        "allowed are month and trial",
        "month",
    )
    currency: str | None = _setting(
        "currency",
        "The billing account's own currency; without it, whatever that is.",
        "three capital letters are needed, like USD or KRW",
        None,
        pattern=r"^[A-Z]{3}$",
    )
    thresholds: Thresholds = _setting(
        "thresholds",
        "An e-mail is sent at each of these fractions of the amount: 1.0 is all of it.",
        "fractions of the amount are needed, like [0.5, 0.9, 1.0], each up to 2",
        (0.5, 0.9, 1.0),
    )
    emails: Emails = _setting(
        "emails",
        "Who hears of each threshold.",
        "a list of at most five different e-mail addresses is needed",
        (),
    )


class Stops(_Model):
    """What stops the account where spending goes on: nothing, unless it is said here (docs/stops.md)."""

    cap: Annotated[
        bool | Amount,
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "exclusiveMinimum": 0}]}),
    ] = _setting(
        "cap",
        "Google's own spend cap on Vertex AI (Preview): true for the budget's amount, or an amount a month.",
        "true, false, or a number above 0 is needed: what Vertex AI may cost in a month",
        False,
    )
    jobs: bool = _setting(
        "jobs",
        "At 90 % of the budget a function of this repository ends what runs and carries our label.",
        "true or false is needed",
        False,
    )
    billing: bool = _setting(
        "billing",
        "At 100 % the function unlinks billing: EVERYTHING in the project stops, and what is stored may be lost.",
        "true or false is needed",
        False,
    )

    @property
    def function(self) -> bool:
        """Whether the budget's messages are listened to at all."""
        return self.jobs or self.billing

    def capped(self, budget: Budget) -> Decimal | None:
        """The spend cap's amount in the budget's currency, None for no cap."""
        if isinstance(self.cap, bool):
            return budget.amount if self.cap else None
        return self.cap


class Quota(_Model):
    """A quota of one region, named by what it is of, or by its id or metric.

    Without `request` it is a guard-rail, which lowers and never raises; with it, Google is asked for more, never less.
    """

    value: int = _setting(
        "value", "How much may be in use at once.", "a whole number from 0 is needed", ge=0, le=1_000_000_000
    )
    quota_id: str | None = _setting(
        "quotaId",
        "The quota's id at Cloud Quotas, unless its metric is given.",
        "a quota id of Cloud Quotas is needed",
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]+$",
    )
    metric: str | None = _setting(
        "metric",
        "The quota's metric, unless its id is given.",
        "a metric like aiplatform.googleapis.com/... is needed",
        None,
        pattern=r"^[A-Za-z0-9.-]+\.googleapis\.com/[A-Za-z0-9_/.-]+$",
    )
    accelerator: str | None = _setting(
        "accelerator",
        "The GPU or TPU that training jobs may take so many of, like T4.",
        "a GPU or TPU is needed, like T4, L4 or TPU_V3",
        None,
    )
    cpus: str | None = _setting(
        "cpus",
        "The family of machines of which training jobs may take so many vCPUs, like n1.",
        "a family of machines is needed, like n1 or e2",
        None,
        pattern=r"^[a-z][a-z0-9]+$",
    )
    spot: bool = _setting(
        "spot", "Whether the quota is that of Spot jobs (accelerator and cpus only).", "true or false is needed", False
    )
    region: Region = _setting("region", "The region it holds in; without it, the account's.", _REGION, "")
    service: str = _setting(
        "service",
        "The API whose quota it is.",
        f"e.g. {VERTEX}",
        VERTEX,
        pattern=r"^[a-z0-9.-]+\.googleapis\.com$",
    )
    request: bool = _setting(
        "request", "Whether Google is asked to raise it to the value.", "true or false is needed", False
    )

    def names(self) -> tuple[str, str]:
        """The quota's id and its metric; "" for the one that isn't known."""
        meter = self.accelerator and quotas.accelerators(accelerators.accelerator(self.accelerator).name, self.spot)
        meter = quotas.vcpus(self.cpus, self.spot) if self.cpus else meter
        return (meter.id, meter.metric) if meter else (self.quota_id or "", self.metric or "")


class Ci(_Model):
    """A repository on GitHub whose workflow previews on a pull request, and trains when its branch changes."""

    repository: str = _setting(
        "repository",
        "OWNER/NAME, spelled as on GitHub: the only repository whose workflow is let in.",
        "OWNER/NAME of a repository on GitHub is needed",
        pattern=r"^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{0,99}[A-Za-z0-9_-]$",
    )
    branch: str = _setting(
        "branch",
        "What is pushed to this branch is trained.",
        "the name of a branch is needed, like main",
        "main",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$",
        max_length=100,
    )


class Learner(_Model):
    """A learner of a class that shares the project: submits jobs, and works in folders of the buckets alone."""

    name: str = _setting(
        "name",
        "What the learner is called in labels and in names of folders; a pseudonym is enough.",
        "1 to 20 lower-case letters, digits and hyphens are needed, starting with a letter",
        pattern=r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$",
    )
    member: Member = _setting(
        "member",
        "Who signs in as this learner.",
        "user:E-MAIL, group:E-MAIL or serviceAccount:E-MAIL is needed",
    )

    @property
    def folder(self) -> str:
        """What the names of the learner's objects begin with, in each bucket."""
        return f"learners/{self.name}/"


class Settings(_Model):
    """One account. `owner` is the member that submits jobs ("" for none); `access_token` signs the provider in.

    `stack` and the token are never in the file. On Google the token is None: the person's own credentials are used.
    """

    # 6 to 30 characters: https://cloud.google.com/resource-manager/docs/creating-managing-projects
    project: str = _setting(
        "gcp:project",
        "The project's id, not its name and not its number; billing must be linked to it.",
        "a project id is needed: 6 to 30 lower-case letters, digits and hyphens, starting with a letter",
        pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$",
    )
    region: Region = _setting("gcp:region", "Where buckets, jobs and images live.", _REGION, "us-central1")
    also_in: Regions = _setting(
        "cloudkite:alsoIn",
        "Other regions that jobs may run in, with `train --also`: each gets a bucket for models.",
        "a list of different regions with custom training is needed, like [us-west1]",
        (),
    )
    target: Literal["google", "local"] = _setting(
        "cloudkite:target", "Google, or the local cloud on this machine.", "allowed are google and local", "google"
    )
    tier: Literal["trial", "paid"] = _setting(
        "cloudkite:tier",
        "A free trial can't use GPUs and can't ask for more quota.",
        "allowed are trial and paid",
        "trial",
    )
    trial_started: Day | None = _setting(
        "cloudkite:trialStarted",
        "The day on which the free trial began; `up` asks for it.",
        "a day like '2026-11-29' is needed",
        None,
    )
    owner: str = _setting(
        "cloudkite:owner",
        "Who submits jobs: gets exactly the permissions for that.",
        "user:E-MAIL or serviceAccount:E-MAIL is needed",
        "",
        pattern=r"^(user|serviceAccount):[^\s@:,;]+@[^\s@:,;]+\.[^\s@:,;.]+$",
    )
    members: Members = _setting(
        "cloudkite:members",
        "Who submits jobs besides the owner; each gets the same permissions.",
        "a list of different members is needed, each user:E-MAIL, group:E-MAIL or serviceAccount:E-MAIL",
        (),
    )
    state: Literal["folder", "bucket"] = _setting(
        "cloudkite:state",
        "Where it is kept what `up` made: in a folder of this computer, or in a bucket of the project, for a team.",
        "allowed are folder and bucket",
        "folder",
    )
    budget: Budget | None = _setting("cloudkite:budget", "A budget per month, before credits.", default=None)
    billing_export: str = _setting(
        "cloudkite:billingExport",
        "PROJECT.DATASET of BigQuery into which Cloud Billing exports the standard usage cost; `costs` reads it.",
        "a project's id and a dataset are needed, like my-project.billing",
        "",
        pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]{1,1024}$",
    )
    stops: Stops | None = _setting(
        "cloudkite:stops", "What stops the account where spending goes on; nothing unless it is said.", default=None
    )
    ci: Ci | None = _setting(
        "cloudkite:ci", "A repository on GitHub that previews and trains, without a key.", default=None
    )
    learners: Annotated[tuple[Learner, ...], BeforeValidator(_fixed)] = _setting(
        "cloudkite:learners", "Learners of a class that shares the project; `class.plan` writes them.", default=()
    )
    learners_until: str = _setting(
        "cloudkite:learnersUntil",
        "The last day on which learners may submit jobs, in UTC; without it, there is none.",
        "a day like 2026-12-18 is needed, between quotation marks",
        "",
        pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    )
    quotas: Annotated[tuple[Quota, ...], BeforeValidator(_fixed)] = _setting(
        "cloudkite:quotas", "Guard-rails, and requests for more.", default=()
    )
    bucket_suffix: str = _setting(
        "cloudkite:bucketSuffix",
        "Added to the buckets' names, where somebody else has the names that the project's id gives.",
        "up to 20 lower-case letters, digits and hyphens are needed",
        "",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$",
    )
    log_retention_days: int = _setting(
        "cloudkite:logRetentionDays",
        "How long logs are kept; beyond 30 days Google charges for them.",
        "a whole number from 1 to 3650 is needed",
        30,
        ge=1,
        le=3650,
    )
    staging_days: int = _setting(
        "cloudkite:stagingDays",
        "What was staged for jobs is deleted after so many days.",
        "a whole number from 1 to 365 is needed",
        14,
        ge=1,
        le=365,
    )
    stack: SkipJsonSchema[str] = ""
    access_token: SkipJsonSchema[str | None] = Field(None, repr=False)

    @property
    def labels(self) -> dict[str, str]:
        """On everything that can carry labels: only what is labelled so is ever deleted."""
        return {"managed-by": "cloudkite", "account": self.stack}

    def bucket(self, purpose: str) -> str:
        """The name of the bucket for `purpose`: data, staging, models, or models-REGION for one of `also_in`."""
        return "-".join(filter(None, (self.project, purpose, self.bucket_suffix)))

    @property
    def submitters(self) -> tuple[str, ...]:
        """Everyone who may submit jobs, the owner first."""
        return tuple(dict.fromkeys(filter(None, (self.owner, *self.members))))

    @property
    def contact(self) -> str:
        """The e-mail address that Google answers requests for quota to, or ""."""
        kind, _, email = self.owner.partition(":")
        return self.budget.emails[0] if self.budget and self.budget.emails else email if kind == "user" else ""

    @staticmethod
    def load(access_token: str | None = None) -> Settings:
        """The settings of the stack that Pulumi is running. Raises SettingsError."""
        import pulumi
        from pulumi.runtime.config import CONFIG, get_config_env

        stack, config = pulumi.get_stack(), {**get_config_env(), **CONFIG.get()}
        if not any(key.startswith(_OURS) for key in config):
            config = _from_file(stack)  # plain Pulumi, see Pulumi.yaml
        for key in _STRUCTURED:
            if isinstance(text := config.get(f"cloudkite:{key}"), str):
                config[f"cloudkite:{key}"] = _from_json(text)
        # The provider of a local cloud does not see this environment.
        environment = os.environ.get("CLOUDKITE_PROVIDER_TOKEN") or os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
        return Settings.parse(config, stack, access_token or environment)

    @staticmethod
    def parse(config: Mapping[str, Any], stack: str, access_token: str | None = None) -> Settings:
        """Settings out of the `config` of a settings file. Raises SettingsError that tells all mistakes at once."""
        given = _given({k: v for k, v in config.items() if str(k).startswith(_OURS)})
        mistakes = []
        settings = None
        try:
            settings = Settings.model_validate(given, by_alias=True, by_name=False)
        except ValidationError as error:
            mistakes += told(error, Settings, given)
        mistakes += _together(given)
        if settings and not mistakes and any(quota.request for quota in settings.quotas) and not settings.contact:
            mistakes.append("cloudkite:quotas has a request; cloudkite:budget.emails must name whom Google answers")
        if settings is None or mistakes:
            raise SettingsError(stack, mistakes)
        placed = tuple(q if q.region else q.model_copy(update={"region": settings.region}) for q in settings.quotas)
        return settings.model_copy(update={"quotas": placed, "stack": stack, "access_token": access_token or None})


class _Schema(GenerateJsonSchema):
    """Without titles, which the keys say, and without defaults that mean "not given", which an editor would fill in."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        made = super().default_schema(schema)
        return made if made.get("default") else {k: v for k, v in made.items() if k != "default"}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def schema() -> dict[str, Any]:
    """The JSON schema of a whole Pulumi.<account>.yaml; what is there for other programs is left alone."""
    ours = Settings.model_json_schema(schema_generator=_Schema)
    definitions = ours.pop("$defs")
    for key in ("additionalProperties", "title", "description"):
        del ours[key]
    known = [{"enum": [*ours["properties"]]}, {"not": {"pattern": "^(gcp|cloudkite):"}}]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "An account of Cloudkite",
        "type": "object",
        "required": ["config"],
        "properties": {"config": {**ours, "propertyNames": {"anyOf": known}}},
        "$defs": definitions,
    }


def _given(value: Any) -> Any:
    """A value without the keys that say nothing (`currency:`), which count as left out."""
    if isinstance(value, Mapping):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    return [_given(inner) for inner in value] if isinstance(value, list) else value


_NAMES = ("accelerator", "cpus", "quotaId", "metric")  # of a quota: one of them


def _together(config: Mapping[str, Any]) -> Iterator[str]:
    """What no single value shows: mistakes between settings."""
    if config.get("cloudkite:ci") is not None and config.get("cloudkite:state", "folder") == "folder":
        yield (
            "cloudkite:ci needs cloudkite:state to be bucket: a runner on GitHub finds there what `up` made; "
            "set cloudkite:state to bucket, or leave ci out"
        )
    yield from _learners(config.get("cloudkite:learners", []))
    yield from _elsewhere(config)
    budget = config.get("cloudkite:budget")
    if isinstance(budget, Mapping) and budget.get("period") == "trial" and "cloudkite:trialStarted" not in config:
        yield (
            "cloudkite:budget.period is trial; cloudkite:trialStarted must say on which day the trial began, "
            "like '2026-11-29'"
        )
    yield from _stopped(config)
    rows = config.get("cloudkite:quotas", [])
    seen = set()
    for number, quota in enumerate(rows if isinstance(rows, list) else []):
        if not isinstance(quota, Mapping):
            continue
        place = f"cloudkite:quotas[{number}]"
        given = [key for key in _NAMES if key in quota]
        if len(given) != 1:
            yield f"{place} must name one of {', '.join(_NAMES)}"
            continue
        name, region = quota[given[0]], quota.get("region", config.get("gcp:region", "us-central1"))
        name = f"Spot {name}" if quota.get("spot") is True else name
        if given[0] in ("accelerator", "cpus"):
            yield from _to_be_had(place, given[0], quota, region)
        elif quota.get("spot") is True:
            yield f"{place}.spot is True; it goes with accelerator and cpus: a quota's id says itself what it is of"
        if quota.get("request") is True and config.get("cloudkite:tier", "trial") == "trial":
            yield (
                f"{place}.request is True for {name}; a trial account can't ask for more quota: "
                "leave request out, or upgrade and set cloudkite:tier to paid"
            )
        key = (name, region)
        if str(key) in seen and all(key):
            yield f"cloudkite:quotas names {key[0]} in {key[1]} twice; one value is needed"
        seen.add(str(key))


def _learners(rows: Any) -> Iterator[str]:
    """Mistakes between learners: two who are called the same, or are the same."""
    for key in ("name", "member"):
        named = [row.get(key) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        for value in dict.fromkeys(str(one) for one in named if named.count(one) > 1):
            yield f"cloudkite:learners has the {key} {value} twice; each learner needs one of their own"


def _elsewhere(config: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes of other regions: the account's own among them, and learners, who have no rights on their buckets."""
    also, home = config.get("cloudkite:alsoIn"), config.get("gcp:region", "us-central1")
    if isinstance(also, list) and home in also:
        yield f"cloudkite:alsoIn names {home}, the account's own region; name others, or leave it out"
    if also and config.get("cloudkite:learners"):
        yield "cloudkite:alsoIn and cloudkite:learners exclude each other; leave one of them out"


def _stopped(config: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes of stops without what they need."""
    stops = config.get("cloudkite:stops")
    if not isinstance(stops, Mapping) or not any(
        stops.get(key) not in (None, False) for key in ("cap", "jobs", "billing")
    ):
        return
    if config.get("cloudkite:budget") is None:
        yield "cloudkite:stops needs cloudkite:budget: stops are parts of its amount; set a budget, or leave stops out"
    if stops.get("billing") is True and stops.get("jobs") is not True:
        yield (
            "cloudkite:stops.billing is True without jobs; what runs is stopped first: set cloudkite:stops.jobs to "
            "true, or leave billing out"
        )


def _to_be_had(place: str, kind: str, quota: Mapping[str, Any], region: Any) -> Iterator[str]:
    """Mistakes of a quota that the catalogue names: what there isn't at all, or not in its region."""
    name, spot = quota[kind], quota.get("spot") is True
    if kind == "cpus":
        families = sorted({machine.family for machine in machines().values() if quotas.vcpus(machine.family, spot)})
        if name not in families:
            yield f"{place}.cpus is {name!r}; available are {', '.join(families)}"
        return
    try:
        found = accelerators.accelerator(str(name))
    except UnknownName:
        there = ", ".join(one.short for one in accelerators.accelerators().values() if not one.ended)
        yield f"{place}.accelerator is {name!r}; available are {there}"
        return
    places = regions_with(found.name)
    if region in regions() and region not in places:
        there = ", ".join(places) or "no region"
        yield f"{place}: jobs can't have {found.short} in {region}; they can in {there}"
    elif quotas.accelerators(found.name, spot) is None:
        yield f"{place}: which quota is that of {found.short} isn't known; give its quotaId"


def _from_file(stack: str) -> dict[str, Any]:
    """The `config` of the stack's settings file. Raises SettingsError for one that can't be read."""
    import yaml

    path = Path(__file__).with_name(f"Pulumi.{stack}.yaml")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(key): value for key, value in document["config"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        raise SettingsError(stack, [f"it has no `config:` or can't be read ({path}); compare with examples/"]) from None


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
