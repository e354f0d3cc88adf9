"""The port that a running engine calls us by, to run the program and to tell its events: nobody else is answered.

Every user of the machine can connect to a port of it, and read which one it is in the list of processes. So the engine
is known by its connections: the operating system tells which ones its process has.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.automation.events import EngineEvent
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import events_pb2_grpc, language_pb2_grpc
from pulumi.runtime.settings import SETTINGS

from cloudkite.engine.events import STACK
from cloudkite.engine.folder import PROJECT

_HOST = "127.0.0.1"

Program = Callable[[], None]
Process = Callable[[], int | None]


@contextmanager
def served(
    stack: str, events: Callable[[EngineEvent], None], program: Program | None, engine: Process
) -> Iterator[list[str]]:
    """Serve for one run of the engine; gives the arguments that tell it where. `engine` gives its process' number."""
    port = 0
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4),
        interceptors=[_OnlyEngine(engine, lambda: port)],
        options=_GRPC_CHANNEL_OPTIONS,
    )
    events_pb2_grpc.add_EventsServicer_to_server(_Events(events), server)
    if program:
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(_Language(stack, program), server)
    port = server.add_insecure_port(f"{_HOST}:0")
    server.start()
    client = [f"--client={_HOST}:{port}"] if program else []
    try:
        yield [*client, "--exec-kind", "auto.inline" if program else "auto.local", f"--event-log=tcp://{_HOST}:{port}"]
    finally:
        server.stop(1).wait()


class _OnlyEngine(grpc.ServerInterceptor):
    """Turns down calls that come over a connection of any process but the engine's."""

    def __init__(self, engine: Process, port: Callable[[], int]) -> None:
        self._engine, self._port = engine, port

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """What gRPC calls for each call."""
        handler = continuation(handler_call_details)
        kind = next((k for k in ("unary_unary", "stream_unary") if getattr(handler, k, None)), None)
        if kind is None:
            return None  # nothing that the engine calls
        behaviour = getattr(handler, kind)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            if not self._is_engine(context.peer()):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "only the engine of this run is answered")
            return behaviour(request, context)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(answer, handler.request_deserializer, handler.response_serializer)

    def _is_engine(self, peer: str) -> bool:
        """Whether the connection from `peer`, such as "ipv4:127.0.0.1:40000", is one of the engine's."""
        import psutil

        ends = ((_HOST, int(peer.rpartition(":")[2])), (_HOST, self._port()))
        pid = self._engine()
        if pid is None:
            return False
        try:
            engine = psutil.Process(pid)
            # A program of that name may be a script that starts the real one.
            for process in (engine, *engine.children(recursive=True)):
                if any((each.laddr, each.raddr) == ends for each in process.net_connections("tcp4")):
                    return True
        except psutil.Error:
            return False
        return False


class _Events(events_pb2_grpc.EventsServicer):
    def __init__(self, events: Callable[[EngineEvent], None]) -> None:
        self._events = events

    def StreamEvents(self, request_iterator: Any, context: Any) -> empty_pb2.Empty:  # noqa: ARG002
        for request in request_iterator:
            self._events(EngineEvent.from_json(json.loads(request.event)))
        return empty_pb2.Empty()


class _Language(LanguageServer):
    """Runs the program of one stack, once, and closes its event loop."""

    def __init__(self, stack: str, program: Program) -> None:
        super().__init__(self._in_loop)
        self._stack, self._program, self._once = stack, program, threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def _in_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._program()

    def Run(self, request: Any, context: Any) -> Any:
        if (request.project, request.stack) != (PROJECT, self._stack):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the program is of another stack")
        if not self._once.acquire(blocking=False):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the program ran already")
        try:
            return super().Run(request, context)
        finally:
            # Here, where the loop ran: the engine may have ended long ago, and whoever waited for it can't know when
            # this thread lets go of the loop.
            if self._loop is not None:
                _close(self._loop)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what a failed program left in its event loop: Pulumi's language host then neither ends nor closes it."""
    if loop.is_closed():
        return
    loop.set_exception_handler(lambda _loop, _context: None)  # Pulumi's own stops the loop
    loop.call_soon(loop.stop)
    loop.run_forever()  # takes up a stop that Pulumi's had asked for already: it would end the next run in the middle
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


class Declared:
    """Which resources the program declares, by their URNs.

    The engine's own port, by which programs declare theirs, takes whoever finds it. What the program did not declare
    is told by comparison with the run's events.
    """

    def __init__(self, stack: str) -> None:
        self._start = f"urn:pulumi:{stack}::{PROJECT}::"
        self.urns = {f"{self._start}{STACK}::{PROJECT}-{stack}"}

    def watch(self) -> None:
        """Note what the program declares from now on; it is called by the program."""
        settings: Any = SETTINGS
        settings.monitor = _Noted(settings.monitor, self._note)

    def _note(self, request: Any) -> None:
        parent = request.parent.split("::")[2] if request.parent else STACK
        kind = request.type if parent == STACK else f"{parent}${request.type}"
        self.urns.add(f"{self._start}{kind}::{request.name}")


class _Noted:
    """The engine's resource monitor as the program calls it."""

    def __init__(self, monitor: Any, note: Callable[[Any], None]) -> None:
        self._monitor, self._note = monitor, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name)

    def RegisterResource(self, request: Any) -> Any:
        self._note(request)
        return self._monitor.RegisterResource(request)

    def ReadResource(self, request: Any) -> Any:
        self._note(request)
        return self._monitor.ReadResource(request)
