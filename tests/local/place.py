"""A place to train in on a local cloud: an account, its buckets and permissions, and a trainer that needs nothing."""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs import submit
from cloudkite.jobs.plans import Plan, Wishes
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, throw_away

REGION = "us-central1"
TASK = '''
"""A trainer that needs nothing: copies its data's first line into the model, as a real one would write a SavedModel."""
import json, os, sys, time, urllib.parse, urllib.request

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))


def token():
    url = "http://" + os.environ["GCE_METADATA_HOST"] + "/computeMetadata/v1/instance/service-accounts/default/token"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    return json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request))["access_token"]


def storage(method, path, data=None):
    request = urllib.request.Request("https://storage.googleapis.com/" + path, data=data, method=method)
    request.add_header("Authorization", "Bearer " + token())
    return urllib.request.urlopen(request).read()


def parts(uri):
    return uri.removeprefix("gs://").split("/", 1)


bucket, name = parts(arguments["--data"])
first = storage("GET", f"storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media").splitlines()[0]
epochs = int(arguments.get("--epochs", "2"))
for epoch in range(1, epochs + 1):
    message = f"epoch {epoch}/{epochs} loss={1 / epoch:.2f}"
    line = {"severity": "INFO", "message": message, "epoch": epoch, "epochs": epochs}
    print(json.dumps(line), flush=True)
    time.sleep(float(arguments.get("--pause", "0.1")))
if "--fail" in arguments:
    sys.exit("the trainer failed on purpose")
bucket, prefix = parts(os.environ["AIP_MODEL_DIR"])
for file, data in {"saved_model.pb": first, "variables/variables.index": b"x" * 1000, "empty": b""}.items():
    place = urllib.parse.quote(prefix.rstrip("/") + "/" + file, safe="")
    storage("POST", f"upload/storage/v1/b/{bucket}/o?uploadType=media&name={place}", data)
'''


RUN = """
import os, sys
sys.path.insert(0, os.environ["FOLDER"])
from trainer import task
sys.exit(task.main(os.environ["WORDS"].split()))
"""


@dataclass(frozen=True)
class Place:
    """An account on a local cloud with its buckets and permissions, and a trainer."""

    workspace: Workspace
    account: Account
    target: Target
    trainer: Trainer

    def plan(self, *arguments: str, **wishes: Any) -> Plan:
        """A plan whose image has no TensorFlow: its environment is made in a second."""
        made = submit.plan(self.account, self.trainer, Wishes(arguments=arguments, **wishes))
        return dataclasses.replace(made, image="python:3.11")

    def submit(self, *arguments: str) -> submit.Submitted:
        return submit.submit(self.workspace, self.target, self.plan(*arguments))

    def set_quota(self, session: Any, quota: str, value: int, service: str = "aiplatform.googleapis.com") -> None:
        """Ask for that much of a quota in the account's region, less than there is included."""
        parent = f"https://cloudquotas.googleapis.com/v1/projects/{self.account.project}/locations/global"
        safety = {"ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"}
        body = {
            "service": service,
            "quotaId": quota,
            "dimensions": {"region": self.account.region},
            "quotaConfig": {"preferredValue": str(value)},
        }
        made = session.post(f"{parent}/quotaPreferences", params={"quotaPreferenceId": quota, **safety}, json=body)
        if made.status_code == 409:
            made = session.patch(f"{parent}/quotaPreferences/{quota}", params=safety, json=body)
        assert made.ok, made.text

    def trained(self, local_cloud: Any, session: Any, trainer: Trainer, name: str, *words: str) -> dict[str, Any]:
        """Run a generated trainer here, its results in the bucket of models, and give the trainer.json it leaves."""
        models = self.account.outputs().buckets["models"]
        words = ("--output", f"{models}/{name}", *words)
        env = {"FOLDER": str(trainer.folder), "WORDS": " ".join(words), "CUDA_VISIBLE_DEVICES": "-1"}
        python = folders.environment(trainer, self.workspace)
        local_cloud.run(RUN, env=env, python=python, timeout=300)
        path = urllib.parse.quote(f"{name}/model/assets.extra/trainer.json", safe="")
        bucket = models.removeprefix("gs://")
        return session.get(f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/{path}?alt=media").json()


@pytest.fixture(scope="module")
def place(local_cloud, session, tmp_path_factory) -> Iterator[Place]:
    home = throw_away(tmp_path_factory.mktemp("space"))
    project, tag = local_cloud.project, "jobs-sub"

    def post(url: str, body: dict[str, Any] | None = None) -> Any:
        answer = session.post(url, json=body or {})
        assert answer.status_code in (200, 409), answer.text
        return answer.json()

    for api in ("aiplatform", "storage", "logging", "iam", "cloudquotas"):
        post(f"https://serviceusage.googleapis.com/v1/projects/{project}/services/{api}.googleapis.com:enable")
    email = f"{tag}@{project}.iam.gserviceaccount.com"
    post(f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts", {"accountId": tag})
    buckets = {}
    for purpose, roles in {
        "data": ["objectViewer"], "staging": ["objectUser", "legacyBucketReader"],
        "models": ["objectUser", "legacyBucketReader"],
    }.items():  # fmt: skip
        name = f"{project}-{tag}-{purpose}"
        post(f"https://storage.googleapis.com/storage/v1/b?project={project}", {"name": name, "location": REGION})
        policy = session.get(f"https://storage.googleapis.com/storage/v1/b/{name}/iam").json()
        member = f"serviceAccount:{email}"
        policy["bindings"] += [{"role": f"roles/storage.{role}", "members": [member]} for role in roles]
        assert session.put(f"https://storage.googleapis.com/storage/v1/b/{name}/iam", json=policy).ok
        buckets[purpose] = f"gs://{name}"
    account = Account(
        name=tag, target="local", project=project, region=REGION, tier="paid", owner="", currency="USD", budget=10.0,
        settings=home.accounts / f"Pulumi.{tag}.yaml", state=home.state,
    )  # fmt: skip
    outputs = {
        "project": project, "project_number": "1", "region": REGION, "trainer": email, "submitter": "",
        "buckets": buckets, "images": "", "schema": 1, "labels": {}, "quotas": {},
    }  # fmt: skip
    (home.state / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")
    yield Place(home, account, Target(account, local_cloud.environment, {}), make_trainer(home.trainers / "tiny"))


def make_trainer(folder: Path) -> Trainer:
    """The trainer that needs nothing, in a folder."""
    files = {
        "pyproject.toml": '[project]\nname = "tiny"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = []\n',
        "trainer/__init__.py": "",
        "trainer/task.py": TASK,
        "trainer/data.py": 'COLUMNS = {"a": 0.0}\nLABEL = "b"\nCLASSES = ()\nDATA = "data/rows.csv"\n',
        "data/rows.csv": "a,b\n1,2\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Trainer("tiny", folder)
