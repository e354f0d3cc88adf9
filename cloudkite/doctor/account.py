"""An account looked over: who is signed in, the project, who pays, APIs, permissions, quotas, this machine's clock.

Nothing is changed. What one look needs and another found missing is not told twice: it could not be looked at.
"""

from __future__ import annotations

import email.utils
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from catalog import quotas
from cloudkite import engine
from cloudkite.accounts import settings
from cloudkite.accounts.api import send, table
from cloudkite.accounts.asked import preflight, services
from cloudkite.accounts.asked.services import Services
from cloudkite.accounts.person import payers, projects, signing
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target, own_credentials
from cloudkite.doctor.looks import Look, ok, refused, unknown, wrong
from cloudkite.jobs.plans import DEFAULT_MACHINE
from cloudkite.money import quota
from cloudkite.show.errors import UserError, is_off
from cloudkite.show.text import _

_RESOURCES = "https://cloudresourcemanager.googleapis.com/v3"
_STORAGE = "https://storage.googleapis.com/storage/v1/b"
_BILLING = "cloudbilling.googleapis.com"
_MOST_SKEW = 60.0  # seconds; a signed token is refused from 5 to 10 minutes on (https://google.aip.dev/auth/4111)
_BATCH = 30  # names in one batchGet
# What a submitter needs, and an owner has: https://cloud.google.com/iam/docs/permissions-reference
SUBMITS = (
    "aiplatform.customJobs.create",
    "aiplatform.customJobs.list",
    "aiplatform.hyperparameterTuningJobs.create",
    "aiplatform.hyperparameterTuningJobs.list",
    "logging.logEntries.list",
    "serviceusage.services.use",
)
OWNS = "resourcemanager.projects.setIamPolicy"
_IN_BUCKETS = {"staging": "storage.objects.create", "models": "storage.objects.get"}
_LATER = ("project", "clock", "billing", "APIs", "permissions", "buckets", "quota")


def look(account: Account, connect: Callable[[], Target]) -> list[Look]:
    """All looks at an account and its cloud; `connect` gives its target."""
    found = [_set_up(account)]
    try:
        target = connect()
        target.token()
        found.append(ok("sign-in", target.identity))
    except UserError as problem:
        return [*found, wrong("sign-in", problem.message, problem.hint or _AGAIN), *_unseen(_("no one is signed in"))]
    found += _charged(account)
    project, clock = _project(target)
    found += [project, clock]
    if project.verdict == "wrong":
        return [*found, *_unseen(_("the project can't be used"), _LATER[2:])]
    try:
        on = services.read(target, _names(account))
    except UserError as problem:
        return [*found, wrong("APIs", problem.message, problem.hint), *_unseen(problem.message, _LATER[2:])]
    asked: list[Callable[[], Iterable[Look]]] = [
        lambda: [_billing(target, on)],
        lambda: [_apis(account, target, on)],
        lambda: [_permissions(target, on)],
        lambda: _buckets(account, target),
        lambda: [_quota(account, target, on)],
        lambda: _in_the_way(account, target),
    ]
    with ThreadPoolExecutor(len(asked)) as beside:
        more = [one for looks in beside.map(_told, asked) for one in looks]
    return [*found, *_without_echo(more)]


_AGAIN = "gcloud auth application-default login"


def _told(ask: Callable[[], Iterable[Look]]) -> list[Look]:
    try:
        return list(ask())
    except UserError as problem:
        return [refused("cloud", problem)]


def _unseen(why: str, names: Iterable[str] = _LATER) -> list[Look]:
    return [unknown(name, why) for name in names]


def _without_echo(looks: list[Look]) -> list[Look]:
    """What nobody pays for is refused everywhere: said once."""
    unpaid = any(one.name == "billing" and one.verdict == "wrong" for one in looks)
    return [
        unknown(one.name, _("the project has no billing account that is open"))
        if unpaid and one.name in ("buckets", "quota") and one.verdict == "wrong"
        else one
        for one in looks
    ]


