"""A stand-in for `pulumi-language-python`, which no registry carries: a few lines over the SDK's own language server.

The plain CLI finds a program of that name on PATH and asks it to run the Python program of a folder.
"""

import os
import runpy
import signal
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2


class Host(LanguageServer):
    """Runs the program of whatever folder the CLI names."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version="3.272.0")

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        return iter(())

    def Run(self, request: Any, context: Any) -> Any:
        folder = request.info.program_directory or request.pwd

        def program() -> None:
            os.chdir(folder)
            runpy.run_path(str(Path(folder) / "__main__.py"), run_name="__main__")

        self.program = program
        return super().Run(request, context)


def serve() -> None:
    """What the CLI starts: prints its port first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the CLI ends it so
    server = grpc.server(futures.ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def install(folder: Path) -> Path:
    """Put the program into a folder, to be on PATH. A script with a shebang: not for Windows."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "pulumi-language-python"
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})"
    script.write_text(f"#!{sys.executable}\n{start}\nfrom tests.engine.language_host import serve\nserve()\n", "utf-8")
    script.chmod(0o700)
    return script
