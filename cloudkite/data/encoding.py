"""Whether a data file is UTF-8 text; when it is not, what it probably is and how to convert it."""

from __future__ import annotations

import codecs
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cloudkite.show.text import _

_BLOCK = 1 << 20  # bytes
LINE = 16 << 20  # bytes; longer ones are no rows, and would be held in memory as a whole
_UTF16 = {codecs.BOM_UTF16_LE: "UTF-16LE", codecs.BOM_UTF16_BE: "UTF-16BE"}
_SHEET = _("save it as 'CSV UTF-8' in the spreadsheet")
_TYPED = _("type its numbers and words into a spreadsheet, a row for each case, and save that as 'CSV UTF-8'")
_TABLE = _("copy its table into a spreadsheet, and save that as 'CSV UTF-8'")
_PICTURE = _("{name}: a picture ({kind}), not a table")
# How files begin that are no text, what they are, and a way to a CSV file: the first that fits counts.
_STARTS = (
    (b"\xd0\xcf\x11\xe0", _("{name}: a spreadsheet of old Excel, not CSV"), _SHEET),
    (b"\x1f\x8b", _("{name}: compressed with gzip"), _("unpack it: gzip -d {name}")),
    (b"\x89PNG", _PICTURE.replace("{kind}", "PNG"), _TYPED),
    (b"\xff\xd8\xff", _PICTURE.replace("{kind}", "JPEG"), _TYPED),
    (b"GIF8", _PICTURE.replace("{kind}", "GIF"), _TYPED),
    (b"RIFF", _("{name}: a picture, a sound or a film, not a table"), _TYPED),
    (b"%PDF", _("{name}: a PDF, not a table"), _TABLE),
    (b"PAR1", _("{name}: Parquet, not CSV"), _("write it as CSV: pandas.read_parquet(...).to_csv(..., index=False)")),
    (b"SQLite format 3\0", _("{name}: a SQLite database, not CSV"), _("write the table as CSV: sqlite3 -csv -header")),
)
_MARKUP = re.compile(rb"\s*<(!doctype html|html|\?xml|head|body|table)\b", re.IGNORECASE)
_JSON = re.compile(rb"\s*(\[\s*[\[{]|\{\s*\"[^\"]*\"\s*:)")


@dataclass(frozen=True)
class Problem:
    """What keeps a file from being read as UTF-8 text, and how to mend it ("" where nobody can say)."""

    what: str
    how: str = ""
    codec: str = ""  # Python's name of the encoding in which the whole file is text all the same; "" for none

    def __str__(self) -> str:
        return f"{self.what}; {self.how}" if self.how else self.what


def problem(path: Path, name: str) -> Problem | None:
    """What keeps the file from being read as UTF-8 text, with the line and a way to mend it; None when nothing does.

    `name` is how the message calls the file. A byte order mark is fine. The whole file is read, in blocks: an old
    encoding may show only in the last row. Of a file that grows what is there at the beginning is looked at.
    """
    about = path.stat()  # before it is opened: to open a pipe that nobody writes to takes for ever
    if not stat.S_ISREG(about.st_mode):
        return Problem(
            _("{name}: a pipe, a device or a folder, not a file").format(name=name),
            _("write what it gives into a file, and name that"),
        )
    with path.open("rb") as file:
        start = file.read(512)
    if found := _known_start(path, name, start):
        return found
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        lines, left, length = 0, about.st_size, 0  # length: of the line that the block before did not end
        while True:
            block = file.read(min(_BLOCK, left))
            left -= len(block)
            if (at := block.find(b"\0")) >= 0:
                return _nul(path, name, block, lines + block.count(b"\n", 0, at) + 1)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                return _not_utf8(path, name)
            if not block:
                return None
            at = block.find(b"\n")
            if length + (len(block) if at < 0 else at) > LINE:
                return Problem(
                    _("{name}:{line}: the line is longer than {most} MiB").format(
                        name=name, line=lines + 1, most=LINE >> 20
                    ),
                    _("is it CSV, with a line end after each row?"),
                )
            length = length + len(block) if at < 0 else len(block) - 1 - block.rfind(b"\n")
            lines += block.count(b"\n")
            if not lines and b"\r" in block[:-1]:
                return Problem(
                    _("{name}: lines end with CR alone, as on old Macintoshes").format(name=name),
                    _("save it with another line end"),
                )


