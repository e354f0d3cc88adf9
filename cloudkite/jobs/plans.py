"""What a training job will be: a person's wishes checked against the catalogue, with its price and worst case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog import accelerators, images, machines, quotas, regions, run, tpus
from catalog.accelerators import Accelerator
from catalog.book import UnknownName
from catalog.machines import Machine
from catalog.prices import Price, disk_kinds
from cloudkite.accounts.registry import Account
from cloudkite.jobs.body import SPOT_RESTARTS, check_label, check_name
from cloudkite.jobs.job import RUN, TUNING, VERTEX
from cloudkite.money import limits, prices
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

if TYPE_CHECKING:
    from cloudkite.jobs.earlier import Earlier
    from cloudkite.trainers.folders import Trainer

DEFAULT_MACHINE = "e2-standard-4"  # the cheapest with four vCPUs: 0.154 USD an hour in us-central1
MOST_REPLICAS = 20
PLACES = (VERTEX, RUN)
SHORTEST_WAIT, LONGEST_WAIT = 300, 7 * 24 * 3600  # seconds, of a job that waits for machines
MOST_TRIES, MOST_PARALLEL = 1000, 100  # more is a slip of the finger
DISK_GB = range(100, 64001)  # https://cloud.google.com/vertex-ai/docs/training/configure-compute


@dataclass(frozen=True)
class Wishes:
    """What a person asked for a job; empty means Cloudkite's default. `limit` and `max_cost` are as typed.

    `rehearse`: run a job for accelerators on the CPU, where an account's cloud has none. `earlier`: what to learn on
    from, as typed; see `cloudkite.jobs.earlier`. `queue`: how long to wait for machines that are out of stock, as
    typed. `also`: in whichever of the account's regions is the cheapest that has the quota.
    """

    machine: str = ""
    gpu: str = ""
    gpus: int = 0
    tpu: str = ""
    workers: int = 1
    spot: bool = False
    image: str = ""
    limit: str = ""
    max_cost: str = ""
    rehearse: bool = False
    name: str = ""
    arguments: tuple[str, ...] = ()
    earlier: str = ""
    widen: bool = False
    on: str = VERTEX
    queue: str = ""
    also: bool = False


@dataclass(frozen=True)
class Plan:
    """A job before it is submitted. `price` is for an hour of all of it; `worst_case` in the price's currency.

    `max_cost` is what the person allowed, None when they did not say. `notes` are warnings worth reading before
    consent. `data` are the files here that the job needs, all of `data_folder` if there is one, `earlier` what it
    learns on from. `name` is the one that the person gave the job, or ""; then `stem` begins its name, or the trainer's
    does. `place` is VERTEX, RUN or TUNING. `wait_seconds` is how long it waits for machines that are out of stock, 0
    for not. `transfer` is what its data cost on their way into another region; the worst case has it in it. `estimate`
    is what it will probably cost, by measurements of such jobs; None where there are none.

    For a tuning job `worst_case` is that of all `tries`, of which `parallel` run at once; `price`, `limit_seconds` and
    machines are those of one. `study` is its StudySpec in Google's JSON, `labels` what it has beside the usual ones.
    """

    trainer: Trainer
    account: Account
    region: str
    machine: Machine
    accelerator: str
    count: int
    workers: int
    spot: bool
    restarts: int
    disk_gb: int
    disk_kind: str
    image: str
    limit_seconds: int
    max_cost: Decimal | None
    price: Price
    worst_case: Decimal
    arguments: tuple[str, ...]
    notes: tuple[str, ...]
    data: tuple[Path, ...] = ()
    data_folder: Path | None = None
    rehearse: bool = False
    name: str = ""
    earlier: Earlier | None = None
    place: str = VERTEX
    stem: str = ""
    wait_seconds: int = 0
    transfer: Decimal = Decimal(0)
    estimate: Decimal | None = None
    tries: int = 1
    parallel: int = 1
    study: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def preemptible(self) -> bool:
        """Whether it takes the quota of Spot: a job that waits for machines does, too."""
        return self.spot or self.wait_seconds > 0

    @property
    def each(self) -> Decimal:
        """The worst case of one try; of a job that isn't a tuning job, its own."""
        return limits.worst_case(self.price.amount or Decimal(0), self.limit_seconds, self.restarts)

    def describe(self) -> str:
        """The machines in a few words: 2 x n1-standard-4 + 1 T4, spot."""
        times = f"{self.workers} x " if self.workers > 1 else ""
        kind, count = (self.accelerator or self.machine.chip), (self.count or self.machine.chips)
        gpu = f" + {count} {accelerators.accelerator(kind).short}" if kind else ""
        where = _(" on Cloud Run") if self.place == RUN else ""
        how = ", spot" if self.spot else _(", queued") if self.wait_seconds else ""
        return f"{times}{self.machine.name}{gpu}{how}{where}"

    def needs(self) -> list[quotas.Need]:
        """What the job takes from each quota; a tuning job with as many tries as run at once."""
        if self.place == RUN:
            return run.needs(run.shape(self.machine.name))
        replicas = self.workers * self.parallel
        return quotas.needs(self.machine.name, self.accelerator, self.count, replicas, self.preemptible)


