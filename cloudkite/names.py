"""Names that come from outside, a cloud's most of all, as names of files on Linux, macOS and Windows.

Windows' rules: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

_LONGEST = 255  # bytes of a name on Linux; macOS and Windows count letters, which are fewer
_ROOM = 240  # bytes of what `component` gives, so that a work folder can be called .NAME.part
_MARK = "~"  # before the digest of a name that was changed; no other name has it
_DIGITS = 16
_FORBIDDEN = frozenset('<>:"/\\|?*')  # separators, drives and streams, wildcards
_SHORT = re.compile(r"(?=[^.]{2,8}(\.|$))[^.]*~\d+(\.[^.]{0,3})?")  # PENGUI~1: another name of penguins-2026 on Windows
_PORTS = (f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³")
_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$", "clock$", *_PORTS))


def component(name: str) -> str:
    """One component of a path for a name of any kind: the name itself where that is harmless, else one made of it.

    Two names get the same component only if they are the same text to Unicode (NFC). A changed one ends in `~` and
    a digest of the whole name; so does one that differs from another by case alone, as not every disk tells them apart.
    """
    text = unicodedata.normalize("NFC", name)
    plain = portable(text) and len(text.encode()) <= _ROOM and text[0] not in ". " and _MARK not in text
    if plain and key(text) == text:
        return text
    stem = "".join(letter if _allowed(letter) and letter != _MARK else "_" for letter in text).strip(". ")
    if reserved(stem):
        stem = f"_{stem}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    room = _ROOM - len(_MARK) - _DIGITS
    return f"{stem.encode()[:room].decode(errors='ignore') or 'unnamed'}{_MARK}{digest}"


def portable(name: str) -> bool:
    """Whether a file or folder can have this very name on every system, and be no other by it."""
    return (
        name != ""
        and all(map(_allowed, name))
        and name[-1] not in ". "
        and len(name.encode()) <= _LONGEST
        and not _SHORT.fullmatch(name)
        and not reserved(name)
    )


def reserved(name: str) -> bool:
    """Whether Windows takes the name for a device, whatever its case and ending: con, NUL.txt."""
    return name.partition(".")[0].rstrip(" ").lower() in _DEVICES


def key(name: str) -> str:
    """What is the same for names that a system which ignores case, or how letters are composed, takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).upper().casefold())


def _allowed(letter: str) -> bool:
    """Neither special to a system nor unseen: control, bidi and zero-width characters, odd spaces, half surrogates."""
    return letter == " " or (letter not in _FORBIDDEN and unicodedata.category(letter)[0] not in "CZ")
