"""docs/troubleshooting.md is the table of what is refused in which state: each line of it is run, and leads on."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from cloudkite.accounts import registry, target
from cloudkite.workspace import Workspace
from clouds.pages import CLONE, same_in_both_languages

ENGLISH = CLONE / "docs" / "troubleshooting.md"
Row = tuple[str, int, str, str]  # command, exit code, error, hint


def sections(text: str) -> list[tuple[str, list[Row]]]:
    """The state and the rows of each section, in the page's order."""
    found = []
    for part in text.split("<!-- state: ")[1:]:
        rows = re.findall(r"^\| `(.*?)` \| (\d) \| (.*?) \| (.*) \|$", part, re.M)
        found.append((part.partition(" -->")[0], [(one, int(code), error, hint) for one, code, error, hint in rows]))
    return found


def fits(pattern: str, said: str) -> bool:
    """Whether it is what the page shows; `…` stands for more."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), said, re.DOTALL) is not None


def good(copy: Any, line: str) -> None:
    done = copy.invoke(f"uv run invoke {line}")
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def prepare(copy: Any, state: str) -> None:
    """Bring the copy, which went through the states before, into this one."""
    home = copy.folder
    space = Workspace(home, home / ".cloudkite", home / "infra", home / "trainers")
    if state == "described":
        good(copy, "new penguins")
    elif state == "moved":
        good(copy, "new far --output ../elsewhere")
        (home.parent / "elsewhere").rename(home.parent / "gone")
    elif state == "signed out":
        (space.accounts / "Pulumi.work.yaml").write_text("config:\n  gcp:project: work-project\n", encoding="utf-8")
    elif state == "half set up":
        with subprocess.Popen(
            copy.command("uv run invoke up --yes"), cwd=home, env=copy.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        ) as up:  # fmt: skip
            assert any(line.startswith("20/") for line in up.stderr or ()), "it ended before it was killed"
            up.kill()
    elif state == "set up":
        good(copy, "up --yes")
        text = (space.accounts / "Pulumi.local.yaml").read_text(encoding="utf-8")
        (space.accounts / "Pulumi.double.yaml").write_text(text, encoding="utf-8")  # by hand
    elif state == "bucket gone":
        session = target.connect(space, registry.load(space, "local")).session()
        assert session.delete("https://storage.googleapis.com/storage/v1/b/cloudkite-local-data").ok
    elif state == "API off":
        good(copy, "up --yes")  # as the hint said
        good(copy, "data.list")
        session = target.connect(space, registry.load(space, "local")).session()
        url = "https://serviceusage.googleapis.com/v1/projects/cloudkite-local/services/aiplatform.googleapis.com"
        assert session.post(f"{url}:disable", json={"disableDependentServices": True}).ok
    elif state == "trial ended":
        good(copy, "account.add --local --name student --tier trial")
        good(copy, "up --yes --account student")
        good(copy, "local.clock --forward 91d")
    elif state == "stopped":
        good(copy, "local.stop")
    elif state == "damaged":
        for file in (space.localcloud / "iam").glob("iam.sqlite*"):  # with what SQLite keeps beside it
            file.write_bytes(b"damaged" if file.name == "iam.sqlite" else b"")
    elif state == "reset":
        good(copy, "local.reset --yes")
    else:
        raise AssertionError(state)


@pytest.mark.slow
def test_every_line_is_what_the_command_says(copy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, before = [], ""
    for state, rows in sections(ENGLISH.read_text(encoding="utf-8")):
        if state != before:
            prepare(copy, state)
        before = state
        for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA"):  # where a person's own sign-in would be
            if state == "signed out":
                monkeypatch.setenv(name, str(copy.folder.parent))
        for command, code, error, hint in rows:
            done = copy.invoke(f"uv run invoke {command}")
            said = done.stderr[done.stderr.find("error: ") :].removeprefix("error: ").rstrip("\n")
            message, _blank, step = said.partition("\n\nhint: ")
            if done.returncode != code or not fits(error, message) or not fits(hint, step):
                wrong.append((state, command, done.returncode, message, step))
        monkeypatch.undo()
    assert not wrong
    good(copy, "up --yes")  # the last of all states but the command line's leads on, too


def test_both_pages_have_the_same_tables() -> None:
    english, korean = (sections(path.read_text(encoding="utf-8")) for path in (ENGLISH, ENGLISH.with_suffix(".ko.md")))
    assert english == korean and sum(len(rows) for _state, rows in english) > 30
    same_in_both_languages("docs/troubleshooting")
