"""Functions by their API: made out of a bucket, called by events as their own account, changed, taken away."""

from __future__ import annotations

import io
import json
import signal
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import requests
from google.auth.transport.requests import AuthorizedSession

from clouds import LocalCloud, Start
from localcloud import launch

pytestmark = pytest.mark.slow
REGION = "us-central1"
MAIN = """
import json, os, urllib.parse
import functions_framework
import google.auth
from google.auth.transport.requests import AuthorizedSession

@functions_framework.cloud_event
def hear(event):
    session = AuthorizedSession(google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
    message = event.data["message"]
    name = f"heard-{message['messageId']}"
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{os.environ['BUCKET']}/o?uploadType=media&name={name}"
    told = {"attributes": message["attributes"], "source": event["source"], "type": event["type"], "id": event["id"],
            "service": os.environ["K_SERVICE"], "mark": os.environ.get("MARK", "")}
    print(json.dumps({"severity": "WARNING", "message": f"heard {message['messageId']}"}), flush=True)
    if message["attributes"].get("fail") and not os.path.exists("failed"):
        open("failed", "w").close()
        raise RuntimeError("not yet")
    session.post(url, data=json.dumps(told)).raise_for_status()
"""
PINS = "functions-framework==3.10.2\ngoogle-auth==2.63.0\nrequests==2.34.2\n"


