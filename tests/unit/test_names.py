"""Names from the cloud as names of files: what they become, and what no file of a model may be called."""

import unicodedata

import pytest

from cloudkite import names

LONGEST = 240  # bytes; `.NAME.part` must be a name, too


@pytest.mark.parametrize(
    "name",
    [
        "penguins-20261124-143005-9f3c",
        "a",
        "two words",
        "v1.2_final, (really) + more",
        "펭귄 분류 2차",
        "données",
        "学習",
        "console",  # only its start is a device
        "com10",
        "-rf",
        "a..b",
        "x" * LONGEST,
        "가" * (LONGEST // 3),
    ],
)
def test_a_harmless_name_stays_as_it_is(name):
    assert names.component(name) == name


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("", "unnamed"),
        (".", "unnamed"),
        ("..", "unnamed"),
        (" . ", "unnamed"),
        ("/somewhere", "_somewhere"),
        ("../../x", "_.._x"),
        ("../trainer", "_trainer"),
        ("a/b", "a_b"),
        ("..\\x", "_x"),
        ("C:x", "C_x"),
        ("C:\\Windows", "C__Windows"),
        ("\\\\server\\share", "__server_share"),
        ("\\\\?\\C:\\x", "____C__x"),
        ("file:stream", "file_stream"),
        ("CON", "_CON"),
        ("nul", "_nul"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("aux .txt", "_aux .txt"),
        ("Com1", "_Com1"),
        ("com¹.log", "_com¹.log"),
        ("lpt0", "_lpt0"),
        ("conin$", "_conin$"),
        ("a\0b", "a_b"),
        ("two\nlines", "two_lines"),
        ("\x1b[31mred", "_[31mred"),
        ("\x7f\x9f", "__"),
        ("abc\u202etxt.exe", "abc_txt.exe"),  # shows as abcexe.txt
        ("\u2066x\u2069", "_x_"),
        ("zero\u200bwidth", "zero_width"),
        ("line\u2028end", "line_end"),
        ("no\u00a0break", "no_break"),
        ("\ud800", "_"),
        ("\ufffe\U000e0001", "__"),
        (".hidden", "hidden"),
        (".cloudkite-fetched.json", "cloudkite-fetched.json"),
        ("ends with a dot.", "ends with a dot"),
        ("ends with a space ", "ends with a space"),
        (" starts with one", "starts with one"),
        ("what?", "what_"),
        ('<a|b>*"', "_a_b___"),
        ("pengui~1", "pengui_1"),  # Windows' short name of another file
        ("Penguins", "Penguins"),  # is penguins where case does not count
        ("İstanbul", "İstanbul"),
        ("straße", "straße"),
        ("x" * (LONGEST + 1), "x" * 100),
        ("가" * 128, "가" * 70),
        ("/" * 5000, "_" * 100),
    ],
)
def test_another_is_changed_and_marked(name, start):
    made = names.component(name)
    stem, mark, digest = made.rpartition("~")
    assert mark and (stem.startswith(start) if len(name) > 120 else stem == start)
    assert len(digest) == 16 and set(digest) <= set("0123456789abcdef")
    assert names.portable(made) and not made.startswith(".")
    assert len(made.encode()) <= LONGEST
    assert names.component(name) == made


def test_different_names_are_different_files_also_where_case_does_not_count():
    some = [
        *("", ".", "..", "a/b", "a\\b", "a_b", "A_B", "a:b", "con", "CON", "_con", "abc", "Abc", "ABC", ".abc", "abc."),
        *("abc ", " abc", "x" * 300, "x" * 301, "x" * LONGEST, "STRASSE", "straße", "strasse", "ſ", "s", "ı", "i", "I"),
        *("K", "k", "\u212a", "ς", "σ", "Σ", "unnamed", "a\nb", "a\x00b"),
    ]
    assert len(some) == len(set(some))
    made = {name: names.component(name) for name in some}
    seen = {names.key(one) for one in made.values()}
    assert len(seen) == len(some) - 1  # the Kelvin sign is the letter K, to Unicode itself
    again = [names.component(one) for one in made.values()]  # who takes such a name for a job gets another
    assert not {names.key(one) for one in again} & {names.key(one) for one in made.values() if "~" in one}


def test_a_name_in_pieces_is_the_same_name():
    """macOS hands Hangul over as single letters."""
    whole = "펭귄"
    assert unicodedata.normalize("NFD", whole) != whole
    assert names.component(unicodedata.normalize("NFD", whole)) == whole


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("saved_model.pb", True),
        ("variables.data-00000-of-00001", True),
        (".gitkeep", True),
        ("Vocabulary (한국어).txt", True),
        ("backup~", True),
        ("x" * 255, True),
        ("가" * 85, True),
        ("", False),
        (".", False),
        ("..", False),
        ("a/b", False),
        ("a\\b", False),
        ("C:x", False),
        ("a\0", False),
        ("a\r", False),
        ("a\u202eb", False),
        ("a ", False),
        ("a.", False),
        ("...", False),
        ("CON", False),
        ("Lpt9.txt", False),
        ("variab~1", False),
        ("VARIAB~1.PB", False),
        ("notes~2026.txt", True),  # too long for a short name
        ("x" * 256, False),
        ("가" * 86, False),
        ("\udc80", False),
    ],
)
def test_what_a_file_can_be_called_everywhere(name, possible):
    assert names.portable(name) is possible
