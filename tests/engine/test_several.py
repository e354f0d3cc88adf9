"""Many accounts of one owner at once: twenty of them, one that fails, drift on three; Ctrl-C in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudkite import engine
from cloudkite.accounts import local, registry, target
from cloudkite.journey import several
from cloudkite.show.errors import BadValue, UserError
from cloudkite.workspace import CLONE, Workspace, throw_away

pytestmark = pytest.mark.slow

TAKEN = "shop-07"  # somebody else has the name of one of its buckets


@pytest.fixture(scope="module")
def street(pulumi, tmp_path_factory) -> Iterator[Workspace]:
    """A workspace of its own with a local cloud of its own."""
    made = throw_away(tmp_path_factory.mktemp("street"))
    yield made
    local.run(made, "stop")


def described(space: Workspace, kind: str, count: int) -> list[str]:
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8")
    names = [f"{kind}-{number:02d}" for number in range(count)]
    for name in names:
        settings = text.replace("cloudkite-local", f"cloudkite-{name}")
        (space.accounts / f"Pulumi.{name}.yaml").write_text(settings, encoding="utf-8")
    return names


def storage(space: Workspace, name: str):
    return target.connect(space, registry.load(space, name)).storage()


def rows(capsys) -> dict[str, dict]:
    return {row["account"]: row for row in json.loads(capsys.readouterr().out)}


@pytest.mark.timeout(900)
def test_twenty_accounts_of_which_one_fails_and_three_were_changed_by_others(street, capsys):
    names = described(street, "shop", 20)
    storage(street, "shop-00").create_bucket(f"cloudkite-{TAKEN}-data", location="us-central1")
    capsys.readouterr()
    with pytest.raises(UserError) as caught:
        several.up(street, names, yes=True)
    shown = capsys.readouterr()
    assert (caught.value.message, caught.value.hint, caught.value.code) == (
        "1 of 20 accounts failed", f"uv run invoke up --accounts {TAKEN} goes on with them", 1,
    )  # fmt: skip
    assert f"error: {TAKEN}: the bucket name cloudkite-{TAKEN}-data is taken by another project" in shown.err
    assert "\nhint: give this account's buckets other names" in shown.err
    assert shown.out.count("what would change, and the price per month") == 1
    assert len(re.findall(r"^shop-\d\d +cloudkite-shop-\d\d +set up +\d+ ", shown.out, re.M)) == 19
    assert re.search(rf"^{TAKEN} +cloudkite-{TAKEN} +failed ", shown.out, re.M)
    assert re.search(r"^in all +\d+ +1\.90 USD", shown.out, re.M), shown.out
    # One line for each end, and none that a terminal would obey.
    assert len(re.findall(r"^shop-\d\d: \d+ changes$", shown.err, re.M)) == 19
    assert len(re.findall(r"^shop-\d\d: set up: \d+ changes in ", shown.err, re.M)) == 19
    assert "\x1b" not in shown.out + shown.err
    assert [name for name in names if not registry.load(street, name).outputs_file.is_file()] == [TAKEN]

    changed = ("shop-02", "shop-11", "shop-19")
    for name in changed:
        bucket = storage(street, name).get_bucket(f"cloudkite-{name}-models")
        bucket.iam_configuration.public_access_prevention = "inherited"
        bucket.patch()
    with pytest.raises(UserError, match="1 of 20 accounts failed"):
        several.up(street, names, yes=True, as_json=True)
    again = rows(capsys)
    assert {name for name, row in again.items() if row["by_others"]} == set(changed)
    assert {name: row["changed"] for name, row in again.items() if row["changed"]} == dict.fromkeys(changed, 1)
    assert sum(row["result"] == "nothing to change" for row in again.values()) == 16
    assert again[TAKEN]["error"] and again[TAKEN]["hint"] and again["shop-00"]["error"] is None
    for name in changed:
        bucket = storage(street, name).get_bucket(f"cloudkite-{name}-models")
        assert bucket.iam_configuration.public_access_prevention == "enforced"

    several.down(street, names[:4], save=None, yes=True, as_json=True)
    down = rows(capsys)
    assert {row["result"] for row in down.values()} == {"taken down"}
    assert all(row["changed"] > 20 for row in down.values())
    assert not any(registry.load(street, name).outputs_file.is_file() for name in names[:4])
    assert registry.load(street, names[4]).outputs_file.is_file()


def engines(space: Workspace) -> list[psutil.Process]:
    """The engines that are at work on an account of the workspace."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if one.name().startswith("pulumi") and Path(one.cwd()).is_relative_to(space.state):
                found.append(one)
    return found


