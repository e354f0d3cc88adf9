"""What stands in a project and what it costs a month: asked of the APIs themselves, whoever made it.

The state of the engine knows what it made; a trial's credit is also eaten by what a notebook, a console or another
program left. So `down` looks here, and what could not be looked at is said.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from catalog import prices as book
from catalog import regions, run
from catalog.book import UnknownName, read
from cloudkite.accounts.api import send, table
from cloudkite.accounts.target import Target
from cloudkite.jobs.job import maybe
from cloudkite.jobs.places import cloudrun
from cloudkite.show.errors import UserError, from_google, is_off
from cloudkite.show.text import _, counted

_CENT = Decimal("0.01")  # what costs less in a month is on no bill
HOURS = 730  # of a month, as Google's price lists count them
_GIB = 2**30  # bytes; by this prices of storage and images are: https://cloud.google.com/storage/pricing
_FREE_LOG_DAYS = 30  # https://cloud.google.com/stackdriver/pricing: longer costs by the GiB
_MOST_PAGES = 50  # of 1,000 objects each: a bucket with more is told as "at least"
_MOST_ENTRIES = 20  # pages of any other list
_THREADS = 8
_DONE = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED", "PAUSED"})


@dataclass(frozen=True)
class Standing:
    """One thing that is there. `monthly` in USD while it stays as it is, None when that is not known.

    `running` is charged by the hour, so what it costs goes on whether it is used or not. `why` says how it is counted.
    `ref` is what the API calls it, `size` its bytes, `since` when it was made, None where that isn't known.
    """

    kind: str
    name: str
    monthly: Decimal | None
    why: str
    running: bool = False
    size: int = 0
    ref: str = ""
    since: datetime.datetime | None = None


@dataclass(frozen=True)
class Inventory:
    """All that was found, the dearest first, and what could not be looked at, each with the reason."""

    found: tuple[Standing, ...]
    unseen: tuple[str, ...]
    as_of: str = field(default_factory=lambda: read("resources.json")["as_of"])

    @property
    def bills(self) -> tuple[Standing, ...]:
        """What costs a cent a month or more, or may: an unknown price is no price of zero."""
        return tuple(one for one in self.found if one.running or one.monthly is None or one.monthly >= _CENT)


@dataclass(frozen=True)
class _Look:
    """One list of one API: how its entries become standing things. `{region}` in `url` makes it a list a region."""

    what: str
    api: str
    url: str
    key: str
    told: Callable[[Target, Mapping[str, Any], str], Iterator[Standing]]
    resting: bool = False  # costs by being there, and is told by nothing else than this list


def take(target: Target, everywhere: bool = True) -> Inventory:
    """Look at everything that can cost: in all regions where Vertex AI trains, or in the account's alone."""
    where = [target.account.region]
    if everywhere:
        where += [name for name in regions.regions() if name != target.account.region]
    found, unseen = _take(target, where, _LOOKS)
    return Inventory(
        tuple(sorted(found, key=lambda one: (one.monthly is not None, -(one.monthly or 0), one.kind, one.name))),
        tuple(unseen),
    )


def resting(target: Target, where: Sequence[str]) -> tuple[list[Standing], list[str]]:
    """(what costs by being there and is neither a job, nor deployed, nor in a bucket; what could not be looked at)."""
    return _take(target, where, [look for look in _LOOKS if look.resting])


def _take(target: Target, where: Sequence[str], looks: Sequence[_Look]) -> tuple[list[Standing], list[str]]:
    on = enabled(target)
    wanted = [
        (look, region)
        for look in looks
        if on is None or look.api in on
        for region in (where if "{region}" in look.url else [""])
        if look.api != "run" or region in ("", *run.regions())
    ]
    target.session()  # made once, before threads ask for it
    with ThreadPoolExecutor(_THREADS) as pool:
        answers = list(pool.map(lambda pair: _look(target, *pair), wanted))
    found = [one for standing, _problem in answers for one in standing]
    unseen = {look.what: problem for (look, _r), (_s, problem) in zip(wanted, answers, strict=True) if problem}
    return found, [f"{what}: {problem}" for what, problem in unseen.items()]


