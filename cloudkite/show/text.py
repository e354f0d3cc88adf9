"""The words shown to people: English by default, another language where a catalogue for it is installed."""

import gettext
import re
from pathlib import Path

_catalogue = gettext.translation("cloudkite", Path(__file__).parent / "locale", fallback=True)


def language() -> str:
    """The language of what is shown, as HTML names it: en, ko."""
    return _catalogue.info().get("language") or "en"


def _(message: str) -> str:
    """The message in the reader's language; placeholders (`{name}`) are filled in by the caller with `.format`."""
    return _catalogue.gettext(message)


def counted(one: str, many: str, count: int, **more: object) -> str:
    """The sentence for this number of things, filled in: `one` and `many` have `{count}`, and what `more` gives.

    Languages differ in how many forms they have, so the catalogue chooses: Korean has one.
    """
    return _catalogue.ngettext(one, many, count).format(count=count, **more)


# What a terminal obeys instead of showing it, what turns the order of letters around, and halves of letters: controls
# but for the line's end and the tab, bidirectional marks (https://www.unicode.org/reports/tr9/), other line ends.
_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN, _UNSEEN_OR_BREAK = re.compile(f"[{_OBEYED}]"), re.compile(f"[{_OBEYED}\t\n]")


def visible(text: str, lines: bool = True) -> str:
    """The text with everything in it that a terminal would obey written out: an escape character as `\\x1b`.

    Names and messages come from anybody who may use a project. Without `lines`, line ends and tabs are written out too.
    """
    return (_UNSEEN if lines else _UNSEEN_OR_BREAK).sub(_written, text)


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def visible_json(text: str) -> str:
    """The same for JSON, by JSON's own escapes: whoever parses it gets what was there. Its line ends are layout."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def near(word: str, known: list[str]) -> str:
    """A hint for a mistyped name: the closest known names, else all of them (at most ten)."""
    if hint := close(word, known):
        return hint
    shown = ", ".join(sorted(known)[:10])
    return _("known: {names}").format(names=shown + (", ..." if len(known) > 10 else "")) if known else ""


def close(word: str, known: list[str], cutoff: float = 0.5) -> str:
    """The same where it is of no use to list them all: "" when none is close, `cutoff` of 1 being the same word."""
    import difflib

    found = difflib.get_close_matches(word, known, n=3, cutoff=cutoff)
    return _("did you mean {names}?").format(names=_(" or ").join(found)) if found else ""
