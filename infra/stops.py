"""What stops an account in stages: a topic for the budget's messages, and a function that acts on them.

Opt-in, and described in docs/stops.md. The function is infra/stop/, as it is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pulumi
import pulumi_gcp as gcp

from catalog.regions import regions
from infra.apis import STOPS, Apis
from infra.identity import service_account
from infra.settings import Settings, Stops

SOURCE = Path(__file__).with_name("stop")
NAME = "cloudkite-stop"  # of the function, and the account that it acts as
BUILDER = "cloudkite-stop-build"
TOPIC = "cloudkite-budget"
# Who publishes a budget's messages: https://cloud.google.com/billing/docs/how-to/budgets-programmatic-notifications
PUBLISHER = "serviceAccount:billing-budget-alert@system.gserviceaccount.com"
_SECONDS = 540  # the most that a call by an event may take; below stages.py's lease
_KEPT_DAYS = 400
# To find what runs and end it, and nothing else: no start, no read of data, no delete.
STOP_PERMISSIONS = (
    *(
        f"aiplatform.{kind}.{verb}"
        for kind in (
            "batchPredictionJobs",
            "customJobs",
            "hyperparameterTuningJobs",
            "pipelineJobs",
            "trainingPipelines",
        )
        for verb in ("cancel", "get", "list")
    ),
    "aiplatform.endpoints.get",
    "aiplatform.endpoints.list",
    "aiplatform.endpoints.undeploy",
    "run.executions.cancel",
    "run.executions.get",
    "run.executions.list",
    "run.jobs.get",
    "run.jobs.list",
)
# To build the image: https://cloud.google.com/functions/docs/securing/build-custom-sa
BUILD_ROLES = ("artifactregistry.writer", "logging.logWriter")


class StopsInStages(pulumi.ComponentResource):
    """Made in two steps: `topic` is what the budget tells, and `hear` makes what listens to that budget."""

    def __init__(self, settings: Settings, stops: Stops, apis: Apis, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Stops", "stops", None, opts)
        self._settings = settings
        self._stops = stops
        self._apis = apis
        self._topic = gcp.pubsub.Topic(
            "budget-topic", name=TOPIC, project=settings.project, opts=apis.child(self, "pubsub")
        )
        # Making a budget with a topic grants it too; declared, so that `up` puts it back.
        granted = gcp.pubsub.TopicIAMMember(
            "budget-publishes",
            project=settings.project,
            topic=self._topic.name,
            role="roles/pubsub.publisher",
            member=PUBLISHER,
            opts=apis.child(self, "pubsub"),
        )
        self.topic: pulumi.Output[str] = pulumi.Output.all(self._topic.id, granted.id).apply(lambda ids: str(ids[0]))

    def hear(self, budget: pulumi.Output[str]) -> None:
        """Make the function that acts on the messages of the budget of that full name."""
        bucket, source = self._source()
        account, granted = self._account(bucket)
        builder, may_build = self._builder()
        settings, needed = self._settings, self._apis.needed(*STOPS)
        functions = gcp.cloudfunctionsv2
        function = functions.Function(
            "stop",
            name=NAME,
            project=settings.project,
            location=settings.region,
            description="Stops this account in stages; see docs/stops.md of Cloudkite",
            build_config=functions.FunctionBuildConfigArgs(
                runtime="python311",
                entry_point="stop",
                service_account=builder.id,
                source=functions.FunctionBuildConfigSourceArgs(
                    storage_source=functions.FunctionBuildConfigSourceStorageSourceArgs(
                        bucket=bucket.name, object=source.name
                    )
                ),
            ),
            service_config=functions.FunctionServiceConfigArgs(
                service_account_email=account.email,
                available_memory="256M",
                timeout_seconds=_SECONDS,
                # One message after the other: two must not act at the same time.
                max_instance_count=1,
                max_instance_request_concurrency=1,
                ingress_settings="ALLOW_INTERNAL_ONLY",
                environment_variables=self._variables(bucket, budget),
            ),
            event_trigger=functions.FunctionEventTriggerArgs(
                event_type="google.cloud.pubsub.topic.v1.messagePublished",
                pubsub_topic=self._topic.id,
                trigger_region=settings.region,
                service_account_email=account.email,
                retry_policy="RETRY_POLICY_RETRY",
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*needed, *granted, *may_build]),
        )
        gcp.cloudrunv2.ServiceIamMember(
            "events-call-stop",
            project=settings.project,
            location=settings.region,
            name=function.name,
            role="roles/run.invoker",
            member=account.member,
            opts=self._apis.child(self, "run"),
        )
        self.register_outputs({"topic": self.topic, "function": function.id})

    def _variables(self, bucket: gcp.storage.Bucket, budget: pulumi.Output[str]) -> dict[str, pulumi.Input[str]]:
        """What stages.Settings.of reads."""
        told = {True: "yes", False: "no"}
        return {
            "STOP_PROJECT": self._settings.project,
            "STOP_BUDGET": budget,
            "STOP_BUCKET": bucket.name,
            "STOP_REGIONS": ",".join(sorted(regions())),
            "STOP_JOBS": told[self._stops.jobs],
            "STOP_BILLING": told[self._stops.billing],
            "STOP_PERIOD": getattr(self._settings.budget, "period", "month"),
            "STOP_OWN": ",".join((NAME, TOPIC)),
        }

    def _source(self) -> tuple[gcp.storage.Bucket, gcp.storage.BucketObject]:
        """The bucket of the source and of the stages that were acted on, and the source in it, by its hash."""
        settings = self._settings
        storage = gcp.storage
        bucket = storage.Bucket(
            "stops",
            name=settings.bucket("stops"),
            project=settings.project,
            location=settings.region,
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            soft_delete_policy={"retention_duration_seconds": 0},
            lifecycle_rules=[
                storage.BucketLifecycleRuleArgs(
                    action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
                    condition=storage.BucketLifecycleRuleConditionArgs(age=_KEPT_DAYS, matches_prefixes=["stages/"]),
                )
            ],
            force_destroy=True,
            opts=self._apis.child(self, "storage"),
        )
        files = files_of(SOURCE)
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
        source = storage.BucketObject(
            "stop-source",
            bucket=bucket.name,
            name=f"source-{digest}.zip",
            source=pulumi.AssetArchive({name: pulumi.StringAsset(text) for name, text in files.items()}),
            opts=self._apis.child(self, "storage"),
        )
        return bucket, source

    def _account(self, bucket: gcp.storage.Bucket) -> tuple[gcp.serviceaccount.Account, list[pulumi.Resource]]:
        """Whom the function acts as, and what it may do."""
        account = service_account(self, self._settings.project, self._apis, NAME, "Stops this account in stages")
        role = gcp.projects.IAMCustomRole(
            "stop-role",
            role_id="cloudkiteStop",
            title="Cloudkite: end what runs",
            permissions=sorted(STOP_PERMISSIONS),
            project=self._settings.project,
            opts=self._apis.child(self, "iam"),
        )
        grants: list[pulumi.Resource] = [self._grant("stop-ends-jobs", account, role.name)]
        if self._stops.billing:
            grants.append(self._grant("stop-unlinks-billing", account, "roles/billing.projectManager"))
            grants.append(self._grant("stop-sees-what-is-foreign", account, "roles/cloudasset.viewer"))
        grants.append(
            gcp.storage.BucketIAMMember(
                "stop-remembers",
                bucket=bucket.name,
                role="roles/storage.objectUser",
                member=account.member,
                opts=self._apis.child(self, "storage"),
            )
        )
        return account, grants

    def _builder(self) -> tuple[gcp.serviceaccount.Account, list[pulumi.Resource]]:
        """Whom the image is built as: Google's default for it is an account that may do much more, or isn't there."""
        builder = service_account(
            self, self._settings.project, self._apis, BUILDER, "Builds the function that stops this account"
        )
        roles: list[pulumi.Resource] = [
            self._grant(f"stop-build-{role.replace('.', '-')}", builder, f"roles/{role}") for role in BUILD_ROLES
        ]
        condition = gcp.projects.IAMMemberConditionArgs(
            title="sources-of-functions",
            expression="resource.name.startsWith('projects/_/buckets/gcf-v2-sources-')",
        )
        roles.append(self._grant("stop-build-reads-source", builder, "roles/storage.objectViewer", condition))
        return builder, roles

    def _grant(
        self,
        name: str,
        account: gcp.serviceaccount.Account,
        role: pulumi.Input[str],
        condition: gcp.projects.IAMMemberConditionArgs | None = None,
    ) -> gcp.projects.IAMMember:
        return gcp.projects.IAMMember(
            name,
            project=self._settings.project,
            role=role,
            member=account.member,
            condition=condition,
            opts=self._apis.child(self, "cloudresourcemanager"),
        )


def files_of(folder: Path) -> dict[str, str]:
    """The function's files by their path in the archive: what the framework reads, and the package beside it."""
    beside = ("main.py", "requirements.txt")
    files = {name: (folder / name).read_text(encoding="utf-8") for name in beside}
    modules = sorted(path for path in folder.glob("*.py") if path.name not in beside)
    return files | {f"stop/{path.name}": path.read_text(encoding="utf-8") for path in modules}
