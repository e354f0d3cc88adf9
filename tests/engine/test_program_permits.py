"""What the account makes possible, and what it does not: tried by those whom it serves.

Who may do what is not read out of the program: `up` runs, and then the trainer, the submitter and a stranger try.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account

from cloudkite import engine
from cloudkite.accounts import local, registry, target
from cloudkite.workspace import CLONE
from tests.engine.conftest import Place

pytestmark = pytest.mark.slow

PROJECT = "cloudkite-permits"
STORAGE, UPLOAD = "https://storage.googleapis.com/storage/v1", "https://storage.googleapis.com/upload/storage/v1"
VERTEX = f"https://us-central1-aiplatform.googleapis.com/v1/projects/{PROJECT}/locations/us-central1"
RUN = f"https://run.googleapis.com/v2/projects/{PROJECT}/locations/us-central1"
IAM, LOGGING = "https://iam.googleapis.com/v1", "https://logging.googleapis.com/v2"
MANAGER, QUOTAS = "https://cloudresourcemanager.googleapis.com/v3", "https://cloudquotas.googleapis.com/v1"
TRAINER = f"trainer@{PROJECT}.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True)
class Try:
    """One thing to try: gives an answer. `who` may do it: "t" the trainer, "s" the submitter; a stranger never."""

    name: str
    do: Callable[[Any], requests.Response]
    who: str


def write(bucket: str, name: str) -> Callable[[Any], requests.Response]:
    url = f"{UPLOAD}/b/{PROJECT}-{bucket}/o"
    return lambda as_: as_.post(url, params={"uploadType": "media", "name": name}, data=b"new")


def at(verb: str, url: str, body: Any = None, **params: Any) -> Callable[[Any], requests.Response]:
    return lambda as_: as_.request(verb, url, json=body, params=params)


def bucket(name: str, rest: str = "") -> str:
    return f"{STORAGE}/b/{PROJECT}-{name}{rest}"


def job(account: str) -> dict[str, Any]:
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "containerSpec": {"imageUri": "python:3.11", "command": ["python", "-c", "pass"]},
    }
    return {"displayName": "try", "jobSpec": {"workerPoolSpecs": [pool], "serviceAccount": account}}


def run_job() -> dict[str, Any]:
    task = {"containers": [{"image": "docker.io/library/python:3.11"}], "serviceAccount": TRAINER}
    return {"template": {"template": task}}


ENTRIES = {
    "logName": f"projects/{PROJECT}/logs/try",
    "resource": {"type": "global"},
    "entries": [{"textPayload": "x"}],
}
POLICY = {"policy": {"bindings": [{"role": "roles/owner", "members": [f"serviceAccount:{TRAINER}"]}]}}
ACCOUNT = f"{IAM}/projects/{PROJECT}/serviceAccounts/{TRAINER}"

TRIES = [
    # data: the trainer reads it, and nobody but the owner writes it
    Try("read data", at("GET", bucket("data", "/o/x"), alt="media"), "t"),
    Try("list data", at("GET", bucket("data", "/o")), "t"),
    Try("see the data bucket", at("GET", bucket("data")), "t"),
    Try("write data", write("data", "new"), ""),
    Try("overwrite data", write("data", "x"), ""),
    Try("delete data", at("DELETE", bucket("data", "/o/x")), ""),
    # staging: both write
    Try("write staging", write("staging", "new"), "ts"),
    Try("overwrite staging", write("staging", "x"), "ts"),
    Try("read staging", at("GET", bucket("staging", "/o/x"), alt="media"), "ts"),
    Try("see the staging bucket", at("GET", bucket("staging")), "ts"),
    # models: the trainer writes, the submitter reads
    Try("write models", write("models", "new"), "t"),
    Try("overwrite models", write("models", "x"), "t"),
    Try("read models", at("GET", bucket("models", "/o/x"), alt="media"), "ts"),
    Try("list models", at("GET", bucket("models", "/o")), "ts"),
    Try("see the models bucket", at("GET", bucket("models")), "ts"),
    # nobody changes buckets or who may use them
    Try("make a bucket", at("POST", f"{STORAGE}/b", {"name": "permits-own"}, project=PROJECT), ""),
    Try("list buckets", at("GET", f"{STORAGE}/b", project=PROJECT), ""),
    Try("change a bucket", at("PATCH", bucket("staging"), {"labels": {"a": "b"}}), ""),
    Try("read a bucket's policy", at("GET", bucket("staging", "/iam")), ""),
    Try("delete a bucket", at("DELETE", bucket("models")), ""),
    # jobs: the submitter
    Try("submit as the trainer", at("POST", f"{VERTEX}/customJobs", job(TRAINER)), "s"),
    Try("list jobs", at("GET", f"{VERTEX}/customJobs"), "s"),
    Try(
        "make a Cloud Run job as the trainer",
        at("POST", f"{RUN}/jobs", run_job(), jobId="try", validateOnly="true"),
        "s",
    ),
    Try("list Cloud Run jobs", at("GET", f"{RUN}/jobs/-/executions"), "s"),
    Try("list endpoints", at("GET", f"{VERTEX}/endpoints"), "s"),
    # logs: the trainer writes, the submitter reads
    Try("write log entries", at("POST", f"{LOGGING}/entries:write", ENTRIES), "t"),
    Try("read log entries", at("POST", f"{LOGGING}/entries:list", {"resourceNames": [f"projects/{PROJECT}"]}), "s"),
    Try("delete a log", at("DELETE", f"{LOGGING}/projects/{PROJECT}/logs/try"), ""),
    # what an owner does
    Try("read the project's policy", at("POST", f"{MANAGER}/projects/{PROJECT}:getIamPolicy", {}), ""),
    Try("become an owner", at("POST", f"{MANAGER}/projects/{PROJECT}:setIamPolicy", POLICY), ""),
    Try("make an account", at("POST", f"{IAM}/projects/{PROJECT}/serviceAccounts", {"accountId": "another"}), ""),
    Try("make a key of the trainer", at("POST", f"{ACCOUNT}/keys", {}), ""),
    Try(
        "take the trainer's token",
        at(
            "POST",
            f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{TRAINER}:generateAccessToken",
            {"scope": [SCOPE]},
        ),
        "",
    ),
    Try(
        "turn an API off",
        at(
            "POST",
            f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services/aiplatform.googleapis.com:disable",
            {},
        ),
        "",
    ),
    Try(
        "read quotas",
        at("GET", f"{QUOTAS}/projects/{PROJECT}/locations/global/services/aiplatform.googleapis.com/quotaInfos"),
        "s",
    ),
    Try(
        "ask for quota",
        at("POST", f"{QUOTAS}/projects/{PROJECT}/locations/global/quotaPreferences", {}, quotaPreferenceId="mine"),
        "",
    ),
    Try(
        "read budgets",
        at("GET", "https://billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"),
        "",
    ),
    Try(
        "unlink billing",
        at("PUT", f"https://cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo", {"billingAccountName": ""}),
        "",
    ),
    Try(
        "make a repository",
        at(
            "POST",
            f"https://artifactregistry.googleapis.com/v1/projects/{PROJECT}/locations/us-central1/repositories",
            {"format": "DOCKER"},
            repositoryId="own",
        ),
        "",
    ),
    Try("make an alert", at("POST", f"https://monitoring.googleapis.com/v3/projects/{PROJECT}/alertPolicies", {}), ""),
]


@pytest.fixture(scope="module")
def place(space, pulumi) -> Place:
    """The account, described for a submitter of its own."""
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8").replace("cloudkite-local", PROJECT)
    submitter = f"submitter@{PROJECT}.iam.gserviceaccount.com"
    text = text.replace(f"owner@{PROJECT}.iam.gserviceaccount.com", submitter)
    (space.accounts / "Pulumi.permits.yaml").write_text(text, encoding="utf-8")
    account = registry.load(space, "permits")
    return Place(space, account, target.connect(space, account))


@pytest.fixture(scope="module")
def keys(place) -> dict[str, dict[str, Any]]:
    """The account is set up; key files of "t" its trainer, "s" its submitter and "x" a stranger."""
    owner = place.target.session()
    on = owner.post(f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services/iam.googleapis.com:enable")
    assert on.ok, on.text
    for name in ("submitter", "stranger"):
        made = owner.post(f"{IAM}/projects/{PROJECT}/serviceAccounts", json={"accountId": name})
        assert made.ok, made.text
    engine.up(place.account, place.target)
    for name in ("data", "staging", "models"):
        assert write(name, "x")(owner).ok
    found = {}
    for letter, name in (("t", "trainer"), ("s", "submitter"), ("x", "stranger")):
        url = f"{IAM}/projects/{PROJECT}/serviceAccounts/{name}@{PROJECT}.iam.gserviceaccount.com/keys"
        found[letter] = json.loads(base64.b64decode(owner.post(url, json={}).json()["privateKeyData"]))
    return found


@pytest.fixture(scope="module")
def sessions(place, keys) -> dict[str, AuthorizedSession]:
    """Sessions of "o" the owner, and of those who have `keys`."""
    owner = place.target.session()
    found = {"o": owner}
    for letter, key in keys.items():
        credentials = service_account.Credentials.from_service_account_info(key, scopes=[SCOPE])
        session = requests.Session()
        made = AuthorizedSession(credentials, auth_request=Request(session))
        for one in (session, made):
            one.trust_env, one.proxies, one.verify = False, dict(owner.proxies), owner.verify
        found[letter] = made
    return found


@pytest.mark.parametrize("one", TRIES, ids=lambda one: one.name.replace(" ", "-"))
def test_who_may(sessions: dict[str, AuthorizedSession], one: Try) -> None:
    answers = {letter: one.do(sessions[letter]) for letter in "tsx"}
    allowed = "".join(letter for letter in "ts" if answers[letter].ok)
    assert allowed == one.who, {letter: answer.text[:300] for letter, answer in answers.items()}
    assert not answers["x"].ok
    for letter in {"t", "s", "x"} - set(one.who):
        error = answers[letter].json()["error"] if "alt=media" not in answers[letter].url else None
        assert answers[letter].status_code == 403, answers[letter].text
        if error is not None:
            assert "denied" in error["message"] or "permission" in error["message"].lower(), error


# A person's calls are charged to a project that they name and must be let use; an account of the project needs it not.
FOR_PEOPLE = "roles/serviceusage.serviceUsageConsumer"
Grant = tuple[str, str, str]  # "t" or "s", the role, and the resource that its policy is of


def policy_of(owner: AuthorizedSession, resource: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
    """The policy of a bucket ("b/NAME"), of the trainer's account ("account") or of the project (""), or a new one."""
    if resource.startswith("b/"):
        url = f"{STORAGE}/{resource}/iam"
        answer = owner.put(url, json=change) if change else owner.get(url)
    else:
        of = ACCOUNT if resource else f"{MANAGER}/projects/{PROJECT}"
        verb = "setIamPolicy" if change else "getIamPolicy"
        answer = owner.post(f"{of}:{verb}", json={"policy": change} if change else {})
    assert answer.ok, answer.text
    return answer.json()


