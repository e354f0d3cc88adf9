"""Where a new account is to be, and who pays: project, billing account, region, budget."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from cloudkite.accounts import registry, settings
from cloudkite.accounts.asked import services
from cloudkite.accounts.person import payers, projects
from cloudkite.accounts.person.answers import Beginning
from cloudkite.accounts.person.payers import Payer
from cloudkite.accounts.target import Target
from cloudkite.journey import questions
from cloudkite.journey.questions import Question, ask
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.accounts.person.projects import Project

_MACHINE = "e2-standard-4"  # whose price stands for a region's
_USUAL = "us-central1"
_ROUND = ("USD", "EUR", "GBP", "CHF", "CAD", "AUD")  # 10 of which are a small budget


# --- project


def project(workspace: Workspace, kept: Beginning, person: Target) -> str:
    """The id of a project that is there: chosen among the person's, or made with their consent."""
    if "project" in kept.answers:
        return kept.answers["project"]
    known = _known(person)
    if known:
        screen.say()
        rows = [(i + 1, one.id, one.name, _whose(workspace, person, one.id)) for i, one in enumerate(known)]
        screen.table(["", _("project"), _("name"), ""], rows, right=[0])

    def check(typed: str) -> str:
        chosen = questions.numbered(typed, [one.id for one in known])
        settings.check_answer("project", chosen)
        name = kept.answers["name"]
        if others := registry.sharing(workspace, name, person.account.target, chosen):
            raise registry.shared(others[0], name)
        if projects.find(person, chosen) is None:
            _make(person, chosen)
        return chosen

    free = [one.id for one in known if not _whose(workspace, person, one.id)]
    default = free[0] if len(free) == 1 else "" if free else f"{kept.answers['name'][:22]}-{secrets.token_hex(3)}"
    why = _(
        "Everything is made in one project, and paid by whoever pays for that. An id that isn't among yours is a new "
        "project: it costs nothing by itself."
    )
    text = _("project: a number above, or an id") if known else _("id for a new project")
    return ask(kept, Question("project", text, why, check, default))


def _known(person: Target) -> list[Project]:
    """The person's projects; none where they can't be listed: an id can be typed all the same."""
    try:
        return projects.listed(person)
    except UserError as refused:
        screen.warn(_("your projects can't be listed: {why}").format(why=refused.message))
        return []


def _whose(workspace: Workspace, person: Target, project_id: str) -> str:
    others = registry.sharing(workspace, "", person.account.target, project_id)
    return _("account {name}").format(name=others[0].name) if others else ""


def _make(person: Target, chosen: str) -> None:
    question = _("project {project} isn't among yours; make it? it costs nothing").format(project=chosen)
    if not screen.confirm(question):
        raise UserError(_("no project was made"), _("type a number above, or another id"))
    with screen.waiting(_("making project {project} ...").format(project=chosen)) as tell:
        projects.create(person, chosen, tell)
    screen.say(_("made project {project}").format(project=chosen))


# --- who pays


def payer(kept: Beginning, charged: Target) -> Payer:
    """The billing account that pays for the project, linked with consent. Raises UserError where there is none."""
    with screen.waiting(_("looking who pays ...")) as tell:
        services.turn_on_first(charged, services.read(charged), tell)
        name = charged.account.project
        linked, open_ = payers.of(charged, name)
    if linked and open_:
        found = payers.get(charged, linked)
        if kept.answers.get("billing") != linked:
            screen.say()
            screen.say(_("billing account {payer} pays for project {project}").format(payer=linked, project=name))
            kept.keep(billing=linked)
        return found
    kept.answers.pop("billing", None)
    known = [one for one in payers.listed(charged) if one.open]
    if not known:
        raise UserError(
            _("you have no open billing account, and without one nothing can run in project {project}").format(
                project=name
            ),
            _("open one with your card: https://console.cloud.google.com/billing/create; then: uv run invoke start"),
        )
    screen.say()
    rows = [(i + 1, one.id, one.name, one.currency) for i, one in enumerate(known)]
    screen.table(["", _("billing account"), _("name"), _("currency")], rows, right=[0])
    why = _(
        "Linking a billing account means: what runs and is stored in project {project} is charged to it from then on. "
        "Nothing that Cloudkite sets up costs by the hour; a job shows its price and asks first. You can unlink it at "
        "any time: https://console.cloud.google.com/billing/linkedaccount?project={project}"
    ).format(project=name)

    def check(typed: str) -> str:
        chosen = questions.numbered(typed, [one.id for one in known])
        settings.check_answer("billing_account", chosen)
        if chosen not in [one.id for one in known]:
            raise BadValue(
                _("{payer} isn't among your open billing accounts").format(payer=chosen), _("type a number above")
            )
        if not screen.confirm(_("link {payer} to project {project}?").format(payer=chosen, project=name)):
            raise UserError(_("nothing was linked"), _("type the number of the one that is to pay"))
        payers.link(charged, name, chosen)
        screen.say(_("linked"))
        return chosen

    default = known[0].id if len(known) == 1 else ""
    chosen = ask(kept, Question("billing", _("billing account: a number above, or its id"), why, check, default))
    return next(one for one in known if one.id == chosen)


