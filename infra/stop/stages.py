"""What is done at 50, 80, 90 and 100 % of a budget: each once in a period of the budget, whatever comes how often.

A message says what was spent in the period that began at its costIntervalStart. One of a period that is over, or older
than one that was heard of, is left: its stages are none of the present's. Whatever is raised lets Pub/Sub bring the
message again, and what was done already is not done twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from . import foreign, running
from .cloud import Refused, Session, call
from .messages import Notice
from .records import Again, Record, Records

STAGES = (50, 80, 90, 100)  # percent of the budget's amount
_LEASE = timedelta(minutes=10)  # longer than the function may take (infra/stops.py): who acted has ended, or never will
_LATEST = "heard.json"
_PACIFIC = "America/Los_Angeles"  # by whose midnight months of bills begin
_TRIAL = timedelta(days=91)  # its 90, and the day before, with which its budget begins (infra/budget.py)
Say = Callable[[str, str], None]  # text, severity


@dataclass(frozen=True)
class Settings:
    """Of one account. `budget` is the full name of the one budget that is listened to; `period` "month" or "trial".

    `jobs`: what runs is ended at 90 %; `billing`: billing is unlinked at 100 %.
    """

    project: str
    budget: str
    bucket: str
    regions: tuple[str, ...]
    jobs: bool = True
    billing: bool = False
    period: str = "month"
    own: tuple[str, ...] = ()

    @staticmethod
    def of(variables: Mapping[str, str]) -> Settings:
        """What infra/stops.py gave the function. Raises KeyError."""
        return Settings(
            variables["STOP_PROJECT"],
            variables["STOP_BUDGET"],
            variables["STOP_BUCKET"],
            tuple(variables["STOP_REGIONS"].split(",")),
            variables["STOP_JOBS"] == "yes",
            variables["STOP_BILLING"] == "yes",
            variables.get("STOP_PERIOD", "month"),
            tuple(variables.get("STOP_OWN", "").split(",")),
        )


class Unfinished(Exception):
    """Some of a stage could not be done; the rest of it was."""


def say(text: str, severity: str = "NOTICE") -> None:
    """One entry of the log: https://cloud.google.com/run/docs/logging#run_manual_logging-python"""
    print(json.dumps({"severity": severity, "message": text}), flush=True)


def heard(notice: Notice, settings: Settings, session: Session, say: Say = say) -> list[int]:
    """Act on a message; gives the stages that this did. Raises Unfinished, Again, Refused to hear it once more."""
    if notice.budget != settings.budget:
        say(f"a message of another budget is left: {notice.budget}", "WARNING")
        return []
    records = Records(session, settings.bucket)
    latest, now = _note(records, notice)
    spent = f"{notice.cost:.2f} of {notice.amount:.2f} {notice.currency}"
    if notice.begins < latest or _ends(notice.begins, settings.period) <= now:
        say(f"a late message is left: {spent} in the period from {notice.begins:%Y-%m-%d}, which is over", "INFO")
        return []
    done, failed = [], None
    for stage in STAGES:
        if notice.percent < stage:
            break
        try:
            if _once(records, stage, notice, now, _act(stage, spent, settings, session, say)):
                done.append(stage)
        except Again:
            raise
        except Exception as error:  # what could not be ended at 90 % must not keep 100 % from acting
            failed = failed or error
    if failed is not None:
        raise failed
    return done


def _note(records: Records, notice: Notice) -> tuple[datetime, datetime]:
    """The newest period that was ever heard of, and the time by the bucket's own clock."""
    before = records.get(_LATEST)
    latest = max(notice.begins, _moment(before.value.get("period")))
    made = records.put(_LATEST, {"period": latest.isoformat()}, before.generation)
    assert made.written is not None
    return latest, made.written