def tuned(plan: Plan, study: Mapping[str, Any], tries: int, parallel: int, max_cost: str, limit: str) -> Plan:
    """The plan of a tuning job with so many tries, each of them the job of `plan`. Raises BadValue.

    `max_cost` and `limit` are as typed: what all may cost, and how long each may run. A cap lowers the time of each
    try, and never raises it; where it doesn't pay for all tries, it says for how many.
    """
    if plan.place != VERTEX:
        raise BadValue(_("tuning jobs run on Vertex AI, not on Cloud Run"), _("leave --on run out"))
    if not 1 <= tries <= MOST_TRIES:
        raise BadValue(_("--tries must be 1 to {most}, not {count}").format(most=MOST_TRIES, count=tries))
    if not 1 <= parallel <= MOST_PARALLEL:
        said = _("--parallel must be 1 to {most}, not {count}")
        raise BadValue(said.format(most=MOST_PARALLEL, count=parallel))
    hourly = plan.price.amount or Decimal(0)
    seconds, most = limits.limit_for_tries(hourly, plan.restarts, limit, max_cost, plan.price.currency, tries)
    return replace(
        plan,
        limit_seconds=seconds,
        max_cost=most,
        worst_case=limits.worst_case(hourly * tries, seconds, plan.restarts),
        place=TUNING,
        tries=tries,
        parallel=min(parallel, tries),
        study=study,
    )


def plan(
    account: Account,
    trainer: Trainer,
    wishes: Wishes,
    *,
    region: str = "",
    disk_gb: int = prices.DISK_GB,
    disk_kind: str = prices.DISK_KIND,
    restarts: bool = True,
) -> Plan:
    """Check the wishes and price them; nothing is read but the catalogue.

    `restarts=False` makes a preempted spot job fail instead of starting again, and its worst case seven times smaller.
    Raises BadValue for a wish that isn't possible, with what is.
    """
    check_label("trainer", trainer.name)
    if wishes.name:
        check_name(wishes.name)
    if wishes.widen and not wishes.earlier:
        raise BadValue(_("--widen goes with --continue"), _("--continue JOB --widen"))
    if wishes.on not in PLACES:
        said = _("--on must be {places}, not {given}")
        raise BadValue(said.format(places=_(" or ").join(PLACES), given=wishes.on), _("--on run trains on Cloud Run"))
    where = _region(account, region)
    if wishes.on == RUN:
        return _on_run(account, trainer, wishes, where)
    machine, gpu, count = _tpu(wishes, where) if wishes.tpu else _shape(wishes, where)
    if not 1 <= wishes.workers <= MOST_REPLICAS:
        raise BadValue(_("--workers must be 1 to {most}, not {count}").format(most=MOST_REPLICAS, count=wishes.workers))
    if machine.tpu and wishes.workers > 1:
        raise BadValue(_("a TPU job has one replica"), _("leave --workers out"))
    if machine.tpu and wishes.spot:
        raise BadValue(_("TPU jobs aren't offered on spot"), _("leave --spot out"))
    if disk_gb not in DISK_GB:
        raise BadValue(
            _("the boot disk must have {least} to {most} GB, not {gb}").format(
                least=DISK_GB[0], most=DISK_GB[-1], gb=disk_gb
            )
        )
    if disk_kind not in disk_kinds():
        raise BadValue(_("no price is known for the boot disk {kind}").format(kind=disk_kind), ", ".join(disk_kinds()))
    kind = gpu.name if gpu else ""
    wait = _wait(wishes, kind)
    price = prices.job_hour(machine.name, where, kind, count, wishes.workers, wishes.spot, disk_gb, disk_kind)
    if price.amount is None:
        raise BadValue(
            _("the price of {what} in {region} is not known, and nothing runs without one").format(
                what=f"{machine.name}{' + ' + gpu.short if gpu else ''}{' on spot' if wishes.spot else ''}",
                region=where,
            ),
            _("leave --spot out") if wishes.spot else _known_prices(where, gpu),
        )
    again = SPOT_RESTARTS if wishes.spot and restarts else 0
    seconds, most = limits.limit_for(price.amount, again, wishes.limit, wishes.max_cost, price.currency)
    chosen, notes = _image(wishes.image, gpu, machine)
    return Plan(
        trainer=trainer,
        account=account,
        region=where,
        machine=machine,
        accelerator=kind,
        count=count,
        workers=wishes.workers,
        spot=wishes.spot,
        restarts=again,
        disk_gb=disk_gb,
        disk_kind=disk_kind,
        image=chosen,
        limit_seconds=seconds,
        max_cost=most,
        price=price,
        worst_case=limits.worst_case(price.amount, seconds, again),
        arguments=tuple(wishes.arguments),
        notes=tuple(notes + _notes(wishes.spot, again, price) + _of_waiting(wait)),
        rehearse=wishes.rehearse,
        name=wishes.name,
        wait_seconds=wait,
    )


