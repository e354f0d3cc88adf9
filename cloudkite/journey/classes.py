"""A class as its teacher sees it: planned, invited, reported; and a learner who leaves."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import membership, registry
from cloudkite.accounts.membership import Membership
from cloudkite.accounts.registry import Account
from cloudkite.classes import codes, ledger
from cloudkite.journey.reach import connect
from cloudkite.journey.setup import acting_as
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace, private_folder, write_atomically

if TYPE_CHECKING:
    from cloudkite.accounts.target import Target
    from cloudkite.classes.description import Class, Learner
    from cloudkite.classes.folders import Held
    from cloudkite.classes.ledger import Row

_THREADS = 4


# --- plan


def plan(workspace: Workspace, file: str, account_name: str, *, as_json: bool = False) -> None:
    """Check class.toml, show who works where and for how much, describe the accounts. Makes nothing in the cloud."""
    from cloudkite.classes import description

    path = Path(file)
    made = description.read(path)
    say = screen.note if as_json else screen.say
    next_: list[str] = []
    described: list[str] = []
    if made.form == "shared":
        next_ = _plan_shared(workspace, made, path, say)
    elif made.form == "projects":
        described, next_ = _plan_projects(workspace, made, account_name, say)
    else:
        say(
            _(
                "each learner has an account of their own on Google's free trial: one trial for each person, with a "
                "card and a billing account of their own. Nothing is shared but this repository"
            )
        )
        next_ = [_code_line(path)]
    if as_json:
        rows = [{"name": o.name, "works_in": _works_in(made, o), "cap": made.cap_of(o)} for o in made.present]
        screen.as_json({"class": made.name, "form": made.form, "learners": rows, "described": described})
        return
    _show_plan(made)
    for line in next_:
        screen.say(_("next: {command}").format(command=line))


def _code_line(path: Path) -> str:
    return "uv run invoke class.codes" + ("" if str(path) == "class.toml" else f" --file {path}")


def _plan_shared(workspace: Workspace, made: Class, path: Path, say: Any) -> list[str]:
    from cloudkite.classes import written

    account = registry.load(workspace, made.account)
    changed = written.learners(account.settings, made)
    if changed:
        say(_("wrote the learners into {path}").format(path=amounts.short(account.settings)))
    signing = [one for one in made.present if one.member]
    amount = [cap for one in signing if (cap := made.cap_of(one)) is not None]
    if amount:
        said = counted(
            "{count} cap, {sum} in all {period}",
            "{count} caps, {sum} in all {period}",
            len(amount),
            sum=amounts.money(sum(amount), "USD"),
            period=_("for the term") if made.period == "term" else _("a month"),
        )
        if account.budget is not None:
            said += _("; the account's budget of {budget} a month comes before them").format(
                budget=amounts.money(account.budget, account.currency)
            )
        say(said)
    say(
        _(
            "in one project each learner sees the names of others' objects, their jobs and their logs, and can cancel "
            "their jobs; they can't read or delete what is in others' folders (docs/class.md)"
        )
    )
    return [f"uv run invoke up --account {account.name}", _code_line(path)]


def _plan_projects(workspace: Workspace, made: Class, account_name: str, say: Any) -> tuple[list[str], list[str]]:
    from cloudkite.classes import linked, written

    assert made.projects
    signing = [one for one in made.present if one.member]
    account = registry.load(workspace, account_name or None)
    if account.target != made.projects.target:
        raise BadValue(
            _("account {name} is not on {target}: nothing there tells which projects {billing} pays for").format(
                name=account.name, target=made.projects.target, billing=made.projects.billing
            ),
            _("--account NAME of one that is, set up with that billing account"),
        )
    target = connect(workspace, account, new=True)
    paid = linked.projects(target, made.projects.billing)
    linked.refuse(made, paid)
    configs = {made.project_of(one): written.of_a_project(made, one) for one in signing}
    known = registry.names(workspace)
    described = []
    for name, config in configs.items():
        if name not in known:
            registry.add(workspace, name, config)
            described.append(name)
    if described:
        said = counted("described {count} account", "described {count} accounts", len(described))
        say(f"{said}: {', '.join(described[:4])}{', ...' if len(described) > 4 else ''}")
    missing = sorted(set(configs) - paid)
    if missing:
        say(
            counted(
                "{count} project isn't linked to {billing} yet. Make and link it, with:",
                "{count} projects aren't linked to {billing} yet. Make and link each, with:",
                len(missing),
                billing=made.projects.billing,
            )
        )
        for line in (
            f"gcloud projects create {missing[0]}",
            f"gcloud billing projects link {missing[0]} --billing-account={made.projects.billing}",
        ):
            say(line)
    return described, [f"uv run invoke up --accounts {','.join(configs)}", "uv run invoke class.codes"]


def _works_in(made: Class, one: Learner) -> str:
    if made.form == "trials":
        return _("an account of their own")
    if not one.member:
        return _("local, on their own machine")
    return made.project_of(one) if made.form == "projects" else str(made.account)


def _show_plan(made: Class) -> None:
    period = _("a month") if made.period == "month" else _("the term")
    screen.heading(_("class {name}, {starts} to {ends}").format(name=made.name, starts=made.starts, ends=made.ends))
    screen.table(
        [_("learner"), _("works in"), _("cap for {period}").format(period=period)],
        [
            (
                one.name,
                _works_in(made, one) if one.left is None else _("left on {date}").format(date=one.left),
                "" if made.cap_of(one) is None else amounts.money(made.cap_of(one), "USD"),
            )
            for one in made.learners
        ],
        right=[2],
    )


# --- codes


def show_codes(workspace: Workspace, file: str, learner: str, output: str, *, as_json: bool = False) -> None:
    """A code for each learner, or for one: printed, or in a file each."""
    from cloudkite.classes import description

    made = description.read(Path(file))
    wanted = [made.learner(learner)] if learner else list(made.present)
    key = codes.key_of(workspace, made.name)
    found = {one.name: codes.encoded(_invitation(workspace, made, one, key)) for one in wanted}
    if output:
        folder = private_folder(Path(output))
        for name, code in found.items():
            write_atomically(folder / f"{name}.code", code + "\n", 0o600)
        screen.say(
            counted("{count} code in {folder}", "{count} codes in {folder}", len(found), folder=amounts.short(folder))
        )
    elif as_json:
        screen.as_json(found)
    else:
        for name, code in found.items():
            screen.say(f"{name}  {code}")
    if not as_json:
        screen.note(_("send each learner their own code alone: what they submit is signed with it"))


def _invitation(workspace: Workspace, made: Class, one: Learner, key: bytes) -> codes.Invitation:
    from cloudkite.classes import written

    config: dict[str, Any] = {}
    outputs = None
    if one.member and made.form == "shared":
        account = registry.load(workspace, made.account)
        config, outputs = written.of_a_learner(account, one), written.outputs_of(account, one)
    elif one.member and made.form == "projects":
        config = written.of_a_project(made, one)
        account = registry.load(workspace, made.project_of(one))
        outputs = account.outputs().exported()
    return codes.Invitation(member_of(made, one, codes.learners_key(key, one.name)), config, outputs)


def member_of(made: Class, one: Learner, key: str) -> Membership:
    """What a learner's clone writes down."""
    account = made.name if made.form != "trials" and one.member else ""
    return Membership(
        one.name, made.name, made.form, account, made.cap_of(one), made.period, made.starts, made.ends, key
    )


