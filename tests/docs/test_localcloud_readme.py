"""The local cloud's own pages are run and read: commands work as written, tables and links are whole."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import front

CLONE = Path(__file__).resolve().parents[2]
PAGES = ("localcloud/README.md", "localcloud/billing/README.md", "localcloud/faults/README.md")
LINKING = sorted(
    str(path.relative_to(CLONE)) for path in [*CLONE.glob("localcloud/**/README*.md"), *CLONE.glob("docs/**/*.md")]
)
# Commands that can't run as they stand, and where they are tested instead.
ELSEWHERE = {
    "python -m localcloud preempt --root .localcloud JOB": "needs a Spot job; tests/local/jobs/test_job_retries.py",
}
LINKS = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
TELL = "trap 'echo failed: $BASH_COMMAND' ERR"
ASKS = "python -m localcloud reset --root .localcloud"  # at a terminal; nobody is at one here


def read(page: str) -> str:
    return (CLONE / page).read_text(encoding="utf-8")


def commands(page: str) -> list[list[str]]:
    """The commands of each bash block, without their comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```", read(page), re.S | re.M)
    return [[re.split(r"\s+# ?", line)[0].strip() for line in block.splitlines()] for block in blocks]


def rows(page: str) -> list[list[str]]:
    """The cells of all tables, without their heads."""
    found = re.findall(r"^\|(.*)\|$", read(page), re.M)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in found if not re.fullmatch(r"[-|]+", row)]


def names(text: str) -> list[str]:
    """What stands in backticks outside of blocks: names and commands, which no language changes."""
    return re.findall(r"`([^`]*)`", re.sub(r"```.*?```", "", text, flags=re.S))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the blocks are for bash")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_work_as_written(page: str, tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**kept, "PATH": path, "PYTHONPATH": str(CLONE)}

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


@pytest.mark.parametrize("page", ["localcloud/README", "docs/reliability"])
def test_both_languages_show_the_same(page: str) -> None:
    english, korean = f"{page}.md", f"{page}.ko.md"
    assert commands(english) == commands(korean)
    assert [len(row) for row in rows(english)] == [len(row) for row in rows(korean)]
    for row, same in zip(rows(english), rows(korean), strict=True):
        assert set(names(row[0])) == set(names(same[0])), row[0]
        assert [set(LINKS.findall(cell)) for cell in row] == [set(LINKS.findall(cell)) for cell in same]
    assert sorted(names(read(english))) == sorted(names(read(korean)))
    assert len(re.findall(r"^#", read(english), re.M)) == len(re.findall(r"^#", read(korean), re.M))
    assert f"]({Path(korean).name})" in read(english)
    assert f"]({Path(english).name})" in read(korean)


@pytest.mark.parametrize("page", LINKING)
def test_its_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", read(page), flags=re.S)
    assert not [link for link in LINKS.findall(text) if not ((CLONE / page).parent / link).exists()]


def test_every_verb_is_named() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "localcloud", "--help"],
        cwd=CLONE, capture_output=True, text=True, encoding="utf-8", check=True,
    ).stdout  # fmt: skip
    verbs = set(re.findall(r"^    ([a-z]+)\s", helped, re.M))
    assert len(verbs) >= 11
    assert set(re.findall(r"python -m localcloud ([a-z]+)", read("localcloud/README.md"))) == verbs


def test_every_api_has_a_row() -> None:
    named = {name for row in rows("localcloud/README.md") for name in re.findall(r"`([a-z0-9]+)`", row[0])}
    served: dict[str, set[str]] = {}  # what loads an API -> the names by which it is known
    for pattern, loader in [*front.HOSTS, *front.OPEN_HOSTS]:
        host = re.match(r"(.*?)\\\.google(apis)?\\\.com", pattern)
        served.setdefault(loader, set()).update(re.findall(r"[a-z0-9]{3,}", host[1]) if host else [])
    del served["localcloud.control:app"]  # the command line's own
    missing = {loader: names - {"www"} - named for loader, names in served.items()}
    assert not {loader: names for loader, names in missing.items() if names}
    assert all(names - {"www"} for names in served.values())
