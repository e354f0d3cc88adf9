"""The whole journey on this machine, on a throw-away account: from nothing to a model, and back to nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings
from cloudkite.jobs import plans
from cloudkite.journey import results, setup, teardown, training
from cloudkite.journey.reach import connect, look_at_machine
from cloudkite.show import amounts, screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import CLONE, Workspace, throw_away

ROW = "island=Torgersen,bill_length_mm=39.1,bill_depth_mm=18.7,flipper_length_mm=181,body_mass_g=3750,sex=male"
EPOCHS = 40
PLACES = CLONE / ".cloudkite" / "demos"


def run(keep: bool = False) -> None:
    """Narrate and run the journey. Whatever happens, nothing it started is left running, and no file unless `keep`."""
    began = time.monotonic()
    look_at_machine(workspace.find())
    sweep()
    space = throw_away(_own_folder())
    try:
        _journey(space)
        if keep:
            screen.say(_("kept: {path}").format(path=space.state))
        else:
            _prove_nothing_left(space)
    finally:
        _close(space, keep)
    screen.say(_("done in {time}").format(time=amounts.duration(time.monotonic() - began)), style="bold")
    screen.say(_("next, with your own"))
    for what, line in (
        (_("file"), "uv run invoke new NAME --data FILE.csv --label COLUMN"),
        (_("code"), "uv run invoke new NAME"),
        (_("account"), "uv run invoke start"),
    ):
        screen.say(f"  {what:<9} {line}")


def _journey(space: Workspace) -> None:
    from cloudkite.jobs import submit
    from cloudkite.trainers import folders, making

    screen.heading(_("1  An account, set up by Pulumi"))
    described = settings.describe(
        "cloudkite-demo", target="local", tier="paid", billing_account="012345-ABCDEF-012345", budget=10.0
    )
    account = registry.add(space, "demo", described)
    target = connect(space, account, new=True)
    setup.set_up(space, account, target, yes=True, brief=True)
    account = registry.load(space, "demo")

    screen.heading(_("2  A trainer, generated"))
    folder = making.new(space, "penguins").folder
    screen.say(_("a small Python package in {path}").format(path=amounts.short(folder)))
    trainer = folders.find(space, "penguins")

    screen.heading(_("3  Checked, priced and submitted"))
    wishes = plans.Wishes(arguments=("--epochs", str(EPOCHS)), limit="15m")
    job = training.start(space, target, submit.plan(account, trainer, wishes), yes=True)

    screen.heading(_("4  Followed to its end"))
    ended = training.finish(target, job, brief=True)

    screen.heading(_("5  Fetched, and used for a prediction"))
    model = results.fetch_job(space, target, ended)
    _show_result(space, trainer, model)

    screen.heading(_("6  Taken down"))
    teardown.take_down(account, target, everything=True, brief=True)
    _show_price_on_google(ended)


def _show_result(space: Workspace, trainer: Any, model: Path) -> None:
    from cloudkite.models import predictions

    facts = predictions.facts(model)
    accuracy, rows = facts["metrics"]["accuracy"], facts["rows"]["held_out"]
    screen.say(
        _("accuracy {accuracy:.3f} on {rows} held-out penguins").format(accuracy=accuracy, rows=rows), style="bold"
    )
    screen.say(_("a penguin: {row}").format(row=ROW.replace(",", ", ")))
    results.show_predictions(predictions.predict(space, trainer, model, [ROW]))


def _show_price_on_google(job: Any) -> None:
    from cloudkite.money import prices

    price = prices.job_hour(job.machine, job.region)
    screen.say(
        _("on Google this job would have cost about {cost} ({machine}, price of {date}); here it cost nothing").format(
            cost=amounts.money(job.cost, job.currency, 4), machine=job.machine, date=price.as_of
        )
    )


def _prove_nothing_left(space: Workspace) -> None:
    """Stop the local cloud and look: no process of it lives, no port of it answers."""
    import json

    status = json.loads(local.run(space, "status", "--json"))
    local.run(space, "stop")
    ports = [status[name] for name in ("proxy", "https", "grpc", "provider", "metadata") if status.get(name)]
    open_ports = [p for p in ports if _answers(p)]
    if open_ports or _alive(status.get("pid")):
        raise UserError(_("the local cloud is still there: {what}").format(what=open_ports or status.get("pid")))
    screen.say(_("nothing is left: no resource, no process, none of {count} ports open").format(count=len(ports)))


def _answers(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _alive(pid: int | None) -> bool:
    """Whether the process runs; one that has ended and was only not yet collected by its parent does not."""
    import psutil

    try:
        return bool(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _own_folder() -> Path:
    workspace.private_folder(PLACES)
    return Path(tempfile.mkdtemp(dir=PLACES, prefix=f"{os.getpid()}-"))


def sweep() -> None:
    """Remove what a demo left behind that was killed: its local cloud first, then its files."""
    for folder in PLACES.glob("*-*") if PLACES.is_dir() else ():
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            _close(throw_away(folder), keep=False)


def _close(space: Workspace, keep: bool) -> None:
    """Stop the local cloud whatever state it is in; delete the files."""
    if (space.localcloud / "server.json").is_file():
        with contextlib.suppress(UserError):
            local.run(space, "stop")
    if not keep:
        shutil.rmtree(space.state, ignore_errors=True)
