"""Stops in stages, by the real engine: each stage is driven by charges alone, and happens once."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cloudkite import engine
from cloudkite.accounts import local, registry
from cloudkite.journey import setup, teardown
from cloudkite.show.errors import UserError

pytestmark = pytest.mark.slow
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1"
LABELS = {"managed-by": "cloudkite"}
MESSAGES = {
    50: "50 % of the budget: 5.0",
    80: "80 % of the budget: 8.0",
    90: "90 % of the budget: 9.0",
    100: "100 % of the budget: 10.0",
}


def stops(place, **settings):
    """The account with these stops, on a cloud whose jobs need no image, and in the midst of a month."""
    (place.space.localcloud / "images.json").write_text('{"local/plain:1": {}}', encoding="utf-8")
    (place.space.localcloud / "storage.json").write_text('{"changesAtOnce": 10000}', encoding="utf-8")
    local.run(place.space, "stop")  # what it reads at its start
    lines = "".join(f"    {name}: {json.dumps(value)}\n" for name, value in settings.items())
    made = place.settings(lambda text: f"{text.rstrip()}\n  cloudkite:stops:\n{lines}").opened()
    if month(made).astimezone(ZoneInfo("America/Los_Angeles")).month != (made.target.now() + timedelta(days=5)).month:
        into_next_month(made)
    made.up()
    return made


def job(place, title, labels, machine="n1-standard-8"):
    """A job that runs until somebody ends it."""
    spec = {
        "machineSpec": {"machineType": machine},
        "replicaCount": 1,
        "containerSpec": {"imageUri": "local/plain:1", "command": ["python", "-c", "import time; time.sleep(6000)"]},
    }
    account = f"trainer@{place.account.project}.iam.gserviceaccount.com"
    body = {"displayName": title, "labels": labels, "jobSpec": {"workerPoolSpecs": [spec], "serviceAccount": account}}
    body["jobSpec"]["scheduling"] = {"timeout": "604800s"}
    jobs = f"{VERTEX}/projects/{place.account.project}/locations/us-central1/customJobs"
    answer = place.target.session().post(jobs, json=body)
    assert answer.ok, answer.text
    name = answer.json()["name"]
    while state(place, name) != "RUNNING":
        time.sleep(0.05)
    return name


def execution(place, title, labels):
    """An execution of a Cloud Run job that runs until somebody ends it."""
    session, project = place.target.session(), place.account.project
    url = f"https://run.googleapis.com/v2/projects/{project}/locations/us-central1/jobs"
    container = {"image": "local/plain:1", "command": ["python", "-c", "import time; time.sleep(6000)"]}
    task = {
        "containers": [container],
        "serviceAccount": f"trainer@{project}.iam.gserviceaccount.com",
        "timeout": "86400s",
    }
    body = {"labels": labels, "template": {"template": task}}
    for answer in (session.post(f"{url}?jobId={title}", json=body), session.post(f"{url}/{title}:run", json={})):
        assert answer.ok, answer.text
    name = answer.json()["metadata"]["name"]
    while not session.get(f"https://run.googleapis.com/v2/{name}").json().get("runningCount"):
        time.sleep(0.05)
    return name


def state(place, name):
    if "/executions/" in name:
        found = place.target.session().get(f"https://run.googleapis.com/v2/{name}").json()
        return "CANCELLED" if found.get("cancelledCount") else "ENDED" if "completionTime" in found else "RUNNING"
    return place.target.session().get(f"{VERTEX}/{name}").json()["state"].removeprefix("JOB_STATE_")


def forward(place, hours):
    local.run(place.space, "clock", "--forward", f"{hours}h")


def said(place):
    """What the function wrote, in its order."""
    wanted = {
        "resourceNames": [f"projects/{place.account.project}"],
        "filter": 'resource.type="cloud_run_revision" AND jsonPayload.message:*',
        "orderBy": "timestamp asc",
        "pageSize": 1000,
    }
    answer = place.target.session().post("https://logging.googleapis.com/v2/entries:list", json=wanted)
    return [one["jsonPayload"]["message"] for one in answer.json().get("entries", [])]


def told(place, *begins):
    """Waits until the function has said each, and gives all that it said."""
    until = time.monotonic() + 60
    while not all(any(line.startswith(one) for line in said(place)) for one in begins):
        assert time.monotonic() < until, said(place)
        time.sleep(0.1)
    return said(place)


def billing(place):
    url = f"https://cloudbilling.googleapis.com/v1/projects/{place.account.project}/billingInfo"
    return place.target.session().get(url).json()["billingEnabled"]


def test_each_stage_is_driven_by_charges_alone_and_happens_once(another_cloud):
    place = stops(another_cloud, jobs=True)
    assert place.preview().changes == ()
    ours, foreign = job(place, "forgotten", LABELS), job(place, "somebody's", {})
    elsewhere, others = execution(place, "on-run", LABELS), execution(place, "foreign-run", {})
    forward(place, 1)
    assert not [line for line in said(place) if "%" in line]
    forward(place, 6)
    lines = told(place, MESSAGES[50])
    assert not any(line.startswith(MESSAGES[80]) for line in lines) and state(place, ours) == "RUNNING"
    forward(place, 24)
    lines = told(place, *MESSAGES.values())
    assert (state(place, ours), state(place, elsewhere)) == ("CANCELLED", "CANCELLED")
    assert state(place, foreign) == "RUNNING"
    for begins in MESSAGES.values():
        assert len([line for line in lines if line.startswith(begins)]) == 1, lines
    stages = [line for line in lines if "% of the budget" in line or line.startswith(("stopped", "left"))]
    assert stages[2].endswith("; what runs is stopped")
    left = "left, since it isn't labelled managed-by=cloudkite:"
    names = {one: one.partition("/locations/")[2] for one in (ours, foreign, elsewhere, others)}
    assert sorted(stages[3:7]) == [
        f"{left} Cloud Run execution foreign-run ({names[others]})",
        f"{left} job somebody's ({names[foreign]})",
        f"stopped: Cloud Run execution on-run ({names[elsewhere]})",
        f"stopped: job forgotten ({names[ours]})",
    ]
    assert stages[7].endswith("billing stays linked, since cloudkite:stops.billing isn't on")
    assert len(stages) == 8 and billing(place)


def publish(place, cost, begins, times=1, budget=""):
    """What Google would publish; the budget's own account alone may, so the owner lets itself."""
    known = json.loads(place.account.outputs_file.read_text())["budget"]["name"]
    account, number = known.split("/")[1::2]
    data = {
        "budgetDisplayName": "x", "costAmount": cost, "costIntervalStart": f"{begins:%Y-%m-%dT%H:%M:%SZ}",
        "budgetAmount": 10, "budgetAmountType": "SPECIFIED_AMOUNT", "currencyCode": "USD",
    }  # fmt: skip
    attributes = {"billingAccountId": account, "budgetId": budget or number, "schemaVersion": "1.0"}
    return publish_raw(place, json.dumps(data).encode(), attributes, times)