def _set_up(account: Account) -> Look:
    """Whether this computer knows what `up` made, and can read it."""
    again = f"uv run invoke up --account {account.name}"
    try:
        status = engine.status(account)
        if account.outputs_file.is_file():
            account.outputs()
    except UserError as problem:
        return wrong("account", problem.message, again)
    if status.held_by:
        return ok("account", _("{name}, being changed by process {pid}").format(name=account.name, pid=status.held_by))
    if status.unfinished:
        return wrong("account", _("the last `up` was cut off"), again)
    if not account.outputs_file.is_file():
        if status.resources and engine.leaving(account)[0]:
            return wrong("account", _("it is half set up, or taken down in part"), again)
        if status.resources:
            said = _("{name}, taken down: its data and models are there still; {command} sets it up again")
            return ok("account", said.format(name=account.name, command=again))
        return ok("account", _("{name}, not set up yet: {command}").format(name=account.name, command=again))
    return ok("account", _("{name}, set up").format(name=account.name))


def _charged(account: Account) -> list[Look]:
    """Whether a sign-in of the account's own names the project that other programs' calls are charged to."""
    path = own_credentials(account)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        named = kept.get("quota_project_id")
    except (OSError, ValueError, AttributeError):
        return []
    if kept.get("type") != "authorized_user" or named == account.project:
        return []
    said = _("the sign-in names {named} for what calls are charged to, not {project}").format(
        named=named or _("no project"), project=account.project
    )
    fix = f"uv run invoke doctor --fix --account {account.name}"
    return [wrong("quota project", said, fix, lambda _tell: signing.charge_to(account, account.project))]


def _project(target: Target) -> tuple[Look, Look]:
    """Whether the project is there, and how far this machine's clock is off: one question."""
    project = target.account.project
    doing = _("look at project {project}").format(project=project)
    try:
        answer = send(target, "GET", f"{_RESOURCES}/projects/{project}", doing, again=True)
    except UserError as problem:
        return wrong("project", problem.message, problem.hint), unknown("clock", _("no answer from Google"))
    clock = of_clock(answer.headers.get("Date", ""), time.time())
    if is_off(answer):
        return unknown("project", _("Resource Manager's API is off")), clock
    try:
        found = projects.find(target, project)
    except UserError as problem:
        return wrong("project", problem.message, f"gcloud projects undelete {project}"), clock
    if found is None:
        said = _("project {project} doesn't exist, or {who} may not see it").format(
            project=project, who=target.identity
        )
        return wrong("project", said, _("fix gcp:project in {path}").format(path=target.account.settings)), clock
    return ok("project", f"{found.id} ({found.number})"), clock


def of_clock(date: str, now: float) -> Look:
    """This machine's clock (`now`, seconds since 1970) against the Date of an answer."""
    try:
        skew = now - email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return unknown("clock", _("the answer has no date"))
    if abs(skew) <= _MOST_SKEW:
        return ok("clock", _("{seconds:+.0f} s against the cloud's").format(seconds=skew))
    way = {"darwin": "sudo sntp -sS time.apple.com", "win32": "w32tm /resync"}
    side = _("{seconds:.0f} s ahead of the cloud's") if skew > 0 else _("{seconds:.0f} s behind the cloud's")
    return wrong("clock", side.format(seconds=abs(skew)), way.get(sys.platform, "sudo timedatectl set-ntp true"))


def _names(account: Account) -> list[str]:
    """The APIs to ask about: those that `up` turned on, and those without which nothing can be asked."""
    try:
        made = [str(one.inputs.get("service")) for one in engine.left(account) if one.kind == "Service"]
    except UserError:
        made = []
    return sorted({*made, *services.FIRST})[:_BATCH]


def _apis(account: Account, target: Target, found: Services) -> Look:
    wanted = _names(account)
    off = [name for name in wanted if name not in found.on]
    if not off:
        return ok("APIs", _("{count} of {count} are on").format(count=len(wanted)))
    if not account.outputs_file.is_file():
        return ok("APIs", _("{count} are off until `up` has run").format(count=len(off)))
    said = _("off: {names}").format(names=", ".join(name.removesuffix(".googleapis.com") for name in off))
    fix = f"uv run invoke doctor --fix --account {account.name}"
    return wrong("APIs", said, fix, lambda tell: services.turn_on(target, off, tell))


def _billing(target: Target, found: Services) -> Look:
    if _BILLING not in found.on:
        return unknown("billing", _("Cloud Billing's API is off"))
    project = target.account.project
    payer, pays = payers.of(target, project)
    if pays:
        return ok("billing", payer)
    if payer:
        said = _("billing account {payer} is closed").format(payer=payer)
        return wrong("billing", said, target.unpaid or f"https://console.cloud.google.com/billing/{payer}")
    wanted = target.account.payer or "BILLING"
    fix = f"gcloud billing projects link {project} --billing-account {wanted}"
    return wrong("billing", _("no billing account is linked to project {project}").format(project=project), fix)


