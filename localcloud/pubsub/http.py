"""pubsub.googleapis.com/v1: topics, subscriptions, publishing and pulling.

https://cloud.google.com/pubsub/docs/reference/rest. Schemas, snapshots and seeking, and subscriptions that push are not
emulated.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localcloud.enabled import require
from localcloud.errors import ApiError
from localcloud.paging import page
from localcloud.pubsub import resources
from localcloud.pubsub.resources import Body, allow, full_name, of_project, resource
from localcloud.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

router = Router()
_PATIENCE = 10.0  # seconds that a pull waits for a message
_MOST = 1000  # messages of one pull
_ASKS = "the API must be on first, and Pub/Sub has words of its own"
_TOPIC = "/v1/{name=projects/*/topics/*}"
_SUBSCRIPTION = "/v1/{name=projects/*/subscriptions/*}"


def app(cloud: Cloud) -> App:
    assert cloud.pubsub
    return router.app(cloud)


def _name(call: Call, permission: str) -> str:
    """The full name in the path, on which the caller has `permission`."""
    name = full_name(call.cloud, call.params["name"])
    allow(call.cloud, call.caller, permission, resource(name))
    return name


def _project(call: Call, permission: str, project: str) -> str:
    found = require(call.cloud, project, resources.SERVICE)["projectId"]
    allow(call.cloud, call.caller, permission, of_project(found))
    return found


def _new_name(call: Call, permission: str) -> str:
    name = full_name(call.cloud, call.params["name"])
    _project(call, permission, name.split("/")[1])
    return name


@router.route("PUT", _TOPIC, open=_ASKS)
async def create_topic(call: Call) -> Body:
    return call.cloud.pubsub.create_topic(_new_name(call, "pubsub.topics.create"), call.body)


@router.route("GET", _TOPIC, open=_ASKS)
async def get_topic(call: Call) -> Body:
    return call.cloud.pubsub.topic(_name(call, "pubsub.topics.get"))


@router.route("PATCH", _TOPIC, open=_ASKS)
async def patch_topic(call: Call) -> Body:
    name = _name(call, "pubsub.topics.update")
    return call.cloud.pubsub.update(name, call.body.get("topic") or {}, call.body.get("updateMask") or "")


@router.route("DELETE", _TOPIC, open=_ASKS)
async def delete_topic(call: Call) -> None:
    call.cloud.pubsub.delete_topic(_name(call, "pubsub.topics.delete"))


@router.route("GET", "/v1/projects/{project}/topics", open=_ASKS)
async def list_topics(call: Call) -> Body:
    project = _project(call, "pubsub.topics.list", call.params["project"])
    return page("topics", call.cloud.pubsub.topics(project), call.query)


@router.route("GET", _TOPIC + "/subscriptions", open=_ASKS)
async def list_subscriptions_of(call: Call) -> Body:
    name = _name(call, "pubsub.topics.get")
    call.cloud.pubsub.topic(name)
    return page("subscriptions", [one["name"] for one in call.cloud.pubsub.subscriptions_of(name)], call.query)


@router.route("POST", _TOPIC + ":publish", open=_ASKS)
async def publish(call: Call) -> Body:
    name = _name(call, "pubsub.topics.publish")
    return {"messageIds": call.cloud.pubsub.publish_all(name, call.body.get("messages") or [])}


@router.route("PUT", _SUBSCRIPTION, open=_ASKS)
async def create_subscription(call: Call) -> Body:
    name = _new_name(call, "pubsub.subscriptions.create")
    topic = full_name(call.cloud, str(call.body.get("topic", "")))
    if "/topics/" not in topic:
        raise ApiError(400, f"Invalid resource name given (name={topic}).")
    call.cloud.pubsub.topic(topic)
    allow(call.cloud, call.caller, "pubsub.topics.attachSubscription", resource(topic))
    return call.cloud.pubsub.create_subscription(name, call.body | {"topic": topic})


@router.route("GET", _SUBSCRIPTION, open=_ASKS)
async def get_subscription(call: Call) -> Body:
    return call.cloud.pubsub.subscription(_name(call, "pubsub.subscriptions.get"))


@router.route("PATCH", _SUBSCRIPTION, open=_ASKS)
async def patch_subscription(call: Call) -> Body:
    name = _name(call, "pubsub.subscriptions.update")
    return call.cloud.pubsub.update(name, call.body.get("subscription") or {}, call.body.get("updateMask") or "")


@router.route("DELETE", _SUBSCRIPTION, open=_ASKS)
async def delete_subscription(call: Call) -> None:
    call.cloud.pubsub.delete_subscription(_name(call, "pubsub.subscriptions.delete"))


@router.route("GET", "/v1/projects/{project}/subscriptions", open=_ASKS)
async def list_subscriptions(call: Call) -> Body:
    project = _project(call, "pubsub.subscriptions.list", call.params["project"])
    return page("subscriptions", call.cloud.pubsub.subscriptions(project), call.query)


@router.route("POST", _SUBSCRIPTION + ":pull", open=_ASKS)
async def pull(call: Call) -> Body:
    """Waits for a first message, as Google does, unless `returnImmediately` is true."""
    name = _name(call, "pubsub.subscriptions.consume")
    most = call.body.get("maxMessages", 0)
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        words = (
            f"The value for max_messages is too small. You passed {most} in the request, but the minimum value is 1."
        )
        raise ApiError(400, words)
    pubsub = call.cloud.pubsub
    loop = asyncio.get_running_loop()
    ends = loop.time() + (0 if call.body.get("returnImmediately") else _PATIENCE)
    while not (found := pubsub.pull(name, min(most, _MOST))) and (left := ends - loop.time()) > 0:
        await pubsub.wait(name, left)
    return {"receivedMessages": [{"ackId": one.ack_id, "message": one.message} for one in found]}


@router.route("POST", _SUBSCRIPTION + ":acknowledge", open=_ASKS)
async def acknowledge(call: Call) -> None:
    call.cloud.pubsub.acknowledge(_name(call, "pubsub.subscriptions.consume"), call.body.get("ackIds") or [])


@router.route("POST", _SUBSCRIPTION + ":modifyAckDeadline", open=_ASKS)
async def modify_deadline(call: Call) -> None:
    name = _name(call, "pubsub.subscriptions.consume")
    call.cloud.pubsub.extend(name, call.body.get("ackIds") or [], call.body.get("ackDeadlineSeconds", 0))


def _policy_routes(pattern: str, kind: str) -> None:
    @router.route("GET", pattern + ":getIamPolicy", open=_ASKS)
    async def get_policy(call: Call) -> Body:
        name = _name(call, f"pubsub.{kind}.getIamPolicy")
        call.cloud.pubsub.topic(name)
        return call.cloud.iam.get_policy(name)

    @router.route("POST", pattern + ":setIamPolicy", open=_ASKS)
    async def set_policy(call: Call) -> Body:
        name = _name(call, f"pubsub.{kind}.setIamPolicy")
        call.cloud.pubsub.topic(name)
        return call.cloud.iam.set_policy(name, call.body.get("policy") or {})

    @router.route("POST", pattern + ":testIamPermissions", open=_ASKS)
    async def test_permissions(call: Call) -> Body:
        name = full_name(call.cloud, call.params["name"])
        call.cloud.pubsub.topic(name)
        asked = call.body.get("permissions") or []
        return {"permissions": call.cloud.access.permitted(call.caller, asked, resource(name))}


_policy_routes(_TOPIC, "topics")
_policy_routes(_SUBSCRIPTION, "subscriptions")
