"""What makes plain Pulumi, run by hand in the program's folder, work on an account exactly as `up` does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.engine import cli, facts
from cloudkite.engine.folder import ATTACHED
from cloudkite.engine.run import Progress, opened, silent
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import private_folder
from infra.known import VARIABLE

TOKEN = "CLOUDKITE_PROVIDER_TOKEN"  # noqa: S105  the name of a variable, which infra/settings.py reads

# Whatever an account may set: what another one does not set must be unset where both are used in the same shell.
_ALL = (ATTACHED, TOKEN, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "PULUMI_CONFIG_PASSPHRASE")


def environment(
    account: Account, target: Target, progress: Progress = silent
) -> tuple[dict[str, str], tuple[str, ...], tuple[Path, ...]]:
    """(variables to set, variables to unset, folders to put before PATH). Changes nothing in the cloud.

    The account's folder is made ready as for a run: what a killed run left is cleared, an empty state is made where
    there is none. Raises UserError.
    """
    with opened(account, target, progress) as (folder, stack):
        if account.shared and stack.shared is None:
            raise UserError(
                _("account {name} is not set up: its bucket for the state is yet to be made").format(name=account.name),
                _("uv run invoke up --account {name}").format(name=account.name),
            )
        stack.make()
        known = facts.read(folder, target, stack.settings).expected
        token = stack.sign_in()
        found = {
            **folder.backend_of(target, stack.shared.url if stack.shared else ""),
            **target.pulumi_environment,
            "GOOGLE_CLOUD_PROJECT": account.project,
            "PULUMI_STACK": account.name,
            VARIABLE: known.encoded(),
            "PULUMI_HOME": str(private_folder(cli.tools() / "home")),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder.passphrase),
            # The salt is in the state: the account's settings file needs none, and stays as the person wrote it.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "1",
        }
    if token:
        found |= {TOKEN: token, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1"}
    places = (Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin"), stack.program.path.parent)
    return found, tuple(name for name in _ALL if name not in found), places
