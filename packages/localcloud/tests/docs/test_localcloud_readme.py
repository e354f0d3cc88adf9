"""The local cloud's own pages are run and read: commands work as written, tables and links are whole."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clouds.pages import CLONE, commands, dead_links, read, rows, same_in_both_languages
from localcloud import apis

HOUSE = "packages/localcloud"
CODE = f"{HOUSE}/src/localcloud"
PAGES = (f"{HOUSE}/README.md", f"{CODE}/billing/README.md", f"{CODE}/faults/README.md")
LINKING = sorted(str(path.relative_to(CLONE)) for path in (CLONE / HOUSE).rglob("*.md"))
# Commands that can't run as they stand, and where they are tested instead.
ELSEWHERE = {
    "python -m localcloud preempt --root .localcloud JOB": "needs a Spot job; tests/jobs/test_job_retries.py",
}
TELL = "trap 'echo failed: $BASH_COMMAND' ERR"
ASKS = "python -m localcloud reset --root .localcloud"  # at a terminal; nobody is at one here


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the blocks are for bash")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_work_as_written(page: str, tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**kept, "PATH": path}

    def bash(lines: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euc", "\n".join([TELL, *lines])], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, encoding="utf-8", timeout=240,
        )  # fmt: skip

    try:
        for block in commands(page):
            assert block
            lines = [line + " --yes" * (line == ASKS) for line in block if line not in ELSEWHERE]
            if shutil.which("gcloud") is None:
                lines = [line for line in lines if not line.startswith("gcloud ")]
            done = bash(lines)
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
    finally:
        bash(["python -m localcloud stop"])


def test_what_is_tested_elsewhere_is_still_shown() -> None:
    shown = {line for page in PAGES for block in commands(page) for line in block}
    assert not set(ELSEWHERE) - shown
    assert ASKS in shown


def test_both_languages_show_the_same() -> None:
    same_in_both_languages(f"{HOUSE}/README")


@pytest.mark.parametrize("page", LINKING)
def test_its_links_lead_somewhere(page: str) -> None:
    assert not dead_links(page)


def test_every_verb_is_named() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "localcloud", "--help"],
        cwd=CLONE, capture_output=True, text=True, encoding="utf-8", check=True,
    ).stdout  # fmt: skip
    verbs = set(re.findall(r"^    ([a-z]+)\s", helped, re.M))
    assert len(verbs) >= 11
    assert set(re.findall(r"python -m localcloud ([a-z]+)", read(f"{HOUSE}/README.md"))) == verbs


def test_every_api_has_a_row() -> None:
    named = {name for row in rows(f"{HOUSE}/README.md") for name in re.findall(r"`([a-z0-9]+)`", row[0])}
    served: dict[str, set[str]] = {}  # what loads an API -> the names by which it is known
    for pattern, loader in [*apis.HOSTS, *apis.OPEN_HOSTS]:
        host = re.match(r"(.*?)\\\.google(apis)?\\\.com", pattern)
        served.setdefault(loader, set()).update(re.findall(r"[a-z0-9]{3,}", host[1]) if host else [])
    del served["localcloud.control.http:app"]  # the command line's own
    missing = {loader: names - {"www"} - named for loader, names in served.items()}
    assert not {loader: names for loader, names in missing.items() if names}
    assert all(names - {"www"} for names in served.values())


def test_the_clients_versions_are_those_that_are_tested() -> None:
    programs = f"{HOUSE}/tests/languages"
    node = json.loads(read(f"{programs}/node/package.json"))["dependencies"]
    java = ElementTree.fromstring(read(f"{programs}/java/pom.xml")).find(".//{*}dependencyManagement//{*}version")
    assert java is not None
    tested = {
        **dict(re.findall(r"^\t(\S+) (v\S+)$", read(f"{programs}/go/go.mod"), re.M)),
        **node,
        "com.google.cloud:libraries-bom": java.text,
    }
    shown = dict(re.findall(r"`([^`]+)` (v?\d+(?:\.\d+)+)", read(f"{HOUSE}/README.md")))
    for name, number in shown.items():
        assert number == (tested.get(name) or metadata.version(name)), name
    assert node.keys() <= shown.keys() and len(shown) == 14


def test_the_table_of_clients_names_each_language() -> None:
    folders = {path.name for path in (CLONE / HOUSE / "tests" / "languages").iterdir() if path.is_dir()} - {
        "__pycache__"
    }
    assert folders <= {row[0].split(",")[0].lower() for row in rows(f"{HOUSE}/README.md")}
