"""Two clouds asked the same: where one is different on purpose that is told, and nothing personal."""

import dataclasses
import json

import pytest

from cloudkite.accounts import registry
from cloudkite.accounts.asked import contract
from cloudkite.accounts.target import Target
from cloudkite.journey import parity
from cloudkite.show.errors import UserError
from localcloud import launch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(place):
    return contract.ask(place.target)


def test_a_cloud_is_like_itself_and_each_question_was_answered(place, here):
    assert list(here) == [question.name for question in contract.QUESTIONS]
    codes = {name: answer.code for name, answer in here.items()}
    assert 0 not in codes.values()
    assert codes["the project"] == codes["make a bucket"] == 200 and codes["delete the bucket"] == 204
    refused = [name for name, code in codes.items() if code >= 400]
    assert {name for name in codes if name.startswith("a job ")} <= set(refused)
    assert len(refused) > 10
    assert contract.compare(here, contract.ask(place.target)) == []
    assert not [b.name for b in place.target.storage().list_buckets() if "parity" in b.name]


def test_nothing_personal_is_kept(place, here):
    text = json.dumps([dataclasses.asdict(answer) for answer in here.values()])
    session = place.target.session()
    number = session.get(f"https://cloudresourcemanager.googleapis.com/v3/projects/{place.account.project}").json()
    for secret in (place.account.project, number["name"].partition("/")[2], place.target.identity, "cloudkite-parity-"):
        assert secret not in text
    assert "{project}" in text and "{bucket}" in text


def test_another_cloud_with_other_names_differs_in_what_is_off_there(place, here, make_cloud, tmp_path):
    made = make_cloud(tmp_path / "other", "another-project")
    account = dataclasses.replace(place.account, name="other", project=made.project)
    found = contract.compare(here, contract.ask(Target(account, made.environment, {})))
    assert found and all("SERVICE_DISABLED" in str(one.there) or one.there == "DISABLED" for one in found), found


def test_what_is_different_on_purpose_is_told_and_nothing_else(place, here, local_cloud):
    def fault(method, path, body=None):
        return launch.ask(local_cloud.root, local_cloud.server, method, path, body)

    fault("POST", "/faults", {"method": "storage.objects.insert", "code": 503, "times": 1})
    try:
        found = contract.compare(here, contract.ask(place.target))
    finally:
        fault("DELETE", "/faults")
    assert [one.about for one in found if one.question == "write an object"] == ["code"]
    # What comes of it: the object is written a moment later, where it should have been there already.
    assert {one.question for one in found} == {"write an object", "write it where it must not be"}
    first = found[0]
    assert first.here.startswith("200") and first.there.startswith("503")


def test_a_job_that_was_taken_is_cancelled_at_once(place, monkeypatch):
    good = place.plan("--pause", "30").machine.name
    job = contract._job(good)
    job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"] = "python:3.11"
    job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["command"] = ["sleep", "60"]
    taken = contract.Question("a job that can run", "POST", contract._JOBS, job)
    monkeypatch.setattr(contract, "QUESTIONS", (taken,))
    with pytest.raises(UserError, match="was cancelled"):
        contract.ask(place.target)
    from cloudkite.jobs import service

    jobs = [one for one in service.search(place.target, everything=True) if one.name == "parity"]
    assert {one.state for one in jobs} <= {"CANCELLED", "CANCELLING"} and jobs


def test_the_command_asks_before_it_asks_google(place, here, monkeypatch, capsys):
    """Both accounts are the local one; one says that it costs money."""
    paid = dataclasses.replace(place.account, target="google")
    accounts = {None: paid, "local": place.account}
    monkeypatch.setattr(registry, "load", lambda _space, name: accounts[name])
    monkeypatch.setattr(parity, "connect", lambda _space, account: dataclasses.replace(place.target, account=account))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UserError, match="ask account"):
        parity.parity(place.workspace, "", "local")
    assert "at most 0.001 USD" in capsys.readouterr().err
    parity.parity(place.workspace, "", "local", yes=True)
    assert json.loads((place.workspace.state / "parity.json").read_text()) == []
