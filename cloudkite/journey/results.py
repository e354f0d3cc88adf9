"""After a job was submitted: list, read, cancel, fetch, predict, look at."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.accounts.target import Target
from cloudkite.children import end, safe_environment
from cloudkite.journey import rates, watching
from cloudkite.journey import trial as trials
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace, private_folder

if TYPE_CHECKING:
    from cloudkite.jobs.choosing import Purpose
    from cloudkite.jobs.service import Job
    from cloudkite.money.currency import Rate

TENSORBOARD = "tensorboard==2.21.0"


def list_jobs(
    workspace: Workspace,
    account_name: str,
    *,
    states: Sequence[str] = (),
    trainer: str = "",
    everything: bool = False,
    as_json: bool = False,
    watch: bool = False,
    notify: bool = False,
) -> None:
    """The account's newest jobs; only those in `states` (as typed) and of `trainer`, where they are given.

    `watch` stays and shows what changes, and with `notify` a message on the desktop when a job fails.
    """
    from cloudkite.jobs import service

    wanted = _states(states)
    if watch and as_json:
        raise BadValue(_("--watch and --json exclude each other"), _("leave one of them out"))
    account = registry.load(workspace, account_name or None)
    target = connect(workspace, account)

    def look() -> list[Job]:
        return service.recent(target, everything=everything, states=wanted, trainer=trainer)

    if watch:
        rate = rates.shown(target)
        watching.watch(look, lambda jobs: _table(jobs, rate), notify=notify)
        return
    found = look()
    if as_json:
        screen.as_json(found)
        return
    if not found and (wanted or trainer):
        screen.say(_("no such job; uv run invoke jobs lists all"))
        return
    if not found:
        screen.say(_("no jobs yet; `uv run invoke train NAME` starts one"))
        return
    rate = rates.shown(target)
    screen.table(**_table(found, rate))
    rates.say(rate)
    trials.tell_credit(target)


def _table(jobs: Sequence[Job], rate: Rate) -> dict[str, Any]:
    """What `screen.table` takes."""
    rows = [
        (
            job.name,
            job.started_by,
            _state(job),
            machines(job),
            f"{job.created:%Y-%m-%d %H:%M}",
            amounts.duration(job.seconds) if job.started else "",
            rate.beside(job.cost) if job.started else "",
        )
        for job in jobs
    ]
    columns = [_("job"), _("by"), _("state"), _("machine"), _("created (UTC)"), _("ran"), _("cost")]
    return {"columns": columns, "rows": rows, "right": [5, 6], "spare": [1, 3, 4, 5]}


def _state(job: Job) -> str:
    """Its state; of a job that waits for machines also how long it does."""
    if job.waits_until is None:
        return job.state
    return _("queued, waits until {time} UTC").format(time=f"{job.waits_until:%m-%d %H:%M}")


def _states(typed: Sequence[str]) -> tuple[str, ...]:
    """States as Google calls them, from words such as `failed,cancelled`. Raises BadValue for an unknown one."""
    from cloudkite.jobs import service

    found = []
    for word in (part.strip() for one in typed for part in one.split(",")):
        state = word.upper().replace("-", "_").removeprefix("JOB_STATE_")
        if state not in service.STATES:
            known = ", ".join(state.lower() for state in service.STATES)
            raise BadValue(
                _("{word!r} isn't the state of a job").format(word=word), _("known: {names}").format(names=known)
            )
        found.append(state)
    return tuple(dict.fromkeys(found))


def _chosen(workspace: Workspace, target: Target, text: str, purpose: Purpose) -> Job:
    """The job that a person means, told where they gave neither its name nor its id."""
    from cloudkite.jobs import choosing
    from cloudkite.trainers import folders

    job = choosing.choose(target, text, purpose, folders.names(workspace))
    if text and text not in (job.name, job.id):
        screen.note(
            _("job {name} ({state}, {date} UTC)").format(
                name=job.name, state=job.state, date=f"{job.created:%Y-%m-%d %H:%M}"
            )
        )
    return job


def machines(job: Any) -> str:
    """The machines of a job in a few words."""
    times = f"{job.replicas} x " if job.replicas > 1 else ""
    gpu = f" + {job.count} {job.accelerator}" if job.accelerator else ""
    made = sum(count for state, count in job.tries.items() if state in ("done", "pruned"))
    tries = _("{made}/{all} tries, ").format(made=made, all=job.tries["all"]) if job.tries else ""
    return f"{tries}{times}{job.machine}{gpu}{', spot' if job.spot else ''}"


def show_logs(
    workspace: Workspace, account_name: str, text: str, *, follow: bool = False, as_json: bool = False
) -> None:
    """What a job wrote so far, or until it ends."""
    from cloudkite.jobs import choosing, logs
    from cloudkite.journey import training

    account = registry.load(workspace, account_name or None)
    target = connect(workspace, account)
    job = _chosen(workspace, target, text, choosing.ANY)
    if follow and not as_json:
        training.after_job(workspace, account, training.finish(target, job))
        return
    for line in logs.follow(target, job) if follow else logs.read(target, job):
        if not line.text:
            continue  # only the state of the job is new
        if as_json:
            told = {"time": line.time.isoformat(), "severity": line.severity, "task": line.task, "text": line.text}
            told |= {"try": line.attempt} if line.attempt else {}
            screen.as_json_line({**told, **({"fields": line.fields} if line.fields else {})})
        else:
            screen.say(line.shown)


def cancel(workspace: Workspace, account_name: str, text: str, *, as_json: bool = False) -> None:
    """Stop a job."""
    from cloudkite.jobs import choosing, service

    account = registry.load(workspace, account_name or None)
    target = connect(workspace, account)
    job = _chosen(workspace, target, text, choosing.CANCEL)
    if job.active:
        service.cancel(target, job)
    job = service.get(target, job)
    if as_json:
        screen.as_json(job)
    else:
        screen.say(_("{name} is {state}").format(name=job.name, state=job.state))


def fetch(workspace: Workspace, account_name: str, text: str, *, as_json: bool = False) -> None:
    """Download a job's model."""
    from cloudkite.jobs import choosing
    from cloudkite.trainers import folders

    account = registry.load(workspace, account_name or None)
    target = connect(workspace, account)
    job = _chosen(workspace, target, text, choosing.FETCH)
    folder = fetch_job(workspace, target, job, quiet=as_json)
    if as_json:
        screen.as_json({"job": job.id, "model": folder})
    else:
        _show_quality(folder)
        trainer = folders.Trainer(folder.parents[1].name, folder.parents[1])
        if trainer.plain:
            return  # what its program left is for the person to load
        line = f"uv run invoke predict {folders.typed(workspace, trainer)}"
        screen.say(_("next: {command} --csv FILE, or --row COLUMN=VALUE,...").format(command=line))