def grants(owner: AuthorizedSession) -> list[Grant]:
    """Everything that `up` granted to the trainer and the submitter."""
    found = []
    for resource in ("", "account", *(f"b/{PROJECT}-{name}" for name in ("data", "staging", "models"))):
        for binding in policy_of(owner, resource).get("bindings", []):
            for letter, name in (("t", "trainer"), ("s", "submitter")):
                if f"serviceAccount:{name}@{PROJECT}.iam.gserviceaccount.com" in binding["members"]:
                    found.append((letter, binding["role"], resource))
    return found


def test_without_any_one_grant_something_is_refused_in_googles_words(
    place: Place, sessions: dict[str, AuthorizedSession]
) -> None:
    owner = sessions["o"]
    wanted = grants(owner)
    assert len(wanted) == sum(one.kind.endswith("IAMMember") for one in place.left())
    idle = []
    for letter, role, resource in wanted:
        before = policy_of(owner, resource)
        member = f"serviceAccount:{'trainer' if letter == 't' else 'submitter'}@{PROJECT}.iam.gserviceaccount.com"
        less = [
            {**one, "members": [who for who in one["members"] if who != member]} if one["role"] == role else one
            for one in before["bindings"]
        ]
        policy_of(owner, resource, {**before, "bindings": [one for one in less if one["members"]]})
        try:
            answers = [one.do(sessions[letter]) for one in TRIES if letter in one.who]
        finally:
            after = policy_of(owner, resource)
            policy_of(owner, resource, {**before, "etag": after["etag"]})
        refused = [answer for answer in answers if not answer.ok]
        told = " ".join(answer.text for answer in refused)
        if not refused or not any(word in told for word in ("denied", "does not have", "do not have permission")):
            idle.append((letter, role, resource, told))
    assert [(letter, role) for letter, role, *_rest in idle] == [("s", FOR_PEOPLE)], idle


