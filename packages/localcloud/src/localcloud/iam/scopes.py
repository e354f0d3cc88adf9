"""OAuth scopes: how far a token reaches, whoever's it is. https://developers.google.com/identity/protocols/oauth2/scopes"""

from __future__ import annotations

from localcloud.core.errors import ApiError, error_info

_PREFIX = "https://www.googleapis.com/auth/"
PLATFORM, _PLATFORM_READS = f"{_PREFIX}cloud-platform", "cloud-platform.read-only"
# By the API that a permission names: scopes that let one do all, and scopes that let one look.
_ALL = {
    "storage": ("devstorage.full_control", "devstorage.read_write"),
    "logging": ("logging.admin",),
    "pubsub": ("pubsub",),
    "monitoring": ("monitoring",),
    "resourcemanager": ("cloudplatformprojects",),
    "serviceusage": ("service.management",),
    "billing": ("cloud-billing",),
    "iam": ("iam",),
}
_READS = {
    "storage": ("devstorage.read_only",),
    "logging": ("logging.read",),
    "monitoring": ("monitoring.read",),
    "resourcemanager": ("cloudplatformprojects.readonly",),
    "serviceusage": ("service.management.readonly",),
    "billing": ("cloud-billing.readonly",),
}
_ONLY = {
    "logging.logEntries.create": "logging.write",
    "monitoring.timeSeries.create": "monitoring.write",
    "monitoring.metricDescriptors.create": "monitoring.write",
    "resourcemanager.projects.createBillingAssignment": "cloud-billing",
    "resourcemanager.projects.deleteBillingAssignment": "cloud-billing",
}
_LOOKS = ("get", "list", "access", "search", "test")
_POLICIES = ("setIamPolicy", "getIamPolicy")  # Cloud Storage shows and changes these under full control alone
# Asked beside what a call is for, of whoever calls.
_BESIDE = ("serviceusage.services.use", "iam.serviceAccounts.actAs")


def covers(scopes: frozenset[str], permission: str) -> bool:
    """Whether a token of these scopes can be used for what a permission is asked for."""
    if PLATFORM in scopes or permission in _BESIDE:
        return True
    api, _, rest = permission.partition(".")
    verb = rest.rpartition(".")[2]
    fit = set(_ALL.get(api, ()))
    if api == "storage" and verb in _POLICIES:
        fit.discard("devstorage.read_write")
    elif verb.startswith(_LOOKS):
        fit |= {*_READS.get(api, ()), _PLATFORM_READS}
    fit.add(_ONLY.get(permission, ""))
    return any(scope.removeprefix(_PREFIX) in fit for scope in scopes)


def insufficient(permission: str) -> ApiError:
    """403 for a token that does not reach so far."""
    service = f"{permission.partition('.')[0]}.googleapis.com"
    challenge = f'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="{PLATFORM}"'
    return ApiError(
        403,
        "Request had insufficient authentication scopes.",
        reason="insufficientPermissions",
        details=[error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com", service=service)],
        headers={"WWW-Authenticate": challenge},
    )