def _show_quality(folder: Path) -> None:
    """How the model did on held-out rows, where its trainer tells that."""
    from cloudkite.check import rehearsal
    from cloudkite.models import predictions

    try:
        told = rehearsal.quality(predictions.facts(folder))
    except UserError:  # another kind of model: `predict` says what it lacks
        return
    if told:
        screen.say(told)


def fetch_job(workspace: Workspace, target: Target, job: Any, quiet: bool = False) -> Path:
    """The body of `fetch`; gives the model's folder."""
    from cloudkite import names
    from cloudkite.jobs.job import TUNING
    from cloudkite.jobs.places import tuning
    from cloudkite.models import fetching
    from cloudkite.trainers import places

    if job.place == TUNING and not job.active:
        job = tuning.best(target, job)

    # Whoever may submit jobs chooses the names.
    trainer = places.folder_of(workspace, job.trainer or "unknown", job.name)
    folder = trainer / "models" / names.component(job.name)
    with _alone(workspace, folder, job), screen.waiting(_("fetching ...")) as tell:
        fetched = fetching.fetch(target, job, folder, progress=tell)
    for other in sorted(folder.parent.glob(".*.part")):
        said = _("an unfinished download is in {path}: fetching that job again goes on with it, or delete it")
        screen.note(said.format(path=amounts.short(other)))
    if not quiet:
        screen.say(
            counted(
                "{count} file, {size}, in {path}",
                "{count} files, {size}, in {path}",
                fetched.files,
                size=amounts.size(fetched.bytes),
                path=amounts.short(fetched.folder),
            )
        )
    return fetched.folder


def _alone(workspace: Workspace, folder: Path, job: Any) -> AbstractContextManager[None]:
    from cloudkite import locks

    said = _("another command fetches the model of {name} (process {pid})")
    return locks.folder(workspace, "fetch", folder, lambda pid: said.format(name=job.name, pid=pid), locks.GOES_ON)


