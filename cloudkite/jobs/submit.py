"""A submission from wishes to a queued job: plan, stage the wheel and the data, create the job."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from catalog import accelerators, images, tpus
from cloudkite.accounts.membership import LEARNER
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.jobs import plans, service, staging
from cloudkite.jobs.body import STARTED_BY, JobSpec, name_as_label, new_name, stem
from cloudkite.jobs.plans import Plan, Wishes
from cloudkite.jobs.service import Job
from cloudkite.jobs.staging import HASHES
from cloudkite.money import reservations
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, read_json


@dataclass(frozen=True)
class Submitted(Job):
    """A job just created: where its code and data lie, bytes sent for them, the trainer's arguments as it gets them."""

    staged: str = ""
    data: str = ""
    sent_bytes: int = 0


def plan(account: Account, trainer: Trainer, wishes: Wishes) -> Plan:
    """The wishes checked against the catalogue, priced, and with the data files they need found here.

    Raises BadValue for what can't be. Nothing is sent.
    """
    files, arguments = local_data(trainer, tuple(wishes.arguments))
    made = plans.plan(account, trainer, wishes)
    folder = _data_folder(trainer, tuple(wishes.arguments))
    return dataclasses.replace(made, data=files, data_folder=folder, arguments=arguments)


def on_this_machine(workspace: Workspace, plan: Plan) -> Plan:
    """The plan with what is different where its account is on this machine; one for Google stays as it is.

    Raises BadValue for what the local cloud could only refuse, or run as something else, after the job was submitted.
    """
    if plan.account.target != "local":
        if plan.rehearse:
            raise BadValue(
                _("--rehearse is for accounts on the local cloud, and {name} is on Google").format(
                    name=plan.account.name
                ),
                _("leave --rehearse out, or name another account: --account local"),
            )
        return plan
    image = _image_here(workspace, plan.image)
    kind = plan.accelerator or plan.machine.chip
    missing = accelerators.accelerator(kind).short if kind else ""
    if not missing and not (image and image.gpu):
        return plan
    if not plan.rehearse:
        raise BadValue(
            _("this machine's local cloud has no {gpu}").format(gpu=missing)
            if missing
            else _("this machine's local cloud has no GPU, and {uri} is an image for GPUs").format(uri=plan.image),
            _("add --rehearse to run the job on this machine's CPU, or name an account on Google: --account NAME"),
        )
    note = _(
        "a rehearsal: everything is as on Google but the {gpu}. The trainer runs on this machine's CPU, with "
        "TensorFlow for CPUs: its speed and its memory tell nothing about the GPU"
    ).format(gpu=missing or "GPU")
    return dataclasses.replace(plan, notes=(*plan.notes, note))


def _image_here(workspace: Workspace, uri: str) -> images.Image | None:
    """What stands in for an image, None for one of the person's own. Raises BadValue when nothing does."""
    own = workspace.localcloud / "images.json"
    try:
        return images.image(uri)
    except LookupError:
        with contextlib.suppress(OSError, ValueError):
            if uri in read_json(own):
                return None
    known = ", ".join(i.uri for i in images.images().values() if i.kind == "training" and not i.ended)
    raise BadValue(
        _("the local cloud has nothing that stands in for the image {uri}").format(uri=uri),
        _("one of: {known}; or say what is in yours in {path}").format(known=known, path=own),
    )


def submit(
    workspace: Workspace, target: Target, plan: Plan, progress: Callable[[str], None] | None = None
) -> Submitted:
    """Send what the bucket lacks and create the job. Unchanged code and data send nothing."""
    made = plan.account.outputs()
    bucket = made.buckets["staging"]
    wheel = folders.build_wheel(plan.trainer, workspace)
    data = sent = None
    with ThreadPoolExecutor(1) as beside:
        staging_wheel = beside.submit(staging.stage_wheel, target, bucket, wheel)
        if plan.data_folder:
            names = [file.relative_to(plan.data_folder).as_posix() for file in plan.data]
            data = staging.stage_folder(target, bucket, plan.data_folder, names, workspace.state / HASHES, progress)
        elif plan.data:
            data = staging.stage_data(
                target, bucket, plan.data, workspace.state / HASHES, progress, pushed=_pushed(plan)
            )
        if plan.earlier and plan.earlier.files:
            folder, files = plan.earlier.folder, plan.earlier.files
            sent = staging.stage_folder(target, bucket, folder, files, workspace.state / HASHES, progress)
    staged = staging_wheel.result()
    arguments = (("--data", data.uri) if data else ()) + plan.arguments
    arguments += plan.earlier.options(sent.uri if sent else "") if plan.earlier else ()
    unique = new_name(stem(plan.name) or plan.trainer.name)
    who = name_as_label(target.identity) if "@" in target.identity else ""
    labels = {STARTED_BY: who} if who else {}
    if plan.account.learner:
        labels[LEARNER] = plan.account.learner.name
    spec = JobSpec(
        name=plan.name or unique,
        trainer=plan.trainer.name,
        account=plan.account.name,
        image=plan.image,
        wheel=staged.uri,
        sha256=wheel.sha256,
        service_account=made.trainer,
        output=f"{made.buckets['models']}/{plan.trainer.name}/{unique}/",
        limit_seconds=plan.limit_seconds,
        place=plan.place,
        machine=plan.machine.name,
        accelerator=plan.accelerator,
        count=plan.count,
        topology=plan.machine.topology,
        replicas=plan.workers,
        spot=plan.spot,
        restarts=plan.restarts > 0,
        rehearse=plan.rehearse,
        disk_gb=plan.disk_gb,
        disk_kind=plan.disk_kind,
        pins=_pins(plan),
        arguments=arguments,
        labels=labels,
        environment=_environment(plan),
    )
    with reservations.reserved(target, plan, spec.output):
        job = service.create(target, spec)
    fields = {field.name: getattr(job, field.name) for field in dataclasses.fields(Job)}
    sent_bytes = sum(one.sent_bytes for one in (staged, data, sent) if one)
    told = {"staged": staged.uri, "data": data.uri if data else "", "sent_bytes": sent_bytes, "arguments": arguments}
    return Submitted(**{**fields, **told})


