"""A headless Chromium for tests: fetched once by npm, kept with Cloudkite's other tools in the user's cache."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cloudkite import workspace

PACKAGE = "@sparticuz/chromium@153.0.0"  # with the libraries that it needs; the browser alone finds them in few places
_SCRIPT = Path(__file__).with_name("browser.cjs")
NEEDS = "install Node from https://nodejs.org to run this"


def chromium() -> Path:
    """The folder with the browser. Skips the test, and says what is lacking, where there can be none."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("this Chromium is for Linux on x86-64; run it there, or open the page by hand")
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip(f"no Node; {NEEDS}")
    folder = workspace.cache() / f"chromium-{PACKAGE.rpartition('@')[2]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, "chromium")
        made.mkdir()
        done = subprocess.run([npm, "pack", PACKAGE], cwd=temporary, capture_output=True, encoding="utf-8", timeout=300)
        if done.returncode and re.search("ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN", done.stderr):
            pytest.skip("no npm registry answers; run it with a network once")
        assert done.returncode == 0, done.stderr
        (archive,) = Path(temporary).glob("*.tgz")
        shutil.unpack_archive(archive, temporary, "gztar", filter="data")
        subprocess.run([node, str(_SCRIPT), "unpack", f"{temporary}/package", str(made)], check=True, timeout=120)
        try:
            made.rename(folder)
        except OSError:  # another test was faster
            assert folder.is_dir()
    return folder


def ask(page: Path, script: str, scratch: Path) -> dict[str, Any]:
    """What a script says in a page of this disk, without a network: {"value", "asked": addresses, "thrown": errors}."""
    folder = chromium()
    (scratch / "script.js").write_text(script, encoding="utf-8")
    command = ["node", str(_SCRIPT), "ask", str(folder), page.resolve().as_uri(), str(scratch / "script.js")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
