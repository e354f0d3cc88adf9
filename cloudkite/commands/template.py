"""`invoke template.update`: a trainer and the template that it was made from."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import JSON, TRAINER, command


@command(maybe="trainer", help={"trainer": TRAINER, "yes": "do not ask", "json": JSON})
def update(c: Context, trainer: str = "", yes: bool = False, json: bool = False) -> None:
    """Take a newer template into a trainer: your changes stay, what both changed is shown."""
    from cloudkite import workspace
    from cloudkite.journey import updating

    updating.update(workspace.find(), trainer, yes=yes, as_json=json)


collection = Collection("template", update)
