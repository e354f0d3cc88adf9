"""A submitter who owns nothing does a day's work with what `up` granted: submit, watch, read, fetch."""

from __future__ import annotations

import base64
import json

import pytest

from cloudkite.accounts import registry, target
from cloudkite.workspace import Workspace

pytestmark = pytest.mark.slow

PROJECT = "cloudkite-local"
OWNER, SUBMITTER = (f"{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("owner", "submitter"))
ACCOUNTS = f"https://iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"


@pytest.fixture(scope="module")
def submitter(copy):
    """A copy of the clone whose owner has set the account up for somebody else, who uses it from here on."""
    settings = copy.folder / "infra" / "Pulumi.local.yaml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(OWNER, SUBMITTER), encoding="utf-8")
    home = copy.folder
    space = Workspace(home, home / ".cloudkite", home / "infra", home / "trainers")
    owner = target.connect(space, registry.load(space, "local")).session()
    service = f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services/iam.googleapis.com:enable"
    assert owner.post(service).ok
    assert owner.post(ACCOUNTS, json={"accountId": "submitter"}).ok
    done = copy.invoke("uv run invoke up --yes")
    assert done.returncode == 0, done.stderr
    key = owner.post(f"{ACCOUNTS}/{SUBMITTER}/keys", json={}).json()["privateKeyData"]
    (space.localcloud / "projects" / PROJECT / "key.json").write_bytes(base64.b64decode(key))
    return copy


def test_setting_up_and_taking_down_are_refused_as_on_google_and_nothing_is_half_done(submitter):
    def refused(line: str) -> None:
        done = submitter.invoke(line)
        assert done.returncode == 1, f"{line}\n{done.stdout}\n{done.stderr}"
        assert done.stderr.endswith(
            f"error: {SUBMITTER} may not set up or take down account local: the permission "
            f"'resourcemanager.projects.setIamPolicy' on project {PROJECT} is denied\n\n"
            f"hint: an owner of project {PROJECT} must do it, or grant {SUBMITTER} roles/owner\n"
        )

    settings = submitter.folder / "infra" / "Pulumi.local.yaml"
    text = settings.read_text(encoding="utf-8")
    refused("uv run invoke up --yes")
    refused("uv run invoke down --yes")
    refused("uv run invoke down --everything --confirm local")
    settings.write_text(text.replace("Days: 30", "Days: 31"), encoding="utf-8")
    refused("uv run invoke up --yes")
    settings.write_text(text, encoding="utf-8")
    refused("uv run invoke up --yes")


def test_a_day(submitter):
    def good(line: str) -> str:
        done = submitter.invoke(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    good("uv run invoke new penguins")
    trained = good("uv run invoke train penguins --yes --max-cost 1 -- --epochs 2")
    assert f"as {SUBMITTER}" in trained
    (job,) = json.loads(good("uv run invoke jobs --json"))
    assert "succeeded" in job["state"].lower()
    assert "accuracy" in good("uv run invoke logs")
    good("uv run invoke fetch")
