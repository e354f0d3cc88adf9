"""Who may do what: the service account that jobs run as, and the person (or robot) that submits them."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.settings import Settings

# On the project. What concerns a bucket is granted on that bucket (buckets.py), not here.
TRAINER_ROLES = ("logging.logWriter",)
# run.developer is the least of Google's roles that may make Cloud Run jobs (https://cloud.google.com/iam/docs/roles-permissions/run);
# what they run as is bounded by who may act as the trainer.
SUBMITTER_ROLES = (
    "aiplatform.user",
    "cloudquotas.viewer",
    "logging.viewer",
    "run.developer",
    "serviceusage.serviceUsageConsumer",
)


def submitter(settings: Settings, member: str) -> str:
    """What the grants of a member are named by: `submitter` for the owner, for others with whom it is."""
    return "submitter" if member == settings.owner else f"submitter-{member.replace(':', '-')}"


def service_account(
    parent: pulumi.Resource, project: str, apis: Apis, name: str, title: str, about: str | None = None
) -> gcp.serviceaccount.Account:
    """The service account `name`; one of an account that was taken down a while ago is taken over again.

    Google keeps the name blocked for 30 days after a delete.
    """
    return gcp.serviceaccount.Account(
        name,
        account_id=name,
        display_name=title,
        description=about,
        project=project,
        create_ignore_already_exists=True,
        opts=apis.child(parent, "iam"),
    )


class Identity(pulumi.ComponentResource):
    """`trainer` is the member that jobs run as; `submitters` are those that may start them, by what to name grants.

    No Editor, no Owner and no key: jobs get their token from the machine they run on.
    """

    def __init__(self, settings: Settings, apis: Apis, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Identity", "identity", None, opts)
        self._project = settings.project
        self._apis = apis
        about = "Training jobs run as this account"
        account = service_account(self, settings.project, apis, "trainer", "Training jobs", about)
        self.email: pulumi.Output[str] = account.email
        self.trainer: pulumi.Output[str] = account.member
        # Vertex AI's own account, which runs the jobs' machines: made by the first use else, and late then.
        gcp.projects.ServiceIdentity(
            "vertex-agent",
            service="aiplatform.googleapis.com",
            project=settings.project,
            opts=apis.child(self, "aiplatform"),
        )
        self.submitters: dict[str, pulumi.Input[str]] = {}
        self._account = account
        self.grant("trainer", self.trainer, TRAINER_ROLES)
        for member in settings.submitters:
            self.submit(submitter(settings, member), member)
        self.register_outputs({"trainer": self.email, "submitter": settings.owner})

    def submit(self, who: str, member: pulumi.Input[str]) -> None:
        """Let one more member submit jobs; the grants are named by `who`."""
        self.submitters[who] = member
        self.grant(who, member, SUBMITTER_ROLES)
        gcp.serviceaccount.IAMMember(
            f"{who}-acts-as-trainer",
            service_account_id=self._account.name,
            role="roles/iam.serviceAccountUser",
            member=member,
            opts=self._apis.child(self, "iam"),
        )

    def grant(self, who: str, member: pulumi.Input[str], roles: tuple[str, ...]) -> None:
        """Give a member roles on the project; the grants are named by `who`."""
        for role in roles:
            gcp.projects.IAMMember(
                f"{who}-{role.replace('.', '-')}",
                project=self._project,
                role=f"roles/{role}",
                member=member,
                opts=self._apis.child(self, "cloudresourcemanager"),
            )