def enabled(target: Target) -> set[str] | None:
    """The APIs that are on; None when that can't be read, so that all are asked."""
    url = f"https://serviceusage.googleapis.com/v1/projects/{target.account.project}/services"
    found, problem = entries(target, url, "services", {"filter": "state:ENABLED", "pageSize": 200})
    return None if problem else {one["config"]["name"].partition(".")[0] for one in found}


def _look(target: Target, look: _Look, region: str) -> tuple[list[Standing], str]:
    url = look.url.format(project=target.account.project, region=region)
    found, problem = entries(target, url, look.key, {})
    told = [replace(one, ref=one.ref or entry["name"]) for entry in found for one in look.told(target, entry, region)]
    return told, problem


def entries(
    target: Target, url: str, key: str, params: Mapping[str, Any] = MappingProxyType({}), most: int = _MOST_ENTRIES
) -> tuple[list[dict[str, Any]], str]:
    """The entries of all pages, and why some of them are not there."""
    found: list[dict[str, Any]] = []
    token = ""
    for _page in range(most):
        asked = {**params, **({"pageToken": token} if token else {})}
        try:
            answer = send(target, "GET", url, key, again=True, params=asked)
            page = table(answer, key) if answer.ok else {}
        except UserError as error:  # the network, a sign-in: what is found elsewhere still counts
            return found, error.message
        if not answer.ok:
            # What is off, or what a local cloud does not have at all, holds nothing.
            none = is_off(answer) or answer.status_code == 501
            return found, "" if none else from_google(answer).message.partition("\n")[0][:160]
        listed = page.get(key, [])
        # Compute Engine's lists over all zones are tables: zone -> {"disks": [...]}
        found += (
            [one for zone in listed.values() for one in zone.get(url.rpartition("/")[2], [])]
            if isinstance(listed, dict)
            else listed
        )
        token = page.get("nextPageToken", "")
        if not token:
            return found, ""
    return found, _("more than was looked at")


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _price(
    machine: str, region: str, accelerator: str, count: int, replicas: int, spot: bool = False
) -> Decimal | None:
    try:
        amount = book.hourly(machine, region, accelerator, count, spot).amount
    except UnknownName:
        return None
    return None if amount is None else amount * replicas * HOURS


def _machine(spec: Mapping[str, Any]) -> tuple[str, str, int]:
    accelerator = spec.get("acceleratorType", "")
    known = "" if accelerator in ("", "ACCELERATOR_TYPE_UNSPECIFIED") else accelerator
    return spec.get("machineType", "n1-standard-2"), known, int(spec.get("acceleratorCount", 0)) if known else 0


def _endpoint(_target: Target, entry: Mapping[str, Any], region: str) -> Iterator[Standing]:
    name = f"{entry.get('displayName', '')} ({_short(entry['name'])}, {region})"
    models = entry.get("deployedModels", [])
    if not models:
        yield Standing(_("endpoint"), name, Decimal(0), _("no model is deployed on it"))
    for model in models:
        resources = model.get("dedicatedResources") or model.get("automaticResources") or {}
        replicas = int(resources.get("minReplicaCount", 1))
        machine, accelerator, count = _machine(resources.get("machineSpec", {}))
        shape = f"{replicas} x {machine}" + (f" + {count} x {accelerator}" if accelerator else "")
        yield Standing(
            _("deployed model"),
            f"{model.get('displayName') or model.get('id')} on {name}",
            _price(machine, region, accelerator, count, replicas),
            _("{shape}, by the hour whether it is asked or not").format(shape=shape),
            running=True,
        )


