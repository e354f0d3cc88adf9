"""The learners of a class that shares one project: each may submit jobs, and reach their own folders of the buckets.

Each learner's jobs run as a service account of that learner, which reaches no other folder either: else a job would be
the way to everybody's things. What a condition on a grant can hold is the name of an object
(https://cloud.google.com/storage/docs/access-control/iam#conditions); a list of names is asked of the bucket as a
whole, so who may list their own objects sees the names of all. docs/class.md says what that means.
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.buckets import PURPOSES, READ, WRITE
from infra.identity import SUBMITTER_ROLES, TRAINER_ROLES, service_account
from infra.settings import Learner, Settings

RESERVATIONS = ".cloudkite/reservations.json"  # in the staging bucket: what all who submit jobs write
_DAY_ENDS = "T23:59:59Z"
# Buckets themselves, which TensorFlow reads when it makes a directory: the legacy roles can't be had on a project.
_SEES_BUCKETS = "storage.bucketViewer"


class Learners(pulumi.ComponentResource):
    """Grants on the project, twelve for each learner: what is in buckets, under a condition on the names of objects."""

    def __init__(self, settings: Settings, apis: Apis, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Learners", "learners", None, opts)
        self._settings = settings
        self._apis = apis
        for learner in settings.learners:
            self._add(learner)
        self.register_outputs({"learners": [learner.name for learner in settings.learners]})

    def _add(self, learner: Learner) -> None:
        name = f"learner-{learner.name}"
        about = "Training jobs of one learner of a class run as this account"
        account = service_account(self, self._settings.project, self._apis, name, f"Jobs of {learner.name}", about)
        gcp.serviceaccount.IAMMember(
            f"{name}-acts",
            service_account_id=account.name,
            role="roles/iam.serviceAccountUser",
            member=learner.member,
            opts=self._apis.child(self, "iam"),
        )
        title = f"folders of {learner.name}"
        submits = gcp.projects.IAMMemberConditionArgs(title=title, expression=self._within(learner, RESERVATIONS))
        runs = gcp.projects.IAMMemberConditionArgs(title=title, expression=self._within(learner))
        until = self._until()
        for role in SUBMITTER_ROLES:
            self._grant(f"{name}-{role}", learner.member, role, until)
        for role in (*TRAINER_ROLES, _SEES_BUCKETS):
            self._grant(f"{name}-jobs-{role}", account.member, role, None)
        self._grant(f"{name}-{WRITE}", learner.member, WRITE, submits)
        self._grant(f"{name}-jobs-{WRITE}", account.member, WRITE, runs)
        pushed = gcp.projects.IAMMemberConditionArgs(title="data of the class", expression=self._pushed())
        self._grant(f"{name}-{READ}", learner.member, READ, pushed)
        self._grant(f"{name}-jobs-{READ}", account.member, READ, pushed)

    def _grant(
        self, name: str, member: pulumi.Input[str], role: str, condition: gcp.projects.IAMMemberConditionArgs | None
    ) -> None:
        gcp.projects.IAMMember(
            name.replace(".", "-"),
            project=self._settings.project,
            role=f"roles/{role}",
            member=member,
            condition=condition,
            opts=self._apis.child(self, "cloudresourcemanager"),
        )

    def _within(self, learner: Learner, besides: str = "") -> str:
        """True for the learner's folders of the three buckets, for the buckets themselves, and one staged object."""
        terms = []
        for purpose in PURPOSES:
            bucket = f"projects/_/buckets/{self._settings.bucket(purpose.name)}"
            terms.append(f'resource.name == "{bucket}"')
            terms.append(f'resource.name.startsWith("{bucket}/objects/{learner.folder}")')
            if purpose.name == "staging" and besides:
                terms.append(f'resource.name == "{bucket}/objects/{besides}"')
        return " || ".join(terms)

    def _pushed(self) -> str:
        """True for what the teacher pushed for all: the data bucket, but for the learners' own folders."""
        objects = f"projects/_/buckets/{self._settings.bucket('data')}/objects"
        return f'resource.name.startsWith("{objects}/data/") || resource.name.startsWith("{objects}/pushed/")'

    def _until(self) -> gcp.projects.IAMMemberConditionArgs | None:
        """The end of the term, after which nobody has to take the right to start jobs away."""
        if not (day := self._settings.learners_until):
            return None
        return gcp.projects.IAMMemberConditionArgs(
            title=f"until {day}", expression=f'request.time <= timestamp("{day}{_DAY_ENDS}")'
        )