# --- where


def region(kept: Beginning) -> str:
    """The region of everything: a free-tier one, or one of the person's country where data may not leave it."""
    why = _("The cheapest regions, where Google also stores 5 GB for nothing, are in the United States.")
    text = _("may your data leave your country? yes or no")
    abroad = ask(kept, Question("abroad", text, why, questions.decided))
    candidates = _abroad() if abroad == "yes" else _at_home(kept)
    if "region" in kept.answers:
        return kept.answers["region"]
    screen.say()
    show_regions(candidates)

    def check(typed: str) -> str:
        chosen = questions.numbered(typed, candidates)
        settings.check_answer("region", chosen)
        if abroad == "no" and chosen not in candidates:
            raise BadValue(
                _("{region} isn't where your data may be").format(region=chosen),
                _("one of: {regions}").format(regions=", ".join(candidates)),
            )
        return chosen

    default = _USUAL if _USUAL in candidates else candidates[0]
    why = _("Buckets and jobs are in one region. It can't be changed later.")
    return ask(kept, Question("region", _("region: a number above, or a name"), why, check, default))


def _abroad() -> list[str]:
    from catalog.regions import regions

    free = [one.name for one in regions().values() if one.free_storage]
    return [*free, *(name for name in by_price(list(regions())) if name not in free)][: len(free) + 3]


def _at_home(kept: Beginning) -> list[str]:
    from catalog.regions import regions, regions_of

    def check(typed: str) -> str:
        if not regions_of(typed):
            there = ", ".join(sorted({one.country[1] for one in regions().values()}))
            raise BadValue(
                _("training has no region in {country!r}").format(country=typed[:40]),
                _("there is one in: {countries}, or EU. Elsewhere, ask who owns the data where it may be").format(
                    countries=there
                ),
            )
        return typed

    why = _("A country's name or code, such as South Korea or KR; EU is any country of the European Union.")
    country = ask(kept, Question("country", _("where must the data stay?"), why, check))
    return by_price(regions_of(country))


def by_price(names: Sequence[str]) -> list[str]:
    """Regions, those with accelerators for training first, and the cheapest of them."""
    from catalog.regions import region as found

    return sorted(names, key=lambda name: (not found(name).accelerators, _hour(name) or Decimal("Infinity"), name))


def _hour(name: str) -> Decimal | None:
    from cloudkite.money import prices

    return prices.job_hour(_MACHINE, name).amount


def show_regions(names: Sequence[str]) -> None:
    """A table of regions with the price of an hour of the usual machine, and how that differs from the cheapest."""
    from catalog.accelerators import accelerators
    from catalog.regions import regions
    from cloudkite.money import prices

    known = accelerators()
    least = min(price for name in regions() if (price := _hour(name)) is not None)
    rows = []
    for i, name in enumerate(names):
        one, hour = regions()[name], _hour(name)
        chips = [known[kind].short for kind in one.accelerators if kind in known and not known[kind].ended]
        more = "" if hour is None else f"{(hour / least - 1) * 100:+.0f}%" if hour != least else _("the least")
        place = one.place or one.country[1]
        free = _("5 GB free") if one.free_storage else ""
        shown = ", ".join(chips[:4]) + (", ..." if len(chips) > 4 else "")
        rows.append((i + 1, name, place, amounts.money(hour, "USD", 3), more, free, shown))
    columns = ["", _("region"), _("place"), _("an hour"), _("against the least"), _("storage"), _("GPUs and TPUs")]
    screen.table(columns, rows, right=[0, 3, 4], spare=[6, 2])
    as_of = prices.job_hour(_MACHINE, names[0]).as_of
    screen.say(
        _("an hour of {machine} with its disk, prices of {date}, before tax").format(machine=_MACHINE, date=as_of)
    )


# --- how much


def budget(kept: Beginning, who: Payer) -> tuple[Decimal, str]:
    """The budget of a month, in the billing account's own currency."""
    from cloudkite.money import entered

    def check(typed: str) -> str:
        value, currency = entered.amount(typed)
        settings.check_answer("budget", float(value))
        return f"{value:f}{entered.in_currency(value, currency, who.currency)}"

    why = _(
        "For a month, in the billing account's currency{currency}. No job of yours starts that doesn't fit into it. "
        "Google itself only warns, hours late."
    ).format(currency=f", {who.currency}" if who.currency else "")
    default = f"10{who.currency}" if who.currency in _ROUND else ""
    return entered.amount(ask(kept, Question("budget", _("budget, such as 5EUR or 7000KRW"), why, check, default)))