def publish_raw(place, data, attributes, times=1):
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
    topic = f"https://pubsub.googleapis.com/v1/projects/{place.account.project}/topics/cloudkite-budget"
    answer = place.target.session().post(f"{topic}:publish", json={"messages": [message] * times})
    assert answer.ok, answer.text


def month(place, back=0):
    """When a month of the cloud's began, by Pacific time, so many months ago."""
    status = json.loads(local.run(place.space, "clock", "--json"))
    now = datetime.fromisoformat(status["now"]).astimezone(ZoneInfo("America/Los_Angeles"))
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(back):
        first = (first - timedelta(days=1)).replace(day=1)
    return first.astimezone(UTC)


def into_next_month(place):
    """To a day in the midst of it, whatever day it is: what follows takes hours, and all of it is of one month."""
    there = (month(place) + timedelta(days=31 + 10)).astimezone(UTC)
    forward(place, round((there - place.target.now()).total_seconds() / 3600))


def quiet(place):
    """Until all messages were acknowledged."""
    until = time.monotonic() + 60
    while json.loads(local.run(place.space, "status", "--json"))["counts"]["pubsub messages"]:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_messages_that_come_twice_late_or_out_of_order_do_nothing_twice(another_cloud):
    place = stops(another_cloud, jobs=True)
    now, before = month(place), month(place, back=1)
    publish(place, 9.5, before)  # of last month: its stages are none of this month's
    publish(place, 9.5, now, budget="0a1b2c3d-0000-0000-0000-000000000000")
    publish_raw(place, b"{", {"billingAccountId": "x", "budgetId": "y", "schemaVersion": "1.0"})
    publish_raw(place, b"hello", {})
    quiet(place)
    assert not [line for line in said(place) if "% of the budget" in line]
    publish(place, 5.5, now, times=5)
    quiet(place)
    publish(place, 9.5, now, times=3)  # 80 and 90 at once
    publish(place, 8.5, now)  # out of order
    publish(place, 5.5, now)
    quiet(place)
    heard = [line for line in said(place) if "% of the budget" in line]
    assert [line.partition(" of the")[0] for line in sorted(heard)] == ["50 %", "80 %", "90 %"]
    # A month later all begins anew, and what comes late of this one is left.
    forward(place, 32 * 24)
    publish(place, 9.5, now)
    publish(place, 5.5, month(place))
    told(place, "a late message is left: 9.50 of 10.00 USD", "50 %")
    quiet(place)
    heard = [line for line in said(place) if "% of the budget" in line]  # logs of before are too old to be kept
    assert [line.partition(" of the")[0] for line in heard] == ["50 %"]


