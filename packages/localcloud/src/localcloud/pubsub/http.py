"""pubsub.googleapis.com/v1: topics, subscriptions, publishing and pulling.

https://cloud.google.com/pubsub/docs/reference/rest. Schemas, snapshots and seeking are not emulated.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localcloud.core.errors import ApiError
from localcloud.core.paging import page
from localcloud.iam import access, policies
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.pubsub import push, resources
from localcloud.pubsub.resources import Body, allow, denied, full_name, of_project, resource
from localcloud.pubsub.store import PubSub
from localcloud.services.enabled import require, require_named
from localcloud.transport.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.core.asked.permits import Resource
    from localcloud.core.cloud import Cloud


def _refusal(_call: Call, permission: str, on: Resource) -> ApiError:
    return denied(permission, on)


router = Router(refusal=_refusal)
_PATIENCE = 10.0  # seconds that a pull waits for a message
_MOST = 1000  # messages of one pull
_TOPIC = "/v1/{name=projects/*/topics/*}"
_SUBSCRIPTION = "/v1/{name=projects/*/subscriptions/*}"


def app(cloud: Cloud) -> App:
    assert cloud.of(PubSub)
    return router.app(cloud)


def _name(call: Call) -> str:
    """The full name in the path. Raises 400, and 403 while the API is off in its project or the one that is charged."""
    require_named(call.cloud, call.caller, call.consumer, resources.SERVICE)
    return full_name(call.cloud, call.params["name"])


def _project(call: Call) -> str:
    """The id of the project in the path, in which the API is on. Raises 403."""
    require_named(call.cloud, call.caller, call.consumer, resources.SERVICE)
    return require(call.cloud, call.params["project"], resources.SERVICE)["projectId"]


def _named(call: Call) -> Resource:
    return resource(_name(call))


def _parent(call: Call) -> Resource:
    """The project in which a topic or subscription is made."""
    return of_project(_name(call).split("/")[1])


def _listed(call: Call) -> Resource:
    return of_project(_project(call))


@router.route("PUT", _TOPIC, needs="pubsub.topics.create", on=_parent)
async def create_topic(call: Call) -> Body:
    return call.cloud.of(PubSub).create_topic(_name(call), call.body)


@router.route("DELETE", _TOPIC, needs="pubsub.topics.delete", on=_named)
async def delete_topic(call: Call) -> None:
    call.cloud.of(PubSub).delete_topic(_name(call))


@router.route("GET", "/v1/projects/{project}/topics", needs="pubsub.topics.list", on=_listed)
async def list_topics(call: Call) -> Body:
    return page("topics", call.cloud.of(PubSub).topics(_project(call)), call.query)


@router.route("GET", _TOPIC + "/subscriptions", needs="pubsub.topics.get", on=_named)
async def list_subscriptions_of(call: Call) -> Body:
    name = _name(call)
    call.cloud.of(PubSub).get(name)
    return page("subscriptions", [one["name"] for one in call.cloud.of(PubSub).subscriptions_of(name)], call.query)


@router.route("POST", _TOPIC + ":publish", needs="pubsub.topics.publish", on=_named)
async def publish(call: Call) -> Body:
    name = _name(call)
    return {"messageIds": call.cloud.of(PubSub).publish_all(name, call.body.get("messages") or [])}


@router.route("PUT", _SUBSCRIPTION, needs="pubsub.subscriptions.create", on=_parent)
async def create_subscription(call: Call) -> Body:
    name = _name(call)
    topic = full_name(call.cloud, str(call.body.get("topic", "")))
    if "/topics/" not in topic:
        raise ApiError(400, f"Invalid resource name given (name={topic}).")
    call.cloud.of(PubSub).get(topic)
    allow(call.cloud, call.caller, "pubsub.topics.attachSubscription", resource(topic))
    _allow_token(call, call.body.get("pushConfig") or {})
    return call.cloud.of(PubSub).create_subscription(name, call.body | {"topic": topic})


@router.route("DELETE", _SUBSCRIPTION, needs="pubsub.subscriptions.delete", on=_named)
async def delete_subscription(call: Call) -> None:
    call.cloud.of(PubSub).delete_subscription(_name(call))


@router.route("GET", "/v1/projects/{project}/subscriptions", needs="pubsub.subscriptions.list", on=_listed)
async def list_subscriptions(call: Call) -> Body:
    return page("subscriptions", call.cloud.of(PubSub).subscriptions(_project(call)), call.query)


@router.route("POST", _SUBSCRIPTION + ":pull", needs="pubsub.subscriptions.consume", on=_named)
async def pull(call: Call) -> Body:
    """Waits for a first message, as Google does, unless `returnImmediately` is true."""
    name = _name(call)
    most = call.body.get("maxMessages", 0)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        words = (
            f"The value for max_messages is too small. You passed {most} in the request, but the minimum value is 1."
        )
        raise ApiError(400, words)
    pubsub = call.cloud.of(PubSub)
    loop = asyncio.get_running_loop()
    ends = loop.time() + (0 if call.body.get("returnImmediately") else _PATIENCE)
    while not (found := pubsub.pull(name, min(most, _MOST))) and (left := ends - loop.time()) > 0:
        await pubsub.wait(name, left)
    return {"receivedMessages": [{"ackId": one.ack_id, "message": one.message} for one in found]}


@router.route("POST", _SUBSCRIPTION + ":modifyPushConfig", needs="pubsub.subscriptions.update", on=_named)
async def modify_push(call: Call) -> None:
    """A pushConfig that says nothing makes it one that is pulled from."""
    name, config = _name(call), call.body.get("pushConfig") or {}
    _allow_token(call, config)
    call.cloud.of(PubSub).update(name, {"pushConfig": config}, "pushConfig")


def _allow_token(call: Call, config: Body) -> None:
    """Raises 403 unless the caller may act as the account whose tokens pushes shall carry.

    https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
    """
    if not (email := (push.check(config).get("oidcToken") or {}).get("serviceAccountEmail")):
        return
    found = call.cloud.of(Iam).find_service_account(str(email))
    if found is None or not call.cloud.of(Access).allows(
        call.caller, "iam.serviceAccounts.actAs", access.service_account(found)
    ):
        words = f"User not authorized to act as service account {email} (or it may not exist)."
        raise ApiError(403, words, reason="forbidden")


@router.route("POST", _SUBSCRIPTION + ":acknowledge", needs="pubsub.subscriptions.consume", on=_named)
async def acknowledge(call: Call) -> None:
    call.cloud.of(PubSub).acknowledge(_name(call), call.body.get("ackIds") or [])


@router.route("POST", _SUBSCRIPTION + ":modifyAckDeadline", needs="pubsub.subscriptions.consume", on=_named)
async def modify_deadline(call: Call) -> None:
    name = _name(call)
    call.cloud.of(PubSub).extend(name, call.body.get("ackIds") or [], call.body.get("ackDeadlineSeconds", 0))


@router.route("POST", "/v1/{subscription=projects/*/subscriptions/*}:detach", open="asks on the topic, below")
async def detach(call: Call) -> None:
    """What the owner of a topic may do to anybody's subscription to it."""
    require_named(call.cloud, call.caller, call.consumer, resources.SERVICE)
    name = full_name(call.cloud, call.params["subscription"])
    topic = call.cloud.of(PubSub).get(name)["topic"]
    allow(call.cloud, call.caller, "pubsub.topics.detachSubscription", resource(topic))
    call.cloud.of(PubSub).detach(name)