def zipped(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_py", ".py").replace("_txt", ".txt"), text)
    return data.getvalue()


@dataclass
class Place:
    cloud: LocalCloud
    session: AuthorizedSession

    @property
    def functions(self) -> str:
        return f"https://cloudfunctions.googleapis.com/v2/projects/{self.cloud.project}/locations/{REGION}/functions"

    @property
    def topic(self) -> str:
        return f"projects/{self.cloud.project}/topics/news"

    def account(self, name: str) -> str:
        return f"{name}@{self.cloud.project}.iam.gserviceaccount.com"

    def put(self, name: str, data: bytes) -> None:
        url = f"https://storage.googleapis.com/upload/storage/v1/b/{self.cloud.project}-code/o"
        assert self.session.post(url, params={"uploadType": "media", "name": name}, data=data).ok

    def body(self, **more: Any) -> dict[str, Any]:
        source = {"storageSource": {"bucket": f"{self.cloud.project}-code", "object": "source.zip"}}
        return {
            "labels": {"managed-by": "cloudkite"},
            "buildConfig": {"runtime": "python311", "entryPoint": "hear", "source": source},
            "serviceConfig": {
                "serviceAccountEmail": self.account("hearer"),
                "environmentVariables": {"BUCKET": f"{self.cloud.project}-code"},
            },
            "eventTrigger": {
                "eventType": "google.cloud.pubsub.topic.v1.messagePublished",
                "pubsubTopic": self.topic,
                "retryPolicy": "RETRY_POLICY_RETRY",
                "serviceAccountEmail": self.account("hearer"),
            },
        } | more

    def done(self, answer: Any) -> dict[str, Any]:
        assert answer.ok, answer.text
        operation = answer.json()
        while not operation.get("done"):
            time.sleep(0.1)
            operation = self.session.get(f"https://cloudfunctions.googleapis.com/v2/{operation['name']}").json()
        return operation

    def publish(self, **attributes: str) -> str:
        url = f"https://pubsub.googleapis.com/v1/{self.topic}:publish"
        body = {"messages": [{"data": "aGk=", "attributes": {"kind": "news", **attributes}}]}
        return self.session.post(url, json=body).json()["messageIds"][0]

    def heard(self, number: str) -> dict[str, Any]:
        url = f"https://storage.googleapis.com/storage/v1/b/{self.cloud.project}-code/o/heard-{number}?alt=media"
        until = time.monotonic() + 60
        while not (answer := self.session.get(url)).ok:
            assert time.monotonic() < until, "nothing was heard"
            time.sleep(0.1)
        return answer.json()


@pytest.fixture
def place(new_cloud: Start) -> Iterator[Place]:
    cloud = new_cloud()
    cloud.enable("pubsub", "cloudfunctions", "run", "eventarc", "cloudbuild", "iam", "storage")
    made = Place(cloud, cloud.session())
    accounts = f"https://iam.googleapis.com/v1/projects/{cloud.project}/serviceAccounts"
    assert made.session.post(accounts, json={"accountId": "hearer"}).ok
    bucket = {"name": f"{cloud.project}-code", "location": "US-CENTRAL1"}
    assert made.session.post(f"https://storage.googleapis.com/storage/v1/b?project={cloud.project}", json=bucket).ok
    assert made.session.put(f"https://pubsub.googleapis.com/v1/{made.topic}", json={}).ok
    policy = f"https://cloudresourcemanager.googleapis.com/v1/projects/{cloud.project}"
    present = made.session.post(f"{policy}:getIamPolicy", json={}).json()
    member = f"serviceAccount:{made.account('hearer')}"
    for role in ("roles/run.invoker", "roles/storage.objectUser"):
        present["bindings"].append({"role": role, "members": [member]})
    assert made.session.post(f"{policy}:setIamPolicy", json={"policy": present}).ok
    made.put("source.zip", zipped(main_py=MAIN, requirements_txt=PINS))
    yield made
    made.session.close()


def test_a_function_hears_its_topic_as_its_account_over_kills_and_changes(place: Place) -> None:
    made = place.done(place.session.post(f"{place.functions}?functionId=hear", json=place.body()))["response"]
    assert (made["state"], made["environment"], made["labels"]) == ("ACTIVE", "GEN_2", {"managed-by": "cloudkite"})
    number = place.publish()
    heard = place.heard(number)
    assert heard["attributes"] == {"kind": "news"}
    assert heard["source"] == f"//pubsub.googleapis.com/{place.topic}"
    assert (heard["type"], heard["id"]) == ("google.cloud.pubsub.topic.v1.messagePublished", number)
    assert heard["service"] == "hear"
    wanted = {
        "resourceNames": [f"projects/{place.cloud.project}"],
        "filter": f'resource.type="cloud_run_revision" AND jsonPayload.message="heard {number}" AND severity=WARNING',
    }
    until = time.monotonic() + 30
    entries = "https://logging.googleapis.com/v2/entries:list"
    while not (found := place.session.post(entries, json=wanted).json().get("entries")):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert found[0]["resource"]["labels"]["service_name"] == "hear"
    # Nobody gets in without a token for it, or with one of who may not call it.
    name = f"projects/{place.cloud.project}/locations/{REGION}/functions/hear"
    url = place.session.get(f"https://cloudfunctions.googleapis.com/v2/{name}").json()["url"]
    place.cloud.run(f"""
    import google.auth, google.auth.transport.requests, requests
    assert requests.get({url!r}).status_code == 403
    assert requests.get({url!r}, headers={{"Authorization": "Bearer nonsense"}}).status_code == 401
    assert requests.get("https://other-abc-uc.a.run.app").status_code == 404
    """)
    # Who finds its port is let in by this cloud's own secret alone.
    [door] = (place.cloud.root / "functions").glob("function-*/run-*/door.json")
    port = json.loads(door.read_text())["port"]
    answer = requests.post(f"http://127.0.0.1:{port}/", data=b"{}", headers={"ce-id": "1"}, timeout=10)
    assert (answer.status_code, answer.text) == (403, "forbidden")
    # What it refuses comes again.
    assert place.heard(place.publish(fail="once"))["attributes"]["fail"] == "once"
    # A kill of the server takes nothing away.
    place.session.close()
    server = psutil.Process(launch.status(place.cloud.root)["pid"])
    server.send_signal(signal.SIGKILL)
    server.wait(30)
    launch.start(place.cloud.root, place.cloud.root / "envs", (place.cloud.project,))
    place.session = place.cloud.session()
    assert place.heard(place.publish())["mark"] == ""
    # And a change is another revision.
    changed = place.body()
    changed["serviceConfig"]["environmentVariables"]["MARK"] = "changed"
    operation = place.done(place.session.patch(f"{place.functions}/hear?updateMask=serviceConfig", json=changed))
    assert operation["response"]["serviceConfig"]["revision"] != made["serviceConfig"]["revision"]
    assert place.heard(place.publish())["mark"] == "changed"
    subscriptions = f"https://pubsub.googleapis.com/v1/projects/{place.cloud.project}/subscriptions"
    assert len(place.session.get(subscriptions).json()["subscriptions"]) == 1
    place.done(place.session.delete(f"{place.functions}/hear"))
    assert place.session.get(f"{place.functions}/hear").status_code == 404
    assert place.session.get(subscriptions).json()["subscriptions"] == []
    assert list((place.cloud.root / "functions").iterdir()) == []


def test_what_can_not_be_built_says_why(place: Place) -> None:
    sources = {
        "no.zip": (b"nothing", "The source archive can't be unpacked"),
        "bare.zip": (zipped(other_py=""), "missing main.py"),
        "loose.zip": (zipped(main_py=MAIN, requirements_txt="requests>=2"), "takes exact pins such as six==1.17.0"),
        "out.zip": (zipped(**{"../out_py": ""}), "has an entry that is no file of its own: '../out.py'"),
        "broken.zip": (zipped(main_py="def hear(:", requirements_txt=PINS), "Model server exited"),
        "absent.zip": (None, "can't be read"),
    }
    for name, (data, words) in sources.items():
        if data is not None:
            place.put(name, data)
        body = place.body()
        body["buildConfig"]["source"]["storageSource"]["object"] = name
        function = name.partition(".")[0]
        operation = place.done(place.session.post(f"{place.functions}?functionId={function}", json=body))
        assert words in operation["error"]["message"], name
        assert place.session.get(f"{place.functions}/{function}").json()["state"] == "FAILED"
        place.done(place.session.delete(f"{place.functions}/{function}"))


REFUSED = [
    ("A", {}, 400, "Function name 'A' must match"),
    ("f", {"buildConfig": {"runtime": "nodejs22"}}, 501, "the runtime nodejs22"),
    ("f", {"buildConfig": {"runtime": "python311", "entryPoint": "x"}}, 501, "isn't an object of a bucket"),
    ("f", {"serviceConfig": []}, 400, "Invalid value at 'function'"),
    ("f", {"serviceConfig": {}}, 501, "without a service account of their own"),
    ("f", {"serviceConfig": {"serviceAccountEmail": "a@b.c", "vpcConnector": "x"}}, 501, "vpcConnector"),
    ("f", {"kmsKeyName": "k"}, 501, "functions with kmsKeyName"),
    ("f", {"eventTrigger": {"eventType": "google.cloud.storage.object.v1.finalized"}}, 501, "that are called by"),
    ("f", {"eventTrigger": {"eventType": "google.cloud.pubsub.topic.v1.messagePublished",
                            "pubsubTopic": "projects/test-project/topics/none"}}, 400, "does not exist"),
]  # fmt: skip


def test_what_is_refused(place: Place) -> None:
    for name, change, code, words in REFUSED:
        answer = place.session.post(f"{place.functions}?functionId={name}", json=place.body(**change))
        assert (answer.status_code, words in answer.json()["error"]["message"]) == (code, True), answer.text
    assert place.session.post(f"{place.functions}:generateUploadUrl", json={}).status_code == 501
    assert json.loads(place.session.get(f"{place.functions}/none").text)["error"]["status"] == "NOT_FOUND"