def test_billing_is_unlinked_only_where_nothing_is_foreign_and_once(another_cloud):
    place = stops(another_cloud, jobs=True, billing=True)
    session, project = place.target.session(), place.account.project
    url = f"https://storage.googleapis.com/storage/v1/b?project={project}"
    assert session.post(url, json={"name": f"{project}-foreign", "location": "US-CENTRAL1"}).ok
    publish(place, 10.5, month(place))
    lines = told(place, MESSAGES[100].replace("10.0", "10.50"))
    [line] = [line for line in lines if line.startswith("100 %")]
    assert line.endswith(f"not all is this account's own: storage.googleapis.com/Bucket {project}-foreign")
    assert billing(place)
    # Gone by next month: then nothing is in the way.
    assert session.delete(f"https://storage.googleapis.com/storage/v1/b/{project}-foreign").ok
    into_next_month(place)
    ours = job(place, "forgotten", LABELS, "n1-highmem-32")
    forward(place, 8)
    told(place, "stopped: job forgotten")
    assert state(place, ours) == "CANCELLED" and billing(place)
    # A stage happens once: who starts another job after it comes to the next.
    another = job(place, "stubborn", LABELS, "n1-highmem-32")
    forward(place, 8)
    assert not billing(place)
    # Who links it again is not fought.
    payer = f"https://cloudbilling.googleapis.com/v1/projects/{project}/billingInfo"
    account = place.account.settings.read_text().partition("billingAccount: ")[2].splitlines()[0]
    assert session.put(payer, json={"billingAccountName": f"billingAccounts/{account}"}).ok
    assert state(place, another) == "FAILED"
    forward(place, 2)
    quiet(place)
    assert billing(place)


def test_down_takes_all_of_it_away_and_up_brings_it_back(another_cloud):
    place = stops(another_cloud, jobs=True, billing=True)
    kinds = {one.kind for one in place.left()}
    assert {"Function", "Topic", "TopicIAMMember", "ServiceIamMember", "BucketObject", "IAMCustomRole"} <= kinds
    place.down(everything=True)
    assert engine.left(place.account) == []
    session, project = place.target.session(), place.account.project
    for url, key in {
        f"https://cloudfunctions.googleapis.com/v2/projects/{project}/locations/-/functions": "functions",
        f"https://pubsub.googleapis.com/v1/projects/{project}/topics": "topics",
        f"https://pubsub.googleapis.com/v1/projects/{project}/subscriptions": "subscriptions",
        f"https://storage.googleapis.com/storage/v1/b?project={project}": "items",
    }.items():
        assert session.get(url).json().get(key, []) == [], url
    place.up()
    assert place.preview().changes == ()
    # And off again without the account.
    plain = place.settings(lambda text: text.partition("  cloudkite:stops:")[0])
    plain.up()
    assert not {one.kind for one in plain.left()} & {"Function", "Topic", "BucketObject"}


CAPS = "https://billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"


