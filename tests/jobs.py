"""An account, a plan, a job as it is asked for and as the service answers it, for tests of what makes or reads them."""

import datetime
from pathlib import Path
from types import SimpleNamespace

from cloudkite.accounts.registry import Account
from cloudkite.jobs import body, plans
from cloudkite.jobs.body import JobSpec
from cloudkite.jobs.plans import Wishes

SPEC = JobSpec(
    name="penguins-20261124-143005-9f3c",
    trainer="penguins",
    account="home",
    image="tensorflow/tensorflow:2.21.0",
    wheel="gs://staging/" + "a" * 64 + "/trainer.whl",
    sha256="a" * 64,
    service_account="trainer@my-project.iam.gserviceaccount.com",
    output="gs://models/penguins/penguins-20261124-143005-9f3c/",
    limit_seconds=3600,
    machine="e2-standard-4",
    pins=("tensorflow==2.21.0", "keras==3.15.1"),
    arguments=("--epochs", "20"),
)
NOW = datetime.datetime(2026, 11, 24, 15, 2, 0, tzinfo=datetime.UTC)


def answer(**changes):
    """What the service says of a job made from SPEC."""
    return {
        **body.body(SPEC),
        "name": "projects/123/locations/us-central1/customJobs/4567890123456789012",
        "state": "JOB_STATE_RUNNING",
        "createTime": "2026-11-24T14:30:05.123456789Z",
        "startTime": "2026-11-24T14:32:00Z",
        **changes,
    }


def account(**changes):
    values = dict(
        name="home", target="google", project="my-project", region="us-central1", tier="paid", owner="", currency="USD",
        budget=10.0, settings=Path("Pulumi.home.yaml"), state=Path("state"),
    )  # fmt: skip
    return Account(**{**values, **changes})


def plan(region="us-central1", options=None, **wishes):
    return plans.plan(
        account(region=region),
        SimpleNamespace(name="penguins"),
        Wishes(**wishes),
        **(options or {}),  # type: ignore
    )
