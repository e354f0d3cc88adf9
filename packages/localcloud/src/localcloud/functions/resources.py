"""What functions are: names, addresses, what Google fills in, and what it refuses.

https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource
from localcloud.core.errors import ApiError, NotEmulated

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = "cloudfunctions.googleapis.com"
# A function is built, run and told of events by these: all must be on in its project.
NEEDED = ("cloudbuild.googleapis.com", "run.googleapis.com", "eventarc.googleapis.com", "pubsub.googleapis.com")
FUNCTION, OPERATION = "functions.function", "functions.operation"
PUBSUB_EVENT = "google.cloud.pubsub.topic.v1.messagePublished"
RETRY = "RETRY_POLICY_RETRY"
_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_RUNTIMES = ("python311",)  # what uv builds here is one version
_LONGEST = 540  # seconds that a call by an event may take
_FIELDS = frozenset({"name", "description", "labels", "buildConfig", "serviceConfig", "eventTrigger", "environment"})
_BUILD = frozenset({"runtime", "entryPoint", "source", "serviceAccount", "environmentVariables", "dockerRepository",
                    "automaticUpdatePolicy", "dockerRegistry"})  # fmt: skip
_RUN = frozenset({"serviceAccountEmail", "environmentVariables", "timeoutSeconds", "availableMemory", "availableCpu",
                  "maxInstanceCount", "minInstanceCount", "maxInstanceRequestConcurrency", "ingressSettings",
                  "allTrafficOnLatestRevision", "service"})  # fmt: skip
_TRIGGER = frozenset({"eventType", "pubsubTopic", "retryPolicy", "serviceAccountEmail", "triggerRegion", "trigger"})
# What Google makes of a request: nobody's to set.
_TOLD = ("state", "updateTime", "createTime", "url", "stateMessages", "satisfiesPzs", "upgradeInfo")


@dataclass(frozen=True)
class Place:
    """Where a function is: "projects/P/locations/L/functions/F", taken apart."""

    project: str
    location: str
    id: str

    @staticmethod
    def of(name: str) -> Place:
        """Of a full name with the project's id."""
        parts = name.split("/")
        return Place(parts[1], parts[3], parts[5])

    @property
    def service(self) -> str:
        """The Cloud Run service that the function is."""
        return f"projects/{self.project}/locations/{self.location}/services/{self.id}"

    @property
    def key(self) -> str:
        """A name for its folder and its account's key."""
        return f"function-{self.project}-{self.location}-{self.id}"


def uri(place: Place, number: str) -> str:
    """The address of a function's service: as Google's, it tells nobody whose it is."""
    short = hashlib.sha256(f"{number}/{place.location}".encode()).hexdigest()[:10]
    region = "".join(part[0] for part in place.location.split("-"))
    return f"https://{place.id}-{short}-{region}.a.run.app"


def service(name: str) -> Resource:
    """What a permission on a Cloud Run service is asked on."""
    policies = (name, "/".join(name.split("/")[:2]))
    return Resource(name, policies, "run.googleapis.com", "run.googleapis.com/Service")


def checked(cloud: Cloud, place: Place, body: Body) -> Body:
    """What a request wants, with what Google fills in. Raises 400, or 501 for what would have no effect here."""
    if not _ID.fullmatch(place.id):
        raise ApiError(400, f"Function name {place.id!r} must match the regex {_ID.pattern}.")
    wanted = {name: value for name, value in body.items() if name not in _TOLD}
    _only("functions", wanted, _FIELDS)
    build, run, trigger = (block(wanted, part) for part in ("buildConfig", "serviceConfig", "eventTrigger"))
    _only("buildConfig", {n: v for n, v in build.items() if n not in ("build", "sourceProvenance")}, _BUILD)
    _only("serviceConfig", {n: v for n, v in run.items() if n not in ("uri", "revision")}, _RUN)
    _only("eventTrigger", trigger, _TRIGGER)
    if build.get("runtime") not in _RUNTIMES:
        raise NotEmulated(f"functions with the runtime {build.get('runtime')}: only {', '.join(_RUNTIMES)}")
    if not build.get("entryPoint"):
        raise ApiError(400, "Entry point must be set.")
    source = block(block(build, "source"), "storageSource")
    if not source.get("bucket") or not source.get("object"):
        raise NotEmulated("functions whose source isn't an object of a bucket")
    if not run.get("serviceAccountEmail"):
        raise NotEmulated("functions without a service account of their own")
    for part, name in ((run, "environmentVariables"), (wanted, "labels")):
        block(part, name)
    seconds = run.get("timeoutSeconds") or 60
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds > (_LONGEST if trigger else 3600):
        raise ApiError(400, f"The timeout must be at most {_LONGEST} seconds.")
    made: Body = {
        "environment": "GEN_2",
        "labels": wanted.get("labels") or {},
        **({"description": wanted["description"]} if wanted.get("description") else {}),
        "buildConfig": build,
        "serviceConfig": {
            "timeoutSeconds": 60,
            "availableMemory": "256M",
            "availableCpu": "0.1666",
            "maxInstanceCount": 100,
            "maxInstanceRequestConcurrency": 1,
            "ingressSettings": "ALLOW_ALL",
            "allTrafficOnLatestRevision": True,
            **{name: value for name, value in run.items() if value not in (None, "")},
            "service": place.service,
        },
    }
    if trigger:
        made["eventTrigger"] = _trigger(cloud, place, trigger)
    return made


def block(body: Body, name: str) -> Body:
    """A part of a request that is a message, {} for none. Raises 400 for anything else."""
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ApiError(400, f"Invalid value at 'function' (type.googleapis.com/google.cloud.functions.v2.{name})")
    return dict(found)


def _trigger(cloud: Cloud, place: Place, trigger: Body) -> Body:
    from localcloud.pubsub.store import PubSub

    if trigger.get("eventType") != PUBSUB_EVENT:
        raise NotEmulated(f"functions that are called by {trigger.get('eventType')}: only {PUBSUB_EVENT}")
    topic = trigger.get("pubsubTopic", "")
    try:
        cloud.of(PubSub).get(topic)
    except ApiError:
        raise ApiError(400, f"The topic {topic or '(none)'} of the event trigger does not exist.") from None
    return {
        "retryPolicy": "RETRY_POLICY_DO_NOT_RETRY",
        "triggerRegion": place.location,
        **{name: value for name, value in trigger.items() if value},
    }


def _only(what: str, body: Mapping[str, Any], known: frozenset[str]) -> None:
    if strange := sorted(name for name, value in body.items() if value and name not in known):
        raise NotEmulated(f"{what} with {', '.join(strange)}")


def missing(name: str) -> ApiError:
    return ApiError(404, f"Resource '{name}' was not found")