def process(space: Workspace, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engine.run_several", *words[:1], str(space.state), *words[1:]],
        cwd=CLONE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", start_new_session=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process; try Ctrl-C by hand")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", ["up", "down"])
def test_ctrl_c_in_the_middle_ends_all_cleanly_and_the_same_again_goes_on(street, verb):
    names = described(street, f"{verb}-road", 6)
    if verb == "down":
        several.up(street, names, yes=True)
    done = "set up" if verb == "up" else "taken down"
    with process(street, verb, *names) as run:
        said = ""
        for line in run.stdout or ():
            said += line
            if f": {done}" in line:  # the first has ended, others are in the middle, and some have not begun
                run.send_signal(signal.SIGINT)
                break
        said += run.stdout.read() if run.stdout else ""
        assert run.wait(60) == 130, said
    assert not engines(street), "an engine goes on without its command"
    assert "Traceback" not in said
    assert "interrupted: what is in flight is finished and saved" in said
    interrupted = re.findall(r"^(\S+) +cloudkite-\S+ +interrupted", said, re.M)
    assert 0 < len(interrupted) < 6, said
    assert f"hint: uv run invoke {verb} --accounts {','.join(interrupted)} goes on with them" in said
    for name in names:
        status = engine.status(registry.load(street, name))
        assert status.held_by is None and not status.unfinished
    again = several.up if verb == "up" else lambda *words, **options: several.down(*words, save=None, **options)
    again(street, names, yes=True)
    assert all(registry.load(street, name).outputs_file.is_file() is (verb == "up") for name in names)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process; try Ctrl-C by hand")
def test_ctrl_c_while_all_are_looked_at_changes_nothing_and_asks_nothing(street):
    names = described(street, "lane", 6)
    with process(street, "up", *names) as run:
        said = ""
        for line in run.stdout or ():
            said += line
            if re.search(r": \d+ changes$", line):
                run.send_signal(signal.SIGINT)
                time.sleep(0.3)
                run.send_signal(signal.SIGINT)  # and again: at once, then
                break
        said += run.stdout.read() if run.stdout else ""
        # The second may come when all is told and Python is at its end: that is by the signal, 130 to a shell as well.
        assert run.wait(60) in (130, -signal.SIGINT), said
    assert said.rstrip().endswith("error: interrupted; nothing was changed"), said
    assert "Traceback" not in said and "how it ended" not in said
    assert [engine.left(registry.load(street, name)) for name in names] == [[]] * 6


def test_which_accounts_are_meant(street):
    described(street, "mews", 2)
    assert {"mews-00", "mews-01"} <= set(several.chosen(street, True, "", ""))
    assert several.chosen(street, False, " mews-01, mews-00,mews-01", "") == ["mews-01", "mews-00"]


@pytest.mark.parametrize(
    ("everything", "typed", "one", "message", "hint"),
    [
        (True, "a", "", "--all, --accounts and --account exclude each other", "leave all but one of them out"),
        (True, "", "a", "--all, --accounts and --account exclude each other", "leave all but one of them out"),
        (False, "mews-00", "a", "--all, --accounts and --account exclude each other", "leave all but one of them out"),
        (False, " , ", "", "--accounts names no account", "for example --accounts home,school"),
        (False, "mews-00,mews-0l", "", "no account is called mews-0l", "did you mean mews-01 or mews-00"),
        (False, "../x", "", "no account is called ../x", "known: "),
    ],
)
def test_what_names_no_accounts(street, everything, typed, one, message, hint):
    described(street, "mews", 2)
    with pytest.raises(BadValue) as caught:
        several.chosen(street, everything, typed, one)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint) or set(hint.split()) <= set(caught.value.hint.replace("?", "").split())


def test_options_that_are_for_one_account():
    with pytest.raises(BadValue) as caught:
        several.refuse_start("2026-11-29")
    assert caught.value.hint == "uv run invoke up --trial-started 2026-11-29 --account NAME"
    with pytest.raises(BadValue) as caught:
        several.refuse_everything(True)
    assert caught.value.message == "--everything deletes data and models, and is for one account at a time"
    assert caught.value.hint == "uv run invoke down --everything --account NAME"
