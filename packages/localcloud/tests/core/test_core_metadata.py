"""A job is its own account by the metadata server, and nobody else is."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from clouds import LocalCloud
from localcloud import launch
from localcloud.apis import assemble
from localcloud.containers.relay import Relay
from localcloud.core import ports
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.iam import jwt
from localcloud.iam.store import Iam
from localcloud.identity.metadata import Metadata
from localcloud.identity.tokens import Tokens
from localcloud.projects.store import Projects

SCRIPT = """
import google.auth, google.auth.compute_engine, json
from google.auth.transport.requests import AuthorizedSession, Request
credentials, project = google.auth.default(["https://www.googleapis.com/auth/cloud-platform"])
assert isinstance(credentials, google.auth.compute_engine.Credentials), credentials
session = AuthorizedSession(credentials)
user = session.get("https://openidconnect.googleapis.com/v1/userinfo").json()
found = session.get(f"https://cloudresourcemanager.googleapis.com/v3/projects/{project}").json()
print(json.dumps([project, credentials.service_account_email, user["email"], found["projectId"]]))
"""


@pytest.fixture
def cloud(tmp_path) -> Cloud:
    """The parts of a cloud without its server."""
    made = assemble(tmp_path / "parts", tmp_path / "envs", Ports(1, 2, 3, 4, 5))
    made.of(Projects).create("test-project")
    return made


async def ask(cloud: Cloud, host: str, path: str, flavor: str | None = "Google") -> tuple[int, str]:
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    url, _, query = path.partition("?")
    prefix = "/" + host.partition("/")[2]
    headers = [(b"metadata-flavor", flavor.encode())] if flavor else []
    scope = {"type": "http", "method": "GET", "path": prefix + url, "query_string": query.encode(), "headers": headers}
    await cloud.of(Metadata).app(scope, None, send)  # type: ignore[arg-type]
    assert (b"Metadata-Flavor", b"Google") in sent[0]["headers"]
    return sent[0]["status"], sent[1]["body"].decode()


PATHS = {
    "/computeMetadata/v1/project/project-id": "test-project",
    "/computeMetadata/v1/project/numeric-project-id": "500309524677",
    "/computeMetadata/v1/instance/zone": "projects/500309524677/zones/us-central1-a",
    "/computeMetadata/v1/instance/region": "projects/500309524677/regions/us-central1",
    "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
    "/computeMetadata/v1/instance/service-accounts/default/email": "owner@test-project.iam.gserviceaccount.com",
    "/computeMetadata/v1/instance/service-accounts/default/scopes": "https://www.googleapis.com/auth/cloud-platform\n",
    "/computeMetadata/v1/instance/service-accounts/": "default/\nowner@test-project.iam.gserviceaccount.com/\n",
}


@pytest.mark.parametrize("path", PATHS)
def test_what_it_tells(cloud, path):
    import asyncio

    email = cloud.of(Iam).owner("test-project")
    host = cloud.of(Metadata).environment(email, "test-project", "job-1", "127.0.0.1:5")["GCE_METADATA_HOST"]
    assert asyncio.run(ask(cloud, host, path)) == (200, PATHS[path])


@pytest.mark.parametrize(
    ("path", "flavor", "code"),
    [
        ("/computeMetadata/v1/instance/service-accounts/default/token", None, 403),
        ("/computeMetadata/v1/instance/service-accounts/default/token", "google", 403),
        ("/computeMetadata/v1/instance/service-accounts/default/identity", "Google", 400),
        ("/computeMetadata/v1/instance/service-accounts/other@x.iam.gserviceaccount.com/token", "Google", 404),
        ("/computeMetadata/v1/instance/nonsense", "Google", 404),
        ("/nonsense", "Google", 404),
    ],
)
def test_what_it_refuses(cloud, path, flavor, code):
    import asyncio

    email = cloud.of(Iam).owner("test-project")
    host = cloud.of(Metadata).environment(email, "test-project", "job-1", "127.0.0.1:5")["GCE_METADATA_HOST"]
    assert asyncio.run(ask(cloud, host, path, flavor))[0] == code


def test_without_the_secret_there_is_nothing(cloud):
    import asyncio

    email = cloud.of(Iam).owner("test-project")
    host = cloud.of(Metadata).environment(email, "test-project", "job-1", "127.0.0.1:5")["GCE_METADATA_HOST"]
    token = "/computeMetadata/v1/instance/service-accounts/default/token"
    for other in ("127.0.0.1:5", "127.0.0.1:5/", "127.0.0.1:5/wrong", host[:-1]):
        assert asyncio.run(ask(cloud, other, token))[0] == 403
    assert asyncio.run(ask(cloud, host, token))[0] == 200
    cloud.of(Metadata).release("job-1")
    cloud.of(Metadata).release("job-1")
    assert asyncio.run(ask(cloud, host, token))[0] == 403


def test_an_identity_is_signed(cloud):
    import asyncio

    email = cloud.of(Iam).owner("test-project")
    host = cloud.of(Metadata).environment(email, "test-project", "job-1", "127.0.0.1:5")["GCE_METADATA_HOST"]
    path = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=https://example.com"
    token = jwt.parse(asyncio.run(ask(cloud, host, path))[1])
    token.verify(cloud.of(Tokens).public_pem)
    assert (token.claims["aud"], token.claims["email"]) == ("https://example.com", email)


def test_a_job_finds_itself_again_after_a_restart(cloud):
    email = cloud.of(Iam).owner("test-project")
    first = cloud.of(Metadata).environment(email, "test-project", "job-1", "host")
    again = assemble(cloud.root, cloud.envs, cloud.ports)
    assert again.of(Metadata).environment(email, "test-project", "job-1", "host") == first
    assert again.of(Metadata).environment(email, "test-project", "job-2", "host") != first


@contextmanager
def _job(new_cloud) -> Iterator[tuple[LocalCloud, dict[str, str]]]:
    """A server whose folder knows of a job, and that job's environment; its relay runs, as in a supervisor."""
    cloud = new_cloud()
    launch.stop(cloud.root)
    kept = json.loads((cloud.root / "ports.json").read_text(encoding="utf-8"))
    parts = assemble(cloud.root, cloud.root / "envs", Ports(**kept))
    account = parts.of(Iam).create_service_account("test-project", "trainer")
    parts.of(Iam).add_member("projects/test-project", "roles/viewer", f"serviceAccount:{account['email']}")
    with ports.bind(0) as door:
        here = f"127.0.0.1:{door.getsockname()[1]}"
        variables = parts.of(Metadata).environment(account["email"], "test-project", "job-1", here)
        new_cloud()
        threading.Thread(target=Relay(cloud.root, door).run, daemon=True).start()
        yield cloud, variables