# --- report


def report(workspace: Workspace, file: str, files: str, table: str, *, as_json: bool = False) -> None:
    """A row for each learner: from the jobs where the teacher sees them, from what was submitted, or from both."""
    from cloudkite.classes import description, submission

    made = description.read(Path(file))
    found, notes = ledger.rows(made), []
    with screen.waiting(_("looking at the class ...")):
        if made.form == "shared":
            account = registry.load(workspace, made.account)
            target = connect(workspace, account)
            notes += ledger.shared(made, target, target.now(), found)
        elif made.form == "projects":
            _ask_projects(workspace, made, found)
    if files:
        folder = Path(files)
        if not folder.is_dir():
            raise BadValue(_("{path} isn't a folder").format(path=files), _("--files FOLDER with what was submitted"))
        key, read = codes.key_of(workspace, made.name), []
        for path in sorted(folder.glob("*.json")):
            try:
                read.append(submission.read(path, key))
            except BadValue as mistake:
                notes.append(mistake.message)
        notes += ledger.submitted(made, read, found)
    rows = list(found.values())
    if table:
        write_atomically(Path(table), _csv(rows), 0o600)
    if as_json:
        shown = [{**vars(row), "over": row.over} for row in rows]
        screen.as_json({"class": made.name, "learners": shown, "notes": notes})
    else:
        _show_report(made, rows)
        if table:
            screen.say(_("the table is in {path}").format(path=table))
    for row in rows:
        for said in row.notes:
            screen.warn(f"{row.name}: {said}")
    for said in notes:
        screen.warn(said)