def _moment(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:  # none yet, or changed by hand
        return datetime.min.replace(tzinfo=UTC)


def _ends(begins: datetime, period: str) -> datetime:
    """When a period is over that began then: months by Pacific time, as on bills, a trial's with its budget."""
    if period == "trial":
        return begins + _TRIAL
    local = begins.astimezone(ZoneInfo(_PACIFIC))
    year, month = divmod(local.year * 12 + local.month, 12)
    return datetime(year, month + 1, 1, tzinfo=ZoneInfo(_PACIFIC))


def _once(
    records: Records, stage: int, notice: Notice, now: datetime, act: Callable[[Callable[[], None]], None]
) -> bool:
    """Do a stage unless it was done in this period. Raises Again while another delivery of a message is at it."""
    name = f"stages/{notice.begins:%Y-%m-%d}/{stage}.json"
    found = records.get(name)
    if found.value.get("state") == "done":
        return False
    if found.value.get("state") == "acting" and now - _moment(found.value.get("since")) < _LEASE:
        raise Again(f"{stage} % is being acted on by another delivery")
    facts = {"since": now.isoformat(), "cost": str(notice.cost), "amount": str(notice.amount)}
    held = records.put(name, {"state": "acting", **facts}, found.generation)

    def done() -> None:
        nonlocal held
        if held.value["state"] != "done":
            held = records.put(name, {"state": "done", **facts}, held.generation)

    try:
        act(done)
        done()
    except Exception as error:
        _failed(records, name, held, facts, error)
        raise
    return True


def _failed(records: Records, name: str, held: Record, facts: dict[str, str], error: Exception) -> None:
    """Let the next delivery begin at once."""
    try:
        records.put(name, {"state": "failed", **facts, "why": str(error)[:500]}, held.generation)
    except (Refused, Again, OSError):  # then it begins when the lease is over
        return


def _act(
    stage: int, spent: str, settings: Settings, session: Session, say: Say
) -> Callable[[Callable[[], None]], None]:
    def act(done: Callable[[], None]) -> None:
        if stage < 90:
            say(f"{stage} % of the budget: {spent}; nothing is stopped before 90 %", "NOTICE")
        elif stage == 90:
            _stop(spent, settings, session, say)
        else:
            _unlink(spent, settings, session, say, done)

    return act


def _stop(spent: str, settings: Settings, session: Session, say: Say) -> None:
    """End what runs and is ours; what fails stops nothing else. Raises Unfinished."""
    if not settings.jobs:
        say(f"90 % of the budget: {spent}; nothing is stopped, since cloudkite:stops.jobs isn't on", "NOTICE")
        return
    say(f"90 % of the budget: {spent}; what runs is stopped", "WARNING")
    found, failed = running.find(session, settings.project, settings.regions)
    for one in failed:
        say(f"could not be looked at: {one}", "ERROR")
    for one in found:
        if not one.ours:
            say(f"left, since it isn't labelled managed-by=cloudkite: {one}", "WARNING")
            continue
        try:
            one.end(session)
            say(f"stopped: {one}", "WARNING")
        except (Refused, OSError) as error:
            say(f"could not be stopped: {one}: {error}", "ERROR")
            failed.append(str(one))
    if failed:
        raise Unfinished(f"could not be stopped, or looked at: {', '.join(failed)}")


def _unlink(spent: str, settings: Settings, session: Session, say: Say, done: Callable[[], None]) -> None:
    """Unlink billing where nothing is foreign. It is written down first: without billing nothing can be any more.

    So a person who links it again is not fought, and a crash in the moment between leaves it linked.
    """
    if not settings.billing:
        say(f"100 % of the budget: {spent}; billing stays linked, since cloudkite:stops.billing isn't on", "ERROR")
        return
    try:
        others = foreign.find(session, settings.project, settings.own)
    except Refused as refused:
        if refused.code >= 500 and not refused.off:
            raise
        say(
            f"100 % of the budget: {spent}; billing stays linked: what the project holds can't be told: {refused}",
            "ERROR",
        )
        return
    if others:
        shown = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        say(
            f"100 % of the budget: {spent}; billing stays linked, since not all is this account's own: {shown}", "ERROR"
        )
        return
    say(f"100 % of the budget: {spent}; billing of project {settings.project} is unlinked", "CRITICAL")
    done()
    url = f"https://cloudbilling.googleapis.com/v1/projects/{settings.project}/billingInfo"
    call(session, "PUT", url, json={"billingAccountName": ""})
