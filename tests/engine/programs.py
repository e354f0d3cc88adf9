"""Small programs on the real engine, attached to a local cloud's provider: for what `infra` itself never does."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi_gcp as gcp
from pulumi import ResourceOptions

from cloudkite.children import safe_environment
from cloudkite.engine import served
from cloudkite.engine.command import Command, Ended
from cloudkite.engine.folder import PROJECT
from cloudkite.engine.stack import VERBS
from tests.engine.conftest import Place


@dataclass
class Told:
    """What one run told: how many resources it made, changed, ..., which ones, and the engine's errors."""

    counts: dict[str, int] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)  # (operation, name)
    errors: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def __call__(self, event):
        if event.summary_event:
            changes = event.summary_event.resource_changes or {}
            self.counts = {getattr(k, "value", str(k)): v for k, v in changes.items() if k != "same"}
        elif event.resource_pre_event:
            step = event.resource_pre_event.metadata
            operation = getattr(step.op, "value", str(step.op))
            if operation != "same":
                self.steps.append((operation, step.urn.rpartition("::")[2]))
        elif event.res_outputs_event and event.res_outputs_event.metadata.type == "pulumi:pulumi:Stack":
            new = event.res_outputs_event.metadata.new
            self.outputs = (new and new.outputs) or {}
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.errors.append(" ".join(re.sub(r"<\{%.*?%\}>", "", event.diagnostic_event.message).split()))


def switched_on(opts: ResourceOptions, *names: str, **more: Any) -> list[gcp.projects.Service]:
    """These APIs and, before them, Resource Manager: the provider looks through it whether another one is on, and is
    refused where a program turns both on at once and the other one is quicker.
    """
    made: list[gcp.projects.Service] = []
    for name in ("cloudresourcemanager", *names):
        after = ResourceOptions.merge(opts, ResourceOptions(depends_on=made[:1]))
        made.append(gcp.projects.Service(name, service=f"{name}.googleapis.com", opts=after, **more))
    return made


class Programs:
    """Runs programs in a stack of their own: `up(program)`, `refresh()`, `destroy()`, each gives what it told.

    A program is called with the options that give its resources the provider, signed in as the target's account.
    """

    def __init__(self, place: Place, pulumi: Any, folder: Path) -> None:
        self.place = place
        self.token = place.target.token()  # one for all runs: another would be a change of the provider
        self.state = folder / "state" / ".pulumi" / "stacks" / PROJECT / "small.json"
        (folder / "state").mkdir(parents=True)
        (folder / "Pulumi.yaml").write_text(json.dumps({"name": PROJECT, "runtime": "python"}), encoding="utf-8")
        attached = place.target.pulumi_environment["PULUMI_DEBUG_PROVIDERS"]
        self._environment = safe_environment(
            {
                "PATH": str(pulumi.path.parent),
                "PULUMI_HOME": str(folder / "home"),
                "PULUMI_BACKEND_URL": f"{(folder / 'state').as_uri()}?metadata=skip",
                "PULUMI_CONFIG_PASSPHRASE": "only for tests",
                "PULUMI_DEBUG_COMMANDS": "true",  # lets it take --event-log
                "PULUMI_DEBUG_PROVIDERS": attached,
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
                "PULUMI_SKIP_UPDATE_CHECK": "1",
            }
        )
        self._folder, self._command = str(folder), Command(pulumi)
        self._pulumi("stack", "init", "small", "--secrets-provider", "passphrase", "--no-select")

    def provider(self, **more: Any) -> gcp.Provider:
        """A provider that may work on the place's project."""
        values = {"project": self.place.account.project, "region": "us-central1", "access_token": self.token, **more}
        return gcp.Provider("gcp", **values)

    def up(self, program: Callable[[ResourceOptions], Any], **provider: Any) -> Told:
        """Run a program, whatever comes of it."""

        def whole() -> None:
            program(ResourceOptions(provider=self.provider(**provider)))

        return self._run("up", whole)

    def run(self, program: Callable[[], Any]) -> Told:
        """Run a program that makes its own provider."""
        return self._run("up", program)

    def refresh(self) -> Told:
        return self._run("refresh")

    def destroy(self) -> Told:
        return self._run("destroy")

    def _run(self, verb: str, program: Callable[[], Any] | None = None) -> Told:
        told = Told()
        try:
            with served.served("small", told, program, lambda: self._command.pid) as arguments:
                self._pulumi(*VERBS[verb], "--color", "never", *arguments, "--stack", "small")
        except Ended as ended:
            told.errors = told.errors or [ended.result.stderr]
        return told

    def _pulumi(self, *arguments: str) -> None:
        self._command.pipe([*arguments], self._folder, self._environment)

    def plain_state(self) -> str:
        """The state as it lies on the disk."""
        return self.state.read_text(encoding="utf-8")

    def resources(self) -> dict[str, dict[str, Any]]:
        """The rows of the state by name."""
        rows = json.loads(self.plain_state())["checkpoint"]["latest"]["resources"]
        return {row["urn"].rpartition("::")[2]: row for row in rows}
