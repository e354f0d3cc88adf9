"""The one seam to the cloud: credentials, an authorised session and environments, for an account wherever it lives.

Nothing else knows whether the target is Google or the local cloud: both are described by environment variables that
every Google client understands, and the session is built from those.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts.registry import Account
from cloudkite.show import screen
from cloudkite.show.errors import NOT_SIGNED_IN, UserError, from_google
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

# What a child process may see of this one. Proxies, certificates, GOOGLE_*, CLOUDSDK_* and PULUMI_* are left out on
# purpose: they would lead a process that works on one cloud to another.
_SAFE = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_ALL LC_CTYPE TZ TERM COLORTERM NO_COLOR COLUMNS TMPDIR TEMP TMP "
    "SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT USERPROFILE USERNAME APPDATA LOCALAPPDATA PROGRAMDATA "
    "XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME PYTHONUTF8 PYTHONPYCACHEPREFIX".split()
)


def safe_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of this process' environment that a child may have, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if k.upper() in _SAFE}
    return {**kept, **(extra or {})}


@dataclass(frozen=True)
class Target:
    """Where an account lives. `environment` makes any Google client work there; `pulumi_environment` the engine."""

    account: Account
    environment: dict[str, str]
    pulumi_environment: dict[str, str] = field(repr=False)
    cloud: str = ""  # which cloud it is, where one can be emptied and begun anew; "" for Google

    @cached_property
    def credentials(self) -> Any:
        """google-auth credentials from the file that the environment names. Raises UserError when not signed in."""
        import google.auth.exceptions

        path = Path(self.environment["GOOGLE_APPLICATION_CREDENTIALS"])
        try:
            return _credentials(json.loads(path.read_text(encoding="utf-8")), self.account.project)
        except (OSError, ValueError, google.auth.exceptions.GoogleAuthError) as error:
            raise UserError(
                _("the credentials in {path} can't be used: {error}").format(path=path, error=error),
                _SIGN_IN,
                NOT_SIGNED_IN,
            ) from None

    @cached_property
    def _request(self) -> Any:
        """How google-auth itself calls."""
        import requests
        from google.auth.transport.requests import Request

        return Request(self._prepare(requests.Session()))

    def token(self) -> str:
        """A fresh access token of whoever is signed in. Raises UserError."""
        import google.auth.exceptions

        try:
            self.credentials.refresh(self._request)
        except google.auth.exceptions.GoogleAuthError as problem:
            raise from_google(problem, _("sign in")) from None
        return str(self.credentials.token)

    @cached_property
    def _session(self) -> AuthorizedSession:
        from google.auth.transport.requests import AuthorizedSession

        session = AuthorizedSession(self.credentials, auth_request=self._request)
        self._prepare(session)
        return session

    def session(self) -> AuthorizedSession:
        """One kept-alive HTTP session that signs each request; proxy and certificates are the target's."""
        return self._session

    def _prepare(self, session: Any) -> Any:
        if proxy := self.environment.get("https_proxy"):
            session.trust_env = False  # else requests prefers this process' own proxies to the target's
            session.proxies.update({"https": proxy, "http": proxy})
        if bundle := self.environment.get("REQUESTS_CA_BUNDLE"):
            session.verify = bundle
        session.hooks["response"].append(_read_refusal)
        return session

    def storage(self) -> Client:
        """A Cloud Storage client on the same session."""
        from google.cloud import storage

        return storage.Client(self.account.project, self.credentials, _http=self.session())

    @cached_property
    def identity(self) -> str:
        """The e-mail address that the account's calls are made as; shown before consent."""
        email = getattr(self.credentials, "service_account_email", "") or getattr(self.credentials, "account", "")
        if email and "@" in email:
            return email
        response = self.session().get("https://openidconnect.googleapis.com/v1/userinfo", timeout=20)
        return response.json().get("email", "unknown") if response.ok else "unknown"

    def child_environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment for a child process that is a Google client of this target."""
        return safe_environment({**self.environment, **(extra or {})})


def _read_refusal(response: Any, *_arguments: Any, **_options: Any) -> None:
    """Cloud Storage's client forgets a refused download when it tries again: read, its connection can be used again."""
    if response.status_code >= 400:
        response.content  # noqa: B018


_SIGN_IN = _("gcloud auth application-default login")


