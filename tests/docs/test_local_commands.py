"""The local cloud's tasks, through Invoke: what they say, and how they refuse what can't be."""

import json
import os
import subprocess

import pytest

pytestmark = pytest.mark.slow

TRIAL = "uv run invoke account.add --local --name student --project student-project --tier trial --email me@example.com"


@pytest.fixture(scope="module")
def running(copy):
    """A copy whose local account is set up, and one on a free trial, which is only described."""
    for line in ("uv run invoke up --yes", TRIAL):
        done = copy.invoke(line)
        assert done.returncode == 0, done.stderr
    return copy


def good(copy, line):
    done = copy.invoke(line)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def refused(copy, line):
    """Exit code, what stands after `error: `, and what after `hint: `. Before both a trial's end may be told."""
    done = copy.invoke(line)
    assert done.stdout == ""
    before, found, told = ("\n" + done.stderr).partition("\nerror: ")
    assert found, done.stderr
    assert not before or before.startswith("\nthe free trial of account student ended on "), done.stderr
    error, _blank, hint = told.rstrip("\n").partition("\n\nhint: ")
    return done.returncode, error, hint


def test_the_clock_moves(running):
    assert good(running, "uv run invoke local.clock").endswith(": the real time\n")
    assert "2:00:00 ahead of the real time (reset sets it back)" in good(
        running, "uv run invoke local.clock --forward 2h"
    )
    assert round(json.loads(good(running, "uv run invoke local.clock --json"))["ahead_seconds"]) == 7200


def test_the_bill_fits_on_a_terminal(running):
    shown = good(running, "uv run invoke local.bill --account local")
    assert shown.startswith("nothing was charged\n")
    assert "total" not in shown
    assert " of 5,000 Class A operations of Standard storage (" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert json.loads(good(running, "uv run invoke local.bill --month 2020-01 --json"))["lines"] == []


