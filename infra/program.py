"""All that an account is given, as one function: the command line, the engine and the tests run the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.buckets import Buckets
from infra.budget import MonthlyBudget
from infra.ci import GitHub
from infra.contacts import Contacts
from infra.identity import Identity
from infra.images import Images
from infra.known import Known, Preference, written
from infra.learners import Learners
from infra.logs import Logs
from infra.mistakes import SettingsError
from infra.outputs import Budget, Ci, Outputs
from infra.quotas import Quotas
from infra.settings import Settings

T = TypeVar("T")


def run(access_token: str | None = None, known: Known | None = None) -> None:
    """What `pulumi up` runs: declare what the stack's settings ask for, and export its outputs.

    Raises pulumi.RunError, which the engine prints without a traceback, for mistakes in the settings.
    """
    try:
        settings = Settings.load(access_token)
    except SettingsError as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    for name, value in build(settings, known or Known.given()).exported().items():
        pulumi.export(name, value)


def build(settings: Settings, known: Known | None = None) -> Outputs:
    """Declare the account's resources; gives what the tasks will read as outputs.json.

    Where nobody looked before (None), the project's number is asked for, and quotas are taken as they are written.
    """
    provider = gcp.Provider(
        "gcp",
        project=settings.project,
        region=settings.region,
        # Google refuses a person's calls to budgets and quotas unless a project is named for them.
        billing_project=settings.project,
        user_project_override=True,
        default_labels=settings.labels,
        access_token=pulumi.Output.secret(settings.access_token) if settings.access_token else None,
    )
    opts = pulumi.ResourceOptions(providers=[provider])
    apis = Apis(settings, opts)
    number = pulumi.Output.from_input(known.project_number) if known else _number(settings, apis, provider)
    identity = Identity(settings, apis, opts)
    ci = GitHub(settings, settings.ci, apis, identity, opts) if settings.ci else None  # before the buckets it may use
    buckets = Buckets(settings, apis, identity, opts)
    if settings.learners:
        Learners(settings, apis, opts)
    contacts = Contacts(settings, apis, opts)
    Logs(settings, apis, contacts, opts)
    images = Images(settings, apis, opts)
    budget = MonthlyBudget(settings, settings.budget, apis, contacts, number, opts) if settings.budget else None
    preferences = known.preferences if known else _unlooked(settings)
    if preferences:
        Quotas(settings, preferences, apis, opts)
    return Outputs(
        project=settings.project,
        project_number=_later(number),
        region=settings.region,
        trainer=_later(identity.email),
        submitter=settings.owner.partition(":")[2],
        buckets={purpose: _later(url) for purpose, url in buckets.urls.items()},
        images=_later(images.address),
        budget=_budget(settings, budget),
        labels=settings.labels,
        quotas=_quotas(preferences),
        ci=_ci(settings, ci),
    )


def _number(settings: Settings, apis: Apis, provider: gcp.Provider) -> pulumi.Output[str]:
    """The project's number as the cloud tells it."""
    project = gcp.organizations.get_project_output(
        project_id=settings.project,
        opts=pulumi.InvokeOutputOptions(provider=provider, depends_on=apis.needed("cloudresourcemanager")),
    )
    return project.number


def _unlooked(settings: Settings) -> tuple[Preference, ...]:
    """The settings' preferences. Raises RunError for one that the project has to be asked about."""
    found = written(settings)
    if all(one.quota_id for one in found):
        return found
    raise pulumi.RunError(
        f"Pulumi.{settings.stack}.yaml: cloudkite:quotas names a metric whose quota id isn't known; give quotaId, or "
        "run `uv run invoke up`, which looks it up"
    )


def _quotas(preferences: Sequence[Preference]) -> dict[str, dict[str, int]]:
    """What was asked for, by quota and region."""
    found: dict[str, dict[str, int]] = {}
    for one in preferences:
        found.setdefault(one.quota_id, {})[one.region] = one.value
    return found


def _budget(settings: Settings, made: MonthlyBudget | None) -> Budget | None:
    if settings.budget is None or made is None:
        return None
    return Budget(_later(made.name), float(settings.budget.amount), _later(made.currency))


def _ci(settings: Settings, made: GitHub | None) -> Ci | None:
    if settings.ci is None or made is None:
        return None
    given = settings.ci
    return Ci(given.repository, given.branch, _later(made.provider), _later(made.trains), _later(made.previews))


def _later(value: pulumi.Output[T]) -> T:
    """A value that Pulumi puts in when it exports it: until then it is not known."""
    return cast("T", value)