def _known_start(path: Path, name: str, start: bytes) -> Problem | None:
    for mark, encoding in _UTF16.items():
        if start.startswith(mark):
            said = _("{name}: the text is {encoding}, not UTF-8")
            return Problem(said.format(name=name, encoding=encoding), _how("UTF-16", name), _whole(path, "utf-16"))
    if start.startswith(b"PK\x03\x04"):
        return _zip(path, name)
    for begins, what, how in _STARTS:
        if start.startswith(begins):
            return Problem(what.format(name=name), how.format(name=name))
    if _MARKUP.match(start):
        return Problem(_("{name}: a web page (HTML or XML), not CSV").format(name=name), _TABLE)
    if _JSON.match(start):
        return Problem(
            _("{name}: JSON, not CSV").format(name=name),
            _("write it as CSV: pandas.read_json(...).to_csv(..., index=False)"),
        )
    return None


def _zip(path: Path, name: str) -> Problem:
    """Spreadsheets are archives, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        inside = []
    if any(one.startswith("xl/") or one == "content.xml" for one in inside):
        return Problem(_("{name}: a spreadsheet, not CSV").format(name=name), _SHEET)
    return Problem(_("{name}: an archive, not CSV").format(name=name), _("unpack it, and name the CSV file in it"))


def _whole(path: Path, codec: str) -> str:
    """The codec, if the whole file is text in it; else ""."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if "\0" in decoder.decode(block):
                    return ""
            decoder.decode(b"", final=True)
    except UnicodeError:
        return ""
    return codec


def _nul(path: Path, name: str, block: bytes, line: int) -> Problem:
    # Latin letters in UTF-16 are every other byte NUL.
    if block.count(b"\0") > len(block) / 4:
        encoding = "UTF-16LE" if block[1::2].count(b"\0") >= block[::2].count(b"\0") else "UTF-16BE"
        said = _("{name}: the text looks like {encoding} without a mark, not UTF-8")
        return Problem(said.format(name=name, encoding=encoding), _how(encoding, name), _whole(path, encoding))
    return Problem(
        _("{name}:{line}: a NUL byte: the file is damaged or no text").format(name=name, line=line),
        _("write it again"),
    )


def _not_utf8(path: Path, name: str) -> Problem:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
                    break
                guess = _guess(path, number)
                if guess is None:
                    said = _("{name}:{line}: byte 0x{byte:02X} is not UTF-8 and no known encoding fits")
                    return Problem(said.format(name=name, line=number, byte=raw[error.start]))
                encoding, sample = guess
                said = _("{name}:{line}: the text is {encoding}, not UTF-8 ({sample!r})")
                return Problem(
                    said.format(name=name, line=number, encoding=encoding, sample=sample),
                    _how(encoding, name),
                    _whole(path, encoding),
                )
    return Problem(_("{name}: the text ends in the middle of a character").format(name=name), _("write the file again"))


def _guess(path: Path, line: int) -> tuple[str, str] | None:
    """(encoding, a sample of the line's foreign text as it reads then) from the bytes around the first bad line."""
    with path.open("rb") as file:
        near = [raw for number, raw in enumerate(file, start=1) if line <= number < line + 200]
    text = b"".join(near)
    for encoding in _OLD:
        try:
            read = text.decode(encoding)
        except UnicodeDecodeError:
            continue
        foreign = [c for c in read if ord(c) > 127]
        likely = _LIKELY.get(encoding)
        if likely and sum(map(likely, foreign)) <= len(foreign) / 2:  # nearly all bytes are *some* text in it
            continue
        word = next((w for w in read.replace(",", " ").split() if any(ord(c) > 127 for c in w)), "")
        return encoding.upper(), word[:20]
    return None


def _common_hangul(character: str) -> bool:
    """One of the 2,350 syllables of KS X 1001, two bytes in EUC-KR; what CP949 added to them is rare in real text."""
    return "\uac00" <= character <= "\ud7a3" and len(character.encode("euc_kr")) == 2


def _kana(character: str) -> bool:
    return "\u3040" <= character <= "\u30ff"


_OLD = ("cp949", "shift_jis", "cp1252")  # in the order in which they are tried
_LIKELY = {"cp949": _common_hangul, "shift_jis": _kana}


def _how(encoding: str, name: str) -> str:
    return _("in Excel save as 'CSV UTF-8', or: iconv -f {encoding} -t UTF-8 {name} > new.csv").format(
        encoding=encoding, name=name
    )
