"""A new person, from nothing to the first small job: one answer at a time, each checked when it is given and kept.

Whoever stops, by Ctrl-C or for a week, goes on at the question that they left; nothing is asked twice.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable

from cloudkite.accounts import beginning, registry, settings, signing
from cloudkite.accounts import target as targets
from cloudkite.accounts.beginning import Beginning
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import placing, questions, setup
from cloudkite.journey.first_job import first_job
from cloudkite.journey.questions import Question, ask
from cloudkite.journey.reach import connect, refuse_shared
from cloudkite.show import screen
from cloudkite.show.errors import NOT_SIGNED_IN, BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

MOST_COST = "0.10"  # USD that the first job may cost
# A card is needed for none of it on this machine; whoever signs up with Google has a project and, with a card, a
# billing account that pays for it.
_HERE_PAYS = "012345-6789AB-CDEF01"


def run(workspace: Workspace, *, local: bool = False, again: bool = False) -> None:
    """Ask what is still to be asked, and do what is still to be done. Raises UserError where nobody can answer."""
    if not screen.can_ask():
        raise _by_commands(local)
    if again:
        beginning.Beginning(workspace.state / "start.json").forget()
    kept = beginning.load(workspace)
    _welcome(kept)
    try:
        _walk(workspace, kept, local)
    except KeyboardInterrupt:
        screen.say()
        screen.note(_("what you have answered is kept: uv run invoke start goes on from here, also tomorrow"))
        raise


def _by_commands(local: bool) -> UserError:
    lines = [] if local else [
        "gcloud auth application-default login",
        "gcloud projects create PROJECT",
        "gcloud billing projects link PROJECT --billing-account BILLING",
    ]  # fmt: skip
    more = "--local" if local else "--owner user:E-MAIL --billing BILLING --region REGION --tier trial --email E-MAIL"
    lines += [
        f"uv run invoke account.add --name NAME --project PROJECT --budget 5USD {more}",
        "uv run invoke up --account NAME --yes",
        "uv run invoke new TRAINER",
        f"uv run invoke train TRAINER --account NAME --yes --max-cost {MOST_COST}",
    ]
    said = _("no terminal to ask on: start asks one question at a time")
    return BadValue(said, _("these commands do the same:") + "".join(f"\n  {line}" for line in lines))


def _welcome(kept: Beginning) -> None:
    if not kept.answers:
        screen.say(_("One question at a time. Ctrl-C at any of them: what you answered is kept, and nothing is lost."))
        return
    screen.say(
        counted(
            "welcome back: {count} answer is kept (--again asks anew)",
            "welcome back: {count} answers are kept (--again asks anew)",
            len([key for key in kept.answers if key in _SHOWN]),
        )
    )
    screen.table([_("question"), _("answer")], [(key, kept.answers[key]) for key in kept.answers if key in _SHOWN])


_SHOWN = "where name tier identity project billing abroad country region budget owner email".split()


def _walk(workspace: Workspace, kept: Beginning, local: bool) -> None:
    where = _where(kept, local)
    name = ask(kept, _name(workspace, where))
    ask(kept, _tier())
    described = name in registry.names(workspace)
    if not described:
        _describe(workspace, kept)
    account = registry.load(workspace, name)
    if not account.outputs_file.is_file():
        screen.heading(_("Set up"))
        refuse_shared(workspace, account)
        setup.set_up(workspace, account, connect(workspace, account, new=True), yes=False)
        account = registry.load(workspace, name)
    screen.heading(_("A first job, for at most {most} USD").format(most=MOST_COST))
    first_job(workspace, account, kept, MOST_COST)
    _goodbye(workspace, account)


def _goodbye(workspace: Workspace, account: Account) -> None:
    screen.heading(_("Done"))
    option = registry.option(workspace, account)
    lines = [
        *([(_("use it from now on"), f"uv run invoke account.use {shlex.quote(account.name)}")] if option else []),
        (_("what it can run today"), f"uv run invoke account.probe{option}"),
        (_("your own data"), "uv run invoke new NAME --data FILE.csv --label COLUMN"),
        (_("take it down"), f"uv run invoke down{option}"),
    ]
    screen.table([_("what comes next"), _("command")], lines)


# --- who, and in which project


def _where(kept: Beginning, local: bool) -> str:
    if local:
        if kept.answers.get("where", "local") != "local":
            raise BadValue(
                _("what you have answered so far is of an account on Google"), "uv run invoke start --local --again"
            )
        if "where" not in kept.answers:
            kept.keep(where="local")
    why = _(
        "`google`: Google Cloud. `local`: the same steps on this machine, without an account or a card, for nothing."
    )
    return ask(kept, Question("where", _("google or local"), why, questions.one_of("google", "local"), "google"))


def _name(workspace: Workspace, where: str) -> Question:
    def check(typed: str) -> str:
        registry.check_free(workspace, typed)
        return typed

    why = _("An account is one project of Google Cloud with all that Cloudkite makes in it. You may have several.")
    taken = registry.names(workspace)
    usual = "practice" if where == "local" else "first"
    default = next(name for name in (usual, *(f"{usual}-{n}" for n in range(2, 1000))) if name not in taken)
    return Question("name", _("name for the account on this machine"), why, check, default)


def _tier() -> Question:
    why = _(
        "Google's free trial gives 300 USD for 90 days. It has no GPUs, and quotas stay as they are. "
        "`paid` if you have paid Google Cloud before, or upgraded."
    )
    return Question("tier", _("trial or paid"), why, questions.one_of("trial", "paid"), "trial")


def _draft(workspace: Workspace, kept: Beginning, project: str = "") -> Account:
    """The account as far as it is known; on this machine the person has a first project, as who signs up has."""
    answers = kept.answers
    local = answers["where"] == "local"
    first = f"{answers['name']}-project"[:30].rstrip("-") if local else ""
    payer = _HERE_PAYS if local and answers["tier"] == "paid" else ""
    chosen = project or first
    return registry.draft(
        workspace, answers["name"], answers["where"], chosen, tier=answers["tier"] if chosen == first else "paid",
        payer=payer if chosen == first else "", region=answers.get("region", ""),
    )  # fmt: skip


def _describe(workspace: Workspace, kept: Beginning) -> None:
    """All questions of an account, and its settings file at their end."""
    person = _signed_in(workspace, kept)
    project = placing.project(workspace, kept, person)
    draft = _draft(workspace, kept, project)
    signing.charge_to(draft, project)
    charged = targets.connect(workspace, draft)
    payer = placing.payer(kept, charged)
    region = placing.region(kept)
    amount, currency = placing.budget(kept, payer)
    owner = ask(kept, _owner(charged.identity))
    email = ask(kept, _email(owner))
    account = registry.add(
        workspace,
        kept.answers["name"],
        settings.describe(
            project, region, target=kept.answers["where"], tier=kept.answers["tier"], owner=owner,
            billing_account=payer.id, budget=float(amount), currency=currency or "USD", email=email,
        ),
    )  # fmt: skip
    screen.say()
    screen.say(_("described account {name} in {path}").format(name=account.name, path=account.settings))


def _signed_in(workspace: Workspace, kept: Beginning) -> Target:
    """The person, signed in for this account alone where they want that; their e-mail is shown."""
    draft = _draft(workspace, kept)
    while True:
        try:
            found = targets.sign_in(workspace, draft)
            found.token()
            who = found.identity if kept.answers.get("identity") else _told(found)
            if not draft.costs_money or (targets.own_credentials(draft).is_file() and "identity" not in kept.answers):
                kept.keep(identity=who)
            if ask(kept, _identity(who)) != "another":
                return found
            del kept.answers["identity"]
        except UserError as refused:
            if refused.code != NOT_SIGNED_IN:
                raise
            screen.say(refused.message)
        _sign_in(draft)


def _told(found: Target) -> str:
    who = found.identity
    screen.say()
    screen.say(_("signed in as {who}").format(who=who), style="bold")
    return who


def _identity(who: str) -> Question:
    def check(typed: str) -> str:
        return "another" if questions.one_of("yes", "another")(typed) == "another" else who

    why = _("Everything is made, and later paid, in this person's name.")
    return Question("identity", _("yes, or another to sign in as another person"), why, check, "yes")


def _sign_in(draft: Account) -> None:
    """Have gcloud, then its own sign-in in the browser."""
    while signing.gcloud() is None:
        screen.say()
        screen.say(_("gcloud, Google's own program, signs you in; it was not found on PATH."))
        for what, line in signing.ways():
            screen.say(f"  {what}: {line}")
        screen.ask(_("press Enter when it is there (a new terminal may be needed)"))
    screen.say(_("gcloud opens your browser; what it gives is kept in the account's own folder"))
    signing.sign_in(draft)


def _owner(who: str) -> Question:
    kind = "serviceAccount" if who.endswith(".gserviceaccount.com") else "user"
    why = _("Who submits jobs gets the permissions for that, and no more.")
    default = f"{kind}:{who}" if "@" in who else ""
    return Question("owner", _("who submits jobs"), why, _setting("owner"), default)


def _email(owner: str) -> Question:
    why = _("Google writes here when half of the budget is spent, most of it, and all of it.")
    default = owner.partition(":")[2] if owner.startswith("user:") else ""
    return Question("email", _("e-mail address for alerts"), why, _setting("email"), default)


def _setting(field: str) -> Callable[[str], str]:
    def check(typed: str) -> str:
        settings.check_answer(field, typed)
        return typed

    return check
