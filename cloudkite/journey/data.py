"""A trainer's data in the account's bucket: push, list, pull."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

from catalog.prices import Price
from cloudkite import locks, names
from cloudkite.accounts import registry
from cloudkite.accounts.registry import Account
from cloudkite.journey.reach import connect
from cloudkite.journey.setup import acting_as
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace

_LEAST = Decimal("0.0001")  # a smaller amount is not told to the digit


def push(workspace: Workspace, name: str, account_name: str, *, yes: bool = False, as_json: bool = False) -> None:
    """Look what the bucket lacks, price it, ask, send it. What is there already is not sent, and costs no more."""
    from cloudkite.jobs import pushed, staging
    from cloudkite.money import stored as prices

    trainer = folders.find(workspace, name)
    account = registry.load(workspace, account_name or None)
    bucket = account.outputs().buckets["data"]
    files = _files(trainer)
    target = connect(workspace, account)
    say = screen.note if as_json else screen.say
    say(acting_as(account, target))
    with screen.waiting(_("looking at what is there ...")) as tell:
        found = staging.look(target, bucket, files, workspace.state / staging.HASHES, tell)
    if found.todo:
        sizes = [file.stat().st_size for file in found.todo]
        kept, sent = prices.month(account.region, found.todo_bytes), prices.sending(account.region, sizes)
        said = _("{size} to {bucket}: {month} per month that it stays, {once} once to send it")
        said = said.format(size=amounts.size(found.todo_bytes), bucket=bucket, month=_about(kept), once=_about(sent))
        _consent(account, said, kept, say, _("send it?"), yes)
    with screen.waiting(_("pushing ..."), live=not found.todo) as tell:
        staged = pushed.push(target, trainer.file, found, tell)
    if as_json:
        screen.as_json({"uri": staged.uri, "hash": found.key, "files": len(files), "sent_bytes": staged.sent_bytes})
        return
    screen.say(_("pushed   {uri} ({sent} sent)").format(uri=staged.uri, sent=amounts.size(staged.sent_bytes)))
    screen.say(_("next: uv run invoke train {name} uses it from there").format(name=trainer.name))


def list_stored(workspace: Workspace, account_name: str, *, as_json: bool = False) -> None:
    """What is in the account's data bucket, and what it costs to keep."""
    from cloudkite.jobs import pushed
    from cloudkite.money import stored as prices

    account = registry.load(workspace, account_name or None)
    bucket = account.outputs().buckets["data"]
    found = pushed.stored(connect(workspace, account), bucket)
    if as_json:
        screen.as_json(found)
        return
    if not found:
        screen.say(_("no data yet; uv run invoke data.push TRAINER sends a trainer's"))
        return
    screen.table(
        [_("trainer"), _("files"), _("size"), _("pushed (UTC)"), _("hash")],
        [
            (
                ", ".join(one.trainers) or _("(unfinished)"),
                one.files[0] if len(one.files) == 1 else len(one.files),
                amounts.size(one.bytes),
                f"{one.date:%Y-%m-%d %H:%M}",
                one.hash[:12],
            )
            for one in found
        ],
        right=[2],
        spare=[3],
    )
    size = sum(one.bytes for one in found)
    price = prices.month(account.region, size)
    said = _("{size} in {bucket}: {month} per month").format(
        size=amounts.size(size), bucket=bucket, month=_about(price)
    )
    screen.say(_dated(account, said, price))


