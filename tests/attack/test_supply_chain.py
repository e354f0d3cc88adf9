"""What is installed is what was chosen: exact pins, wheels, an archive with its checksum, actions by their hashes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import tarfile
import threading
import tomllib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloudkite import advisories, pins, workspace
from cloudkite.engine import cli, release
from cloudkite.journey import supply
from cloudkite.show.errors import UserError

CLONE = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))
UV = PYPROJECT["tool"]["uv"]
locked = pytest.mark.skipif(not (CLONE / "uv.lock").is_file(), reason="there is no uv.lock: uv lock makes it")


# --- pins


@locked
def test_all_that_uv_resolves_is_pinned_and_no_pin_is_stale():
    assert UV["constraint-dependencies"] == pins.kept(CLONE) == pins.resolved(CLONE), "run: uv run invoke pin"
    assert len(pins.kept(CLONE)) > 100


@locked
def test_pins_hold_on_every_system():
    """uv.lock has what other systems need, too; each name and version in it is a pin."""
    lock = tomllib.loads((CLONE / "uv.lock").read_text(encoding="utf-8"))
    ours = {"virtual", "editable"}
    found = {f"{one['name']}=={one['version']}" for one in lock["package"] if not ours & one["source"].keys()}
    assert found == {pin.partition(" ;")[0] for pin in pins.kept(CLONE)}
    assert "colorama" in {pin.partition("==")[0] for pin in found}  # Windows'


def test_direct_pins_are_exact_and_none_contradicts():
    members = [tomllib.loads(path.read_text(encoding="utf-8")) for path in CLONE.glob("packages/*/pyproject.toml")]
    direct = [pin for one in [PYPROJECT, *members] for pin in one["project"].get("dependencies", [])]
    extras = [extra for one in members for extra in one["project"].get("optional-dependencies", {}).values()]
    direct += [pin for extra in extras for pin in extra]
    direct += [pin for group in PYPROJECT["dependency-groups"].values() for pin in group]
    outside = [pin for pin in direct if not pin.startswith("cloudkite-")]
    kept = dict(pin.partition(" ;")[0].split("==") for pin in UV["constraint-dependencies"])
    assert all(kept[re.split(r"[\[=]", pin)[0].lower()] == pin.partition("==")[2] for pin in outside)
    built = {require for one in members for require in one["build-system"]["requires"]}
    assert UV["build-constraint-dependencies"] == [f"uv-build=={kept['uv']}"]
    assert all(require.startswith(f"uv_build>={kept['uv']},") for require in built)


@locked
def test_every_pin_has_a_wheel_and_nothing_else_is_installed():
    assert UV["no-build"] is True
    lock = tomllib.loads((CLONE / "uv.lock").read_text(encoding="utf-8"))
    without = [one["name"] for one in lock["package"] if not one.get("wheels") and "registry" in one["source"]]
    assert not without


def test_no_index_is_named_in_what_is_committed():
    text = (CLONE / "pyproject.toml").read_text(encoding="utf-8")
    assert "index-url" not in text and "[[tool.uv.index]]" not in text and "://" not in text


def test_what_cannot_be_resolved_leaves_the_pins_as_they_were(tmp_path, monkeypatch):
    text = '[tool.uv]\nconstraint-dependencies = [\n    "one==1",\n]\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")

    def fails(*_arguments):
        raise UserError("no network")

    monkeypatch.setattr(pins, "uv", fails)
    with pytest.raises(UserError, match="no network"):
        pins.renew(tmp_path)
    assert (tmp_path / "pyproject.toml").read_text(encoding="utf-8") == text


def test_actions_are_named_by_the_hash_of_a_commit():
    used = re.findall(r"uses: (\S+)(.*)", "".join(p.read_text() for p in (CLONE / ".github").rglob("*.yml")))
    assert len(used) >= 3
    assert not [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one[0])]
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for _action, comment in used)


# --- the Pulumi CLI

VERSION = cli.PINNED


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server with a release: gives its folder, the archive's name and a function that publishes an archive."""
    folder = tmp_path / "published"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_arguments: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(release, "CHECKSUMS", base + "/pulumi-{version}-checksums.txt")
    monkeypatch.setattr(release, "ARCHIVES", base + "/{name}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDKITE_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setenv("CLOUDKITE_PULUMI", "installer")
    name = release._archive(VERSION)

    def publish(members: dict[str, bytes], checksum: str = "") -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path, data in members.items():
                entry = tarfile.TarInfo(path)
                if data.startswith(b"->"):
                    entry.type, entry.linkname = tarfile.SYMTYPE, data[2:].decode()
                else:
                    entry.size, entry.mode = len(data), 0o755
                archive.addfile(entry, io.BytesIO(data))
        (folder / name).write_bytes(buffer.getvalue())
        digest = checksum or hashlib.sha256(buffer.getvalue()).hexdigest()
        lines = [f"{'0' * 64}  pulumi-v{VERSION}-other.tar.gz", f"{digest}  {name}"]
        (folder / f"pulumi-{VERSION}-checksums.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    yield publish
    server.shutdown()
    server.server_close()


GOOD = f"#!/bin/sh\necho v{VERSION}\n".encode()
posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for the program is a shell script; run on POSIX")


@posix
def test_a_release_with_its_checksum_is_installed(published):
    published({"pulumi/pulumi": GOOD, "pulumi/pulumi-language-go": b"#!/bin/sh\n"})
    found = cli.find()
    assert (found.source, found.version, found.path) == ("installer", VERSION, cli.installed())
    assert sorted(path.name for path in found.path.parent.iterdir()) == [
        "pulumi"
    ]  # what else is in it could be run by its name
    assert [path.name for path in found.path.parent.parent.iterdir()] == ["bin"]


@posix
@pytest.mark.parametrize("checksum", ["0" * 64, "f" * 64, "short", "no"])
def test_a_release_with_another_checksum_is_not_unpacked(published, checksum, tmp_path):
    spy = tmp_path / "ran"
    published({"pulumi/pulumi": f"#!/bin/sh\ntouch {spy}\necho v{VERSION}\n".encode()}, checksum)
    with pytest.raises(UserError, match=r"has the SHA-256|has no checksum") as refused:
        cli.find()
    assert "the official installer failed" in refused.value.message
    assert not spy.exists()
    assert [path.name for path in cli.tools().iterdir()] == ["install.lock"]


@posix
def test_an_archive_writes_nowhere_but_its_folder(published, tmp_path):
    published(
        {"pulumi/pulumi": GOOD, "../../../../out": b"x", f"{tmp_path}/absolute": b"x", "pulumi/link": b"->/etc/passwd"}
    )
    path = cli.find().path
    assert sorted(one.name for one in path.parent.iterdir()) == ["pulumi"]
    assert not (tmp_path / "absolute").exists() and not (tmp_path / "out").exists()
    assert not [one for one in path.parent.iterdir() if one.is_symlink()]


@posix
def test_a_file_comes_once(published):
    published({"pulumi/pulumi": GOOD, "other/pulumi": b"#!/bin/sh\necho other\n"})
    with pytest.raises(UserError, match="can't be unpacked"):
        cli.find()


# --- advisories

STAND_IN = """
import json, pathlib, sys
assert sys.argv[sys.argv.index("--format") + 1] == "json"
pins = pathlib.Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text().split()
said = []
for pin in pins:
    name, version = pin.split("==")
    said.append({"name": name, "version": version, "vulns": []})
ANSWER
"""
FOUND = """
said[0]["vulns"] = [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["9.9"], "description": "bad"}]
print(json.dumps({"dependencies": said, "fixes": []}))
sys.exit(1)
"""
NOTHING = 'print(json.dumps({"dependencies": said, "fixes": []}))'
UNREACHED = 'sys.exit("ERROR:pip_audit._cli:Could not connect to the vulnerability feed")'
SKIPPED = """
said = [{"name": one["name"], "skip_reason": "not found on PyPI"} for one in said]
print(json.dumps({"dependencies": said, "fixes": []}))
"""
ONE_SKIPPED = """
said[0] = {"name": said[0]["name"], "skip_reason": "not found on PyPI"}
print(json.dumps({"dependencies": said, "fixes": []}))
"""
SILENT = 'print(json.dumps({"dependencies": said[1:], "fixes": []}))'


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program into pip-audit's place, which answers as given."""

    def put(answer: str) -> workspace.Workspace:
        program = tmp_path / "pip_audit.py"
        program.write_text(STAND_IN.replace("ANSWER", answer), encoding="utf-8")
        monkeypatch.setattr(advisories, "tool", lambda *_arguments: [sys.executable, str(program)])
        return workspace.Workspace(CLONE, tmp_path / "state", CLONE / "infra", CLONE / "trainers")

    return put


def test_no_advisory_about_any_pin(stand_in, capsys):
    supply.audit(stand_in(NOTHING))
    count = len({*pins.kept(CLONE), *pins.of_trainers(CLONE), *pins.of_tools(CLONE)})
    assert f"no vulnerability is known of {count} packages" in capsys.readouterr().out
    assert any(pin.startswith("tensorflow") for pin in pins.of_trainers(CLONE))
    assert {pin.partition("==")[0] for pin in pins.of_tools(CLONE)} >= {"ai-edge-litert", "tensorboard", "nbclient"}


def test_an_advisory_fails_and_is_shown(stand_in, capsys):
    space = stand_in(FOUND)
    with pytest.raises(UserError, match="1 known vulnerability") as told:
        supply.audit(space, as_json=True)
    assert told.value.code == 1
    one = json.loads(capsys.readouterr().out)["advisories"][0]
    assert (one["id"], one["aliases"], one["fixed"]) == ("PYSEC-2026-1", ["CVE-2026-1"], ["9.9"])
    with pytest.raises(UserError):
        supply.audit(space)
    assert "PYSEC-2026-1 CVE-2026-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"), [(UNREACHED, "Could not connect"), (SKIPPED, "knows none"), ("sys.exit(3)", "exit code 3")]
)
def test_an_index_that_does_not_answer_is_no_good_news(stand_in, capsys, answer, said):
    with pytest.raises(advisories.CouldNotLook, match=said) as told:
        supply.audit(stand_in(answer), as_json=True)
    assert told.value.code == 1
    assert json.loads(capsys.readouterr().out)["looked"] == 0


@pytest.mark.parametrize("answer", [ONE_SKIPPED, SILENT])
def test_one_package_about_which_nothing_is_known_is_no_good_news(stand_in, capsys, answer):
    with pytest.raises(UserError, match="1 package could not be looked up"):
        supply.audit(stand_in(answer), as_json=True)
    assert len(json.loads(capsys.readouterr().out)["unknown"]) == 1


@locked
@pytest.mark.slow
def test_pip_audit_itself_without_a_network(monkeypatch, capsys):
    """The real program, from its pins; whatever leads out leads to a closed port."""
    space = workspace.find()
    command = advisories.tool(space)
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # discard: nothing listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(advisories, "tool", lambda *_arguments: command)
    with pytest.raises(advisories.CouldNotLook, match="the advisories could not be read"):
        supply.audit(space)
    assert "no vulnerability" not in capsys.readouterr().out
