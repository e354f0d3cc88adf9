"""What an account can run today, and the way on for each place: a table, or JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.accounts import target as targets
from cloudkite.accounts.registry import Account
from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.accounts.asked.probe import Place


def probe(workspace: Workspace, name: str = "", *, as_json: bool = False) -> None:
    """Look, say what can run where, and how; nothing is made, and no API is turned on."""
    import environments
    from catalog import images
    from cloudkite.accounts.asked import probe as probing
    from cloudkite.check import machine

    account = registry.load(workspace, name or None)
    ready = environments.is_ready(workspace.envs, images.image(images.DEFAULT_CPU).requirements)
    places = [probing.laptop(machine.here(workspace.envs, ready))]
    refused = None
    with screen.waiting(_("looking what account {name} can run ...").format(name=account.name), live=True):
        try:
            places += probing.look(targets.connect(workspace, account))
        except UserError as problem:
            refused = problem
            places += probing.unknown(problem.message.partition("\n")[0])
    ways = {one.kind: way_on(workspace, account, one, refused) for one in places}
    if as_json:
        rows = [{**dataclasses.asdict(one), "way": ways[one.kind]} for one in places]
        shown = {"account": account.name, "project": account.project, "region": account.region, "tier": account.tier}
        screen.as_json({**shown, "places": rows})
        return
    screen.say(" · ".join(f"{_title(one)} {_word(one)}" for one in places), style="bold")
    screen.say()
    screen.table([_("where"), _("today"), _("what"), _("way on")],
                 [(_title(one), _word(one, short=True), _what(one), ways[one.kind]) for one in places])  # fmt: skip
    if dates := sorted({one.as_of for one in places if one.as_of}):
        screen.say(_("prices an hour, of {date}, before tax").format(date=dates[0]), style="dim")


def _title(one: Place) -> str:
    return {
        "laptop": _("laptop"), "cpu": _("cloud CPU"), "gpu": "GPU", "tpu": "TPU", "run": _("Cloud Run jobs"),
    }[one.kind]  # fmt: skip


def _word(one: Place, short: bool = False) -> str:
    word = _("unknown") if one.can is None else _("yes") if one.can else _("no")
    return word if short or one.can is not False or not one.why else f"{word} ({one.why})"


def _what(one: Place) -> Any:
    price = _("{price} an hour").format(price=amounts.money(one.hourly, one.currency, 3)) if one.hourly else ""
    return ", ".join(filter(None, (one.machine, price))) or one.why


def way_on(workspace: Workspace, account: Account, one: Place, refused: UserError | None = None) -> str:
    """The command, or the step, by which a job comes to run there, or comes nearer to it."""
    option = registry.option(workspace, account)
    train = "uv run invoke train NAME"
    if one.kind == "laptop":
        return f"{train} --account {registry.DEFAULT}" if one.can else _("Colab, or Cloud Shell")
    if refused is not None:
        return refused.hint or f"uv run invoke doctor{option}"
    if one.kind == "run":
        return _on_run(one, option)
    if one.can:
        wish = _wish(one)
        return f"{train}{wish}{option} --max-cost 1"
    if one.can is None:
        return f"uv run invoke up{option}"
    if not one.quota and one.kind != "gpu":
        return f"uv run invoke doctor{option}"
    if one.kind == "cpu" and _has_run():
        return f"{train} --on run{option}"
    if account.tier == "trial":
        return _("upgrade: https://console.cloud.google.com/billing; a trial can't have it")
    if not one.quota:
        return f"uv run invoke doctor{option}"
    return _("ask: {{quotaId: {id}, value: 1, request: true}} in cloudkite:quotas, then `uv run invoke up`").format(
        id=one.quota
    )


def _wish(one: Place) -> str:
    """The option of `train` for what fits."""
    from catalog import tpus
    from cloudkite.jobs.plans import DEFAULT_MACHINE

    machine, _plus, chips = one.machine.partition(" + ")
    if one.kind == "tpu":
        found = next((tpu.name for tpu in tpus.tpus().values() if tpu.machine == machine), "")
        return f" --tpu {found}" if found else ""
    if one.kind == "gpu":
        return f" --gpu {chips.partition(' ')[2].lower()}"
    return "" if machine == DEFAULT_MACHINE else f" --machine {machine}"


def _has_run() -> bool:
    """Whether `train` can go to Cloud Run: the one place that knows."""
    from cloudkite.jobs.plans import Wishes

    return "on" in {field.name for field in dataclasses.fields(Wishes)}


def _on_run(one: Place, option: str) -> str:
    if one.can is False:
        return f"uv run invoke doctor{option}"
    if not _has_run():
        return _("this version trains on Vertex AI alone")
    return f"uv run invoke train NAME --on run{option}" if one.can else f"uv run invoke up{option}"