def _credentials(info: dict[str, Any], project: str) -> Any:
    """Credentials of the kinds that `gcloud auth application-default login` and service accounts write."""
    kind = info.get("type")
    if kind == "service_account":
        from google.oauth2 import service_account

        # A self-signed token saves one request per command: https://google.aip.dev/auth/4111
        made = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        return made.with_always_use_jwt_access(True)
    if kind == "authorized_user":
        from google.oauth2.credentials import Credentials

        # A person's calls to budgets and quotas are refused unless a project is named for them.
        return Credentials.from_authorized_user_info(info, scopes=[SCOPE]).with_quota_project(project)
    if kind == "impersonated_service_account":
        from google.auth.impersonated_credentials import Credentials

        return Credentials.from_impersonated_service_account_info(info, scopes=[SCOPE])
    raise ValueError(_("they are of type {kind!r}").format(kind=kind))


def connect(workspace: Workspace, account: Account) -> Target:
    """The target of `account`; starts the local cloud when the account lives there.

    Raises UserError when the local cloud can't start, or nobody is signed in (exit code 4).
    """
    return {"local": _local, "google": _google}[account.target](workspace, account)


def _google(workspace: Workspace, account: Account) -> Target:
    own = account.state / "application_default_credentials.json"
    config = os.environ.get("CLOUDSDK_CONFIG") or (
        Path(os.environ["APPDATA"]) / "gcloud" if os.name == "nt" else Path.home() / ".config" / "gcloud"
    )
    choices = [own, os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"), Path(config) / own.name]
    path = next((Path(c) for c in choices if c and Path(c).is_file()), None)
    if path is None:
        raise UserError(
            _("nobody is signed in to Google for account {name}").format(name=account.name), _SIGN_IN, NOT_SIGNED_IN
        )
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "GOOGLE_CLOUD_PROJECT": account.project,
        "CLOUDSDK_CORE_PROJECT": account.project,
    }
    return Target(account, environment, {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})


def _local(workspace: Workspace, account: Account) -> Target:
    root = workspace.localcloud
    home = root / "projects" / account.project
    server = _running(root)
    if server is None or not (home / "environment.json").is_file():
        killed = server is None and (root / "server.json").is_file()  # a clean stop takes that file away
        localcloud(workspace, "start", project_option(account))
        server = _running(root)
        if killed:
            screen.note(
                _(
                    "the local cloud had ended without being stopped and was started again: what it had acknowledged "
                    "is there, jobs went on meanwhile"
                )
            )
    if server is None:
        raise UserError(
            _("the local cloud in {root} does not answer").format(root=root),
            _("see {root}/server.log").format(root=root),
        )
    environment = json.loads((home / "environment.json").read_text(encoding="utf-8"))
    attached = {"PULUMI_DEBUG_PROVIDERS": f"gcp:{server['provider']}"}
    return Target(account, environment, attached, server.get("cloud", ""))


def project_option(account: Account) -> str:
    """The option of the local cloud's start that makes the account's project: paid for, or on a free trial."""
    return f"--{'trial' if account.tier == 'trial' else 'project'}={account.project}"


def _running(root: Path) -> dict[str, Any] | None:
    """What the running local cloud of `root` wrote about itself; None when it isn't running."""
    import psutil

    try:
        server = json.loads((root / "server.json").read_text(encoding="utf-8"))
        process = psutil.Process(server["pid"])
        same = abs(process.create_time() - server["created"]) < 2
        # In a container without an init process, one that ended stays as a zombie.
        return server if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None


def localcloud(workspace: Workspace, *arguments: str) -> str:
    """Run the local cloud's own command line on this workspace's root and give its standard output."""
    verb, *rest = arguments
    command = [sys.executable, "-m", "localcloud", verb, "--root", str(workspace.localcloud), *rest]
    if verb == "start":
        command += ["--envs", str(workspace.envs)]
    # uv's settings are let through: the local cloud builds the jobs' environments with it.
    uv = {k: v for k, v in os.environ.items() if k.startswith(("UV_", "PIP_"))}
    done = subprocess.run(
        command, cwd=workspace.home, env=safe_environment(uv), capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        message, _blank, hint = said.removeprefix("error: ").partition("\n\nhint: ")
        raise UserError(
            message or _("the local cloud failed"), _as_tasks(hint), done.returncode if done.returncode < 5 else 1
        )
    return done.stdout


def _as_tasks(hint: str) -> str:
    """A hint of the local cloud's own command line with the commands that a reader of this one types."""
    hint = re.sub(r"python -m localcloud (\w+)[^,]*", r"uv run invoke local.\1", hint)
    hint = re.sub(r"\bfault --list", "uv run invoke local.faults", hint)
    hint = re.sub(r"\bfault --clear", "uv run invoke local.faults --clear", hint)
    return re.sub(r"(?<![.\w])fault (?=\w)", "uv run invoke local.fault ", hint)