def predict(
    workspace: Workspace,
    name: str,
    rows: list[str],
    csv: str,
    model: str = "",
    output: str = "",
    *,
    as_json: bool = False,
) -> None:
    """Predict rows from the command line or a CSV file with a fetched model; show the answers, or write a file."""
    from cloudkite.models import beside, predictions
    from cloudkite.trainers import folders, places

    if bool(rows) == bool(csv):
        raise BadValue(_("nothing to predict") if not rows else _("--row and --csv exclude each other"),
                       _("--row COLUMN=VALUE,... or --csv FILE"))  # fmt: skip
    trainer = folders.find(workspace, name)
    if trainer.plain:
        raise BadValue(
            _("{trainer} can't be asked by predict: it declares no columns").format(trainer=trainer.name),
            _("load what fetch brought in Python: keras.saving.load_model(FILE)"),
        )
    places.remember(workspace, trainer)
    folder = Path(model) if model else predictions.latest_model(trainer)
    if output:
        beside.check(Path(output))  # before it takes time
    asked = predictions.ask(workspace, trainer, folder, rows or Path(csv), note=screen.note)
    if output:
        count = beside.write(asked, Path(output))
        if as_json:
            screen.as_json({"output": output, "rows": count})
        else:
            said = counted("{count} row", "{count} rows", count)
            screen.say(_("{rows} with predictions in {path}").format(rows=said, path=output))
            _after_predict(workspace)
        return
    answers = [one for _batch, some in asked for one in some.rows()]
    if as_json:
        screen.as_json(answers)
    else:
        show_predictions(answers)
        _after_predict(workspace)


def _after_predict(workspace: Workspace) -> None:
    """The account in use, while it is set up, may cost: taking it down is the end of the way. Beside the answers."""
    try:
        ready = registry.load(workspace).outputs_file.is_file()
    except UserError:  # predicting needs no account
        return
    if ready:
        screen.note(_("next: uv run invoke down, when you are done"))


def show_predictions(answers: list[dict[str, Any]]) -> None:
    """A table of answers: the prediction and how sure the model is."""
    columns = list(dict.fromkeys(key for answer in answers for key in answer))
    rows = [[_cell(answer.get(column)) for column in columns] for answer in answers]
    screen.table(columns, rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_cell(v)}" for k, v in value.items())
    return str(value)


def tensorboard(workspace: Workspace, account_name: str, name: str, port: int) -> None:
    """TensorBoard in the trainer's environment, over the logs that its jobs wrote; until Ctrl-C."""
    import environments
    from cloudkite.trainers import folders

    if not 1 <= port <= 65535:
        raise BadValue(_("--port must be 1 to 65535, not {port}").format(port=port))
    account = registry.load(workspace, account_name or None)
    trainer = folders.find(workspace, name)
    _refuse_taken(port, name)
    logs = f"{account.outputs().buckets['models']}/{trainer.name}"
    target = connect(workspace, account)
    with screen.waiting(_("preparing TensorBoard ...")) as tell:
        python = environments.environment(
            private_folder(workspace.envs), [*trainer.requirements, TENSORBOARD], progress=tell
        )
    # --load_fast=false: its own data server reads gs:// without the target's proxy and certificates.
    # -P: modules come from its environment, not from the folder that it runs in.
    command = [str(python), "-P", "-m", "tensorboard.main", "--logdir", logs, "--port", str(port),
               "--host", "127.0.0.1", "--load_fast=false"]  # fmt: skip
    environment = target.child_environment({"TF_CPP_MIN_LOG_LEVEL": "2"})
    try:
        # What it says quotes names of files in the bucket, so it doesn't write to the terminal itself.
        with tempfile.TemporaryDirectory() as own, subprocess.Popen(
            command, cwd=own, env=safe_environment(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace",
        ) as child:  # fmt: skip
            screen.note(_("starting TensorBoard ..."))
            said = _("TensorBoard over {logs}: http://127.0.0.1:{port}/ (Ctrl-C ends it)").format(logs=logs, port=port)
            threading.Thread(target=_say_when_it_answers, args=(child, port, said), daemon=True).start()
            try:
                for line in child.stdout or ():
                    screen.note(line.rstrip("\n"))
            except BaseException:  # a SIGTERM reaches this process alone, a Ctrl-C both
                end(child)
                raise
        code = child.returncode
    except KeyboardInterrupt:
        return
    if code:
        raise UserError(_("TensorBoard ended with exit code {code}").format(code=code), _("another --port?"))


def _refuse_taken(port: int, name: str) -> None:
    """Raise UserError when something else has the port, with one that is free."""
    if _can_listen(port):
        return
    free = next((other for other in range(port + 1, 65536) if _can_listen(other)), 0)
    raise UserError(
        _("port {port} is in use, or not yours to use").format(port=port),
        _("uv run invoke tensorboard {name} --port {free}").format(name=name, free=free or 16006),
    )


def _can_listen(port: int) -> bool:
    with socket.socket() as one:
        if os.name == "posix":  # as servers do; on Windows it would mean that two may have the port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _say_when_it_answers(child: subprocess.Popen[str], port: int, said: str) -> None:
    """Importing TensorFlow takes seconds, in which a browser would find nothing at the address."""
    while child.poll() is None:
        with socket.socket() as one:
            one.settimeout(1)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                screen.say(said)
                return
        time.sleep(0.2)