def _wait(wishes: Wishes, accelerator: str) -> int:
    """For how many seconds it waits for machines, 0 for not at all. Raises BadValue where Google would refuse it.

    https://cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws: five kinds of GPUs, on demand, the same in all
    worker pools, for up to 7 days, which is the longest limit that there is.
    """
    if not wishes.queue:
        return 0
    wait = limits.parse_duration(wishes.queue, "--queue")
    if not SHORTEST_WAIT <= wait <= LONGEST_WAIT:
        raise BadValue(_("--queue must be 5m to 7d, not {text}").format(text=wishes.queue), _("--queue 6h"))
    if wishes.spot:
        raise BadValue(
            _("--queue and --spot exclude each other"),
            _("leave --spot out: a job that waits takes Spot's quota too, and isn't preempted"),
        )
    kinds = [one for one in accelerators.accelerators().values() if one.queues and not one.ended]
    if accelerator not in {one.name for one in kinds}:
        given = accelerators.accelerator(accelerator).short if accelerator else _("CPUs alone")
        said = _("Google queues jobs for {kinds}, not for {given}")
        raise BadValue(
            said.format(kinds=", ".join(one.short for one in kinds), given=given),
            _("leave --queue out, or --gpu {kind}").format(kind=kinds[0].short.lower()),
        )
    return wait


def _of_waiting(seconds: int) -> list[str]:
    if not seconds:
        return []
    said = _(
        "it waits up to {time} for machines, which costs nothing, and ends where there are none. What Google asks for "
        "such jobs is not in the catalogue: it is less than the price on demand, which counts here"
    )
    return [said.format(time=limits.written(seconds))]


def _on_run(account: Account, trainer: Trainer, wishes: Wishes, region: str) -> Plan:
    """The plan of a Cloud Run job: one instance on CPUs, once. Raises BadValue."""
    if given := next((o for o in ("gpu", "gpus", "tpu", "spot", "queue") if getattr(wishes, o)), ""):
        said = _("Cloud Run jobs train on CPUs, one at a time: --{option} is for Vertex AI")
        raise BadValue(said.format(option=given), _("leave --{option} out, or --on run").format(option=given))
    if wishes.workers != 1:
        raise BadValue(_("a Cloud Run job has one worker, not {n}").format(n=wishes.workers), _("leave --workers out"))
    if region not in run.regions():
        said = _("Cloud Run is not known to be in {region}")
        raise BadValue(said.format(region=region), _("leave --on run out"))
    shape = _run_shape(wishes.machine)
    price = run.hourly(shape, region)
    assert price.amount is not None  # known wherever Cloud Run is
    seconds, most = limits.limit_for(price.amount, 0, wishes.limit, wishes.max_cost, price.currency)
    chosen, notes = _image(wishes.image, None, Machine(shape.name, "run", shape.cpus, float(shape.memory_gib)))
    free = _("on Cloud Run {hours:.1f} hours a month of {shape} cost nothing where nothing else of the billing account "
             "uses them; the prices shown count without that")  # fmt: skip
    return Plan(
        trainer=trainer,
        account=account,
        region=region,
        machine=Machine(shape.name, "run", shape.cpus, float(shape.memory_gib)),
        accelerator="",
        count=0,
        workers=1,
        spot=False,
        restarts=0,
        disk_gb=0,
        disk_kind="",
        image=chosen,
        limit_seconds=seconds,
        max_cost=most,
        price=price,
        worst_case=limits.worst_case(price.amount, seconds, 0),
        arguments=tuple(wishes.arguments),
        notes=(*notes, free.format(hours=run.free_hours(shape), shape=shape.name)),
        rehearse=wishes.rehearse,
        name=wishes.name,
        place=RUN,
    )


