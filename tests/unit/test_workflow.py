"""The workflow for GitHub Actions: what it runs exists, it has no key, and nobody's file is overwritten."""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
from decimal import Decimal

import pytest
import yaml

from cloudkite import workspace
from cloudkite.accounts import registry, workflow
from cloudkite.show.errors import BadValue, UserError

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/cloudkite/providers/github"
CI = {
    "repository": "kim/grades",
    "branch": "main",
    "provider": PROVIDER,
    "trains": "ci-train@my-project.iam.gserviceaccount.com",
    "previews": "ci-preview@my-project.iam.gserviceaccount.com",
}
OUTPUTS = {
    "schema": 1, "project": "my-project", "project_number": "123456789012", "region": "us-central1", "submitter": "",
    "trainer": "trainer@my-project.iam.gserviceaccount.com", "buckets": {}, "images": "", "labels": {}, "quotas": {},
}  # fmt: skip


@pytest.fixture
def space(tmp_path, monkeypatch):
    """A clone of its own with an account that lets a repository in."""
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    made = dataclasses.replace(workspace.throw_away(tmp_path / "clone"), home=tmp_path / "clone")
    (made.accounts / "Pulumi.lab.yaml").write_text("config:\n  gcp:project: my-project\n", encoding="utf-8")
    set_up(made, CI)
    return made


def set_up(space, ci):
    registry.load(space, "lab").outputs_file.write_text(json.dumps({**OUTPUTS, "ci": ci}), encoding="utf-8")


def written(space, trainer="grades", folder=None, most="0.50"):
    place = folder or space.trainers / trainer
    return workflow.write(space, registry.load(space, "lab"), trainer, place, Decimal(most))


def test_it_checks_previews_and_trains_without_a_key(space):
    path, new = written(space)
    assert new
    assert path == space.home / ".github" / "workflows" / "cloudkite-train.yml"
    text = path.read_text(encoding="utf-8")
    said = yaml.safe_load(text)
    jobs = said["jobs"]
    assert said[True]["push"] == {"branches": ["main"], "paths": ["trainers/grades/**"]}  # YAML reads `on` as true
    assert said["permissions"] == {"contents": "read"}
    for name, email in (("preview", CI["previews"]), ("train", CI["trains"])):
        assert jobs[name]["permissions"] == {"contents": "read", "id-token": "write"}
        (auth,) = [step for step in jobs[name]["steps"] if step.get("uses", "").startswith("google-github-actions/")]
        assert auth["with"] == {"workload_identity_provider": PROVIDER, "service_account": email}
    assert "permissions" not in jobs["check"]
    assert jobs["train"]["if"] == "github.event_name == 'push'"
    assert jobs["train"]["needs"] == "check"
    ran = {name: job["steps"][-1]["run"] for name, job in jobs.items()}
    assert ran == {
        "check": "uv run invoke check grades",
        "preview": "uv run invoke up --preview --account lab",
        "train": "uv run invoke train grades --yes --max-cost 0.50 --detach --account lab",
    }
    assert not re.search(r"secrets\.|credentials_json|PRIVATE KEY|@[A-Z_]+@", text)
    actions = re.findall(r"uses: \S+@(\S+)", text)
    assert actions
    assert all(re.fullmatch("[0-9a-f]{40}", pinned) for pinned in actions)


def test_the_commands_and_their_options_exist(space):
    jobs = yaml.safe_load(written(space)[0].read_text(encoding="utf-8"))["jobs"]
    for job in jobs.values():
        command, *words = shlex.split(job["steps"][-1]["run"])[3:]
        help_text = subprocess.run(
            [sys.executable, "-m", "invoke", "--help", command],
            cwd=workspace.CLONE, capture_output=True, text=True, encoding="utf-8", check=True,
        ).stdout  # fmt: skip
        assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", help_text))


def test_it_is_written_again_unless_somebody_changed_it(space):
    path, _new = written(space)
    assert written(space) == (path, False)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as git checks it out on Windows
    assert written(space) == (path, False)
    assert written(space, most="2") == (path, True)
    assert "--max-cost 2 " in path.read_text(encoding="utf-8")
    for text in (path.read_text(encoding="utf-8") + "# mine\n", "name: mine\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadValue, match=r"cloudkite-train\.yml isn't as ci\.workflow wrote it: it is left alone"):
            written(space)
        assert path.read_text(encoding="utf-8") == text


def test_what_it_can_not_be_written_for(space, tmp_path):
    with pytest.raises(BadValue, match="a runner has only what is there"):
        written(space, folder=tmp_path / "elsewhere")
    with pytest.raises(BadValue, match="can't stand in a workflow"):
        written(space, trainer="grades; rm -rf")
    set_up(space, None)
    with pytest.raises(UserError, match="account lab lets no repository in") as refused:
        written(space)
    assert "cloudkite:ci: {repository: OWNER/NAME}" in refused.value.hint
    assert not (space.home / ".github").exists()