def _pushed(plan: Plan) -> list[str]:
    """Where `data.push` may have put the data: the account's bucket, or a learner's folder and what all share."""
    bucket = plan.account.outputs().buckets.get("data", "")
    shared = [f"gs://{staging.apart(bucket)[0]}"] if plan.account.learner else []
    return list(dict.fromkeys([*filter(None, [bucket]), *shared])) if bucket else []


def _environment(plan: Plan) -> dict[str, str]:
    """A job on this machine has the trainer's pins from its start: nothing can be installed in it."""
    if plan.account.target != "local" or not plan.trainer.requirements:
        return {}
    return {"LOCALCLOUD_REQUIREMENTS": json.dumps(plan.trainer.requirements)}


def _pins(plan: Plan) -> tuple[str, ...]:
    if plan.account.target == "local":
        return pins(plan.trainer.requirements, gpu=False, here=True)
    return pins(plan.trainer.requirements, gpu=plan.accelerator.startswith("NVIDIA_"), tpu=plan.machine.tpu)


def pins(requirements: Sequence[str], gpu: bool, here: bool = False, tpu: bool = False) -> tuple[str, ...]:
    """The trainer's pins as a Linux job needs them: markers decided, TensorFlow with CUDA where there is a GPU.

    On a TPU it is the TensorFlow that is built for TPUs.

    `here`: as a job on this machine needs them, whatever its system is.
    """
    from packaging.requirements import Requirement

    # What the training images are; a pin for macOS or Windows means nothing there.
    linux = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"}
    there = {} if here else linux
    kept = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate(there):
            continue
        name = wanted.name
        extras = ",".join(sorted(wanted.extras))
        if tpu and name in ("tensorflow", "tensorflow-cpu"):
            kept += tpus.software().pins
            continue
        if gpu and name in ("tensorflow", "tensorflow-cpu"):
            name, extras = "tensorflow", "and-cuda"
        kept.append(f"{name}{f'[{extras}]' if extras else ''}{wanted.specifier}")
    return tuple(kept)


def local_data(trainer: Trainer, arguments: tuple[str, ...]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """(data files here that the job will need, the arguments without a --data that named them).

    Files come from `--data`, seen from the folder the command runs in, else from what the trainer declares. gs://
    addresses stay as they are. Raises BadValue when nothing matches.
    """
    given, rest = _take_data(arguments)
    wanted = given if given is not None else trainer.data
    if not wanted or wanted.startswith("gs://"):
        return (), arguments
    start = Path.cwd() if given is not None else trainer.folder
    folder = _data_folder(trainer, arguments)
    found = folders.files_in(folder) if folder else folders.files_of(start, wanted)
    if not found:
        raise BadValue(
            _("--data {pattern}: no such file").format(pattern=wanted)
            if given is not None
            else _("{trainer} declares the data {pattern}, but no such file exists").format(
                trainer=trainer.name, pattern=wanted
            ),
            _("a path or gs:// address, wildcards allowed"),
        )
    folders.refuse_links(trainer.folder, found)
    return found, rest


def _data_folder(trainer: Trainer, arguments: tuple[str, ...]) -> Path | None:
    """The folder of files that a trainer reads by itself; None where its data are something else."""
    given, _rest = _take_data(arguments)
    named = given or trainer.data
    place = Path.cwd() / given if given else trainer.folder / named
    return place if named and place.is_dir() and trainer.takes_folders else None


def _take_data(arguments: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The value of --data, None when it is not given, and the other arguments. The last one counts, as in argparse."""
    value, rest, words = None, [], iter(arguments)
    for word in words:
        if word == "--data":
            value = next(words, None)
            if value is None:
                raise BadValue(_("--data has no value"), _("--data PATTERN"))
        elif word.startswith("--data="):
            value = word.removeprefix("--data=")
        else:
            rest.append(word)
    return value, tuple(rest)