@pytest.mark.slow
def test_an_unmodified_client_is_the_jobs_account(new_cloud):
    email = "trainer@test-project.iam.gserviceaccount.com"
    with _job(new_cloud) as (cloud, variables):
        empty = {"GOOGLE_APPLICATION_CREDENTIALS": "", "CLOUDSDK_CONFIG": str(cloud.root / "none")}
        done = cloud.run(SCRIPT, env={**empty, **variables})
    assert json.loads(done.stdout) == ["test-project", email, email, "test-project"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the standard library's client is the same everywhere; run it on Linux")
def test_the_standard_library_gets_a_token(new_cloud):
    script = """
    import json, os, urllib.request
    host = os.environ["GCE_METADATA_HOST"]
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    answer = urllib.request.urlopen(request)
    assert answer.headers["Metadata-Flavor"] == "Google"
    token = json.load(answer)["access_token"]
    url = "https://cloudresourcemanager.googleapis.com/v3/projects/test-project"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    print(json.load(urllib.request.urlopen(request))["projectId"])
    """
    with _job(new_cloud) as (cloud, variables):
        assert cloud.run(script, env=variables).stdout == "test-project\n"
        host = variables["GCE_METADATA_HOST"].partition("/")[0]
        assert requests.get(f"http://{host}/computeMetadata/v1/", timeout=20).status_code == 403
        own = f"https://127.0.0.1:{cloud.server['metadata']}/computeMetadata/v1/"
        assert requests.get(own, timeout=20, verify=str(cloud.root / "ca.pem")).status_code == 403
        launch.stop(cloud.root)
        assert requests.get(f"http://{host}/computeMetadata/v1/", timeout=20).status_code == 503
