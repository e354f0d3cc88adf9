"""Pulumi's ResourceProvider service: what the engine asks, answered by the kinds of resources.

Protocol: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/provider.proto. Importing this module imports
pulumi, half a second; server.py does it in the background.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from localcloud.core.errors import ApiError
from localcloud.identity.tokens import PROVIDER, Tokens
from localcloud.provider import faults, schema
from localcloud.provider.functions import FUNCTIONS
from localcloud.provider.kinds import BadId, Kind
from localcloud.provider.plan import differences
from localcloud.provider.plan.rules import rules
from localcloud.provider.resources.registry import KINDS
from localcloud.provider.scope import Scope, Values
from localcloud.provider.wire import UNKNOWN, bare, dump, hide, is_unknown, load

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_NOT_LET_IN = (
    "the local cloud takes only accounts of its own: give gcp.Provider access_token (what `gcloud auth "
    "print-access-token` prints in the client environment), or credentials, the content of a key file"
)


class Refused(Exception):
    """A request that the provider turns down; the engine shows the text."""


class Provider:
    """One servicer for all engines. Each provider instance of each engine has a connection of its own, so what
    Configure gave is kept by connection: two accounts at the same time don't mix.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._scopes: dict[str, tuple[Scope, str]] = {}  # and the token that it was let in by
        self._cancelled: dict[str, asyncio.Event] = defaultdict(asyncio.Event)  # by connection, as scopes are

    def forget(self, peer: str) -> None:
        """The connection is over: who has the same address next is let in by nothing but a token."""
        self._scopes.pop(peer, None)
        self._cancelled.pop(peer, None)

    # The life of a connection

    async def handshake(self, _request: pb.ProviderHandshakeRequest, _peer: str) -> pb.ProviderHandshakeResponse:
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    async def attach(self, _request: Any, _peer: str) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    async def get_plugin_info(self, _request: Any, _peer: str) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=schema.sdk_version())

    async def get_schema(self, _request: Any, _peer: str) -> pb.GetSchemaResponse:
        return pb.GetSchemaResponse(schema=json.dumps({"name": "gcp", "version": schema.sdk_version()}))

    async def cancel(self, _request: Any, peer: str) -> empty_pb2.Empty:
        self._cancelled[peer].set()
        return empty_pb2.Empty()

    async def check_config(self, request: pb.CheckRequest, _peer: str) -> pb.CheckResponse:
        return pb.CheckResponse(inputs=request.news)

    async def diff_config(self, request: pb.DiffRequest, _peer: str) -> pb.DiffResponse:
        old, new = bare(load(request.old_inputs or request.olds)), bare(load(request.news))
        found = sorted({differences.top(path) for path, _ in differences.differences(old, new)})
        return pb.DiffResponse(changes=_some(found), diffs=found)

    async def configure(self, request: pb.ConfigureRequest, peer: str) -> pb.ConfigureResponse:
        given = bare(load(request.args))
        token, key_file = given.get("accessToken"), given.get("credentials")
        try:
            # In the order of the real provider, which takes the token first, too.
            if not token and isinstance(key_file, str):
                token = self._cloud.of(Tokens).of_key(key_file)
            if not isinstance(token, str) or is_unknown(token) or not token:
                raise Refused(_NOT_LET_IN)
            caller = self._cloud.of(Tokens).verify(token, PROVIDER)
        except ApiError:
            raise Refused(_NOT_LET_IN) from None
        project = given.get("project") or caller.project
        labels = given.get("defaultLabels") or {}
        # The SDK sends whatever is no text as JSON.
        labels = json.loads(labels) if isinstance(labels, str) else labels
        override = str(given.get("userProjectOverride", "")).lower() == "true"
        consumer = str(given.get("billingProject") or project) if override else ""
        self._scopes[peer] = Scope(self._cloud, caller, project, given.get("region", ""), labels, consumer), token
        return pb.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )  # fmt: skip

    async def _ask(self, peer: str, token: str, action: str, work: Callable[[], Any]) -> Any:
        """What the real provider asks of Google for a resource or function; the server's loop goes on meanwhile."""
        try:
            return await faults.call(self._scope(peer), token, action, work, self._cancelled[peer])
        except (faults.LostConnection, BadId) as error:
            raise Refused(str(error)) from None

    def _scope(self, peer: str) -> Scope:
        if peer not in self._scopes:
            raise Refused("this connection was not configured; run the command again")
        scope, token = self._scopes[peer]
        self._cloud.of(Tokens).verify(token, PROVIDER)  # its account may be gone by now, or its key
        return scope

    # Functions

    async def invoke(self, request: pb.InvokeRequest, peer: str) -> pb.InvokeResponse:
        function = FUNCTIONS.get(request.tok)
        if function is None:
            raise Refused(f"the local cloud has no function {request.tok}; it has {', '.join(sorted(FUNCTIONS))}")
        arguments = bare(load(request.args))
        known = schema.function_inputs(request.tok)
        failures = [
            pb.CheckFailure(property=name, reason=f"isn't an argument; known are {', '.join(known)}")
            for name in arguments
            if name not in known
        ]
        if failures:
            return pb.InvokeResponse(failures=failures)
        scope = self._scope(peer)
        found = await self._ask(peer, request.tok, "", lambda: function(scope, arguments))
        response = pb.InvokeResponse()
        getattr(response, "return").CopyFrom(dump(found))  # a word that Python keeps for itself
        return response

    # Resources

    async def check(self, request: pb.CheckRequest, _peer: str) -> pb.CheckResponse:
        token, kind = _kind(request)
        news, olds = load(request.news), load(request.olds)
        if kind.autoname and news.get(kind.autoname) is None:
            news[kind.autoname] = olds.get(kind.autoname) or _autoname(request)
        wrong = schema.mistakes(token, news, kind.choices)
        wrong += [(name, "is not emulated by the local cloud") for name in news if name in kind.refused]
        wrong += rules(token).missing(bare(news))
        return pb.CheckResponse(
            inputs=dump(news),
            failures=[pb.CheckFailure(property=path, reason=f"{path} {reason}") for path, reason in wrong],
        )

    async def diff(self, request: pb.DiffRequest, peer: str) -> pb.DiffResponse:
        token, kind = _kind(request)
        scope = self._scopes.get(peer)
        labels = scope[0].labels if scope else {}
        found = rules(token).changes(bare(load(request.olds)), bare(load(request.news)), labels)
        detail: dict[str, pb.PropertyDiff] = {}
        replaces: set[str] = set()
        for path, change in differences.kept(found, list(request.ignoreChanges)):
            if differences.top(path) in rules(token).force_new:
                replaces.add(differences.top(path))
                change += "_REPLACE"
            detail[path] = pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(change), inputDiff=False)
        return pb.DiffResponse(
            changes=_some(detail),
            replaces=sorted(replaces),
            diffs=sorted({differences.top(path) for path in detail}),
            detailedDiff=detail,
            hasDetailedDiff=True,
            # Two of a name can't live side by side.
            deleteBeforeReplace=bool(replaces) and not kind.named_by_cloud,
        )

    async def create(self, request: pb.CreateRequest, peer: str) -> pb.CreateResponse:
        token, kind = _kind(request)
        inputs = load(request.properties)
        if request.preview:
            shape = schema.resource(token)
            assert shape is not None
            return pb.CreateResponse(properties=dump({**dict.fromkeys(shape.outputs, UNKNOWN), **inputs}))
        scope = self._scope(peer)

        def make() -> tuple[str, Values]:
            kind.admit(scope, bare(inputs))
            kind.allow(scope, "create", "", bare(inputs))
            made = kind.create(scope, bare(inputs))
            return made, _outputs(token, kind, scope, made, bare(inputs))

        made, outputs = await self._ask(peer, token, "create", make)
        return pb.CreateResponse(id=made, properties=dump(hide(outputs, inputs)))

    async def read(self, request: pb.ReadRequest, peer: str) -> pb.ReadResponse:
        token, kind = _kind(request)
        scope, olds, inputs = self._scope(peer), load(request.properties), load(request.inputs)
        known = {**bare(olds), **bare(inputs)}

        def look() -> Values | None:
            kind.allow(scope, "read", request.id, known)
            return kind.read(scope, request.id, known)

        now = await self._ask(peer, token, "read", look)
        if now is None:
            return pb.ReadResponse()
        outputs = rules(token).read(schema.coerce(token, now), bare(olds))
        told = schema.refreshed(token, bare(inputs), outputs) if inputs else schema.inputs_of(token, outputs)
        # Labels are secret in what was known of every resource, as the SDK asks: a bucket or repository that is called
        # as a label's value would be hidden with them, and all that is made of its name.
        secrets = inputs or olds
        return pb.ReadResponse(id=request.id, properties=dump(hide(outputs, secrets)), inputs=dump(hide(told, secrets)))

    async def update(self, request: pb.UpdateRequest, peer: str) -> pb.UpdateResponse:
        token, kind = _kind(request)
        olds, news = load(request.olds), load(request.news)
        if request.preview:
            return pb.UpdateResponse(properties=dump({**olds, **news}))
        scope, change = self._scope(peer), kind.update
        if change is None:
            raise Refused(f"{token} can't be changed")

        def make() -> Values:
            kind.admit(scope, bare(news))
            kind.allow(scope, "update", request.id, {**bare(olds), **bare(news)})
            change(scope, request.id, bare(news))
            return _outputs(token, kind, scope, request.id, bare(news))

        return pb.UpdateResponse(properties=dump(hide(await self._ask(peer, token, "update", make), news)))

    async def delete(self, request: pb.DeleteRequest, peer: str) -> empty_pb2.Empty:
        token, kind = _kind(request)
        known = {**bare(load(request.properties)), **bare(load(request.old_inputs))}
        policy = known.get("deletionPolicy")
        if policy == "PREVENT":
            raise Refused(f"{request.id} has deletionPolicy PREVENT; {token} is not deleted")
        scope, remove = self._scope(peer), kind.delete
        if remove and policy != "ABANDON":

            def take_away() -> None:
                kind.allow(scope, "delete", request.id, known)
                remove(scope, request.id, known)

            try:
                await self._ask(peer, token, "delete", take_away)
            except ApiError as error:
                if error.code != 404:  # somebody else deleted it
                    raise
        return empty_pb2.Empty()