@pytest.mark.skipif(os.name == "nt", reason="there is no bash: run it in WSL")
def test_what_points_a_shell_at_the_local_cloud_says_how_to_undo_it(running):
    lines = good(running, "uv run invoke local.env").splitlines()
    assert lines[0].startswith("# ") and lines[0].endswith('to undo it: eval "$(uv run invoke local.env --unset)"')
    unset = good(running, "uv run invoke local.env --unset")
    names = [line.removeprefix("export ").partition("=")[0] for line in lines[1:]]
    assert unset == f"unset {' '.join(names)}\n" and "https_proxy" in names
    script = "\n".join([*lines, unset, "env"])
    left = subprocess.run(["bash", "-c", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert left.returncode == 0 and not {line.partition("=")[0] for line in left.stdout.splitlines()} & set(names)


def test_the_audit_names_who_did_what(running):
    shown = good(running, "uv run invoke local.audit")
    assert shown.startswith("owner@cloudkite-local.iam.gserviceaccount.com\n  granted\n    on billingAccounts/")
    assert max(len(line) for line in shown.splitlines() if not line.startswith("    on ")) <= 80
    only = good(running, "uv run invoke local.audit --principal projectOwner:cloudkite-local")
    assert "      roles/storage.legacyBucketOwner\n" in only
    nobody = good(running, "uv run invoke local.audit --principal nobody@example.com")
    assert nobody == "nobody@example.com was granted nothing and asked for nothing\n"


def test_a_fault_waits_happens_and_is_cleared(running):
    made = good(running, "uv run invoke local.fault storage.buckets.list --code 503 --times 2")
    assert made == "fault 1: storage.buckets.list: 503, 2 times\n"
    assert "happened 0 times" in good(running, "uv run invoke local.faults")
    made = good(running, "uv run invoke local.fault stockout --region us-central1 --accelerator NVIDIA_L4")
    assert "no NVIDIA_L4 in us-central1, until it is cleared" in made
    assert good(running, "uv run invoke local.faults --clear 1") == "1 cleared\n"
    assert good(running, "uv run invoke local.faults --clear") == "1 cleared\n"
    assert good(running, "uv run invoke local.faults") == "no faults\n"


@pytest.mark.parametrize(
    ("line", "code", "error", "hint"),
    [
        (
            "local.clock --forward 3x", 2, "--forward 3x isn't a time to move by",
            "a whole number and s, m, h, d or w: 90s, 30m, 12h, 3d, 2w, 1d12h",
        ),
        (
            "local.fault storage.objects.gett --code 503", 2, "the local cloud has no method storage.objects.gett",
            "did you mean storage.objects.get, storage.objects.insert, storage.objects.delete?",
        ),
        (
            "local.fault storage.objects.get --code 600", 2,
            "--code must be one of 401, 403, 404, 408, 429, 500, 502, 503, 504, not 600",
            "",
        ),
        (
            "local.fault storage.objects.get --code 503 --region us-central1", 2, "--region goes with stockout only",
            "uv run invoke local.fault stockout --region us-central1",
        ),
        ("local.fault storage.objects.get --delay -1", 2, "--delay must be 0 or more, not -1", ""),
        (
            "local.fault storage.objects.get --code 503 --principal nobody", 2,
            "--principal must be an account's e-mail address, not nobody",
            "",
        ),
        ("local.faults --clear 99", 1, "no fault has the id 99", "uv run invoke local.faults"),
        (
            "local.pay local", 2, "account local isn't on a free trial",
            "`uv run invoke account.add --local --tier trial` describes one that is",
        ),
        ("local.pay nobody", 2, "no account is called nobody", "known: local, student"),
        ("local.bill --month 2026-13", 2, "2026-13 isn't a month", "a month is YYYY-MM, such as 2026-11"),
        ("local.bill --account nobody", 2, "no account is called nobody", "known: local, student"),
        ("local.preempt nobody", 1, "no job matches nobody", "uv run invoke jobs"),
    ],
)  # fmt: skip
def test_what_cant_be_is_refused_with_a_hint(running, line, code, error, hint):
    assert refused(running, f"uv run invoke {line}") == (code, error, hint)


def test_where_none_runs_it_says_how_to_start_it(running):
    good(running, "uv run invoke local.stop")
    for task in ("local.clock", "local.bill", "local.audit", "local.faults", "local.fault stockout"):
        code, error, hint = refused(running, f"uv run invoke {task}")
        assert (code, hint) == (1, "uv run invoke local.start")
        assert error == f"no local cloud runs in {running.folder / '.cloudkite' / 'localcloud'}"
    good(running, "uv run invoke local.start")
    assert good(running, "uv run invoke local.clock")


def test_the_clock_goes_no_further_than_a_hundred_years(running):
    code, error, hint = refused(running, "uv run invoke local.clock --forward 999999d")
    assert (code, hint) == (2, "it may be 36500 days ahead of the real time")
    assert error == "the clock moves forward by 0 to 36500 days, not by 999999 days"


@pytest.mark.parametrize("line", ["local.bill --account work", "local.pay work", "local.env --account work"])
def test_an_account_on_google_is_not_on_the_local_cloud(running, line):
    good(running, "uv run invoke account.add --name work --project work-project --tier paid --budget 5 "
                  "--billing 012345-ABCDEF-012345 --owner user:me@example.com --email me@example.com")  # fmt: skip
    try:
        said = refused(running, f"uv run invoke {line}")
    finally:
        (running.folder / "infra" / "Pulumi.work.yaml").unlink()
    assert said == (2, "account work is on Google", "name one on the local cloud, such as local")


def test_a_student_on_a_trial(running):
    """No GPU, told before anything costs; after the trial nobody pays; an upgrade opens the account again."""
    good(running, "uv run invoke account.use student")
    good(running, "uv run invoke up --yes")
    good(running, "uv run invoke new penguins")
    done = running.invoke("uv run invoke train penguins --gpu t4 --yes --max-cost 1")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: the quota in us-central1 is too small (T4: needs 1, has 0)\n\n"
        "hint: a trial can't ask for quota: take a smaller machine or no GPU, or upgrade to a paid account\n"
    )
    # A GPU that is not here: refused as well, where the quota would allow it.
    code, error, hint = refused(running, "uv run invoke train penguins --gpu t4 --account local")
    assert (code, error) == (2, "this machine's local cloud has no T4")
    assert hint.startswith("add --rehearse ")
    for account in ("student", "local"):  # nothing was submitted
        assert json.loads(good(running, f"uv run invoke jobs --json --account {account}")) == []
    assert not list((running.folder / ".cloudkite" / "checks").glob("penguins*"))  # and nothing slow was done before

    assert "ahead of the real time" in good(running, "uv run invoke local.clock --forward 91d")
    code, error, hint = refused(running, "uv run invoke jobs")
    assert code == 1
    assert error.startswith("list the jobs: This API method requires billing to be enabled. Please enable billing on ")
    assert hint == "uv run invoke local.pay student"
    assert "student-project: trial closed, " in good(running, "uv run invoke local.bill --account student")

    assert good(running, "uv run invoke local.pay student").startswith("student-project: trial upgraded, ")
    assert good(running, "uv run invoke jobs").startswith("no jobs yet")
    assert (
        refused(running, "uv run invoke local.pay student")[1] == "the account of student-project is upgraded already"
    )
    assert "local.upgrade is called local.pay now" in running.invoke("uv run invoke local.upgrade student").stderr
