"""A copy of the clone, as git would give it, in which tests run commands as people type them."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Copy:
    """`folder` is the copy; it shares the Python environments of the clone."""

    folder: Path

    def command(self, line: str) -> list[str]:
        """The words of `uv run invoke ...`, with this interpreter instead of uv."""
        words = shlex.split(line)
        assert words[:3] == ["uv", "run", "invoke"], line
        return [sys.executable, "-m", "invoke", *words[3:]]

    def environment(self) -> dict[str, str]:
        """This process' environment without what would lead to another account."""
        return {k: v for k, v in os.environ.items() if not k.startswith(("CLOUDKITE_ACCOUNT", "CLOUDKITE_STATE"))}

    def invoke(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run `uv run invoke ...` to its end, nobody at a terminal."""
        return subprocess.run(
            self.command(line), cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, encoding="utf-8", timeout=900,
        )  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A fresh copy for the tests of one file, in a folder as people have; its local cloud is stopped at the end."""
    folder = tmp_path_factory.mktemp("clone") / "내 문서" / "학습 자료"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=CLONE, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (CLONE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CLONE / name, folder / name)
    made = Copy(folder)
    yield made
    made.invoke("uv run invoke local.stop")
