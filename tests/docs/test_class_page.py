"""The commands of docs/class.md, as a teacher and a learner type them, on a local cloud."""

from __future__ import annotations

import json
import re
import shutil

import pytest

pytestmark = pytest.mark.slow


def good(copy, line):
    done = copy.invoke(line)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def test_a_class_from_its_file_to_the_report(copy):
    shutil.copy(copy.folder / "infra" / "examples" / "class.toml", copy.folder / "class.toml")
    planned = good(copy, "uv run invoke class.plan").stdout
    assert re.search(r"^kim +local +8\.00 USD", planned, re.M)
    assert re.search(r"^mo +local, on their own machine +5\.00 USD", planned, re.M)
    assert "next: uv run invoke up --account local" in planned
    early = copy.invoke("uv run invoke class.codes")
    assert early.returncode == 1 and "error: account local is not set up" in early.stderr
    good(copy, "uv run invoke up --accounts local --yes")
    made = json.loads(good(copy, "uv run invoke class.codes --json").stdout)
    assert set(made) == {"kim", "lee", "mo"} and all(code.startswith("ck1-") for code in made.values())
    good(copy, "uv run invoke class.codes --output codes")
    assert (copy.folder / "codes" / "kim.code").stat().st_mode & 0o777 == 0o600

    refused = copy.invoke("uv run invoke class.submit")
    assert (refused.returncode, refused.stderr) == (
        1, "error: no class was joined in this clone\n\nhint: uv run invoke class.join CODE\n",
    )  # fmt: skip
    wrong = copy.invoke("uv run invoke class.join class.toml --learner kim")
    assert wrong.returncode == 2 and "ask your teacher for your code" in wrong.stderr
    joined = good(copy, "uv run invoke class.join codes/mo.code").stdout
    assert joined.startswith("joined class ml-1 as mo\nyou may spend 5.00 USD in the term, 2026-09-01 to 2026-12-18")
    good(copy, "uv run invoke up")  # whoever has no sign-in sets up `local` by themselves
    good(copy, "uv run invoke class.submit")
    content = json.loads((copy.folder / "ml-1-mo.json").read_text(encoding="utf-8"))
    assert content["learner"] == "mo" and content["seal"].startswith("hmac-sha256:") and "@" not in json.dumps(content)
    assert content["taken_down"] is False and content["standing"]["costs"]  # the alert costs 0.10 USD a month
    (copy.folder / "submitted").mkdir()
    shutil.move(copy.folder / "ml-1-mo.json", copy.folder / "submitted")
    report = good(copy, "uv run invoke class.report --files submitted --csv class.csv").stdout
    assert re.search(r"^kim +0 .* 8\.00 ", report, re.M)
    assert re.search(r"^mo +0 .* 5\.00 .* no", report, re.M), report
    assert "USD since 2026-09-01, at Google's list prices" in report
    assert len((copy.folder / "class.csv").read_text(encoding="utf-8").splitlines()) == 4
    good(copy, "uv run invoke class.leave")
    good(copy, "uv run invoke class.leave lee")
    assert "left = " in (copy.folder / "class.toml").read_text(encoding="utf-8")
    assert "13 changes" in good(copy, "uv run invoke up --all --yes").stderr