def _outputs(token: str, kind: Kind, scope: Scope, resource_id: str, inputs: Values) -> Values:
    """The state of a resource that was just made or changed: as it is read now."""
    now = kind.read(scope, resource_id, inputs)
    if now is None:
        raise ApiError(404, f"{resource_id} is gone right after it was made")
    return rules(token).made(schema.coerce(token, now), inputs, scope.labels)


def _kind(request: Any) -> tuple[str, Kind]:
    """The token and kind that a request is about. Raises Refused for one that isn't here."""
    token = getattr(request, "type", "") or request.urn.split("::")[2].rpartition("$")[2]
    if token not in KINDS:
        near = ", ".join(sorted(name for name in KINDS if name.split("/")[0] == token.split("/")[0])) or "no kind of it"
        raise Refused(f"the local cloud does not have {token}; of {token.split('/')[0]} it has {near}")
    return token, KINDS[token]


def _autoname(request: pb.CheckRequest) -> str:
    """As the real provider names what a program does not: the resource's name and seven hexadecimal digits."""
    name = request.name or request.urn.rpartition("::")[2]
    return f"{name}-{request.randomSeed.hex()[:7] or '0000000'}"


def _some(found: Any) -> pb.DiffResponse.DiffChanges.ValueType:
    return pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE


Method = Callable[[Any, str], Awaitable[Any]]


def methods(provider: Provider) -> dict[str, tuple[Any, Method]]:
    """By the name in the protocol: the request's class and the method."""
    return {
        "Handshake": (pb.ProviderHandshakeRequest, provider.handshake),
        "Attach": (plugin_pb2.PluginAttach, provider.attach),
        "GetPluginInfo": (empty_pb2.Empty, provider.get_plugin_info),
        "GetSchema": (pb.GetSchemaRequest, provider.get_schema),
        "Cancel": (empty_pb2.Empty, provider.cancel),
        "CheckConfig": (pb.CheckRequest, provider.check_config),
        "DiffConfig": (pb.DiffRequest, provider.diff_config),
        "Configure": (pb.ConfigureRequest, provider.configure),
        "Invoke": (pb.InvokeRequest, provider.invoke),
        "Check": (pb.CheckRequest, provider.check),
        "Diff": (pb.DiffRequest, provider.diff),
        "Create": (pb.CreateRequest, provider.create),
        "Read": (pb.ReadRequest, provider.read),
        "Update": (pb.UpdateRequest, provider.update),
        "Delete": (pb.DeleteRequest, provider.delete),
    }
