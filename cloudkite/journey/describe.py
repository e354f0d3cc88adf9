"""A new account described: each answer is checked when it is given, and written down with all others at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cloudkite.accounts import registry, settings
from cloudkite.show import screen
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

# On the local cloud nobody pays: whoever doesn't name these gets what the account `local` has.
_LOCAL = {"tier": "paid", "billing": "012345-6789AB-CDEF01", "budget": "10", "email": "owner@example.com"}


@dataclass
class Answers:
    """What a person gave as options of `account.add`; "" is what was not given, and is asked for."""

    name: str = ""
    project: str = ""
    region: str = ""
    tier: str = ""
    owner: str = ""
    billing: str = ""
    budget: str = ""
    currency: str = ""
    email: str = ""


def add_account(workspace: Workspace, given: Answers, *, local: bool) -> None:
    """Ask for what is missing and write the account's settings file."""
    target = "local" if local else "google"
    if local:
        given = Answers(**{**_LOCAL, **{key: value for key, value in vars(given).items() if value}})

    def free(name: str) -> None:
        registry.check_free(workspace, name)

    def project(text: str) -> None:
        settings.check_answer("project", text)
        if others := registry.sharing(workspace, given.name, target, text):
            raise registry.shared(others[0], given.name)

    for key in ("region", "tier", "owner", "billing", "budget", "currency", "email"):
        if value := getattr(given, key):
            _check(key, value)
    given.name = _answer(given.name, _("name for the account on this machine"), "practice" if local else "", free)
    default = f"{given.name}-project"[:30].rstrip("-") if local else ""
    given.project = _answer(given.project or default, _("id of the Google Cloud project"), "", project)
    if local:
        given.owner = given.owner or f"serviceAccount:owner@{given.project}.iam.gserviceaccount.com"
    else:
        _ask_the_rest(given)
    given.currency = _currency(given.budget, given.currency)
    account = registry.add(
        workspace,
        given.name,
        settings.describe(
            given.project,
            given.region or "us-central1",
            target=target,
            tier=given.tier,
            owner=given.owner,
            billing_account=given.billing,
            budget=_amount(given.budget),
            currency=given.currency or "USD",
            email=given.email,
        ),
    )
    screen.say(_("described account {name} in {path}").format(name=account.name, path=account.settings))
    screen.say(_("next: uv run invoke up --account {name}").format(name=account.name))


def _ask_the_rest(given: Answers) -> None:
    questions = {
        "tier": (_("trial or paid"), "trial"),
        "owner": (_("who submits jobs, e.g. user:me@example.com"), ""),
        "billing": (_("billing account, e.g. 012345-ABCDEF-012345"), ""),
        "budget": (_("budget per month, such as 10 or 5EUR"), "10"),
        "currency": (_("currency of the billing account"), "USD"),
        "email": (_("e-mail address for budget alerts"), ""),
    }
    for key, (question, default) in questions.items():
        if key == "currency":
            given.currency = _currency(given.budget, given.currency)
        if key == "email":
            default = given.owner.removeprefix("user:") if given.owner.startswith("user:") else ""

        def check(text: str, key: str = key) -> None:
            _check(key, text)

        setattr(given, key, _answer(getattr(given, key), question, default, check))


def _answer(given: str, question: str, default: str, check: Callable[[str], object]) -> str:
    """What was given as an option, else what is typed: asked again with the reason until it is right.

    Raises BadValue for an option that is wrong, and for a wrong or missing answer where nobody is at a terminal.
    """
    if given:
        check(given)
        return given
    while True:
        typed = screen.ask(question, default)
        try:
            check(typed)
        except BadValue as mistake:
            if not screen.can_ask():
                raise
            screen.error(mistake)
        else:
            return typed


def _check(key: str, text: str) -> None:
    if key == "budget":
        settings.check_answer(key, _amount(text))
    else:
        settings.check_answer("billing_account" if key == "billing" else key, text)


def _amount(text: str) -> float:
    """The amount of a budget as typed, with its currency or without."""
    from cloudkite.money import entered

    try:
        return float(text)
    except ValueError:
        if any(letter.isdigit() for letter in text):
            return float(entered.amount(text)[0])
        raise BadValue(
            _("budget must be a number, not {text!r}").format(text=text), _("for example 10, 5EUR or 7000KRW")
        ) from None


def _currency(budget: str, currency: str) -> str:
    """The currency of a budget: what is typed behind the amount, or by itself. Raises BadValue where they differ."""
    from cloudkite.money import entered

    try:
        float(budget)
        typed = ""
    except ValueError:
        typed = entered.amount(budget)[1]
    if typed and currency and typed != currency:
        raise BadValue(
            _("--budget is in {typed}, and --currency is {currency}").format(typed=typed, currency=currency),
            _("give the currency once"),
        )
    return currency or typed
