"""How the provider's and the engine's own words become one error and one step that helps."""

from pathlib import Path

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.events import EngineEvent

from cloudkite.accounts.registry import Account
from cloudkite.engine import failures
from cloudkite.engine.command import Ended
from cloudkite.engine.events import Events
from cloudkite.engine.folder import Folder
from cloudkite.engine.results import Failed

URN = "urn:pulumi:mine::cloudkite::cloudkite:account:Buckets$gcp:storage/bucket:Bucket::data"


@pytest.fixture
def folder(tmp_path):
    account = Account(
        "mine", "google", "my-project", "us-central1", "trial", "", "USD", 10.0, Path("Pulumi.mine.yaml"), tmp_path
    )
    return Folder(account)


def events(*messages, op="create", urn=URN):
    """A run in which one resource failed with these messages."""
    step = {"op": op, "urn": urn, "type": "gcp:storage/bucket:Bucket", "new": {"urn": urn, "custom": True}}
    made = Events()
    made(EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": step}}))
    for message in messages:
        said = {"urn": urn, "message": message, "color": "never", "severity": "error"}
        made(EngineEvent.from_json({"sequence": 2, "timestamp": 1, "diagnosticEvent": said}))
    made(EngineEvent.from_json({"sequence": 3, "timestamp": 1, "resOpFailedEvent": {"metadata": step}}))
    return made


def explain(folder, made, stderr="", raised=None):
    return failures.explain(folder, Ended(CommandResult("", stderr, 255)), made, raised, 1.0)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("googleapi: Error 409: The bucket is taken., conflict", (409, "conflict", "The bucket is taken")),
        (
            "1 error occurred:\n\t* Error creating Budget: googleapi: Error 403: Permission denied, forbidden\n\n",
            (403, "forbidden", "Permission denied"),
        ),
        ('error: Error 400: Bad name., "reason": "invalid"', (400, "invalid", "Bad name")),
        (
            "googleapi: Error 403: It is off., forbidden\nTraceback (most recent call last):\n  File x, line 1, in y",
            (403, "forbidden", "It is off"),
        ),
        ("something else", (0, "", "something else")),
        ("", (0, "", "")),
    ],
)
def test_what_a_provider_says_is_read(said, read):
    assert failures.read(said) == read


@pytest.mark.parametrize(
    ("op", "said", "hint", "code"),
    [
        ("create", "googleapi: Error 401: Login Required., required", "sign in again", 4),
        ("create", "googleapi: Error 403: Vertex AI API has not been used in project P before or it is disabled.",
         "the API was enabled a moment ago", 1),
        ("create", "googleapi: Error 403: Permission 'storage.buckets.create' denied on resource, forbidden",
         "the permission storage.buckets.create on the project", 1),
        ("create", "googleapi: Error 403: Permission monitoring.alertPolicies.create denied (or the resource may not "
         "exist)., forbidden", "the permission monitoring.alertPolicies.create on the project", 1),
        ("create", "googleapi: Error 403: no, forbidden", "the role Owner of the project", 1),
        ("create", "googleapi: Error 400: Billing must be enabled for activation of service(s)", "link a billing", 1),
        ("create", "googleapi: Error 409: The requested bucket name is not available., conflict", "rename it", 1),
        ("delete", "googleapi: Error 409: The bucket you tried to delete is not empty., conflict", "what is inside", 1),
        ("update", "googleapi: Error 429: Quota exceeded, rateLimitExceeded", "wait a minute", 1),
        ("delete", "resource is protected", "down --everything", 1),
        ("create", "something new", "the same command goes on where it stopped", 1),
    ],
)  # fmt: skip
def test_each_refusal_has_its_step(folder, op, said, hint, code):
    problem = explain(folder, events(said, op=op))
    assert isinstance(problem, Failed)
    assert problem.message.startswith(f"{op} Bucket data: ")
    assert hint in problem.hint
    assert problem.code == code
    [failure] = problem.outcome.failures
    assert (failure.kind, failure.name, failure.op, failure.urn) == ("Bucket", "data", op, URN)


def test_many_failures_are_counted_after_the_first_five(folder):
    made = Events()
    for n in range(8):
        one = events(f"googleapi: Error 403: no {n}, forbidden", urn=URN + str(n))
        made.errors += one.errors
        made.failed |= one.failed
        made.planned |= one.planned
    lines = explain(folder, made).message.splitlines()
    assert lines[0] == "8 resources of account mine failed"
    assert lines[1] == "  create Bucket data0: 403 no 0"
    assert lines[-1] == "  and 3 more"
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("error: write /x: no space left on device", "the disk is full"),
        ("error: incorrect passphrase", "is not the pass-phrase"),
        (
            "error: the stack is currently locked by 1 lock(s).\n  file:///x.json: created by me@here (pid 77) at noon",
            "another run is at work on account mine: process 77",
        ),
        (
            'rpc error: code = Unavailable desc = connection error: desc = "dial tcp 127.0.0.1:1: connection refused"',
            "the connection to the cloud of account mine was lost",
        ),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", "the connection to the cloud"),
        ("error: failed to load checkpoint: EOF", "can't be read: the engine can't read it"),
        ("error: could not connect to provider gcp", "the connection to the cloud of account mine was lost"),
        ("error: no resource plugin 'pulumi-resource-gcp' found", "plug-in for Google Cloud can't be downloaded"),
        ("error: something new\nmore of it", "the engine failed on account mine: something new"),
        ("", "the engine failed on account mine: exit code 255"),
        (
            "error: 2 errors occurred:\n    1) googleapi: Error 403: no\n    2) NotFound",
            "the engine failed on account mine: googleapi: Error 403: no",
        ),
    ],
)
def test_what_the_engine_itself_says(folder, stderr, said):
    problem = explain(folder, Events(), stderr)
    assert said in problem.message
    assert problem.hint


def test_a_question_of_the_program_that_is_refused(folder):
    made = Events()
    said = (
        "python inline source runtime error: invoke of gcp:organizations/getProject:getProject failed: invocation of "
        "gcp:organizations/getProject:getProject returned an error: googleapi: Error 403: Cloud Resource Manager API "
        "has not been used in project P before or it is disabled., forbidden\nTraceback (most recent call last):"
    )
    made.errors.append(("", said.split("\nTraceback")[0]))
    problem = explain(folder, made)
    assert problem.message == (
        "getProject: 403 Cloud Resource Manager API has not been used in project P before or it is disabled"
    )
    assert "run the same command again" in problem.hint


def test_a_defect_of_the_program_is_named_without_a_traceback(folder):
    problem = explain(folder, Events(), raised=TypeError("unexpected keyword"))
    assert problem.message == "the program of account mine failed: TypeError: unexpected keyword"
    assert "--debug" in problem.hint


def test_a_problem_of_the_callers_own_progress_is_kept(folder):
    def on_step(_step):
        raise BrokenPipeError

    made = Events(on_step)
    step = {"op": "create", "urn": URN, "type": "gcp:storage/bucket:Bucket", "new": {"custom": True}}
    made(EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": step}}))
    assert isinstance(made.problem, BrokenPipeError)


def test_what_only_follows_from_a_failure_is_not_told(folder):
    made = events("googleapi: Error 403: no, forbidden")
    member = URN.replace("bucket:Bucket::data", "bucketIAMMember:BucketIAMMember::data-trainer")
    made.errors.append((member, "property bucket value output<string>{} has a problem: bucket is required"))
    assert explain(folder, made).message == "create Bucket data: 403 no"
