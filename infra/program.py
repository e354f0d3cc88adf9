"""All that an account is given, as one function: the command line, the engine and the tests run the same."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.buckets import Buckets
from infra.budget import MonthlyBudget
from infra.contacts import Contacts
from infra.identity import Identity
from infra.images import Images
from infra.logs import Logs
from infra.quotas import Quotas
from infra.settings import Settings

SCHEMA = 1


def build(settings: Settings) -> dict[str, Any]:
    """Declare the account's resources; gives the stack's outputs, which the tasks read as outputs.json."""
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
    buckets = Buckets(settings, apis, identity, opts)
    contacts = Contacts(settings, apis, opts)
    Logs(settings, apis, contacts, opts)
    images = Images(settings, apis, opts)
    budget = MonthlyBudget(settings, settings.budget, apis, contacts, project.number, opts) if settings.budget else None
    quotas = Quotas(settings, apis, opts) if settings.quotas else None
    return {
        "schema": SCHEMA,
        "project": settings.project,
        "project_number": project.number,
        "region": settings.region,
        "trainer": identity.email,
        "submitter": settings.owner.partition(":")[2],
        "buckets": buckets.urls,
        "images": images.address,
        "budget": _budget(settings, budget),
        "labels": settings.labels,
        "quotas": quotas.values if quotas else {},
    }


def _budget(settings: Settings, made: MonthlyBudget | None) -> dict[str, Any] | None:
    if settings.budget is None or made is None:
        return None
    return {"name": made.name, "amount": float(settings.budget.amount), "currency": made.currency}
