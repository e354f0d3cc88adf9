"""Signing in for one account alone: gcloud found, or the way to it, and its sign-in kept in the account's folder.

https://cloud.google.com/docs/authentication/set-up-adc-local-dev-environment,
https://cloud.google.com/sdk/gcloud/reference/auth/application-default/login
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from cloudkite import network
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import own_credentials
from cloudkite.children import program, safe_environment
from cloudkite.show.errors import NOT_SIGNED_IN, UserError
from cloudkite.show.text import _
from cloudkite.workspace import private_folder

# What gcloud opens a browser by, or knows that it runs in Cloud Shell by; none of it leads to another account.
_SCREEN = (
    "DISPLAY WAYLAND_DISPLAY XAUTHORITY XDG_RUNTIME_DIR XDG_SESSION_TYPE XDG_CURRENT_DESKTOP DBUS_SESSION_BUS_ADDRESS "
    "BROWSER SSH_CONNECTION SSH_TTY WSL_DISTRO_NAME WSL_INTEROP CLOUD_SHELL DEVSHELL_CLIENT_PORT CLOUDSDK_PYTHON"
).split()

# https://cloud.google.com/sdk/docs/install
_INSTALL = {
    "darwin": "brew install --cask google-cloud-sdk",
    "win32": "winget install --id Google.CloudSDK -e",
    "linux": "https://cloud.google.com/sdk/docs/install#linux",
}


def gcloud() -> str | None:
    """The path of gcloud; None where there is none."""
    return program("gcloud")


def ways() -> list[tuple[str, str]]:
    """How gcloud is had on this system, and where nothing has to be installed: (what, command or address)."""
    system = sys.platform if sys.platform in _INSTALL else "linux"
    return [
        (_("install it"), _INSTALL[system]),
        (_("or use Cloud Shell, which has it, in a browser"), "https://shell.cloud.google.com"),
    ]


def sign_in(account: Account) -> None:
    """Let the person sign in, in their browser, for this account alone. Raises UserError.

    gcloud asks and answers on this terminal. No project is named yet that calls are charged to.
    """
    _gcloud(account, ["auth", "application-default", "login", "--disable-quota-project"])
    if not own_credentials(account).is_file():
        raise UserError(
            _("gcloud left no credentials in {path}").format(path=own_credentials(account)),
            _("sign in again, and let gcloud go on to its end"),
            NOT_SIGNED_IN,
        )


def charge_to(account: Account, project: str) -> None:
    """Write the project that a person's calls are charged to beside their sign-in. Raises UserError.

    Cloudkite names it in each of its calls anyway; other programs read it there.
    """
    if own_credentials(account).is_file():
        _gcloud(account, ["auth", "application-default", "set-quota-project", project], quiet=True)


def _gcloud(account: Account, words: Sequence[str], quiet: bool = False) -> None:
    path = gcloud()
    if path is None:
        raise UserError(_("gcloud was not found on PATH"), ": ".join(ways()[0]))
    folder = private_folder(own_credentials(account).parent)
    seen = {name: os.environ[name] for name in _SCREEN if name in os.environ}
    environment = safe_environment({**network.variables(), **seen, "CLOUDSDK_CONFIG": str(folder)})
    line = f"gcloud {' '.join(words)}"
    try:
        if quiet:
            done = subprocess.run(
                [path, *words, "--quiet"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                encoding="utf-8", errors="replace", timeout=120,
            )  # fmt: skip
        else:
            done = subprocess.run([path, *words], env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(_("{line} can't be run: {error}").format(line=line, error=error)) from None
    if done.returncode:
        said = (done.stderr or "").strip()
        raise UserError(
            _("{line} failed: {said}").format(line=line, said=said) if said else _("{line} failed").format(line=line),
            _("run start again; or, where no browser opens: use Cloud Shell, https://shell.cloud.google.com"),
            NOT_SIGNED_IN,
        )
