"""How each learner of a class stands: from the jobs themselves where the teacher sees them, and from what they sent."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from cloudkite.accounts.membership import LEARNER
from cloudkite.accounts.target import Target
from cloudkite.classes.description import Class
from cloudkite.classes.submission import Submission
from cloudkite.jobs import service
from cloudkite.jobs.service import Job
from cloudkite.money import caps, costs, limits
from cloudkite.show.text import _


@dataclass
class Row:
    """One learner. Amounts in USD; `seen` is when anything was last heard. `taken_down` None is not known.

    `spent` None: neither a job nor a file tells.
    """

    name: str
    sign_in: bool
    cap: Decimal | None
    left: datetime.date | None
    jobs: int | None = None
    running: int = 0
    spent: Decimal | None = None
    held: Decimal = Decimal(0)
    seen: str = ""
    taken_down: bool | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether more was spent than the cap allows."""
        return self.cap is not None and self.spent is not None and self.spent > self.cap


def rows(made: Class) -> dict[str, Row]:
    """A row for each learner, with nothing known yet."""
    return {
        one.name: Row(one.name, bool(one.email) and made.form != "trials", made.cap_of(one), one.left)
        for one in made.learners
    }


def shared(made: Class, target: Target, now: datetime.datetime, found: Mapping[str, Row]) -> list[str]:
    """Fill in what the jobs of the one project tell; gives notes on jobs that are nobody's. Raises UserError."""
    start = caps.begins(made.starts, made.period, now)
    since = start - datetime.timedelta(seconds=limits.LONGEST)
    by_learner: dict[str, list[Job]] = defaultdict(list)
    for job in caps.counted(service.search(target, since=since), start, now):
        by_learner[job.labels.get(LEARNER, "")].append(job)
    notes = []
    for name, jobs in sorted(by_learner.items()):
        if name in found:
            _fill(found[name], jobs, start)
        else:
            spent = costs.tally(jobs, start).spent.amount
            who = (
                _("without a learner's label")
                if not name
                else _("of {name}, who is not in the class").format(name=name)
            )
            notes.append(_("{count} jobs {who}: {spent:.2f} USD").format(count=len(jobs), who=who, spent=spent))
    for row in found.values():
        if row.jobs is None and row.sign_in:
            row.jobs, row.spent = 0, Decimal(0)
    return notes


def own(made: Class, target: Target, row: Row, now: datetime.datetime) -> None:
    """Fill in what the jobs of a learner's own project tell. Raises UserError."""
    start = caps.begins(made.starts, made.period, now)
    since = start - datetime.timedelta(seconds=limits.LONGEST)
    row.jobs, row.spent = 0, Decimal(0)
    _fill(row, caps.counted(service.search(target, since=since), start, now), start)


def _fill(row: Row, jobs: Sequence[Job], start: datetime.datetime) -> None:
    spending = costs.tally(list(jobs), start)
    row.jobs, row.running = len(jobs), sum(job.active for job in jobs)
    row.spent, row.held = spending.spent.amount, spending.committed.amount
    if jobs:
        row.seen = max(row.seen, f"{max(job.created for job in jobs):%Y-%m-%d %H:%M}")
    if spending.unknown:
        row.notes.append(_("jobs without a known price: {count}").format(count=spending.unknown))


def submitted(made: Class, files: Iterable[Submission], found: Mapping[str, Row]) -> list[str]:
    """Fill in what was submitted, the newest of each learner, where no job tells it; gives notes on the others.

    A file whose seal is wrong is told, and not believed.
    """
    notes: list[str] = []
    newest: dict[str, Submission] = {}
    for one in sorted(files, key=lambda one: one.made):
        if one.content.get("class") != made.name or one.learner not in found:
            notes.append(_("{file}: it is of another class, or of no learner of this one").format(file=one.file))
        elif not one.sound:
            found[one.learner].notes.append(_("{file}: changed by hand, not believed").format(file=one.file))
        else:
            newest[one.learner] = one
    projects: dict[str, str] = {}
    for name, one in newest.items():
        row = found[name]
        _believe(row, one)
        project = str((one.content.get("account") or {}).get("project", ""))
        if made.form != "shared" and project and (one.content.get("account") or {}).get("where") == "google":
            if other := projects.get(project):
                row.notes.append(_("the same project as {name}").format(name=other))
            projects.setdefault(project, name)
        if not one.signed:
            row.notes.append(_("not signed: joined without a code"))
    return notes


def _believe(row: Row, one: Submission) -> None:
    spent, jobs = one.content.get("spent") or {}, one.content["jobs"]
    row.seen = max(row.seen, one.made[:16].replace("T", " "))
    down = one.content.get("taken_down")
    row.taken_down = down if isinstance(down, bool) else None
    if row.jobs is not None:
        return
    try:
        row.spent, row.held = Decimal(str(spent.get("amount"))), Decimal(str(spent.get("running", 0)))
        row.jobs, row.running = int(jobs.get("all", 0)), int(jobs.get("running", 0))
    except (InvalidOperation, ValueError, TypeError):
        row.notes.append(_("{file}: its amounts can't be read").format(file=one.file))
