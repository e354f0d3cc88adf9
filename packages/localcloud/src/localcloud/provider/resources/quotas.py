"""cloudquota.SQuotaPreference: a quota that holds from then on. It can't be deleted, as on Google."""

from __future__ import annotations

from localcloud.core.asked.permits import Resource
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names, parts
from localcloud.provider.scope import Scope, Values
from localcloud.quotas import store
from localcloud.services.enabled import require_quota_project

_ID = "projects/{project}/locations/global/quotaPreferences/{name}"
_FIELDS = names("service quotaId dimensions quotaConfig contactEmail justification")


def _body(inputs: Values) -> Values:
    return {name: inputs[name] for name in _FIELDS if inputs.get(name) is not None}


def _project(scope: Scope, inputs: Values) -> str:
    return (inputs.get("parent") or scope.project).removeprefix("projects/")


def _create(scope: Scope, inputs: Values) -> str:
    ignored = inputs.get("ignoreSafetyChecks", "")
    return store.create(scope.cloud, _project(scope, inputs), inputs["name"], _body(inputs), ignored)["name"]


def _read(scope: Scope, resource_id: str, _known: Values) -> Values | None:
    found = store.find(scope.cloud, resource_id)
    if found is None:
        return None
    named = parts(_ID, resource_id)
    return found | {"name": named["name"], "parent": f"projects/{named['project']}"}


def _update(scope: Scope, resource_id: str, inputs: Values) -> None:
    """Under the name that the program gives now, as the real provider does: another name is one that isn't there."""
    name = resource_id if inputs.get("name") is None else f"{resource_id.rpartition('/')[0]}/{inputs['name']}"
    mask = ",".join(sorted(_FIELDS & {*inputs, "contactEmail", "justification"}))
    store.update(scope.cloud, name, _body(inputs), mask, inputs.get("ignoreSafetyChecks", ""))


def _on(scope: Scope, resource_id: str, values: Values) -> Resource:
    require_quota_project(scope.caller, scope.consumer, "cloudquotas.googleapis.com")
    return permits.project(scope, resource_id, {"project": _project(scope, values)})


KINDS = {
    "cloudquota/sQuotaPreference:SQuotaPreference": Kind(
        _create,
        _read,
        _update,
        ids=_ID,
        api="cloudquotas",
        on=_on,
        rights={
            "create": "cloudquotas.quotas.update",
            "read": "cloudquotas.quotas.get",
            "update": "cloudquotas.quotas.update",
        },
        autoname="name",
        choices={"ignoreSafetyChecks": ("QUOTA_DECREASE_BELOW_USAGE", store.TOO_HIGH)},
    )
}