def _job(kind: str) -> Callable[[Target, Mapping[str, Any], str], Iterator[Standing]]:
    def told(_target: Target, entry: Mapping[str, Any], region: str) -> Iterator[Standing]:
        state = str(entry.get("state", "")).removeprefix("JOB_STATE_").removeprefix("PIPELINE_STATE_")
        if state in _DONE:
            return
        pools = (entry.get("jobSpec") or entry.get("trialJobSpec") or {}).get("workerPoolSpecs", [])
        hourly: Decimal | None = Decimal(0) if pools else None
        for pool in pools:
            price = _price(*_machine_in(pool, region))
            hourly = None if hourly is None or price is None else hourly + price
        if hourly is not None:
            hourly *= int(entry.get("parallelTrialCount", 1))
        name = f"{entry.get('displayName', '')} ({_short(entry['name'])}, {region})"
        yield Standing(kind, name, hourly, _("{state}; if it ran all month").format(state=state.lower()), running=True)

    return told


def _run_job(_target: Target, entry: Mapping[str, Any], region: str) -> Iterator[Standing]:
    """A Cloud Run job costs while an execution of it runs; what is kept of those that ended is free."""
    name = f"{_short(entry['name'])} ({region})"
    status = str(entry.get("latestCreatedExecution", {}).get("completionStatus", ""))
    if status not in ("EXECUTION_RUNNING", "EXECUTION_PENDING"):
        yield Standing(_("Cloud Run job"), name, Decimal(0), _("free while no execution of it runs"))
        return
    hourly = cloudrun.hourly(entry.get("template", {}), region)
    monthly = None if hourly is None else hourly * HOURS
    state = _("running") if status == "EXECUTION_RUNNING" else _("pending")
    yield Standing(
        _("Cloud Run job"), name, monthly, _("{state}; if it ran all month").format(state=state), running=True
    )


def _machine_in(pool: Mapping[str, Any], region: str) -> tuple[str, str, str, int, int]:
    machine, accelerator, count = _machine(pool.get("machineSpec", {}))
    return machine, region, accelerator, count, int(pool.get("replicaCount", 1))