def _ask_projects(workspace: Workspace, made: Class, found: dict[str, Row]) -> None:
    """Four learners' projects at a time; what one of them refuses is a note in its row."""
    from cloudkite import engine
    from cloudkite.accounts import target as targets

    def ask(one: Learner) -> None:
        row = found[one.name]
        try:
            account = registry.load(workspace, made.project_of(one))
            if not engine.left(account):
                row.taken_down = True
            if not account.outputs_file.is_file():
                row.notes.append(_("not set up"))
                return
            row.taken_down = False
            target = targets.connect(workspace, account)
            ledger.own(made, target, row, target.now())
        except UserError as mistake:
            row.notes.append(mistake.message)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(ask, [one for one in made.learners if one.member]))


def _columns() -> list[str]:
    return [
        _("learner"), _("jobs"), _("running"), _("spent"), _("held"), _("cap"), _("over?"), _("last seen (UTC)"),
        _("taken down"), _("left"),
    ]  # fmt: skip


def _cells(row: Row) -> list[Any]:
    def usd(amount: Any) -> str:
        return "" if amount is None else f"{amount:.2f}"

    down = {True: _("yes"), False: _("no"), None: ""}[row.taken_down]
    local = "" if row.sign_in or row.jobs is not None else _("local")
    return [
        row.name, local if row.jobs is None else row.jobs, row.running or "", usd(row.spent), usd(row.held or None),
        usd(row.cap), _("over") if row.over else "", row.seen, down, row.left or "",
    ]  # fmt: skip


def _show_report(made: Class, rows: Sequence[Row]) -> None:
    spent = sum(row.spent for row in rows if row.spent is not None)
    held = sum(row.held for row in rows)
    total = [_("in all"), sum(row.jobs or 0 for row in rows), sum(row.running for row in rows) or "", f"{spent:.2f}",
             f"{held:.2f}" if held else "", "", sum(row.over for row in rows) or "", "", "", ""]  # fmt: skip
    screen.table(_columns(), [_cells(row) for row in rows], right=[1, 2, 3, 4, 5], total=total, spare=[9, 8, 4])
    start = made.starts if made.period == "term" else _("this month")
    said = _("USD since {start}, at Google's list prices: jobs alone, without storage, network and tax")
    screen.say(said.format(start=start), style="dim")


