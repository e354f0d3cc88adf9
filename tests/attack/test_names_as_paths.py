"""Names that strangers choose (labels, objects, accounts, files), as attempts to leave the folder they belong in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cloudkite import names, workspace
from cloudkite.accounts import registry, settings
from cloudkite.jobs import staging
from cloudkite.models import fetching
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, wheels
from cloudkite.trainers.folders import Trainer
from tests import trainer_folder
from tests.trees import put, tree

HOSTILE = [
    *("..", "../x", "../../x", "/etc", "..\\x", "C:x", "C:\\x", "con", "NUL.txt", "a\0b", "x" * 300, "가" * 100),
    *("x.", "x ", "a/b", "\ud800", "a\u202eb", "a\nb", "~", ".git", "", "CON .txt", "com¹", "PENGUI~1"),
]  # fmt: skip


@pytest.fixture
def space(tmp_path: Path) -> Any:
    made = trainer_folder.space(tmp_path)
    registry.add(made, "first", settings.describe("first-project", target="local"))
    return made


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_an_accounts_name_opens_no_other_file(space: Any, tmp_path: Path, name: str, monkeypatch) -> None:
    put(space.accounts / "Pulumi.x", note="mine")  # a folder to walk through: Pulumi.x/../..
    before = tree(tmp_path)
    for text in filter(None, (name, f"x/../../{name}")):
        with pytest.raises(UserError) as refused:
            registry.load(space, text)
        assert len(refused.value.message) < 400
        monkeypatch.setenv("CLOUDKITE_ACCOUNT", text.replace("\0", "").encode(errors="replace").decode() or "?")
        with pytest.raises(UserError):
            registry.load(space)
        monkeypatch.delenv("CLOUDKITE_ACCOUNT")
    with pytest.raises(BadValue):
        registry.add(space, name, settings.describe("other-project", target="local"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("content", [b"../first\n", b"\xff\xfe\0", b"first\nsecond\n", b"x" * 100_000, b"con"])
def test_the_file_that_names_the_account_names_nothing_else(space: Any, content: bytes) -> None:
    (space.state / "account").write_bytes(content)
    with pytest.raises(UserError) as refused:
        registry.load(space)
    assert "doesn't name an account" in refused.value.message and "account.use" in refused.value.hint


def test_a_settings_file_of_an_odd_name_is_broken_and_no_other_is(space: Any) -> None:
    for name in ("Foo", "con", "a b\n", "first\u202e"):
        (space.accounts / f"Pulumi.{name}.yaml").write_text((space.accounts / "Pulumi.first.yaml").read_text())
    known, broken = registry.load_all(space)
    assert [account.name for account in known] == ["first"] or [account.name for account in known] == ["a b\n", "first"]
    assert {"Foo", "con", "first\u202e"} <= set(broken)


@pytest.mark.parametrize("name", ["con", "x\ny", "a b", "X", "x" * 250, "na\u0308me", "-rf", "aux.b", "<b>", "..."])
def test_a_trainers_folder_of_any_name_stays_in_checks(space: Any, tmp_path: Path, name: str) -> None:
    folder = put(tmp_path / "elsewhere" / name)
    made = trainer_folder.make(space)
    for path in sorted(made.rglob("*")):
        if path.is_file():
            put((folder / path.relative_to(made)).parent)
            (folder / path.relative_to(made)).write_bytes(path.read_bytes())
    trainer = folders.find(space, str(folder))
    assert names.portable(trainer.file) and "\n" not in trainer.file
    wheel = folders.build_wheel(trainer, space)
    assert wheel.path.parent.parent == space.state / "wheels" and names.portable(wheel.path.name)


def test_trainers_of_alike_names_do_not_share_a_file(tmp_path: Path) -> None:
    alike = ["a b", "a  b", "A b", "a_b", "A_b", "a?b", "a*b", "con", "_con", "a.", "a"]
    assert len({names.key(Trainer(name, tmp_path).file) for name in alike}) == len(alike)


def test_a_wheels_name_writes_no_line_of_its_metadata() -> None:
    data = wheels.wheel("x\nRequires-Dist: evil", "1\nX: y", "", (), {})
    assert b"\nRequires-Dist: evil" not in data and b"\nX: y" not in data


@pytest.mark.parametrize("text", ["~nobody-of-that-name", "x" * 5000, "a\0b", "\ud800", "../" * 2000])
def test_a_trainers_path_that_can_not_be_is_an_error(space: Any, text: str) -> None:
    with pytest.raises(UserError, match=r"no trainer is called|doesn't exist"):
        folders.find(space, text)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names: run it on Linux or macOS")
@pytest.mark.parametrize(
    "name", ["a*.csv", "a?.csv", "a[1].csv", "a\nb.csv", "a\\b.csv", "con.csv", "a.csv ", "a\u202e.csv"]
)
def test_a_data_files_name_is_no_pattern_for_the_job(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(BadValue, match="a data file is called"):
        staging.stage_data(None, "gs://bucket", [tmp_path / name], tmp_path / "cache.json")  # type: ignore[arg-type]


SOURCE = fetching.Source("b", "m/", "the model of j1", "uv run invoke fetch", "rename it")
OBJECTS = [
    "../x", "/x", "a//b", "a\\b", "C:x", "a\0b", "x" * 300, "a.", "a ", "NUL", "con/x", "a/../b", "./a", "a\u202eb",
    ".cloudkite-fetched.json", "sub/.CLOUDKITE-fetched.json", ".cloudkite-fetched.json/x", "a\nb", "\u200b",
]  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS, ids=ascii)
def test_an_object_that_can_be_no_file_of_the_model_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="is not fetched"):
        fetching._check_names(["saved_model.pb", name], SOURCE)


@pytest.mark.parametrize(
    "pair",
    [("A", "a"), ("\u00e9", "e\u0301"), ("a", "a/b"), ("A/x", "a/y"), ("\u1e9e", "ss"), ("\uac00", "\u1100\u1161")],
)
def test_objects_that_one_file_would_be_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="not every system can hold both"):
        fetching._check_names(pair, SOURCE)


def test_hashes_that_somebody_wrote_into_the_cache_lead_nowhere(tmp_path: Path) -> None:
    """What the cache says becomes part of an object's name."""
    data = put(tmp_path, **{"rows.csv": "a,b\n1,2\n"}) / "rows.csv"
    cache = tmp_path / "cache.json"
    right = staging.hash_files([data], cache)
    for wrong in ("../../other", 5, None, ["x"], ""):
        cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), wrong)))
        assert staging.hash_files([data], cache) == right


def test_what_is_kept_of_a_new_trainer_is_named_harmlessly(tmp_path: Path) -> None:
    from cloudkite.data import table
    from cloudkite.trainers import making

    for stem in ("con", "-rf", "x" * 240, "..", "a\u202eb", "e\u0301", "데이터", "a[1]*", "nul.x"):
        looked = table.Table(Path(f"{stem}.csv"), [], {}, {}, frozenset(), {}, "", (), 0, frozenset(), [], [])
        made = making._file_name(looked)
        assert names.portable(made) and (made.endswith(".csv") or "~" in made)
        assert not set(made) & set("[]*?/\\\u202e") and made[0] not in ".-"


def test_the_workspace_of_tests_is_throw_away(space: Any) -> None:
    assert space.trainers.is_relative_to(space.state) and workspace.CLONE not in space.trainers.parents