def _shared_routes(pattern: str, kind: str, field: str) -> None:
    """What topics and subscriptions have alike; `field` of a change's body is the changed one."""

    @router.route("GET", pattern, needs=f"pubsub.{kind}.get", on=_named)
    async def get(call: Call) -> Body:
        return call.cloud.of(PubSub).get(_name(call))

    @router.route("PATCH", pattern, needs=f"pubsub.{kind}.update", on=_named)
    async def patch(call: Call) -> Body:
        changes = call.body.get(field) or {}
        _allow_token(call, changes.get("pushConfig") or {})
        return call.cloud.of(PubSub).update(_name(call), changes, call.body.get("updateMask") or "")

    @router.route("GET", pattern + ":getIamPolicy", needs=f"pubsub.{kind}.getIamPolicy", on=_named)
    async def get_policy(call: Call) -> Body:
        name = _name(call)
        call.cloud.of(PubSub).get(name)
        wanted = policies.requested_version(call.body, call.query)
        return policies.shown(call.cloud.of(Iam).get_policy(name), wanted)

    @router.route("POST", pattern + ":setIamPolicy", needs=f"pubsub.{kind}.setIamPolicy", on=_named)
    async def set_policy(call: Call) -> Body:
        name = _name(call)
        call.cloud.of(PubSub).get(name)
        return call.cloud.of(Iam).set_policy(name, call.body.get("policy") or {})

    @router.route("POST", pattern + ":testIamPermissions", open="tells the caller its own permissions")
    async def test_permissions(call: Call) -> Body:
        name = _name(call)
        call.cloud.of(PubSub).get(name)
        asked = call.body.get("permissions") or []
        return {"permissions": call.cloud.of(Access).permitted(call.caller, asked, resource(name))}


_shared_routes(_TOPIC, "topics", "topic")
_shared_routes(_SUBSCRIPTION, "subscriptions", "subscription")
