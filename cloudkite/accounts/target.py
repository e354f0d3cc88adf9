"""The one seam to the cloud: credentials, an authorised session and environments, for an account wherever it lives.

Nothing else knows whether the target is Google or the local cloud: both are described by environment variables that
every Google client understands, and the session is built from those.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite import network
from cloudkite.accounts import local, pricelist
from cloudkite.accounts.registry import Account
from cloudkite.children import safe_environment
from cloudkite.show.errors import NOT_SIGNED_IN, UserError, body, from_google
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client

_ADC = "application_default_credentials.json"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PROVIDER = "https://provider.localcloud.internal/"  # the audience that the local cloud's provider knows itself by
_PROVIDER_SECONDS = 1800  # longer than any run on a local cloud


@dataclass(frozen=True)
class Target:
    """Where an account lives. `environment` makes any Google client work there; `pulumi_environment` the engine."""

    account: Account
    environment: dict[str, str]
    pulumi_environment: dict[str, str] = field(repr=False)
    cloud: str = ""  # which cloud it is, where one can be emptied and begun anew; "" for Google
    unpaid: str = ""  # what helps where nobody pays for the project; "" for Google's usual step
    notes: tuple[str, ...] = ()  # what the person should know before the command's own output
    workspace: Workspace | None = field(default=None, repr=False)

    def now(self) -> datetime.datetime:
        """What time it is at the account's cloud, in UTC: see `time_at`."""
        return time_at(self.workspace, self.account)

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

    def provider_token(self) -> str:
        """A token that only the local cloud's provider takes: whoever sees it on its way can do nothing else with it.

        Who has no key to sign one with gets a usual one. Raises UserError.
        """
        import google.auth.exceptions
        from google.auth import jwt

        if not hasattr(self.credentials, "signer"):
            return self.token()
        try:
            made = jwt.Credentials.from_service_account_file(
                self.environment["GOOGLE_APPLICATION_CREDENTIALS"],
                audience=PROVIDER,
                token_lifetime=_PROVIDER_SECONDS,
            )
            made.refresh(None)
        except (OSError, ValueError, google.auth.exceptions.GoogleAuthError) as problem:
            raise UserError(
                _("the credentials in {path} can't be used: {error}").format(
                    path=self.environment["GOOGLE_APPLICATION_CREDENTIALS"], error=problem
                ),
                _SIGN_IN,
                NOT_SIGNED_IN,
            ) from None
        return made.token.decode()

    @cached_property
    def _session(self) -> AuthorizedSession:
        return self._signed(self.credentials)

    def _signed(self, credentials: Any) -> AuthorizedSession:
        from google.auth.transport.requests import AuthorizedSession

        session = AuthorizedSession(credentials, auth_request=self._request)
        self._prepare(session)
        return session

    def session(self) -> AuthorizedSession:
        """One kept-alive HTTP session that signs each request; proxy and certificates are the target's."""
        return self._session

    def _prepare(self, session: Any) -> Any:
        if self.account.target == "google":
            network.lead(session)
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
        # A person's token tells who they are only where it is asked for all that was granted, the address among it.
        response = self._signed(_unscoped(self.credentials)).get(
            "https://openidconnect.googleapis.com/v1/userinfo", timeout=20
        )
        told = body(response) if response.ok else None
        return str(told.get("email", "unknown")) if isinstance(told, dict) else "unknown"

    def child_environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment for a child process that is a Google client of this target."""
        way = network.variables() if self.account.target == "google" else {}
        return safe_environment({**way, **self.environment, **(extra or {})})


def _read_refusal(response: Any, *_arguments: Any, **_options: Any) -> None:
    """Cloud Storage's client forgets a refused download when it tries again: read, its connection can be used again."""
    if response.status_code >= 400:
        response.content  # noqa: B018


_SIGN_IN = _("gcloud auth application-default login")