def _csv(rows: Sequence[Row]) -> str:
    """The same for a spreadsheet. No cell begins as a formula would: names and notes are checked, or ours."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_columns(), _("notes")])
    for row in rows:
        writer.writerow([*_cells(row), "; ".join(row.notes)])
    return out.getvalue()


# --- leave


def leave(
    workspace: Workspace, name: str, file: str, *, save: str = "", delete: bool = False, yes: bool = False
) -> None:
    """A learner leaves: what they have is saved, deleted or both, their jobs end, and their permissions go by `up`.

    Raises BadValue while it isn't said what becomes of their data and models.
    """
    from cloudkite.classes import description, written

    path = Path(file)
    made = description.read(path)
    one = made.learner(name)
    if made.form != "shared" or not one.member:
        _note_left(made, path, one, datetime.datetime.now(datetime.UTC).date())
        if made.form == "projects":
            line = f"uv run invoke down --save DIR --account {made.project_of(one)}"
            screen.say(_("next: {command}").format(command=line))
        else:
            screen.say(_("what {name} has is theirs: nothing of it is in a project of yours").format(name=name))
        return
    account = registry.load(workspace, made.account)
    target = connect(workspace, account)
    screen.note(acting_as(account, target))
    empty_folders(account, target, name, save=save, delete=delete, yes=yes)
    _note_left(made, path, one, target.now().date())
    if written.learners(account.settings, description.read(path)):
        screen.say(_("took {name} out of {path}").format(name=name, path=amounts.short(account.settings)))
    screen.say(_("next: uv run invoke up --account {name} takes the permissions away").format(name=account.name))


def _note_left(made: Class, path: Path, one: Learner, today: datetime.date) -> None:
    from cloudkite.classes import description

    if one.left is None:
        description.leave(path, one.name, today)
        screen.say(_("{name} left class {of}: written into {path}").format(name=one.name, of=made.name, path=path))


def empty_folders(account: Account, target: Target, name: str, *, save: str, delete: bool, yes: bool) -> None:
    """Save or delete what a learner has, with consent, and cancel what runs. Raises BadValue, UserError."""
    from cloudkite.classes import folders
    from cloudkite.jobs import service
    from cloudkite.money import stored

    running = [job for job in service.running(target) if job.labels.get(membership.LEARNER) == name]
    held = folders.held(target, name)
    if held:
        screen.table(
            [_("what"), _("files"), _("size")],
            [(f"gs://{one.bucket}/{one.prefix}", len(one.sizes), amounts.size(one.bytes)) for one in held],
            right=[1, 2],
        )
    if held and not save and not delete:
        raise BadValue(
            _("what becomes of the data and models of {name}?").format(name=name),
            _("--save DIR, --delete, or both"),
        )
    if save and held:
        price = stored.receiving(account.region, [size for one in held for size in one.sizes.values()])
        said = _("the download leaves Google's network: about {price} (price of {date})")
        screen.say(said.format(price=amounts.money(price.amount, price.currency), date=price.as_of))
    if (held or running) and account.costs_money and not yes:
        what = _("delete all of it, and cancel {count} jobs?") if delete else _("save it, and cancel {count} jobs?")
        if not screen.confirm(what.format(count=len(running))):
            raise UserError(_("nothing was changed"))
    for job in running:
        service.cancel(target, job)
        screen.say(_("cancelled job {name}").format(name=job.name))
    if save and held:
        _save(target, held, Path(save))
    if delete and held:
        with screen.waiting(_("deleting ...")) as tell:
            folders.delete(target, held, tell)
        count = sum(len(one.sizes) for one in held)
        screen.say(counted("{count} file deleted", "{count} files deleted", count))


def _save(target: Target, held: Sequence[Held], folder: Path) -> None:
    from cloudkite.models import fetching

    for one in held:
        with screen.waiting(_("saving {name} ...").format(name=one.purpose)) as tell:
            saved = fetching.save(target, one.bucket, folder / one.purpose, progress=tell, prefix=one.prefix)
        screen.say(
            counted(
                "saved {count} file, {size}, in {path}",
                "saved {count} files, {size}, in {path}",
                saved.files,
                size=amounts.size(saved.bytes),
                path=amounts.short(saved.folder),
            )
        )
