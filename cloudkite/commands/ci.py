"""`invoke ci.…`: a repository on GitHub that checks, previews and trains."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, TRAINER, command
from cloudkite.show.text import _


@command(
    positional=["trainer"],
    help={
        "trainer": TRAINER,
        "max-cost": "the most that training may cost for one push",
        "account": ACCOUNT,
    },
)
def workflow(c: Context, trainer: str, max_cost: str = "", account: str = "") -> None:
    """Write the workflow for GitHub Actions: check and preview on a pull request, train on a push. Runs nothing."""
    from cloudkite import workspace
    from cloudkite.accounts import registry, workflow
    from cloudkite.journey import reach
    from cloudkite.money import limits
    from cloudkite.show import amounts, screen
    from cloudkite.trainers import folders

    space = workspace.find()
    found, most = folders.find(space, trainer), limits.parse_amount(max_cost)
    chosen = registry.load(space, account or None)
    reach.check_set_up(space, chosen)
    path, new = workflow.write(space, chosen, found.name, found.folder, most)
    shown = amounts.short(path)
    screen.say(_("wrote {path}").format(path=shown) if new else _("{path} is as it should be").format(path=shown))
    if not chosen.costs_money:
        screen.note(_("account {name} is on this machine: GitHub can't reach it").format(name=chosen.name))
    screen.say(
        _("next: commit it with {settings} and {folder}, and push").format(
            settings=amounts.short(chosen.settings), folder=amounts.short(found.folder)
        )
    )


collection = Collection("ci", workflow)
