"""Each template says which version of its files it is, so that a trainer can be told from which it was made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloudkite.trainers import updating
from cloudkite.workspace import CLONE

TEMPLATES = updating.templates(CLONE)


def test_there_are_templates() -> None:
    assert "trainer" in {template.name for template in TEMPLATES}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_the_version_is_that_of_the_files(template: Path) -> None:
    assert updating.version(template) == updating.fingerprint(template), "uv run invoke pin"


def test_every_file_counts_and_what_programs_leave_does_not(tmp_path: Path) -> None:
    copy = shutil.copytree(
        TEMPLATES[0], tmp_path / "template", ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
    )
    before = updating.fingerprint(copy)
    assert before == updating.fingerprint(TEMPLATES[0])
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert updating.fingerprint(copy) == before and not updating.stamp(copy)
    (copy / "hooks").mkdir(exist_ok=True)
    (copy / "hooks" / "new.py").write_text("", encoding="utf-8")
    assert updating.fingerprint(copy) != before
    assert updating.stamp(copy) and not updating.stamp(copy)
    assert updating.version(copy) == updating.fingerprint(copy) != before