def _credentials(info: dict[str, Any], project: str) -> Any:
    """Credentials of the kinds that `gcloud auth application-default login`, service accounts and runners write."""
    kind = info.get("type")
    if kind == "service_account":
        from google.oauth2 import service_account

        # A self-signed token saves one request per command: https://google.aip.dev/auth/4111
        made = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        return made.with_always_use_jwt_access(True)
    if kind == "authorized_user":
        from google.oauth2.credentials import Credentials

        # A person's calls to budgets and quotas are refused unless a project is named for them.
        return Credentials.from_authorized_user_info(info, scopes=[SCOPE]).with_quota_project(project or None)
    if kind == "impersonated_service_account":
        from google.auth.impersonated_credentials import Credentials

        return Credentials.from_impersonated_service_account_info(info, scopes=[SCOPE])
    if (
        kind == "external_account"
    ):  # what google-github-actions/auth writes on a runner: a token of GitHub's, and no key
        from google.auth.identity_pool import Credentials

        if not info.get("service_account_impersonation_url"):
            raise ValueError(_("they name no service account to act as"))
        return Credentials.from_info(info).with_scopes([SCOPE])
    raise ValueError(_("they are of type {kind!r}").format(kind=kind))


def time_at(workspace: Workspace | None, account: Account) -> datetime.datetime:
    """What time it is at an account's cloud, in UTC; nobody is asked for it.

    For Google it is this machine's time; a local cloud's clock may have been moved forward, and the file in which it
    keeps that says by how much. Whatever is decided by days or months of an account goes by this.
    """
    now = datetime.datetime.now(datetime.UTC)
    if workspace is None or account.target != "local":
        return now
    return now + local.ahead(workspace.localcloud)


def _unscoped(credentials: Any) -> Any:
    """A person's credentials with all that was granted to them; others as they are."""
    from google.oauth2.credentials import Credentials

    if not isinstance(credentials, Credentials):
        return credentials
    return Credentials(
        None,
        refresh_token=credentials.refresh_token,
        token_uri=credentials.token_uri,
        client_id=credentials.client_id,
        client_secret=credentials.client_secret,
    )


def sign_in(workspace: Workspace, account: Account) -> Target:
    """The person who is about to describe `account`, which need not be there: their calls are charged to no project.

    On Google such calls are made by way of gcloud's own project. That Resource Manager answers there is inferred from
    Terraform, which makes projects so; where it is off, the answer is SERVICE_DISABLED. Raises UserError as `connect`.
    """
    found = {"local": _local_person, "google": _google}[account.target](workspace, account)
    return replace(found, account=replace(account, project=""))


def connect(workspace: Workspace, account: Account) -> Target:
    """The target of `account`; starts the local cloud when the account lives there. From then on its prices count.

    Raises UserError when the local cloud can't start, or nobody is signed in (exit code 4).
    """
    made = {"local": _local, "google": _google}[account.target](workspace, account)
    note = pricelist.lay(account)
    return replace(made, notes=(*made.notes, note)) if note else made


def own_credentials(account: Account) -> Path:
    """Where a sign-in for this account alone is kept: in a configuration folder of gcloud's of its own."""
    return account.state / "gcloud" / _ADC


def _google(workspace: Workspace, account: Account) -> Target:
    own = account.state / _ADC
    config = os.environ.get("CLOUDSDK_CONFIG") or (
        Path(os.environ["APPDATA"]) / "gcloud" if os.name == "nt" else Path.home() / ".config" / "gcloud"
    )
    choices = [own_credentials(account), own, os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"), Path(config) / _ADC]
    path = next((Path(c) for c in choices if c and Path(c).is_file()), None)
    if path is None:
        raise UserError(
            _("not signed in to Google for account {name}").format(name=account.name), _SIGN_IN, NOT_SIGNED_IN
        )
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "GOOGLE_CLOUD_PROJECT": account.project,
        "CLOUDSDK_CORE_PROJECT": account.project,
    }
    engine = {"GOOGLE_APPLICATION_CREDENTIALS": str(path), **network.variables()}
    return Target(account, environment, engine)


def _local(workspace: Workspace, account: Account) -> Target:
    environment, server, notes = local.started(workspace, account)
    attached = {"PULUMI_DEBUG_PROVIDERS": f"gcp:{server['provider']}"}
    unpaid = f"uv run invoke local.pay {account.name}" if account.tier == "trial" else ""
    return Target(account, environment, attached, server.get("cloud", ""), unpaid, tuple(notes), workspace)


def _local_person(workspace: Workspace, account: Account) -> Target:
    """As who owns the account's project signs in on Google, without a key."""
    found = _local(workspace, account)
    file = Path(found.environment["GOOGLE_APPLICATION_CREDENTIALS"]).with_name("adc.json")
    return replace(found, environment={**found.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(file)})