def _nothing(kind: str, why: str) -> Callable[[Target, Mapping[str, Any], str], Iterator[Standing]]:
    """What costs nothing by itself, and is told because it is there."""

    def told(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
        label = entry.get("displayName") or ""
        name = _short(entry["name"])
        yield Standing(kind, f"{label} ({name})" if label and label != name else name, Decimal(0), why)

    return told


def _bucket(target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    name, place = entry["name"], str(entry.get("location", "")).lower()
    url = f"https://storage.googleapis.com/storage/v1/b/{name}/o"
    live, old, kept = _Counts(), _Counts(), _Counts()
    fields = "items(size,storageClass,timeDeleted),nextPageToken"
    objects, problem = entries(target, url, "items", {"versions": "true", "fields": fields}, _MOST_PAGES)
    for one in objects:
        (old if one.get("timeDeleted") else live).add(one, place)
    if int(entry.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)):
        deleted, more = entries(target, url, "items", {"softDeleted": "true", "fields": fields}, _MOST_PAGES)
        problem = problem or more
        for one in deleted:
            kept.add(one, place)
    parts = [counted("{count} object", "{count} objects", live.number)]
    if old.number:
        parts.append(counted("{count} older version", "{count} older versions", old.number))
    if kept.number:
        parts.append(counted("{count} deleted but still billed", "{count} deleted but still billed", kept.number))
    if problem:
        parts.append(_("at least: {why}").format(why=problem))
    of = _of_google(name)
    known = all(one.price is not None for one in (live, old, kept))
    price = sum((one.price or Decimal(0) for one in (live, old, kept)), Decimal(0)) if known else None
    if problem and price is not None and price < _CENT:
        price = None  # what could not be looked at may cost
    size = live.size + old.size + kept.size
    yield Standing(_("bucket"), f"gs://{name}" + (f" ({of})" if of else ""), price, ", ".join(parts), size=size)


class _Counts:
    """Bytes of objects, and their price a month; None once one of them has none."""

    def __init__(self) -> None:
        self.number, self.size = 0, 0
        self.price: Decimal | None = Decimal(0)

    def add(self, one: Mapping[str, Any], place: str) -> None:
        size = int(one.get("size", 0))
        each = book.storage(place, one.get("storageClass", "STANDARD")).amount
        self.number, self.size = self.number + 1, self.size + size
        self.price = None if self.price is None or each is None else self.price + each * size / _GIB


def _of_google(bucket: str) -> str:
    """Which service of Google made a bucket for itself, and never takes it away."""
    if bucket.endswith("_cloudbuild"):
        return _("left by Cloud Build")
    if bucket.startswith(("gcf-", "gcf-v2-")):
        return _("left by Cloud Functions")
    return _("left by Cloud Run") if bucket.startswith("run-sources-") else ""


def _repository(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    priced = read("resources.json")
    size = int(entry.get("sizeBytes", 0))
    over = max(Decimal(size) / _GIB - Decimal(str(priced["images_free_gb"])), Decimal(0))
    why = _("0.5 GB a month free in all") if size else _("empty")
    yield Standing(
        _("image repository"), _short(entry["name"]), over * Decimal(priced["images_gb_month"]), why, size=size
    )


def _log_bucket(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    days = int(entry.get("retentionDays", _FREE_LOG_DAYS))
    name = _short(entry["name"])
    if name == "_Required" or days <= _FREE_LOG_DAYS:  # Google's own, free for its 400 days
        return
    if entry.get("lifecycleState") == "DELETE_REQUESTED":
        yield Standing(_("log bucket"), name, Decimal(0), _("deleted; gone within 7 days"))
        return
    why = _("keeps logs for {days} days: 30 are free, then {price} USD per GiB-month")
    price = read("resources.json")["logs_kept_gib_month"]
    yield Standing(_("log bucket"), name, None, why.format(days=days, price=price))


def _alert(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    each = Decimal(str(read("resources.json")["kinds"]["gcp:monitoring/alertPolicy:AlertPolicy"]["amount"]))
    conditions = entry.get("conditions", [])
    on_logs = bool(conditions) and all("conditionMatchedLog" in one for one in conditions)
    why = _("on logs alone: may be free") if on_logs else _("per condition")
    name = entry.get("displayName") or _short(entry["name"])
    made = maybe(entry.get("creationRecord", {}).get("mutateTime"))
    yield Standing(_("alert"), name, each * len(conditions), why, since=made)


def _quota(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    place = entry.get("dimensions", {}).get("region", "")
    value = entry.get("quotaConfig", {}).get("preferredValue", "")
    why = _("set to {value}; it stays so until it is asked for anew").format(value=value)
    yield Standing(_("quota"), f"{entry.get('quotaId', '')} {place}".strip(), Decimal(0), why)


def _disk(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    kind, size = _short(entry.get("type", "")), int(entry.get("sizeGb", 0))
    price = book.disk(kind, size).amount
    why = _("{size} GB, {kind}").format(size=size, kind=kind)
    yield Standing(_("disk"), entry["name"], None if price is None else price * HOURS, why)


def _instance(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    state = str(entry.get("status", entry.get("state", ""))).lower()
    machine = _short(entry.get("machineType", ""))
    going = state in ("running", "active", "provisioning", "staging")
    why = _("{machine}, {state}; priced by Compute Engine").format(machine=machine or "?", state=state)
    yield Standing(_("machine"), _short(entry["name"]), None if going else Decimal(0), why, running=going)


def _address(_target: Target, entry: Mapping[str, Any], _region: str) -> Iterator[Standing]:
    yield Standing(_("IP address"), entry["name"], None, _("reserved: charged even when unused"))


_VERTEX = "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/"
_COMPUTE = "https://compute.googleapis.com/compute/v1/projects/{project}/aggregated/"
_LOOKS = (
    _Look(_("endpoints"), "aiplatform", _VERTEX + "endpoints", "endpoints", _endpoint),
    _Look(_("jobs"), "aiplatform", _VERTEX + "customJobs", "customJobs", _job(_("job"))),
    _Look(
        _("tuning jobs"), "aiplatform", _VERTEX + "hyperparameterTuningJobs", "hyperparameterTuningJobs",
        _job(_("tuning job")),
    ),
    _Look(
        _("batch predictions"), "aiplatform", _VERTEX + "batchPredictionJobs", "batchPredictionJobs",
        _job(_("batch prediction")),
    ),
    _Look(
        _("training pipelines"), "aiplatform", _VERTEX + "trainingPipelines", "trainingPipelines",
        _job(_("training pipeline")),
    ),
    _Look(_("pipelines"), "aiplatform", _VERTEX + "pipelineJobs", "pipelineJobs", _job(_("pipeline"))),
    _Look(
        _("models"), "aiplatform", _VERTEX + "models", "models",
        _nothing(_("registered model"), _("free; its files are counted in their bucket")),
    ),
    _Look(
        _("TensorBoards"), "aiplatform", _VERTEX + "tensorboards", "tensorboards",
        lambda _t, entry, region: iter(
            [Standing(_("TensorBoard"), f"{_short(entry['name'])} ({region})", None, _("by the GiB that it holds"))]
        ), resting=True,
    ),
    _Look(_("buckets"), "storage", "https://storage.googleapis.com/storage/v1/b?project={project}", "items", _bucket),
    _Look(
        _("image repositories"), "artifactregistry",
        "https://artifactregistry.googleapis.com/v1/projects/{project}/locations/{region}/repositories",
        "repositories", _repository, resting=True,
    ),
    _Look(
        _("topics"), "pubsub", "https://pubsub.googleapis.com/v1/projects/{project}/topics", "topics",
        _nothing(_("topic"), _("free while nothing is sent; 10 GiB a month are free")),
    ),
    _Look(
        _("alerts"), "monitoring", "https://monitoring.googleapis.com/v3/projects/{project}/alertPolicies",
        "alertPolicies", _alert, resting=True,
    ),
    _Look(
        _("log buckets"), "logging", "https://logging.googleapis.com/v2/projects/{project}/locations/-/buckets",
        "buckets", _log_bucket, resting=True,
    ),
    _Look(
        _("quotas"), "cloudquotas",
        "https://cloudquotas.googleapis.com/v1/projects/{project}/locations/global/quotaPreferences",
        "quotaPreferences", _quota,
    ),
    _Look(_("disks"), "compute", _COMPUTE + "disks", "items", _disk, resting=True),
    _Look(_("machines"), "compute", _COMPUTE + "instances", "items", _instance, resting=True),
    _Look(_("IP addresses"), "compute", _COMPUTE + "addresses", "items", _address, resting=True),
    _Look(
        _("notebooks"), "notebooks", "https://notebooks.googleapis.com/v2/projects/{project}/locations/-/instances",
        "instances", _instance, resting=True,
    ),
    _Look(
        _("Cloud Run services"), "run", "https://run.googleapis.com/v2/projects/{project}/locations/-/services",
        "services", _nothing(_("Cloud Run service"), _("free while idle, unless it keeps instances")),
    ),
    _Look(
        _("Cloud Run jobs"), "run", "https://run.googleapis.com/v2/projects/{project}/locations/{region}/jobs", "jobs",
        _run_job,
    ),
    _Look(
        _("functions"), "cloudfunctions",
        "https://cloudfunctions.googleapis.com/v2/projects/{project}/locations/-/functions",
        "functions", _nothing(_("function"), _("free while idle")),
    ),
)  # fmt: skip
