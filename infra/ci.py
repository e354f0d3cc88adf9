"""A repository on GitHub may preview and train, without a key: its workflow signs in by a token of GitHub's.

Why there are two accounts, and what each run may act as: docs/decisions/0034.
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.identity import Identity, service_account
from infra.settings import Ci, Settings

ISSUER = "https://token.actions.githubusercontent.com"
POOL, PROVIDER = "cloudkite", "github"
# Names of service accounts have at least 6 characters.
TRAINS, PREVIEWS = "ci-train", "ci-preview"
# On the project: to read all that the program declares, and no more. A preview changes nothing and reads no data.
PREVIEW_ROLES = (
    "artifactregistry.reader",
    "cloudquotas.viewer",
    "iam.securityReviewer",
    "iam.serviceAccountViewer",
    "iam.workloadIdentityPoolViewer",
    "logging.viewer",
    "monitoring.viewer",
    "serviceusage.serviceUsageConsumer",
    "storage.bucketViewer",
)
READS = "roles/storage.objectViewer"


class GitHub(pulumi.ComponentResource):
    """`provider` is its full name, `trains` and `previews` are the e-mails of whom runs act as."""

    def __init__(
        self, settings: Settings, ci: Ci, apis: Apis, identity: Identity, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("cloudkite:account:Ci", "ci", None, opts)
        self._settings = settings
        self._apis = apis
        # Their ids are blocked for 30 days after a delete: both are left, and taken over again. Without the accounts
        # below nobody can do anything by them.
        pool = gcp.iam.WorkloadIdentityPool(
            "ci-pool",
            workload_identity_pool_id=POOL,
            display_name="Cloudkite",
            description="Who may act as an account of this project from elsewhere",
            project=settings.project,
            opts=apis.child(self, "iam", "sts", retain_on_delete=True),
        )
        provider = gcp.iam.WorkloadIdentityPoolProvider(
            "ci-github",
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=PROVIDER,
            display_name="GitHub Actions",
            project=settings.project,
            oidc=gcp.iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=ISSUER),
            attribute_mapping={
                "google.subject": "assertion.sub",
                "attribute.repository": "assertion.repository",
                "attribute.ref": "assertion.ref",
                "attribute.event": "assertion.repository + ':' + assertion.event_name",
                "attribute.run": "assertion.repository + ':' + assertion.event_name + ':' + assertion.ref",
            },
            # GitHub signs for every repository that there is.
            attribute_condition=f"assertion.repository == '{ci.repository}'",
            opts=apis.child(self, "iam", "sts", retain_on_delete=True),
        )
        pushed = f"run/{ci.repository}:push:refs/heads/{ci.branch}"
        trains = self._account(TRAINS, "Training from GitHub", pool, pushed)
        previews = self._account(PREVIEWS, "Previews from GitHub", pool, f"event/{ci.repository}:pull_request")
        identity.submit(TRAINS, trains.member)
        identity.grant(PREVIEWS, previews.member, PREVIEW_ROLES)
        self._let_read_state(trains, previews)
        self.provider: pulumi.Output[str] = provider.name
        self.trains: pulumi.Output[str] = trains.email
        self.previews: pulumi.Output[str] = previews.email
        self.register_outputs({"provider": self.provider, "trains": self.trains, "previews": self.previews})

    def _account(
        self, name: str, title: str, pool: gcp.iam.WorkloadIdentityPool, attribute: str
    ) -> gcp.serviceaccount.Account:
        """An account that those runs alone may act as which have the attribute."""
        account = service_account(self, self._settings.project, self._apis, name, title)
        gcp.serviceaccount.IAMMember(
            f"{name}-from-github",
            service_account_id=account.name,
            role="roles/iam.workloadIdentityUser",
            member=pulumi.Output.concat("principalSet://iam.googleapis.com/", pool.name, "/attribute.", attribute),
            opts=self._apis.child(self, "iam"),
        )
        return account

    def _let_read_state(self, trains: gcp.serviceaccount.Account, previews: gcp.serviceaccount.Account) -> None:
        """A preview needs all of the state; who trains only what `up` made, and no pass-phrase beside it."""
        bucket = f"{self._settings.project}-state"  # made by `up` before this program runs
        stacks = f"projects/_/buckets/{bucket}/objects/.pulumi/stacks/"
        gcp.storage.BucketIAMMember(
            f"{TRAINS}-reads-outputs",
            bucket=bucket,
            role=READS,
            member=trains.member,
            condition=gcp.storage.BucketIAMMemberConditionArgs(
                title="what-up-made", expression=f"resource.name.startsWith('{stacks}')"
            ),
            opts=self._apis.child(self, "storage"),
        )
        gcp.storage.BucketIAMMember(
            f"{PREVIEWS}-reads-state",
            bucket=bucket,
            role=READS,
            member=previews.member,
            opts=self._apis.child(self, "storage"),
        )
