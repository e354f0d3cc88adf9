"""The words shown to people: English by default, another language where a catalogue for it is installed."""

import gettext
from pathlib import Path

_catalogue = gettext.translation("cloudkite", Path(__file__).parent / "locale", fallback=True)


def _(message: str) -> str:
    """The message in the reader's language; placeholders (`{name}`) are filled in by the caller with `.format`."""
    return _catalogue.gettext(message)


def near(word: str, known: list[str]) -> str:
    """A hint for a mistyped name: the closest known names, else all of them (at most ten)."""
    import difflib

    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return _("did you mean {names}?").format(names=_(" or ").join(close))
    shown = ", ".join(sorted(known)[:10])
    return _("known: {names}").format(names=shown + (", ..." if len(known) > 10 else "")) if known else ""