def pull(
    workspace: Workspace,
    name: str,
    account_name: str,
    *,
    start: str = "",
    output: str = "",
    yes: bool = False,
    as_json: bool = False,
) -> None:
    """Price what a trainer pushed and this machine lacks, ask, and download it: whole, verified, replacing nothing.

    `start` is the beginning of a hash; without it, the newest data.
    """
    from cloudkite.jobs import pushed
    from cloudkite.money import stored as prices

    account = registry.load(workspace, account_name or None)
    bucket = account.outputs().buckets["data"]
    trainer, folder = _destination(workspace, name, output)
    target = connect(workspace, account)
    say = screen.note if as_json else screen.say
    say(acting_as(account, target))
    with screen.waiting(_("looking at what is there ...")):
        chosen = pushed.newest(pushed.stored(target, bucket), trainer, start)
    with _alone(workspace, folder), screen.waiting(_("pulling ...")) as tell:
        what = pushed.wanted(target, bucket, trainer, chosen.hash, folder)
        if what.todo:
            sizes = [int(what.objects[one]["size"]) for one in what.todo]
            price = prices.receiving(account.region, sizes)
            said = _("{size} from {bucket}: {once} once, where it leaves Google's network")
            said = said.format(size=amounts.size(what.todo_bytes), bucket=bucket, once=_about(price))
            _consent(account, said, price, say, _("pull it?"), yes)
        pushed.pull(target, what, tell)
    if as_json:
        told = {"folder": folder, "hash": what.hash, "files": list(what.hashes), "received_bytes": what.todo_bytes}
        screen.as_json(told)
        return
    screen.say(
        _("{files} in {folder} ({received} received)").format(
            files=", ".join(list(what.hashes)[:3]) + (", ..." if len(what.hashes) > 3 else ""),
            folder=amounts.short(folder),
            received=amounts.size(what.todo_bytes),
        )
    )


def _files(trainer: Trainer) -> tuple[Path, ...]:
    files = trainer.data_files
    if trainer.plain or (trainer.folder / trainer.data).is_dir():
        said = _("the data of {trainer} are a folder of files, which the data bucket doesn't take")
        raise BadValue(said.format(trainer=trainer.name), _("train sends them by itself, and only once"))
    if files:
        return files
    declared = trainer.data
    if declared.startswith("gs://"):
        said = _("the data of {trainer} are in {place} already")
        raise BadValue(said.format(trainer=trainer.name, place=declared), _("train uses them from there"))
    raise BadValue(
        _("no file matches the data that {trainer} declares: {pattern}").format(
            trainer=trainer.name, pattern=declared or "''"
        ),
        _("DATA in {path} names them").format(path=amounts.short(trainer.package / "data.py")),
    )


def _destination(workspace: Workspace, name: str, output: str) -> tuple[str, Path]:
    """(the trainer as the bucket knows it, the folder for its data): where it declares them, unless that is elsewhere.

    A trainer that isn't here can be pulled into another folder. Raises BadValue.
    """
    if output:
        known = folders.find(workspace, name).file if not name or name in folders.names(workspace) else None
        return known or names.component(Path(name).name), Path(output).expanduser().resolve()
    trainer = folders.find(workspace, name)
    declared = trainer.declared.data
    inside = "data" if declared.startswith("gs://") else str(Path(declared).parent)
    folder = (trainer.folder / inside).resolve()
    if any(letter in inside for letter in "*?[") or not folder.is_relative_to(trainer.folder.resolve()):
        raise BadValue(
            _("the data of {trainer} have their place outside of it: {place}").format(
                trainer=trainer.name, place=declared
            ),
            _("say where to put them: --output FOLDER"),
        )
    return trainer.file, folder


def _alone(workspace: Workspace, folder: Path) -> AbstractContextManager[None]:
    said = _("another command pulls data into {folder} (process {pid})")
    shown = amounts.short(folder)
    return locks.folder(workspace, "pull", folder, lambda pid: said.format(folder=shown, pid=pid), locks.GOES_ON)


def _consent(account: Account, said: str, price: Price, say: Callable[[str], None], question: str, yes: bool) -> None:
    """Show the price, and ask where it is a real one. Raises UserError when the answer is no, or nobody can answer."""
    say(_dated(account, said, price))
    if account.costs_money and not yes and not screen.confirm(question):
        raise UserError(_("nothing was sent"))


def _dated(account: Account, said: str, price: Price) -> str:
    if not account.costs_money:
        said = _("{price}; these are Google's prices, here it costs nothing").format(price=said)
    return _("{price} (price of {date})").format(price=said, date=price.as_of)


def _about(price: Price) -> str:
    if price.amount is not None and 0 < price.amount < _LEAST:
        return _("less than {amount}").format(amount=amounts.money(_LEAST, price.currency))
    return _("about {amount}").format(amount=amounts.money(price.amount, price.currency))
