"""Real local clouds for tests: unmodified Google clients use them as child processes, by environment variables only."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import psutil
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account
from requests import Session

from localcloud import launch

PROJECT = "test-project"
# Environments by their pins, those of the person who runs the tests: TensorFlow is large.
ENVS = Path(os.environ.get("CLOUDKITE_CACHE") or platformdirs.user_cache_dir("cloudkite", appauthor=False)) / "envs"
_IAM = "https://iam.googleapis.com/v1"


@dataclass(frozen=True)
class LocalCloud:
    """A running server in `root` with one project."""

    root: Path
    project: str

    @property
    def environment(self) -> dict[str, str]:
        """The client environment, as `env --json` prints it."""
        return launch.environment(self.root, self.project)

    @property
    def server(self) -> dict[str, Any]:
        """What the server says about itself: pid and ports."""
        found = launch.running(self.root)
        assert found is not None
        return found

    def run(
        self,
        script: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
        python: str | Path = sys.executable,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script in a child that has the client environment, PATH and HOME, and `env`; nothing else.

        With `check`, a script that fails fails the test, with its standard error.
        """
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        done = subprocess.run(
            [str(python), "-c", textwrap.dedent(script)],
            env={**kept, **self.environment, **(env or {})},
            cwd=self.root,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
        )
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def session(self, key: Mapping[str, Any] | None = None, self_signed: bool = False) -> AuthorizedSession:
        """An authorised session inside this process, as the project's owner or with the key file `key`."""
        info = key or json.loads((self.root / "projects" / self.project / "key.json").read_text(encoding="utf-8"))
        credentials = service_account.Credentials.from_service_account_info(
            info, scopes=["https://www.googleapis.com/auth/cloud-platform"]
        )
        made = AuthorizedSession(
            credentials.with_always_use_jwt_access(self_signed), auth_request=Request(self.plain_session())
        )
        self._prepare(made)
        return made

    def token(self, key: Mapping[str, Any] | None = None) -> str:
        """An access token of the project's owner, or of the account of the key file `key`."""
        with self.plain_session() as plain, self.session(key) as session:
            session.credentials.refresh(Request(plain))
            return session.credentials.token

    def enable(self, *services: str) -> None:
        """Turn APIs of the project on, by their short names ("aiplatform")."""
        url = f"https://serviceusage.googleapis.com/v1/projects/{self.project}/services:batchEnable"
        with self.session() as session:
            answer = session.post(url, json={"serviceIds": [f"{name}.googleapis.com" for name in services]})
            assert answer.ok, answer.text

    def account(self, name: str, *roles: str) -> str:
        """Make a service account that has `roles` on the project; gives its e-mail."""
        with self.session() as session:
            made = session.post(f"{_IAM}/projects/{self.project}/serviceAccounts", json={"accountId": name})
            assert made.ok, made.text
        email = made.json()["email"]
        for role in roles:
            self.grant(role, f"serviceAccount:{email}")
        return email

    def key(self, email: str) -> dict[str, Any]:
        """A new key of a service account of the project, as its file has it."""
        with self.session() as session:
            made = session.post(f"{_IAM}/projects/{self.project}/serviceAccounts/{email}/keys", json={})
            assert made.ok, made.text
        return json.loads(base64.b64decode(made.json()["privateKeyData"]))

    def grant(self, role: str, member: str = "") -> None:
        """Give `member` a role on the project; by default the owner, who may not sign as others, say."""
        member = member or f"serviceAccount:owner@{self.project}.iam.gserviceaccount.com"
        url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{self.project}"
        with self.session() as session:
            wanted = {"options": {"requestedPolicyVersion": 3}}  # with the conditions that others granted under
            policy = session.post(f"{url}:getIamPolicy", json=wanted).json() | {"version": 3}
            policy.setdefault("bindings", []).append({"role": role, "members": [member]})
            answer = session.post(f"{url}:setIamPolicy", json={"policy": policy})
            assert answer.ok, answer.text

    def plain_session(self) -> Session:
        """A session without credentials."""
        return self._prepare(Session())

    def _prepare(self, session: Any) -> Any:
        session.trust_env = False
        session.proxies = {"https": self.environment["https_proxy"]}
        session.verify = self.environment["REQUESTS_CA_BUNDLE"]
        return session


Start = Callable[..., LocalCloud]
# Off in a new project, as on Google; most tests make accounts and grants before they come to their own matter.
APIS = ("cloudresourcemanager", "iam", "iamcredentials")


# Billing accounts of the tests' person, beside the one that pays.
ACCOUNTS = ("012345-6789AB-CDEF01", "BBBBBB-000000-000002")


def opened(cloud: LocalCloud, account: str, currency: str = "USD", is_open: bool = True) -> str:
    """Open a billing account for who owns the cloud's project, which it doesn't pay for; gives its name."""
    one = {"account": account, "currency": currency, "open": is_open, "pays": False}
    launch.ask(cloud.root, cloud.server, "POST", f"/projects/{cloud.project}", {"accounts": [one]})
    return f"billingAccounts/{account}"


def started(root: Path, project: str) -> LocalCloud:
    """The server of `root`, started unless it runs, with a project in which APIS are on."""
    launch.start(root, root / "envs", [project])
    cloud = LocalCloud(root, project)
    accounts = [{"account": account, "pays": False} for account in ACCOUNTS]
    launch.ask(root, cloud.server, "POST", f"/projects/{project}", {"accounts": accounts})
    cloud.enable(*APIS)
    return cloud


def end(root: Path) -> None:
    """Stop a server and make sure that nothing it started is left."""
    server = launch.running(root)
    if server is None:
        return
    process = psutil.Process(server["pid"])
    family = [process, *process.children(recursive=True)]
    launch.stop(root)
    assert all(launch.ended(one) for one in family)