def _run_shape(typed: str) -> run.Shape:
    """The shape that a person typed, or the usual one. Raises BadValue."""
    try:
        return run.shape(typed or run.DEFAULT)
    except run.BadShape as bad:
        if bad.cpus:
            said = _("--machine {name}: with {cpus} vCPUs go {least} to {most} GiB")
            hint = f"--machine {run.Shape(bad.cpus, bad.most).name}"
            raise BadValue(
                said.format(name=typed, cpus=bad.cpus, least=f"{bad.least:f}", most=f"{bad.most:f}"), hint
            ) from None
        counts = ", ".join(map(str, run.cpu_counts()))
        said = _("--machine {name}: Cloud Run has {counts} vCPUs, each with its memory")
        raise BadValue(
            said.format(name=typed, counts=counts), _("--machine {name}, for example").format(name=run.DEFAULT)
        ) from None


def _region(account: Account, region: str) -> str:
    """The account's region: its buckets are there, and the service wants bucket and job in one place."""
    wanted = region or account.region
    _known(lambda: regions.region(wanted), "--region")
    if wanted not in (account.region, *account.also):
        raise BadValue(
            _("account {name} is in {region}, and a job must run where its buckets are").format(
                name=account.name, region=account.region
            ),
            _("add an account for {region}: uv run invoke account.add --region {region}").format(region=wanted),
        )
    return wanted


def _shape(wishes: Wishes, region: str) -> tuple[Machine, Accelerator | None, int]:
    """Machine, accelerator and count from what was asked and what goes together."""
    if run.is_shape(wishes.machine):
        raise BadValue(_("{name} is a machine of Cloud Run").format(name=wishes.machine), _("add --on run"))
    machine = _known(lambda: machines.machine(wishes.machine), "--machine") if wishes.machine else None
    if machine and machine.tpu:
        hint = next((f"--tpu {one.name}" for one in tpus.tpus().values() if one.machine == machine.name), "")
        raise BadValue(_("{name} is a machine with TPUs").format(name=machine.name), hint)
    if machine and machine.fixed and not wishes.gpu and len(machine.gpus) == 1:
        (kind, counts) = next(iter(machine.gpus.items()))
        if wishes.gpus not in (0, counts[0]):
            raise BadValue(
                _("{machine} has {n} {gpu}, not {asked}").format(
                    machine=machine.name, n=counts[0], gpu=accelerators.accelerator(kind).short, asked=wishes.gpus
                ),
                _("leave --gpus out"),
            )
        gpu, count = accelerators.accelerator(kind), counts[0]
    elif not wishes.gpu:
        if wishes.gpus:
            raise BadValue(_("--gpus {n} of which type?").format(n=wishes.gpus), _("--gpu t4, for example"))
        if machine and machine.fixed:
            kinds = ", ".join(accelerators.accelerator(k).short for k in machine.gpus)
            raise BadValue(_("{name} needs an accelerator").format(name=machine.name), f"--gpu {kinds}")
        return machine or machines.machine(DEFAULT_MACHINE), None, 0
    else:
        gpu, count = (
            _known(lambda: accelerators.accelerator(wishes.gpu), "--gpu"),
            wishes.gpus or _default(wishes, machine),
        )
    if gpu.tpu:
        hint = f"--tpu {gpu.short.removeprefix('TPU-').lower()}"
        raise BadValue(_("{gpu} is a TPU, not a GPU").format(gpu=gpu.short), hint)
    if gpu.ended:
        raise BadValue(_("support for {gpu} ended on {date}").format(gpu=gpu.short, date=gpu.ended), _("--gpu t4"))
    if gpu.name not in regions.region(region).accelerators:
        there = regions.regions_with(gpu.name)
        raise BadValue(
            _("{gpu} isn't available for training in {region}").format(gpu=gpu.short, region=region),
            _("regions that have it: {names}").format(names=", ".join(there)) if there else "",
        )
    machine = machine or machines.smallest_with(gpu.name, count)
    if machine is None:
        possible = sorted({n for m in machines.machines().values() for n in m.gpus.get(gpu.name, ())})
        raise BadValue(
            _("no machine has {n} {gpu}").format(n=count, gpu=gpu.short),
            _("available counts: {counts}").format(counts=", ".join(map(str, possible))),
        )
    allowed = machine.gpus.get(gpu.name, ())
    if count not in allowed:
        other = machines.smallest_with(gpu.name, count)
        if allowed:
            hint = _("--gpus {counts}").format(counts=_(" or ").join(map(str, allowed)))
        else:
            hint = _("--machine {name}").format(name=other.name) if other else ""
        raise BadValue(_("{machine} can't have {n} {gpu}").format(machine=machine.name, n=count, gpu=gpu.short), hint)
    return machine, gpu, count


