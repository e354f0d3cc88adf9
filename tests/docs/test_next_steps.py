"""Nobody reads: from a Korean spreadsheet to predictions and `down` by what the commands say is next, and by hints."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

FILE = "성적표.csv"
ROWS = "이름,키 (cm),합격\n" + "".join(
    f"학생{i},{150 + i % 40},{'합격' if i % 40 > 19 else '불합격'}\n" for i in range(80)
)
ANSWERS = {"FILE": FILE, "COLUMN": "합격"}  # what a person knows, and no command can
JOURNEY = ["new", "check", "up", "train", "fetch", "predict", "down"]


def following(line: str, said: str) -> str:
    """The command line that the output of `line` leads to; "" for none.

    It is behind `next:`, with another way or a remark after a comma; or it is a hint's whole line, stands in a hint in
    backticks, or is an option that the hint adds.
    """
    if found := re.search(r"^next: (uv run invoke .+?)(?:, (?:or|when) .*)?$", said, re.M):
        return found[1]
    hint = (re.search(r"^hint: (.+)$", said, re.M) or ["", ""])[1]
    if found := re.fullmatch(r"add (--\S+(?: [A-Z]+)?)(?:, .*)?", hint):
        return f"{line} {found[1]}"
    found = re.search(r"`(uv run invoke .+?)`", hint) or re.fullmatch(r"(uv run invoke .+)", hint)
    return found[1] if found else ""


def filled(line: str) -> str:
    return shlex.join(ANSWERS.get(word, word) for word in shlex.split(line))


@pytest.mark.slow
def test_what_is_next_leads_from_a_spreadsheet_to_predictions_and_down(copy: Any) -> None:
    (copy.folder / FILE).write_bytes(ROWS.encode("cp949"))
    line, walked, answers = f"uv run invoke new 성적표 --data {FILE}", [], ""
    for _step in range(15):
        done = copy.invoke(line)
        command = shlex.split(line)[3]
        walked.append((command, done.returncode))
        answers = done.stdout if command == "predict" else answers
        if command == "down" and not done.returncode:
            break
        onward = filled(following(line, done.stdout + done.stderr))
        assert onward and onward != line, f"{line} leads nowhere\n{done.stdout}\n{done.stderr}"
        line = onward
    assert [command for command, code in walked if not code] == JOURNEY
    assert [command for command, _code in walked] == [
        "new",
        "new",
        *JOURNEY,
        "down",
    ]  # a bad name, no label, no consent
    assert len(re.findall(r"^(?:합격|불합격) ", answers, re.M)) == 80
