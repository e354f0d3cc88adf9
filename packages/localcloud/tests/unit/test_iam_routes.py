"""Each thing that can be asked of this cloud declares which permission it needs, or says why it needs none."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from localcloud.apis import HOSTS
from localcloud.iam import permissions, roles
from localcloud.provider.resources.registry import KINDS
from localcloud.transport.rest import Router

# Asked by the table of Vertex AI's methods and by Storage itself, which have tests of their own.
OTHERS = ("localcloud.vertex.http:app", "localcloud.storage.http:app")


def router_of(module: ModuleType) -> Router:
    found = module.router
    return found if isinstance(found, Router) else found()


ROUTERS = {loader: loader.partition(":")[0] for _, loader in HOSTS if loader not in OTHERS and "oauth" not in loader}


@pytest.mark.parametrize("module", sorted(set(ROUTERS.values())))
def test_each_route_needs_a_permission_or_says_why_not(module: str) -> None:
    routes = router_of(importlib.import_module(module)).routes
    assert routes
    bare = [f"{route.method} {route.text}" for route in routes if not route.needs and len(route.open) < 10]
    assert bare == []
    both = [f"{route.method} {route.text}" for route in routes if route.needs and route.open]
    assert both == []


def test_each_permission_is_one_that_an_owner_or_an_administrator_has() -> None:
    """A misspelt one would be refused to everybody."""
    known = frozenset().union(*(roles.permissions(name) for name in roles.names()))
    asked = {route.needs for module in ROUTERS.values() for route in router_of(importlib.import_module(module)).routes}
    asked |= {permission for kind in KINDS.values() for permission in kind.rights.values()}
    assert asked - {""} <= known


@pytest.mark.parametrize("token", sorted(KINDS))
def test_each_kind_of_the_provider_needs_permissions(token: str) -> None:
    kind = KINDS[token]
    actions = {"create", "read"} | ({"update"} if kind.update else set()) | ({"delete"} if kind.delete else set())
    assert kind.permit is not None or actions <= kind.rights.keys()


def test_the_table_of_roles_names_its_source_and_date() -> None:
    book = json.loads((Path(roles.__file__).parent / "roles.json").read_text(encoding="utf-8"))
    assert "iam-dataset" in book["source"]
    assert len(book["read"]) == len("2026-08-22")


@pytest.mark.parametrize(
    ("role", "resource", "may"),
    [
        ("roles/storage.objectViewer", "projects/p", True),
        ("roles/storage.legacyBucketReader", "projects/p", False),
        ("roles/storage.legacyBucketReader", "buckets/b", True),
        ("roles/billing.admin", "projects/p", False),
        ("roles/billing.projectManager", "projects/p", True),
        ("roles/billing.user", "billingAccounts/012345-6789AB-CDEF01", True),
        ("roles/billing.projectManager", "billingAccounts/012345-6789AB-CDEF01", False),
        ("roles/storage.admin", "billingAccounts/012345-6789AB-CDEF01", False),
        ("roles/resourcemanager.projectCreator", "projects/p", False),
        ("roles/iam.serviceAccountUser", "projects/p/serviceAccounts/a@b", True),
        ("roles/owner", "projects/p/serviceAccounts/a@b", True),
        ("roles/storage.objectCreator", "projects/p/serviceAccounts/a@b", False),
        ("roles/owner", "buckets/b", False),
        ("roles/logging.logWriter", "buckets/b", False),
        ("roles/storage.hmacKeyAdmin", "buckets/b", False),
        ("roles/pubsub.publisher", "projects/p/topics/t", True),
        ("roles/pubsub.publisher", "projects/p/subscriptions/s", False),
        ("roles/pubsub.subscriber", "projects/p/subscriptions/s", True),
        ("roles/editor", "projects/p/topics/t", True),
        ("roles/artifactregistry.reader", "projects/p/locations/l/repositories/r", True),
        ("roles/storage.admin", "projects/p/locations/l/repositories/r", False),
        ("roles/nothing.like", "projects/p", False),
    ],
)
def test_where_roles_can_be_granted(role: str, resource: str, may: bool) -> None:
    assert roles.grantable(role, permissions.kind_of(resource)) is may


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        (
            "roles/owner",
            "resourcemanager.projects.setIamPolicy iam.serviceAccounts.actAs billing.resourcebudgets.write "
            "resourcemanager.projects.delete storage.buckets.create aiplatform.customJobs.create",
            "iam.serviceAccounts.getAccessToken iam.serviceAccounts.signBlob storage.objects.get "
            "billing.budgets.create",
        ),
        (
            "roles/editor",
            "iam.serviceAccounts.actAs storage.buckets.delete serviceusage.services.enable logging.logEntries.create",
            "resourcemanager.projects.setIamPolicy iam.roles.create storage.objects.get logging.sinks.create "
            "resourcemanager.projects.delete iam.serviceAccounts.setIamPolicy",
        ),
        (
            "roles/viewer",
            "resourcemanager.projects.get storage.buckets.list",
            "storage.objects.list storage.buckets.get",
        ),
        ("roles/storage.objectViewer", "storage.objects.get storage.objects.list", "storage.buckets.get"),
        ("roles/storage.objectCreator", "storage.objects.create", "storage.objects.delete storage.objects.get"),
        ("roles/storage.legacyBucketReader", "storage.buckets.get storage.objects.list", "storage.objects.get"),
        ("roles/iam.serviceAccountUser", "iam.serviceAccounts.actAs", "iam.serviceAccounts.getAccessToken"),
        ("roles/iam.serviceAccountTokenCreator", "iam.serviceAccounts.signJwt", "iam.serviceAccounts.actAs"),
        ("roles/logging.viewer", "logging.logEntries.list", "logging.logEntries.create logging.privateLogEntries.list"),
        ("roles/billing.user", "billing.resourceAssociations.create", "billing.budgets.create"),
    ],
)
def test_what_roles_permit(role: str, has: str, lacks: str) -> None:
    permitted = roles.permissions(role)
    assert set(has.split()) <= permitted
    assert not set(lacks.split()) & permitted