def _tpu(wishes: Wishes, region: str) -> tuple[Machine, Accelerator | None, int]:
    """The machine of a TPU that TensorFlow can train on there, with its accelerators."""
    if given := next((o for o in ("machine", "gpu", "gpus") if getattr(wishes, o)), ""):
        raise BadValue(_("--tpu and --{other} exclude each other").format(other=given), _("leave one of them out"))
    try:
        found = _known(lambda: tpus.tpu(wishes.tpu), "--tpu")
    except tpus.Unsupported as refused:
        said = _("TensorFlow can't train on TPU {chip} there ({source})")
        raise BadValue(said.format(chip=refused.chip, source=refused.source), _("--tpu v5e, or --gpu t4")) from None
    machine = machines.machine(found.machine)
    kind = found.accelerator or machine.chip
    if kind not in regions.region(region).accelerators:
        said = _("{gpu} isn't available for training in {region}")
        raise BadValue(
            said.format(gpu=accelerators.accelerator(kind).short, region=region),
            _("regions that have it: {names}").format(names=", ".join(regions.regions_with(kind))),
        )
    return machine, accelerators.accelerator(found.accelerator) if found.accelerator else None, found.count


def _default(wishes: Wishes, machine: Machine | None) -> int:
    """How many accelerators when no number was asked for: one, or what the machine comes with."""
    gpu = accelerators.accelerator(wishes.gpu)
    counts = machine.gpus.get(gpu.name, ()) if machine and machine.fixed else ()
    return counts[0] if counts else 1


def _image(image: str, gpu: Accelerator | None, machine: Machine) -> tuple[str, list[str]]:
    software = tpus.software()
    chosen = image or (software.image if machine.tpu else images.DEFAULT_GPU if gpu else images.DEFAULT_CPU)
    said = _("TPUs are experimental: a job on one has not been proven on Google. It runs TensorFlow {version}")
    unproven = [said.format(version=software.tensorflow)] if machine.tpu and not image else []
    try:
        known = images.image(chosen)
    except LookupError:
        said = _("the image {uri} is not in the catalogue: its Python and TensorFlow are not known")
        return chosen, [*unproven, said.format(uri=chosen)]
    return known.uri, unproven


def _notes(spot: bool, restarts: int, price: Price) -> list[str]:
    notes = []
    if spot and restarts:
        notes.append(
            _("a preempted job starts again up to {n} times, each run paid: the worst case counts all").format(
                n=restarts
            )
        )
    if price.sure == "estimate":
        notes.append(
            _("this price is an estimate of {date}: spot prices change monthly").format(date=price.as_of)
            if spot
            else _("this price is an estimate of {date}").format(date=price.as_of)
        )
    return notes


def _known_prices(region: str, gpu: Accelerator | None) -> str:
    rows = [r for r in prices.listing(region) if bool(r.accelerator) == bool(gpu)][:4]
    names = ", ".join(
        r.machine + (f" + {r.count} {accelerators.accelerator(r.accelerator).short}" if gpu else "") for r in rows
    )
    return _("with a known price there: {names}").format(names=names) if names else _("choose another region")


def _known(look_up: Any, option: str) -> Any:
    """The catalogue's answer; a name it lacks becomes a BadValue with the names that come near."""
    try:
        return look_up()
    except UnknownName as unknown:
        names = _(" or ").join(unknown.near) if unknown.close else ", ".join(unknown.near)
        hint = _("did you mean {names}?") if unknown.close else _("known: {names}, ...")
        raise BadValue(
            _("{option}: unknown {what} {name}").format(option=option, what=unknown.what, name=unknown.name),
            hint.format(names=names),
        ) from None
