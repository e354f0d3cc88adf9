"""A class as a learner sees it: joined, submitted, left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloudkite.accounts import membership, registry
from cloudkite.accounts.membership import Membership
from cloudkite.classes import codes
from cloudkite.classes.codes import Invitation
from cloudkite.journey import classes
from cloudkite.journey.reach import connect
from cloudkite.journey.setup import acting_as
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, write_atomically


def join(workspace: Workspace, given: str, learner: str, *, as_json: bool = False) -> None:
    """Write down who the person is in the class, describe their account, and say what they may spend and do next.

    `given` is a code, a file with one, or class.toml. Raises BadValue. Nothing is made in a cloud, and no account is
    switched.
    """
    found = _invitation(given, learner)
    member = found.member
    before = membership.read(workspace)
    if before and (before.of, before.name) != (member.of, member.name):
        raise BadValue(
            _("this clone is {name}'s of class {of}").format(name=before.name, of=before.of),
            _("leave that class first: uv run invoke class.leave; or join in another clone"),
        )
    if found.settings:
        _describe(workspace, found)
    membership.write(workspace, member)
    if as_json:
        told = {key: value for key, value in vars(member).items() if key != "key"}
        screen.as_json(told)
        return
    screen.say(_("joined class {of} as {name}").format(of=member.of, name=member.name))
    _tell(member, found.settings)


def _invitation(given: str, learner: str) -> Invitation:
    path = Path(given).expanduser()
    try:
        is_file = path.is_file()
    except OSError:  # too long for a name: a code
        is_file = False
    if not is_file:
        return codes.decoded(given)
    if path.suffix != ".toml":
        with path.open(encoding="utf-8", errors="replace") as file:
            return codes.decoded(file.read(codes.MOST + 1))
    from cloudkite.classes import description

    made = description.read(path)
    if not learner:
        raise BadValue(
            _("which learner of class {name} are you?").format(name=made.name),
            _("--learner {name}").format(name=made.learners[0].name),
        )
    one = made.learner(learner)
    if one.member and made.form != "trials":
        raise BadValue(
            _("{name} works in a project of the teacher's, which {path} doesn't tell").format(name=one.name, path=path),
            _("ask your teacher for your code: class.codes makes it"),
        )
    return Invitation(classes.member_of(made, one, ""), {}, None)


def _describe(workspace: Workspace, found: Invitation) -> None:
    """The account's settings and what `up` made of it; settings of the same project are replaced. Raises BadValue."""
    from cloudkite.accounts import settings
    from cloudkite.classes import written

    name = found.member.account
    registry.check_name(name, new=True)
    checked = settings.check(found.settings, name)
    written.refuse_bad_outputs(found.outputs)
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    if path.exists():
        there = registry.load(workspace, name)
        if (there.project, there.target) != (checked.project, checked.target):
            raise BadValue(
                _("there is an account {name} already, of project {project}").format(name=name, project=there.project),
                _("rename its file {path}").format(path=amounts.short(path)),
            )
        settings.write(path, found.settings)
    else:
        registry.add(workspace, name, found.settings)
    account = registry.load(workspace, name)
    write_atomically(account.outputs_file, json.dumps(found.outputs, indent=2, sort_keys=True) + "\n", 0o600)


def _tell(member: Membership, config: dict[str, Any]) -> None:
    if config:
        screen.say(
            _("your account here: {name} (project {project})").format(
                name=member.account, project=config["gcp:project"]
            )
        )
    if member.cap is not None:
        period = _("in the term, {starts} to {ends}") if member.period == "term" else _("a month, {starts} to {ends}")
        said = _("you may spend {cap} {period}: a job that could exceed it isn't started")
        within = period.format(starts=member.starts, ends=member.ends)
        screen.say(said.format(cap=amounts.money(member.cap, "USD"), period=within))
    if member.form == "trials":
        screen.say(_("each person has one free trial on Google, with a card of their own; nothing of it is shared"))
        cap = f" --budget {member.cap}" if member.cap is not None else ""
        next_ = f"uv run invoke account.add --name {member.of} --tier trial{cap}"
    elif not config:
        screen.say(_("without a sign-in all of it runs on this machine, in account local, and costs nothing"))
        next_ = "uv run invoke up --account local"
    else:
        screen.say(_("sign in as {who}: gcloud auth application-default login").format(who=_who(config)))
        next_ = f"uv run invoke account.use {member.account}"
    screen.say(_("next: {command}").format(command=next_))


def _who(config: dict[str, Any]) -> str:
    return str(config.get("cloudkite:owner", "")).partition(":")[2]


def submit(workspace: Workspace, account_name: str, output: str, *, as_json: bool = False) -> None:
    """Write the one file that a learner hands in: asked of the APIs, without a name, sealed."""
    from cloudkite.classes import submission

    member = _member(workspace)
    name = account_name or member.account or (member.of if member.of in registry.names(workspace) else "")
    account = registry.load(workspace, name or None)
    target = connect(workspace, account, new=True)
    with screen.waiting(_("looking at the account ...")):
        content = submission.made(target, member, target.now())
    path = Path(output or f"{member.of}-{member.name}.json")
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", 0o644)
    if as_json:
        screen.as_json(content)
        return
    screen.note(acting_as(account, target))
    jobs, spent = content["jobs"], content["spent"]
    said = _("{jobs} jobs, {running} running; {spent} {currency} spent since {since}")
    screen.say(
        said.format(
            jobs=jobs["all"], running=jobs["running"], spent=spent["amount"], currency=spent["currency"],
            since=spent["since"],
        )
    )  # fmt: skip
    down = content["taken_down"]
    screen.say(
        _("taken down: yes")
        if down
        else _("taken down: no, something is there that costs")
        if down is False
        else _("taken down: not known, something could not be looked at")
    )
    screen.say(_("hand in {path}: it has no name in it but {name}").format(path=path, name=member.name))
    if not member.key:
        screen.note(_("you joined without a code: the file has a hash, and no signature"))


def leave(workspace: Workspace, *, save: str, delete: bool, yes: bool) -> None:
    """The learner's own way out: data and models saved or deleted, and the class forgotten here. Raises BadValue."""
    member = _member(workspace)
    if member.shares and member.account in registry.names(workspace) and member.account != registry.DEFAULT:
        account = registry.load(workspace, member.account)
        target = connect(workspace, account)
        screen.note(acting_as(account, target))
        classes.empty_folders(account, target, member.name, save=save, delete=delete, yes=yes)
        account.outputs_file.unlink(missing_ok=True)
        account.settings.unlink(missing_ok=True)
        current = workspace.state / "account"
        if current.is_file() and registry.current(workspace) == account.name:
            current.unlink()
    membership.path(workspace).unlink(missing_ok=True)
    screen.say(_("left class {of}; your teacher takes your permissions away").format(of=member.of))


def _member(workspace: Workspace) -> Membership:
    found = membership.read(workspace)
    if found is None:
        raise UserError(_("no class was joined in this clone"), "uv run invoke class.join CODE")
    return found
