"""Plain Pulumi beside the commands: `eval "$(uv run invoke account.env NAME)"`, then `pulumi ...` in infra/."""

import json
import shutil
import subprocess
import sys

import pytest

from cloudkite.children import safe_environment
from cloudkite.engine import plain
from cloudkite.journey import shells as words
from cloudkite.show.errors import BadValue
from cloudkite.workspace import CLONE
from tests.engine import language_host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform == "win32", reason="the stand-in for Pulumi's language host is a script with a shebang"
    ),
]


@pytest.fixture
def shell(tmp_path):
    """Runs a command in a bash that has evaluated what `account.env` prints for a place, in a copy of infra/."""
    host = language_host.install(tmp_path / "bin")

    def shell(place, command):
        folder = tmp_path / "infra"
        if not folder.exists():
            shutil.copytree(CLONE / "infra", folder, ignore=shutil.ignore_patterns("__pycache__", "Pulumi.*.yaml"))
        shutil.copy(place.account.settings, folder)
        script = words.script("bash", *plain.environment(place.account, place.target))
        # By its standard input, as `eval` has it: nothing of it is on a command line.
        done = subprocess.run(
            ["bash", "-s"], input=f'{script}\nexport PATH="{host.parent}:$PATH"\n{command}\n', cwd=folder,
            env=safe_environment({"PULUMI_DEBUG_PROVIDERS": "gcp:1"}), capture_output=True, encoding="utf-8",
            timeout=180,
        )  # fmt: skip
        assert (folder / place.account.settings.name).read_bytes() == place.account.settings.read_bytes()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return shell


def counts(place, shell, verb):
    """What a run of plain Pulumi did, as its own JSON counts it, without what stays as it is."""
    flags = "--json" if verb == "preview" else "--yes --skip-preview --json"
    told = shell(place, f"pulumi {verb} {flags} --non-interactive 2>/dev/null")
    if verb == "preview":
        summary = json.loads(told)["changeSummary"]
    else:
        events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        summary = next(one["summaryEvent"]["resourceChanges"] for one in events if "summaryEvent" in one)
    return {what: count for what, count in summary.items() if what != "same"}


def test_after_up_plain_pulumi_has_nothing_to_change_and_the_other_way_round(place, shell):
    place.up()
    assert counts(place, shell, "preview") == {}
    changed = place.settings(lambda text: text.replace("logRetentionDays: 30", "logRetentionDays: 31"))
    before = changed.account.settings.read_bytes()
    assert counts(changed, shell, "up") == {"update": 1}
    assert changed.preview().changes == ()
    assert changed.account.settings.read_bytes() == before
    assert changed.account.outputs().buckets == place.account.outputs().buckets
    # Runs without the program sign the provider in, too.
    shell(changed, "pulumi refresh --yes --skip-preview --non-interactive")


def test_plain_pulumi_sets_an_account_up_and_the_commands_go_on(place, shell):
    made = counts(place, shell, "up")["create"]
    seen = place.preview()
    assert seen.changes == ()
    assert made > seen.same > 20  # components, the stack and the provider are no resources of the cloud
    assert place.account.outputs().buckets["data"] == f"gs://{place.account.project}-data"
    secret = plain.environment(place.account, place.target)[0][plain.TOKEN]
    assert secret not in place.folder.checkpoint.read_text(encoding="utf-8")


def test_a_team_uses_plain_pulumi_too(place, shell):
    place.up()
    before, after = "  cloudkite:tier:", "  cloudkite:state: bucket\n  cloudkite:tier:"
    place = place.settings(lambda text: text.replace(before, after))
    with pytest.raises(Exception, match="its bucket for the state is yet to be made"):
        plain.environment(place.account, place.target)
    assert place.up().changes == {}
    assert counts(place, shell, "preview") == {}
    assert f"gs://{place.account.project}-state" in shell(place, "pulumi whoami --verbose --non-interactive")


@pytest.mark.parametrize("kind", words.SHELLS)
def test_what_is_set_is_quoted_and_what_another_account_set_is_unset(kind, tmp_path):
    value = 'a\'b $(touch no) `touch no` "c" \\ d'
    script = words.script(kind, {"ONE": value}, ["TWO"], [tmp_path / "a b"])
    program = {"bash": "bash", "fish": "fish", "powershell": "pwsh"}.get(kind, "no-such-shell")
    if not shutil.which(program):
        assert len(script.splitlines()) == 3
        assert script.count(str(tmp_path / "a b")) == 1
        return
    show = {"powershell": '"$Env:ONE|$Env:TWO|$Env:PATH"'}.get(kind, 'echo "$ONE|$TWO|$PATH"')
    done = subprocess.run(
        [program, "-c", f"{script}\n{show}"], env={"PATH": "/usr/bin:/bin", "TWO": "2"}, cwd=tmp_path,
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    one, two, path = done.stdout.strip().split("|")
    assert (one, two) == (value, "")
    assert path.startswith(str(tmp_path / "a b"))
    assert list(tmp_path.iterdir()) == []


def test_a_shell_that_is_not_known_is_told_before_anything_starts(space):
    with pytest.raises(BadValue, match="--shell csh isn't a known shell"):
        words.show_pulumi(space, "", "csh")
