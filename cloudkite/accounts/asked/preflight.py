"""Whether an account can be set up as its settings say: asked before anything is shown or made, and nothing is changed.

What can't be asked yet, because its API is off in a new project, is left to `up`, which tells it then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudkite.accounts.api import send, table
from cloudkite.accounts.asked import preferences, services, unheard
from cloudkite.accounts.asked.services import Services
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, is_off
from cloudkite.show.text import _

if TYPE_CHECKING:
    from infra.known import Preference
    from infra.settings import Budget, Settings

_BILLING = "https://cloudbilling.googleapis.com/v1"
_STORAGE = "https://storage.googleapis.com/storage/v1"
_SHORT = {"fields": "name"}
_PURPOSES = ("data", "staging", "models")
# A budget of a project alone may also be made by who has the second on that project, if its account is the payer.
_ON_PAYER, _ON_PROJECT = "billing.budgets.create", "billing.resourcebudgets.write"


@dataclass(frozen=True)
class Finding:
    """One thing to know. With `stops` nothing should be made before `hint` was followed."""

    message: str
    hint: str = ""
    stops: bool = True


@dataclass(frozen=True)
class Made:
    """What the account's state knows: buckets by purpose with their names and regions, and quota preferences."""

    buckets: Mapping[str, tuple[str, str]]
    preferences: Sequence[Preference] = ()


@dataclass(frozen=True)
class Report:
    """What was found, what stops first; `services` None when not even they could be read."""

    findings: tuple[Finding, ...]
    services: Services | None = None

    @property
    def complete(self) -> bool:
        """Whether all could be asked: in a new project some of the APIs are off."""
        return self.services is not None and self.services.on >= set(services.FIRST)


def look(target: Target, settings: Settings, made: Made) -> Report:
    """All that is found. Raises UserError where Google can't be reached."""
    if moved := tuple(_moved(settings, made)):
        return Report(moved)
    try:
        on = services.read(target)
    except UserError as told:
        return Report((Finding(told.message, told.hint),))
    asked: list[Callable[[], Iterator[Finding]]] = [
        lambda: _billing(target, settings),
        lambda: _buckets(target, settings, made),
        lambda: _quotas(target, settings, made),
        lambda: (Finding(said, stops=False) for said in unheard.look(target, settings)),
    ]
    with ThreadPoolExecutor(len(asked)) as beside:
        found = [finding for one in beside.map(lambda ask: list(ask()), asked) for finding in one]
    return Report(tuple(sorted(dict.fromkeys(found), key=lambda finding: not finding.stops)), on)


def _moved(settings: Settings, made: Made) -> Iterator[Finding]:
    """Settings that would move what is there: a bucket can't be moved, and what is in it is worth more than a name."""
    regions = {region.lower() for purpose, (_name, region) in made.buckets.items() if purpose in _PURPOSES}
    if regions and settings.region not in regions:
        yield Finding(
            _("gcp:region is {region}, and the account's buckets are in {before}: they can't be moved").format(
                region=settings.region, before=", ".join(sorted(regions))
            ),
            _("put gcp:region back to {before}, or describe another account: uv run invoke account.add").format(
                before=min(regions)
            ),
        )
    for purpose, (name, _region) in made.buckets.items():
        if name != settings.bucket(purpose):
            yield Finding(
                _("the account's bucket is {name}, its settings ask for {wanted}: a bucket can't be renamed").format(
                    name=name, wanted=settings.bucket(purpose)
                ),
                _("put cloudkite:bucketSuffix back"),
            )
        elif purpose not in (*_PURPOSES, *(f"models-{other}" for other in settings.also_in)):
            yield Finding(
                _("cloudkite:alsoIn doesn't name {region} any more, and its bucket {name} is protected").format(
                    region=purpose.removeprefix("models-"), name=name
                ),
                _("put {region} back into cloudkite:alsoIn; down --everything deletes what is there").format(
                    region=purpose.removeprefix("models-")
                ),
            )


def _billing(target: Target, settings: Settings) -> Iterator[Finding]:
    """Whether somebody pays for the project, and it is who the budget is of."""
    told = _ask(target, f"{_BILLING}/projects/{settings.project}/billingInfo")
    if told is not None and not told.get("billingEnabled"):
        yield Finding(
            _("no open billing account pays for project {project}").format(project=settings.project),
            f"https://console.cloud.google.com/billing/linkedaccount?project={settings.project}",
        )
    pays = str((told or {}).get("billingAccountName", "")).removeprefix("billingAccounts/")
    if (budget := settings.budget) is None:
        return
    if pays and pays != budget.billing_account:
        yield Finding(
            _("cloudkite:budget is of billing account {account}, and {pays} pays for project {project}").format(
                account=budget.billing_account, pays=pays, project=settings.project
            ),
            _("set billingAccount: {pays} in cloudkite:budget").format(pays=pays),
        )
    else:
        yield from _budget(target, settings, budget, bool(pays))


