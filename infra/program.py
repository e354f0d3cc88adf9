"""All that an account is given, as one function: the command line, the engine and the tests run the same."""

from __future__ import annotations

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
from infra.logs import Logs
from infra.mistakes import SettingsError
from infra.outputs import Budget, Ci, Outputs
from infra.quotas import Quotas
from infra.settings import Settings

T = TypeVar("T")


def run(access_token: str | None = None) -> None:
    """What `pulumi up` runs: declare what the stack's settings ask for, and export its outputs.

    Raises pulumi.RunError, which the engine prints without a traceback, for mistakes in the settings.
    """
    try:
        settings = Settings.load(access_token)
    except SettingsError as mistakes:
        raise pulumi.RunError(str(mistakes)) from None
    for name, value in build(settings).exported().items():
        pulumi.export(name, value)


def build(settings: Settings) -> Outputs:
    """Declare the account's resources; gives what the tasks will read as outputs.json."""
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
    project = gcp.organizations.get_project_output(
        project_id=settings.project,
        opts=pulumi.InvokeOutputOptions(provider=provider, depends_on=apis.needed("cloudresourcemanager")),
    )
    identity = Identity(settings, apis, opts)
    ci = GitHub(settings, settings.ci, apis, identity, opts) if settings.ci else None  # before the buckets it may use
    buckets = Buckets(settings, apis, identity, opts)
    contacts = Contacts(settings, apis, opts)
    Logs(settings, apis, contacts, opts)
    images = Images(settings, apis, opts)
    budget = MonthlyBudget(settings, settings.budget, apis, contacts, project.number, opts) if settings.budget else None
    quotas = Quotas(settings, apis, opts) if settings.quotas else None
    asked = quotas.values if quotas else {}
    return Outputs(
        project=settings.project,
        project_number=_later(project.number),
        region=settings.region,
        trainer=_later(identity.email),
        submitter=settings.owner.partition(":")[2],
        buckets={purpose: _later(url) for purpose, url in buckets.urls.items()},
        images=_later(images.address),
        budget=_budget(settings, budget),
        labels=settings.labels,
        quotas={name: {region: _later(n) for region, n in regions.items()} for name, regions in asked.items()},
        ci=_ci(settings, ci),
    )


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