def _permissions(target: Target, found: Services) -> Look:
    name, account = "permissions", target.account
    if services.MANAGER not in found.on:
        return unknown(name, _("Resource Manager's API is off"))
    doing = _("look up the permissions")
    url = f"{_RESOURCES}/projects/{account.project}:testIamPermissions"
    answer = send(target, "POST", url, doing, again=True, json={"permissions": [OWNS, *SUBMITS]})
    has = set(table(answer, doing).get("permissions", ())) if answer.ok else set()
    if OWNS in has:
        return ok(name, _("may set up, and submit jobs"))
    missing = [one for one in SUBMITS if one not in has]
    if account.outputs_file.is_file() and not missing:
        return ok(name, _("may submit jobs; an owner sets up"))
    said = _("{who} lacks {missing}").format(
        who=target.identity, missing=", ".join(missing if account.outputs_file.is_file() else [OWNS])
    )
    fix = f"gcloud projects add-iam-policy-binding {account.project} --member user:{target.identity} --role roles/owner"
    if account.outputs_file.is_file():
        fix = _("an owner names them in cloudkite:members and runs: uv run invoke up --account {name}").format(
            name=account.name
        )
    elif target.identity.endswith(".gserviceaccount.com"):
        fix = fix.replace("user:", "serviceAccount:")
    return wrong(name, said, fix)


def _buckets(account: Account, target: Target) -> list[Look]:
    """What the caller may do in the account's buckets: https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions"""
    try:
        made = account.outputs().buckets if account.outputs_file.is_file() else {}
    except UserError:
        made = {}
    again, doing = f"uv run invoke up --account {account.name}", _("look up the permissions")
    if not made:
        return [unknown("buckets", _("the account is not set up"))]
    gone, lacking = [], []
    for purpose, permission in _IN_BUCKETS.items():
        bucket = made.get(purpose, "").removeprefix("gs://")
        url = f"{_STORAGE}/{bucket}/iam/testPermissions"
        answer = send(target, "GET", url, doing, again=True, params={"permissions": permission})
        if answer.status_code == 404:
            gone.append(bucket)
        elif not answer.ok:
            return [unknown("buckets", _("they do not answer"))]
        elif permission not in table(answer, doing).get("permissions", ()):
            lacking.append(f"{permission} ({bucket})")
    if gone:
        return [wrong("buckets", _("gone: {names}").format(names=", ".join(gone)), again)]
    if lacking:
        said = _("{who} lacks {missing}").format(who=target.identity, missing=", ".join(lacking))
        return [wrong("buckets", said, _("an owner runs: {command}").format(command=again))]
    return [ok("buckets", ", ".join(made))]


def _quota(account: Account, target: Target, found: Services) -> Look:
    if "cloudquotas.googleapis.com" not in found.on:
        return unknown("quota", _("Cloud Quotas' API is off"))
    readings = quota.read(target, quotas.needs(DEFAULT_MACHINE, "", 0, 1, False))
    short = [one for one in readings if not one.enough]
    if unread := [one for one in readings if one.limit is None]:
        return unknown("quota", unread[0].problem)
    if short:
        said = _("{title} in {region}: {limit}, a small job needs {needed}").format(
            title=short[0].title, region=account.region, limit=short[0].limit, needed=short[0].needed
        )
        return wrong("quota", said, f"uv run invoke account.probe --account {account.name}")
    return ok("quota", _("a job on {machine} fits").format(machine=DEFAULT_MACHINE))


def _in_the_way(account: Account, target: Target) -> list[Look]:
    """What `up` would refuse; who pays is looked at by itself."""
    wanted = settings.check(settings.read(account.settings), account.name)
    found = preflight.look(target, wanted, engine.made(account)).findings
    own = [one for one in found if one.stops and not one.message.startswith(_NO_PAYER)]
    return [wrong("up", one.message, one.hint) for one in own] or [ok("up", _("nothing stands in its way"))]


_NO_PAYER = (_("no open billing account pays for project"), _("billing account"))
