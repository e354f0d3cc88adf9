"""Tuning on Google: one tuning job, found again by whoever asks for the same study, watched to its end."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.journey import training
from cloudkite.journey.reach import check_set_up, connect
from cloudkite.show import screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.jobs.job import Job
    from cloudkite.jobs.plans import Wishes
    from cloudkite.trainers.folders import Trainer
    from cloudkite.tuning.google import Found
    from cloudkite.tuning.space import Space
    from cloudkite.tuning.study import Study, Try


_AT_ONCE = 8  # requests
PARALLEL = 3  # tries at once, where nothing else was asked for: one learns only from those that have ended


def begin(
    workspace: Workspace,
    account: Account,
    target: Target,
    trainer: Trainer,
    space: Space,
    wishes: Wishes,
    tries: int,
    parallel: int = 0,
    *,
    yes: bool = False,
    quiet: bool = False,
) -> Found:
    """The study of a trainer, with a job that runs unless all its tries are made.

    There are `tries` in all, `parallel` at once (0: the usual number). `wishes.name` is the study's, and its limit that
    of each try; the others say what each runs on, and what all of them may cost.

    Where a job runs already, nothing is started; a study that ended with fewer tries than are wanted is gone on with,
    after the same consent as for a new one. `quiet` leaves standard output alone.
    """
    from cloudkite.jobs import body, plans, submit
    from cloudkite.money import limits
    from cloudkite.trainers import folders
    from cloudkite.tuning import google

    if wishes.name:
        body.check_name(wishes.name, folders.names(workspace))
    if wishes.earlier:
        raise BadValue(_("tries begin anew: --continue is for one job"), _("leave --continue out"))
    parallel = parallel or min(PARALLEL, tries)
    if limits.split_currency(wishes.max_cost)[1]:
        wishes = dataclasses.replace(wishes, max_cost=training.in_dollars(target, wishes.max_cost))
    each = submit.plan(account, trainer, dataclasses.replace(wishes, max_cost="", limit="", name=""))
    plans.tuned(each, google.study_spec(space), tries, parallel, "", wishes.limit)  # refuses what never is possible
    mark = google.mark(space, wishes.arguments, folders.fingerprint(trainer))
    say = screen.note if quiet else screen.say
    found = google.find(target, trainer.name, wishes.name, mark)
    if job := found.running:
        said = _("study {name} runs already, as job {job}: it is followed, and nothing new is started")
        say(said.format(name=found.name, job=job.name))
        return found
    missing = tries - found.counted
    _tell_ended(found, tries, missing, say)
    if missing <= 0:
        return found
    name = found.name or wishes.name or f"tune-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    plan = google.planned(each, space, name, mark, missing, parallel, wishes.max_cost, wishes.limit)
    plan = dataclasses.replace(plan, name=_free(target, name))
    job = training.start(workspace, target, plan, yes=yes, quiet=quiet)
    return dataclasses.replace(found, name=name, jobs=(job, *found.jobs))


def _free(target: Target, name: str) -> str:
    """The study's name for its job, or name-2, name-3 ... where a job has that."""
    from cloudkite.jobs import choosing

    number, free = 1, name
    while choosing.called(target, free):
        number += 1
        free = f"{name}-{number}"
    return free


def _tell_ended(found: Found, tries: int, missing: int, say: Callable[[str], None]) -> None:
    """What there is of the study from jobs that have ended."""
    if not found.jobs:
        return
    last, counts = found.jobs[0], {state: sum(one.state == state for one in found.tries) for state in _WORDS}
    parts = [_WORDS[state].format(count=count) for state, count in counts.items() if count]
    said = _("study {name} ended as {state} on {date}, with {made} of {tries} tries ({counts})")
    say(
        said.format(
            name=found.name, state=last.state, date=f"{last.ended or last.created:%Y-%m-%d %H:%M}", made=found.counted,
            tries=tries, counts=", ".join(parts) or _("none began"),
        )
    )  # fmt: skip
    if missing > 0:
        say(counted("a new job would make the {count} try that is missing",
                    "a new job would make the {count} tries that are missing", missing))  # fmt: skip
    else:
        say(_("nothing is missing, and nothing is started; --tries {more} makes more").format(more=found.counted + 4))


_WORDS = {
    "done": _("{count} done"),
    "pruned": _("{count} stopped early"),
    "failed": _("{count} failed"),
    "killed": _("{count} ended with their job"),
}


class Google:
    """The engine "google" of a study that is kept here: `begin` has found or started its job."""

    name = "google"

    def __init__(self, trainer: Trainer, target: Target, found: Found) -> None:
        self._trainer, self._target, self._found = trainer, target, found

    def watch(self, study: Study) -> Iterator[Study]:
        """The study with its tries as they are, until its job has ended."""
        from cloudkite.tuning import google

        found, job = self._found, self._found.newest
        yield self._kept(study, found.tries, job)
        if job and job.active:
            before = found.before(job)
            for now, own in google.watch(self._target, job, len(before)):
                study = self._kept(study, (*before, *own), now)
                yield study

    def stop(self, study: Study) -> Study:
        """Leave the job alone: it goes on, and the same command follows it again."""
        screen.note(_("the tuning goes on; the same command follows it again, uv run invoke cancel ends it"))
        return study

    def _kept(self, study: Study, tries: Sequence[Try], job: Job | None) -> Study:
        """The study on disk, as it is now."""
        from cloudkite.tuning import study as studies

        state = "running" if job and job.active else "done"
        if job and not job.active and job.state != "SUCCEEDED":
            state = "stopped" if job.state == "CANCELLED" else "failed"
        made = dataclasses.replace(study, tries=tuple(tries), state=state, why=job.error if job else "")
        made = made if state == "running" else self._with_models(made)
        studies.save(self._trainer, made)
        return made

    def _with_models(self, study: Study) -> Study:
        """The study with what the models of its tries tell: metrics of all held-out rows, what is to be beaten."""
        from cloudkite.jobs import facts
        from cloudkite.tuning import outcome

        def told(one: Try) -> dict[str, Any]:
            try:
                return facts.read(self._target, one.output)
            except UserError:  # then its metric is the last that it reported, and its interval isn't known
                return {}

        done = [one for one in study.tries if one.state == "done"]
        with ThreadPoolExecutor(_AT_ONCE) as beside:
            for one, about in zip(done, beside.map(told, done), strict=True):
                made = outcome.of_model(study, one, about)
                study = outcome.with_facts(study, made, about).with_try(made)
        return study


def engine(workspace: Workspace, account: Account, trainer: Trainer, study: Study, machines: Wishes, *,
           yes: bool, quiet: bool) -> Google:  # fmt: skip
    """The engine of a study, once its job was found or, with consent, started.

    `machines` says what each try runs on, and for how long it may.
    """
    asked = study.wishes
    wishes = dataclasses.replace(machines, max_cost=asked.max_cost, arguments=asked.arguments, name=study.name)
    check_set_up(workspace, account)
    target = connect(workspace, account)
    found = begin(workspace, account, target, trainer, study.space, wishes, asked.tries, asked.parallel, yes=yes,
                  quiet=quiet)  # fmt: skip
    return Google(trainer, target, found)