def caps(place):
    found = place.target.session().get(CAPS).json()["budgets"]
    return [
        (one["displayName"], one["amount"]["specifiedAmount"]["units"], one["spendCap"]["outputState"])
        for one in found
        if one.get("spendCap") and place.account.project in one["displayName"]
    ]


def test_the_spend_cap_is_made_after_the_engine_changed_and_removed(another_cloud, capsys):
    place = another_cloud.settings(lambda text: f"{text.rstrip()}\n  cloudkite:stops: {{cap: true}}\n").opened()
    name = f"cloudkite cap {place.account.name} ({place.account.project})"

    def up(words):
        setup.set_up(place.space, registry.load(place.space, place.account.name), place.target, yes=True)
        said = capsys.readouterr().out
        assert words in " ".join(said.split()), said

    up("create SpendCap 1")
    assert caps(place) == [(name, "10", "CONFIGURED")]
    up("nothing to change")
    place.settings(lambda text: text.replace("cap: true", "cap: 7.5"))
    up("update SpendCap 1")
    assert caps(place) == [(name, "7", "CONFIGURED")]
    # What is made in the moment of a kill is found by its name, and never made twice.
    (place.account.state / "cap.json").unlink()
    up("nothing to change")
    place.settings(lambda text: text.replace("cap: 7.5", "cap: false"))
    up("delete SpendCap 1")
    assert caps(place) == []
    place.settings(lambda text: text.replace("cap: false", "cap: 3"))
    up("create SpendCap 1")
    # Settings that say nothing of stops any more mean that it goes; so does `down`.
    place.settings(lambda text: text.partition("  cloudkite:stops:")[0])
    up("delete SpendCap 1")
    place.settings(lambda text: f"{text.rstrip()}\n  cloudkite:stops: {{cap: 3}}\n")
    up("create SpendCap 1")
    teardown.down(place.space, place.account.name, yes=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "delete SpendCap 1" in said
    assert caps(place) == []


def test_a_cap_that_is_enforced_is_told_and_its_amount_stays(another_cloud, capsys):
    place = stops(another_cloud, cap=0.5)
    setup.set_up(place.space, registry.load(place.space, place.account.name), place.target, yes=True)
    job(place, "long", LABELS)
    forward(place, 3)
    assert [state for _name, _units, state in caps(place)] == ["ENFORCED"]
    place.settings(lambda text: text.replace("cap: 0.5", "cap: 5"))
    with pytest.raises(UserError) as told:
        setup.set_up(place.space, registry.load(place.space, place.account.name), place.target, yes=True)
    assert told.value.message == (
        "the spend cap is enforced: its amount can't be changed to 5 before the cap is lifted"
    )
    with pytest.raises(AssertionError, match="Your project has exceeded its monthly spending cap"):
        job(place, "more", LABELS)


def test_what_could_not_be_stopped_is_stopped_when_the_message_comes_again(another_cloud):
    place = stops(another_cloud, jobs=True)
    ours = job(place, "hard to end", LABELS)
    for kind in ("aiplatform.customJobs.cancel", "storage.objects.get"):
        local.run(place.space, "fault", kind, "--code", "500", "--times", "3")
    publish(place, 9.5, month(place))
    lines = told(place, "stopped: job hard to end")
    assert [line for line in lines if line.startswith("90 %")]
    until = time.monotonic() + 30
    while state(place, ours) != "CANCELLED":
        assert time.monotonic() < until
        time.sleep(0.1)
    quiet(place)


def test_what_can_not_be_stopped_keeps_billing_from_nothing(another_cloud):
    place = stops(another_cloud, jobs=True, billing=True)
    job(place, "hard to end", LABELS)
    local.run(place.space, "fault", "aiplatform.customJobs.cancel", "--code", "500", "--times", "100")
    publish(place, 10.5, month(place))
    lines = told(place, "could not be stopped: job hard to end", "100 % of the budget: 10.50")
    unlinked = [line for line in lines if line.startswith("100 % of the budget: 10.50")]
    assert [line.endswith(f"billing of project {place.account.project} is unlinked") for line in unlinked] == [True]
    until = time.monotonic() + 30
    while billing(place):
        assert time.monotonic() < until
        time.sleep(0.1)