def _budget(target: Target, settings: Settings, budget: Budget, pays: bool) -> Iterator[Finding]:
    """Whether the budget can be made: who may, and in which currency."""
    account = budget.billing_account
    url = f"{_BILLING}/billingAccounts/{account}"
    project = f"https://{services.MANAGER}/v3/projects/{settings.project}:testIamPermissions"
    may = _may(target, f"{url}:testIamPermissions", _ON_PAYER)
    if may is False and not (pays and _may(target, project, _ON_PROJECT)):
        yield Finding(
            _("{who} may not make a budget: {needed} on billing account {account} is denied").format(
                who=target.identity, needed=_ON_PAYER, account=account
            ),
            _("an administrator of the billing account must grant roles/billing.costsManager on it"),
        )
    payer = _ask(target, url) or {}
    if payer and not payer.get("open", True):
        yield Finding(
            _("billing account {account} is closed").format(account=account),
            f"https://console.cloud.google.com/billing/{account}",
        )
    currency = payer.get("currencyCode")
    if currency and budget.currency and currency != budget.currency:
        yield Finding(
            _("cloudkite:budget is in {given}, and billing account {account} is in {currency}").format(
                given=budget.currency, account=account, currency=currency
            ),
            _("give the amount in {currency} and set currency: {currency}, or leave currency out").format(
                currency=currency
            ),
        )


def _buckets(target: Target, settings: Settings, made: Made) -> Iterator[Finding]:
    """Whether the buckets' names are free, or ours."""
    doing = _("look for the buckets")
    query = {"project": settings.project, "prefix": f"{settings.project}-", "fields": "items(name,location)"}
    response = send(target, "GET", f"{_STORAGE}/b", doing, again=True, params=query)
    if not response.ok:
        return
    ours = {bucket["name"]: bucket["location"].lower() for bucket in table(response, doing).get("items", ())}
    places = {**dict.fromkeys(_PURPOSES, settings.region), **{f"models-{other}": other for other in settings.also_in}}
    for purpose, wanted in places.items():
        name = settings.bucket(purpose)
        if name not in ours:
            # 404: nobody has it. What isn't among the project's own, and is there, is somebody else's.
            if send(target, "GET", f"{_STORAGE}/b/{name}", doing, again=True, params=_SHORT).status_code in (200, 403):
                yield Finding(
                    _("the bucket name {name} is taken by another project").format(name=name), _other_names(settings)
                )
        elif ours[name] != wanted:
            yield Finding(
                _("bucket {name} is in {place}, and gcp:region is {region}").format(
                    name=name, place=ours[name], region=wanted
                )
                if wanted == settings.region
                else _("bucket {name} is in {place}, and not in {region}, which cloudkite:alsoIn names").format(
                    name=name, place=ours[name], region=wanted
                ),
                _other_names(settings),
            )
        elif purpose not in made.buckets:
            yield Finding(
                _("bucket {name} exists already: it is taken over, what is in it stays, and public access ends").format(
                    name=name
                ),
                stops=False,
            )


def _other_names(settings: Settings) -> str:
    suffix = "2" if settings.bucket_suffix != "2" else "3"
    return _("give this account's buckets other names: set cloudkite:bucketSuffix, e.g. to {suffix}").format(
        suffix=f"'{suffix}'"
    )


def _quotas(target: Target, settings: Settings, made: Made) -> Iterator[Finding]:
    """Whether the quotas are there, and may be asked for."""
    for mistake in preferences.choose(target, settings, made.preferences).mistakes:
        yield Finding(mistake, _("fix {path}").format(path=target.account.settings))


def _ask(target: Target, url: str) -> dict[str, Any] | None:
    """The JSON at `url`, None where it can't be asked."""
    doing = _("look at the account")
    response = send(target, "GET", url, doing, again=True)
    return table(response, doing) if response.ok else None


def _may(target: Target, url: str, permission: str) -> bool | None:
    """Whether the caller has a permission, None where that can't be asked."""
    doing = _("look up the permissions")
    response = send(target, "POST", url, doing, again=True, json={"permissions": [permission]})
    if is_off(response):
        return None
    return response.ok and permission in table(response, doing).get("permissions", ())
