"""The documentation is run: each command that the README shows works, in the order shown, in a copy of the clone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.ko.md")

# Commands that a test can't run as they stand, and where they are tested instead.
ELSEWHERE = {
    "pip install uv && uv run invoke demo": "tests/docs/test_demo.py runs the demo",
    "uv run invoke test": "is what runs this test",
    "uv run invoke tune penguins --tries 12": "tests/baked/test_tune.py tunes, with fewer tries",
    "uv run invoke start": "asks; tests/account/test_start.py answers at a terminal",
    "uv run invoke account.recover PROJECT": "needs an account of another computer; tests/account/test_moving.py",
    "uv run invoke account.remove NAME": "the same",
    "uv run invoke account.add": "asks; tests/docs/test_commands.py gives its answers as options",
    "uv run invoke up --account NAME": "needs an account on Google",
    "uv run invoke account.use NAME": "tests/docs/test_commands.py",
    "uv run invoke data.push grades": "needs an account that is set up, and `down` above took it down; "
    "tests/local/cloudkite/test_pushed_data.py pushes, lists and pulls",
    "uv run invoke data.list": "the same",
    "uv run invoke data.pull grades": "the same",
    "uv run invoke local.preempt JOB": "needs a Spot job that runs; tests/local/jobs/test_job_retries.py",
}
GRADES = "student,hours,attendance,passed\n" + "".join(
    f"s{i},{i % 9 + (i % 7) / 10},{60 + i % 40},{'yes' if i % 9 > 4 else 'no'}\n" for i in range(80)
)


def commands(readme: str) -> list[str]:
    """The commands of a README's code blocks, without their comments."""
    text = (CLONE / readme).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.S | re.M)
    lines = [re.split(r"\s{2,}#|\s+#", line)[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("uv run", "pip install"))]


def test_both_languages_show_the_same_commands():
    assert commands("README.md") == commands("README.ko.md")
    assert len(commands("README.md")) > 10


@pytest.mark.parametrize("readme", READMES)
def test_every_command_named_exists(readme):
    listed = subprocess.run(
        [sys.executable, "-m", "invoke", "--list", "--list-format=flat"],
        cwd=CLONE, capture_output=True, text=True, encoding="utf-8", check=True,
    ).stdout  # fmt: skip
    known = set(re.findall(r"^  (\S+)", listed, re.M))
    text = (CLONE / readme).read_text(encoding="utf-8")
    named = set(re.findall(r"uv run invoke ([a-z][a-z.]*)", text)) | {"logs", "cancel"}
    assert named <= known


@pytest.mark.parametrize("readme", READMES)
def test_links_lead_somewhere(readme):
    text = (CLONE / readme).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert not [link for link in links if not (CLONE / link).exists()]


@pytest.mark.slow
def test_the_commands_of_the_readme_work_in_their_order(copy):
    (copy.folder / "grades.csv").write_text(GRADES, encoding="utf-8")
    ran = []
    for line in commands("README.md"):
        if line in ELSEWHERE:
            continue
        done = copy.invoke(line + (" --yes" if line == "uv run invoke down" else ""))
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        ran.append(line)
    assert len(ran) >= 9
    assert not set(ELSEWHERE) - set(commands("README.md")), "a command that the README no longer shows"
