"""Which APIs this local cloud has: what answers for each host and service, and how they are put together.

The only place that knows them all. Modules are imported when their first request comes, or their part is first asked
for, so a start pays only for what is used.
"""

from __future__ import annotations

from pathlib import Path

from localcloud.core.asked.callers import Verifier
from localcloud.core.asked.directory import Buckets, Directory, Services
from localcloud.core.asked.drills import Drills
from localcloud.core.asked.permits import Permits
from localcloud.core.asked.usage import Usage
from localcloud.core.clock import Clock
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.storage import entrance
from localcloud.transport.front import Api

# (host and path as a regular expression, "module:function" that makes the ASGI app of a Cloud); the first that fits.
HOSTS: list[tuple[str, str]] = [
    (r"(storage|[^/]+\.storage)\.googleapis\.com/.*", "localcloud.storage.http:app"),
    (r"www\.googleapis\.com/+((upload|download|batch|resumable/upload)/)?storage/.*", "localcloud.storage.http:app"),
    (r"([a-z0-9-]+-)?aiplatform\.googleapis\.com/.*", "localcloud.vertex.http:app"),
    (r"[^/]+\.prediction\.vertexai\.goog/.*", "localcloud.vertex.http:app"),
    (r"([a-z0-9-]+-)?run\.googleapis\.com/.*", "localcloud.run.http:app"),
    (r"logging\.googleapis\.com/.*", "localcloud.logging.http:app"),
    (r"cloudresourcemanager\.googleapis\.com/.*", "localcloud.projects.http:app"),
    (r"serviceusage\.googleapis\.com/v1beta1/.*", "localcloud.quotas.metrics:app"),
    (r"serviceusage\.googleapis\.com/.*", "localcloud.services.http:app"),
    (r"iam\.googleapis\.com/v1/projects/[^/]+/locations/.*", "localcloud.iam.federation.http:app"),
    (r"iam\.googleapis\.com/.*", "localcloud.iam.http:app"),
    (r"iamcredentials\.googleapis\.com/.*", "localcloud.credentials.http:app"),
    (r"(billingbudgets|cloudbilling)\.googleapis\.com/.*", "localcloud.billing.http:app"),
    (r"cloudquotas\.googleapis\.com/.*", "localcloud.quotas.http:app"),
    (r"artifactregistry\.googleapis\.com/.*", "localcloud.artifacts.http:app"),
    (r"monitoring\.googleapis\.com/.*", "localcloud.monitoring.http:app"),
    (r"pubsub\.googleapis\.com/.*", "localcloud.pubsub.http:app"),
    (r"cloudasset\.googleapis\.com/.*", "localcloud.assets.http:app"),
    (r"cloudfunctions\.googleapis\.com/.*", "localcloud.functions.http:app"),
    (r"bigquery\.googleapis\.com/bigquery/v2/.*", "localcloud.bigquery.http:app"),
    (r"openidconnect\.googleapis\.com/.*", "localcloud.identity.oauth:user_app"),
    (r"www\.googleapis\.com/oauth2/v[13]/(userinfo|tokeninfo)", "localcloud.identity.oauth:user_app"),
]
# Here a caller gets or shows a token in its own way, so nobody is asked for one.
OPEN_HOSTS: list[tuple[str, str]] = [
    (r"oauth2\.googleapis\.com/.*", "localcloud.identity.oauth:app"),
    (r"accounts\.google\.com/.*", "localcloud.identity.oauth:app"),
    (r"www\.googleapis\.com/oauth2/.*", "localcloud.identity.oauth:app"),
    (r"sts\.googleapis\.com/.*", "localcloud.identity.sts:app"),
    (r"(localhost|127\.0\.0\.1)/.*", "localcloud.control.http:app"),
    (r"[a-z0-9-]+\.a\.run\.app/.*", "localcloud.functions.http:services"),
]

# (how the service's name starts, "module:function" that makes the table of a Cloud)
TABLES: list[tuple[str, str]] = [
    ("google.cloud.aiplatform.", "localcloud.vertex.rpc:table"),
    ("google.cloud.run.", "localcloud.run.rpc:table"),
    ("google.logging.", "localcloud.logging.rpc:table"),
    ("google.cloud.resourcemanager.", "localcloud.projects.http:table"),
    ("google.api.serviceusage.", "localcloud.services.http:table"),
    ("google.iam.admin.", "localcloud.iam.rpc:table"),
    ("google.iam.credentials.", "localcloud.credentials.http:table"),
    ("google.cloud.billing.", "localcloud.billing.http:table"),
    ("google.api.cloudquotas.", "localcloud.quotas.http:table"),
    ("google.devtools.artifactregistry.", "localcloud.artifacts.http:table"),
    ("google.monitoring.", "localcloud.monitoring.rpc:table"),
    ("google.pubsub.", "localcloud.pubsub.rpc:table"),
]
_STORAGE = "localcloud.storage.http:app"


def apis() -> list[Api]:
    """What answers for each host; the open ones last, because user information has a path under an open one."""
    closed = [
        Api(pattern, loader, anonymous=entrance.anonymous, refuse=entrance.refuse, packed=_object_of)
        if loader == _STORAGE
        else Api(pattern, loader)
        for pattern, loader in HOSTS
    ]
    return closed + [Api(pattern, loader, open=True) for pattern, loader in OPEN_HOSTS]


def _object_of(path: str) -> bool:
    """In the XML API a body in gzip is an object that is kept so."""
    return not entrance.is_json(path)


def assemble(root: Path, envs: Path, ports: Ports, clock: Clock | None = None) -> Cloud:
    """A cloud in which the questions of core/ are answered by the APIs."""
    cloud = Cloud(root, envs, ports, clock)
    cloud.provide(Buckets, _buckets)
    cloud.provide(Directory, _directory)
    cloud.provide(Drills, _drills)
    cloud.provide(Permits, _permits)
    cloud.provide(Services, _services)
    cloud.provide(Usage, _usage)
    cloud.provide(Verifier, _verifier)
    return cloud


def _buckets(cloud: Cloud) -> Buckets:
    from localcloud.storage.store import Storage

    return cloud.of(Storage).metadata


def _directory(cloud: Cloud) -> Directory:
    from localcloud.projects.store import Projects

    return cloud.of(Projects)


def _drills(cloud: Cloud) -> Drills:
    from localcloud.faults.drills import FaultDrills

    return cloud.of(FaultDrills)


def _permits(cloud: Cloud) -> Permits:
    from localcloud.iam.access import Access

    return cloud.of(Access)


def _services(cloud: Cloud) -> Services:
    from localcloud.services.enabled import Enabled

    return cloud.of(Enabled)


def _usage(cloud: Cloud) -> Usage:
    from localcloud.billing.meter import Billing

    return cloud.of(Billing)


def _verifier(cloud: Cloud) -> Verifier:
    from localcloud.identity.tokens import Tokens

    return cloud.of(Tokens)
