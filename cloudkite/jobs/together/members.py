"""Which jobs several trainers and seeds make: what is typed, the name of each, one time limit for all."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from cloudkite.jobs.job import Job
from cloudkite.jobs.plans import Plan
from cloudkite.money import limits
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

MOST = 50  # jobs at once; the service takes 60 submissions a minute: https://cloud.google.com/vertex-ai/quotas
SEED = "--seed"  # of every trainer that the template makes
_ONE, _SEVERAL = re.compile(r"\d{1,9}"), re.compile(r"\d{1,9}(,\d{1,9})*,?")


def seeds(text: str) -> tuple[int, ...]:
    """`5` is 0 to 4, `0,7,9` are those, `7,` is 7 alone, and "" is none. Raises BadValue."""
    if not text:
        return ()
    plain = text.replace(" ", "")
    if _ONE.fullmatch(plain) and 1 <= int(plain) <= MOST:
        return tuple(range(int(plain)))
    found = [int(one) for one in plain.split(",") if one] if _SEVERAL.fullmatch(plain) and "," in plain else []
    if not 1 <= len(found) <= MOST:
        said = _("--seeds must be how many, 1 to {most}, or the seeds themselves, not {text}")
        raise BadValue(said.format(most=MOST, text=text), _("--seeds 5, or --seeds 0,7,9"))
    if len(set(found)) < len(found):
        twice = next(one for one in found if found.count(one) > 1)
        raise BadValue(_("--seeds names {seed} twice").format(seed=twice), _("each seed once"))
    return tuple(found)


def members(plans: Sequence[Plan], wanted: Sequence[int], name: str) -> list[Plan]:
    """A plan for each job: every plan once, or once for each seed. `name` begins their names, "" for names by time.

    Raises BadValue where the arguments have a seed already, and for more jobs than go at once.
    """
    found = []
    for number, plan in enumerate(plans, 1):
        own = f"{name}-{number}" if name and len(plans) > 1 else name
        if not wanted:
            found.append(dataclasses.replace(plan, name=own))
            continue
        if any(word == SEED or word.startswith(f"{SEED}=") for word in plan.arguments):
            raise BadValue(
                _("--seeds and {option} after -- exclude each other").format(option=SEED), _("leave one of them out")
            )
        for seed in wanted:
            found.append(
                dataclasses.replace(
                    plan,
                    name=f"{own}-seed-{seed}" if own else "",
                    stem=f"{plan.trainer.name}-seed-{seed}",
                    arguments=(*plan.arguments, SEED, str(seed)),
                )
            )
    if len(found) > MOST:
        said = _("{count} jobs at once are more than {most}")
        raise BadValue(said.format(count=len(found), most=MOST), _("fewer trainers, or fewer seeds"))
    return found


def within(plans: Sequence[Plan], limit: str, max_cost: str) -> list[Plan]:
    """The plans with one time limit, for which `max_cost` pays for all of them together. Raises BadValue."""
    hourly = sum((each(plan) for plan in plans), Decimal(0))
    transfer = sum((plan.transfer for plan in plans), Decimal(0))
    if max_cost and transfer:
        max_cost = f"{max(limits.parse_amount(max_cost) - transfer, transfer):f}"
    seconds, most = limits.limit_for(hourly, 0, limit, max_cost, plans[0].price.currency)
    return [
        dataclasses.replace(
            plan,
            limit_seconds=seconds,
            max_cost=most,
            worst_case=limits.worst_case(plan.price.amount or Decimal(0), seconds, plan.restarts) + plan.transfer,
        )
        for plan in plans
    ]


def each(plan: Plan) -> Decimal:
    """What an hour of its limit may cost: of all runs, where it may start again."""
    return (plan.price.amount or Decimal(0)) * (1 + plan.restarts)


def total(plans: Iterable[Plan]) -> Decimal:
    """The sum of the worst cases."""
    return sum((plan.worst_case for plan in plans), Decimal(0))


def twin(content: str, known: Iterable[Job], label: str) -> Job | None:
    """The job that computes the same, or did: one that has not ended first, else the newest that succeeded."""
    same = [job for job in known if job.labels.get(label) == content]
    return next((job for job in same if job.active), next((job for job in same if job.state == "SUCCEEDED"), None))
