"""A new person at a terminal: every question with wrong answers, Ctrl-C at each, coming back; then the first job."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator

import pytest
import yaml

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings
from cloudkite.workspace import Workspace
from tests.account.steps import STEPS
from tests.account.terminal import Terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals in Python: walk through it by hand"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, pulumi: object) -> Iterator[Workspace]:
    """A workspace with an account, `other`, and a local cloud of its own."""
    made = workspace.throw_away(tmp_path_factory.mktemp("start") / "state")
    registry.add(made, "other", settings.describe("others-project", target="local"))
    yield made
    local.run(made, "stop")


def come_back(home: Workspace) -> Terminal:
    return Terminal(home.state, "start")


def test_every_question_wrong_then_interrupted_then_right(home: Workspace) -> None:
    """Ctrl-C at each question, after wrong answers to it: the next run begins with that very question."""
    person, asked = come_back(home), ""
    for number, step in enumerate(STEPS):
        assert person.question() == step.asked
        if number:
            assert "welcome back: " in person.said
        for typed, error, hint in step.wrong:
            for line in typed.split("\n"):
                person.answer(line)
                asked = person.question()
            found = re.search(r"^error: (.*)\n\nhint: (.*)$", person.said, re.M)
            assert found, person.said
            assert (found[1], found[2][: len(hint)]) == (error, hint)
            assert asked == step.asked
        person.interrupt()
        assert person.end() == 130
        assert "what you have answered is kept: uv run invoke start goes on from here" in person.said
        person = come_back(home)
        assert person.question() == step.asked
        for line in step.right:
            person.answer(line)
            if line is not step.right[-1]:
                assert person.question().endswith("[y/N] ")
        if number + 1 < len(STEPS):
            assert person.question() == STEPS[number + 1].asked
            person.interrupt()
            assert person.end() == 130
            person = come_back(home)
    # All is answered: the account is described, and being set up.
    person.until("create ")
    person.interrupt()
    assert person.end() == 130
    kept = home.state / "start.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    answers = json.loads(kept.read_text(encoding="utf-8"))["answers"]
    assert answers["country"] == "korea" and answers["budget"] == "5USD"
    config = yaml.safe_load((home.accounts / "Pulumi.mine.yaml").read_text(encoding="utf-8"))["config"]
    assert config == {
        "gcp:project": "mine-second", "gcp:region": "asia-northeast3", "cloudkite:target": "local",
        "cloudkite:tier": "paid", "cloudkite:owner": "serviceAccount:owner@mine-second.iam.gserviceaccount.com",
        "cloudkite:budget": {
            "billingAccount": "012345-6789AB-CDEF01", "amount": 5.0, "currency": "USD",
            "thresholds": [0.5, 0.9, 1.0], "emails": ["me@example.com"],
        },
    }  # fmt: skip


def test_then_it_is_set_up_and_one_job_runs_also_when_both_are_interrupted(home: Workspace) -> None:
    """Goes on from the test before; nothing is asked any more."""
    person = come_back(home)
    person.until("Ctrl-C stops following; the job goes on")
    assert "account mine is set up" in person.said
    assert re.search(r"asia-northeast3: 0\.2245 USD an hour, at most 0\.10 USD in 26m", person.said)
    person.interrupt()
    assert person.end() == 0
    assert re.search(r"next: uv run invoke logs first-[0-9a-f]{6} --follow --account mine", person.said)
    person = come_back(home)
    assert person.end() == 0
    assert person.said.count("SUCCEEDED") == 1 and "(submitted" not in person.said
    assert "uv run invoke account.use mine" in person.said
    target = registry.load(home, "mine")
    assert target.outputs().region == "asia-northeast3"
    person = come_back(home)
    assert person.end() == 0
    assert "the first job has run: first-" in person.said and "staged" not in person.said


def test_again_asks_anew_and_leaves_the_account_alone(home: Workspace) -> None:
    before = (home.accounts / "Pulumi.mine.yaml").read_bytes()
    person = Terminal(home.state, "start", "--local", "--again")
    assert person.question() == "name for the account on this machine [practice]: "
    assert "welcome back" not in person.said
    person.interrupt()
    assert person.end() == 130
    assert (home.accounts / "Pulumi.mine.yaml").read_bytes() == before


def test_without_a_terminal_it_says_which_commands_do_the_same(home: Workspace) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "invoke", "start"], cwd=workspace.CLONE, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, encoding="utf-8", env={**os.environ, "CLOUDKITE_STATE": str(home.state / "none")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no terminal to ask on: start asks one question at a time\n\nhint: ")
    named = re.findall(r"^  (?:uv run invoke )?(\S+ ?\S*)", done.stderr, re.M)
    assert named[:3] == ["gcloud auth", "gcloud projects", "gcloud billing"]
    assert "account.add --name" in named and "up --account" in named
