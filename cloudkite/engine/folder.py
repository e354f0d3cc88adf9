"""An account's folder as the engine needs it: work files, state, pass-phrase, environment."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.children import safe_environment
from cloudkite.engine import cli, plugin
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import private_folder, write_atomically

PROJECT = "cloudkite"  # Pulumi's project; the stack has the account's name

ATTACHED = "PULUMI_DEBUG_PROVIDERS"  # in Target.pulumi_environment, where the provider runs already

# The engine marks each secret in the state with this key and value:
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True)
class Folder:
    """Where the engine keeps what it knows about one account."""

    account: Account

    @property
    def work(self) -> Path:
        """Pulumi.yaml and Pulumi.<account>.yaml, written by us before each run."""
        return self.account.state / "work"

    @property
    def backend(self) -> Path:
        """The root of Pulumi's file back-end."""
        return self.account.state / "state"

    @property
    def checkpoint(self) -> Path:
        """The state itself."""
        return self.backend / ".pulumi" / "stacks" / PROJECT / f"{self.account.name}.json"

    @property
    def before(self) -> Path:
        """The engine's own copy of the state, of before it last wrote it."""
        return self.checkpoint.with_name(f"{self.checkpoint.name}.bak")

    @property
    def torn(self) -> Path:
        """Where a state goes that can't be read."""
        return self.account.state / "state.torn.json"

    @property
    def history(self) -> Path:
        """Where the engine keeps a copy of the state for each run."""
        return self.backend / ".pulumi" / "history" / PROJECT / self.account.name

    @property
    def engine_locks(self) -> Path:
        """Where a running engine leaves its lock."""
        return self.backend / ".pulumi" / "locks" / "organization" / PROJECT / self.account.name

    @property
    def passphrase(self) -> Path:
        """Encrypts the secrets in the state; made once."""
        return self.account.state / "passphrase"

    @property
    def lock(self) -> Path:
        """Held by the one process that may run the engine on this account."""
        return self.account.state / "engine.lock"

    @property
    def last_good(self) -> Path:
        """A copy of the state, of the last run that ended well."""
        return self.account.state / "state.last-good.json"

    @property
    def settings(self) -> Path:
        """The stack's settings as the engine reads them: the account's, and the salt of its pass-phrase."""
        return self.work / f"Pulumi.{self.account.name}.yaml"

    def prepare(self, config: Mapping[str, Any]) -> None:
        """Write what the engine reads, the account's settings `config` among it.

        Raises UserError for a pass-phrase that is lost.
        """
        for folder in (self.account.state, self.work, self.backend):
            private_folder(folder)
        self._keep_passphrase()
        write_if_new(self.work / "Pulumi.yaml", json.dumps({"name": PROJECT, "runtime": "python"}) + "\n")
        kept = self._kept()
        write_if_new(self.settings, json.dumps({**kept, "config": config}, indent=2, default=str) + "\n")

    def salt(self) -> str:
        """What the engine made of the pass-phrase for this stack, "" before it has."""
        return str(self._kept().get("encryptionsalt", ""))

    def _kept(self) -> dict[str, Any]:
        """What the engine itself wrote into the settings, above all the salt: without it no secret can be read."""
        import yaml

        try:
            document = yaml.safe_load(self.settings.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            return {}
        except (ValueError, yaml.YAMLError):
            document = {}
        return {k: v for k, v in document.items() if k != "config"} if isinstance(document, dict) else {}

    def _keep_passphrase(self) -> None:
        try:
            handle = os.open(self.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if self.passphrase.stat().st_size:
                return
            raise UserError(
                _("the pass-phrase {path} is empty").format(path=self.passphrase), _("bring it back from a backup")
            ) from None
        if self._has_secrets():
            os.close(handle)
            self.passphrase.unlink()
            raise UserError(
                _("the pass-phrase of account {name} is lost: {path}").format(
                    name=self.account.name, path=self.passphrase
                ),
                _(
                    "bring it back from a backup; without it, move {folder} away: `up` then takes over what exists"
                ).format(folder=self.account.state),
            )
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
        self.settings.unlink(missing_ok=True)  # a salt of another pass-phrase would make the engine refuse this one

    def _has_secrets(self) -> bool:
        try:
            return f'"{SIGNATURE}":"{SECRET}"' in self.checkpoint.read_text(encoding="utf-8").replace('": "', '":"')
        except (FileNotFoundError, UnicodeDecodeError):
            return False

    def backend_of(self, target: Target, shared: str) -> dict[str, str]:
        """How the engine reaches the state: in the bucket that `shared` is the address of, or in the folder for ""."""
        if not shared:
            return {"PULUMI_BACKEND_URL": f"file://{self.backend.as_posix()}?metadata=skip"}
        return {
            **target.environment,
            "PULUMI_BACKEND_URL": shared,
            # The salt of the state is the team's; each one's own settings would have another.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        }

    def environment(self, target: Target, program: cli.Cli, shared: str = "") -> dict[str, str]:
        """The whole environment of the engine: an allow-list, the target's part, and how we want Pulumi to behave."""
        ours = {
            **self.backend_of(target, shared),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_HOME": str(private_folder(cli.tools() / "home")),
            "PULUMI_AUTOMATION_API": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # lets it take --event-log
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "1",
            "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "20",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "1",
            # It asks Compute Engine, whose API an account has off; the settings' region is checked before.
            "PULUMI_GCP_SKIP_REGION_VALIDATION": "true",
            **target.pulumi_environment,
        }
        if ATTACHED in ours or plugin.there(cli.tools() / "home"):
            # The provider is there already: looking for plug-ins costs 2.4 s a run, and whoever finds the engine's port
            # could have it fetch and run any other.
            ours["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "1"
        allowed = safe_environment(ours)
        allowed["PATH"] = os.pathsep.join([str(program.path.parent), allowed.get("PATH", os.defpath)])
        return allowed


def write_if_new(path: Path, text: str) -> None:
    """Write a file that only its owner may read, unless it has that text already."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    write_atomically(path, text, 0o600)