def test_no_grant_was_never_used(place: Place, sessions: dict[str, AuthorizedSession]) -> None:
    for one in TRIES:
        for letter in one.who:
            assert one.do(sessions[letter]).ok, one.name
    for name in ("trainer", "submitter"):
        who = f"{name}@{PROJECT}.iam.gserviceaccount.com"
        (told,) = json.loads(local.run(place.space, "audit", "--principal", who, "--json"))["principals"]
        assert {row["role"] for row in told["unused"]} == ({FOR_PEOPLE} if name == "submitter" else set())


def test_the_owner_of_a_job_is_asked_to_act_as_its_account(sessions: dict[str, AuthorizedSession]) -> None:
    """The submitter may submit as the trainer, and as nobody else: not even as itself."""
    for email in (f"owner@{PROJECT}.iam.gserviceaccount.com", f"submitter@{PROJECT}.iam.gserviceaccount.com"):
        answer = sessions["s"].post(f"{VERTEX}/customJobs", json=job(email))
        assert answer.status_code == 400
        words = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
        assert answer.json()["error"]["message"] == words


def test_the_engine_acts_as_whoever_is_signed_in(place: Place, keys: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """What the submitter may not do by hand it may not do by `up` and `down` either; then the owner goes on."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(keys["s"]), encoding="utf-8")
    environment = {**place.target.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    theirs = dataclasses.replace(place.target, environment=environment)
    before = place.left()
    seen = engine.preview(place.account, theirs)
    assert any("submitter-logging-viewer was not looked at: Permission" in said for said in seen.warnings), (
        seen.warnings
    )
    changed = place.settings(lambda text: text.replace("Days: 30", "Days: 31"))
    try:
        with pytest.raises(engine.Failed) as refused:
            engine.up(changed.account, theirs)
    finally:
        place.settings(lambda text: text.replace("Days: 31", "Days: 30"))
    assert "403 " in refused.value.message
    assert refused.value.hint.startswith("the signed-in identity needs the permission ")
    with pytest.raises(engine.Failed) as refused:
        engine.down(place.account, theirs)
    assert all(failure.code == 403 for failure in refused.value.outcome.failures), refused.value.outcome.failures
    # An API stays on and a quota as it is: those are only taken out of the state, and nobody is asked.
    assert {one.kind for one in before if one not in place.left()} <= {"Service", "ServiceIdentity", "SQuotaPreference"}
    # What no read tells is written into the state of the quota that is adopted.
    assert set(place.up().changes) <= {"create", "adopt", "update"} and len(place.left()) == len(before)
