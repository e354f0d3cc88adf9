"""Which tests a change can affect: files here, folders by the arrows, all where it may be anything."""

import subprocess
from pathlib import Path

import pytest

from cloudkite import affected
from cloudkite.show.errors import UserError

CLONE = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "files, expected",
    [
        ([], []),
        (["tests/unit/test_gate.py"], ["tests/unit/test_gate.py"]),
        (["tests/unit/test_that_was_deleted.py"], []),
        (["docs/performance.md", "README.ko.md"], ["tests/docs"]),
        (["template/cookiecutter.json"], ["tests/baked", "tests/docs", "tests/local"]),
        (["cloudkite/money/gate.py", "tests/unit/test_gate.py"], ["tests"]),
        (["packages/localcloud/src/localcloud/iam/cel/language.py", "cloudkite/names.py"],
         ["packages/localcloud/tests", "tests"]),
        (["packages/localcloud/tests/storage/test_storage_xml.py"],
         ["packages/localcloud/tests/storage/test_storage_xml.py"]),
        (["packages/catalog/src/catalog/prices.json"], None),
        (["docs/performance.md", "pyproject.toml"], None),
        (["tasks.py"], None),
    ],
)  # fmt: skip
def test_what_a_change_can_affect(files, expected):
    assert affected.tests(CLONE, files) == expected


def test_every_area_and_its_tests_are_there():
    for prefix, paths in affected._AREAS:
        assert list(CLONE.glob(f"{prefix}*")), prefix
        assert all((CLONE / path).is_dir() for path in paths)


def git(folder, *words):
    subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)


def test_changes_are_what_differs_from_main(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("kept.py", "edited.py", "moved.py"):
        (tmp_path / name).write_text(name)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    assert affected.changed(tmp_path) == []
    git(tmp_path, "switch", "-qc", "work")
    git(tmp_path, "mv", "moved.py", "there.py")
    git(tmp_path, "commit", "-qm", "move")
    (tmp_path / "edited.py").write_text("other")
    (tmp_path / "새 파일.py").write_text("new")
    assert affected.changed(tmp_path) == ["edited.py", "moved.py", "there.py", "새 파일.py"]


def test_without_git_it_says_so(tmp_path):
    with pytest.raises(UserError, match="what changed since main is not known") as refused:
        affected.changed(tmp_path)
    assert refused.value.hint == "run all tests: uv run invoke test"
