"""Whether a data file is UTF-8 text; when it is not, what it probably is and how to convert it."""

from __future__ import annotations

import codecs
import re
import stat
import unicodedata
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cloudkite.data import sheets
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
    proven: bool = True  # by a mark at its beginning, or by the name of a column

    def __str__(self) -> str:
        return f"{self.what}; {self.how}" if self.how else self.what


def problem(path: Path, name: str, names: Collection[str] = ()) -> Problem | None:
    """What keeps the file from being read as UTF-8 text, with the line and a way to mend it; None when nothing does.

    `name` is how the message calls the file; `names` are columns that it should have, which prove an old encoding. A
    byte order mark is fine. The whole file is read, in blocks: an old encoding may show only in the last row. Of a file
    that grows what is there at the beginning is looked at.
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
                return _not_utf8(path, name, names)
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
    if sheets.kind(path) == sheets.WORKBOOK:
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


def _not_utf8(path: Path, name: str, names: Collection[str]) -> Problem:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data" and not raw.endswith(b"\n"):
                    break
                guess = _guess(path, number, names)
                if guess is None:
                    said = _("{name}:{line}: byte 0x{byte:02X} is not UTF-8 and no known encoding fits")
                    return Problem(said.format(name=name, line=number, byte=raw[error.start]))
                encoding, sample, proven = guess
                said = _("{name}:{line}: the text is {encoding}, not UTF-8 ({sample!r})")
                return Problem(
                    said.format(name=name, line=number, encoding=encoding, sample=sample),
                    _how(encoding, name),
                    _whole(path, encoding),
                    proven,
                )
    return Problem(_("{name}: the text ends in the middle of a character").format(name=name), _("write the file again"))


def _guess(path: Path, line: int, names: Collection[str]) -> tuple[str, str, bool] | None:
    """(encoding, a sample of foreign text as it reads then, whether one of `names` proves it) from the first bad line.

    Most bytes are *some* text in most encodings, so the one wins in which it looks most like what people write.
    """
    with path.open("rb") as file:
        top = file.read(_TOP)
        file.seek(0)
        near = b"".join(raw for number, raw in enumerate(file, start=1) if line <= number < line + 200)
    telling = [name for name in names if not name.isascii()]
    found = []
    for encoding in _OLD:
        try:
            read = near.decode(encoding)
        except UnicodeDecodeError:
            continue
        proven = any(name in unicodedata.normalize("NFC", top.decode(encoding, "replace")) for name in telling)
        word = next((w for w in re.split(r"[\s,;|]+", read) if not w.isascii()), "")
        if (score := likeness(encoding, read)) > _LEAST or proven:
            found.append((proven, score, encoding, word[:20]))
    if not found:
        return None
    proven, _score, encoding, word = max(found, key=lambda one: one[:2])
    return encoding.upper(), word, proven


def likeness(encoding: str, text: str) -> float:
    """How much the letters of text that are not ASCII look like what is written in an encoding: 0 to 1."""
    foreign = [letter for letter in text if ord(letter) > 127]
    return sum(map(_LIKELY[encoding], foreign)) / len(foreign) if foreign else 0.0


def garbled(texts: Iterable[str]) -> str:
    """The encoding that texts were in before somebody read them in another one, with a sample; "" for good text.

    What went through the wrong converter is valid UTF-8, and only its letters tell.
    """
    words = sorted({word for text in texts for word in text.split() if not word.isascii()})[:500]
    for taken, real in _MIXED_UP:
        raw = []
        for word in words:
            with suppress(UnicodeError):
                raw.append((word, word.encode(taken).decode(real)))
        if len(raw) <= len(words) / 2:
            continue
        before, after = ("".join(part) for part in zip(*raw, strict=True))
        if not after.isascii() and likeness(real, after) > max(_SURE, likeness(taken, before) + 0.3):
            said = _("{seen!r} looks like {real!r}, {encoding} that was read as {taken}")
            return said.format(seen=raw[0][0], real=raw[0][1], encoding=real.upper(), taken=taken.upper())
    return ""


def _hangul(letter: str) -> float:
    """Of the 2,350 syllables of KS X 1001, two bytes in EUC-KR; what CP949 added to them is rare in real text."""
    if letter in _SYLLABLES:
        return 1
    return 0.6 * ("\uac00" <= letter <= "\ud7a3" and _fits(letter, "euc_kr"))


def _japanese(letter: str) -> float:
    if "\u3040" <= letter <= "\u30ff":
        return 1
    if "\uff61" <= letter <= "\uff9f":  # half as wide: any byte of most encodings is one
        return 0.45
    return 0.8 * ("\u4e00" <= letter <= "\u9fff" and _fits(letter, "shift_jis", last=0x97))


def _chinese(letter: str) -> float:
    if letter in _HANZI:
        return 1
    return 0.5 * ("\u4e00" <= letter <= "\u9fff" and _fits(letter, "gb2312", last=0xD7))


def _western(letter: str) -> float:
    return 0.7 if letter in _WEST else 0.4 if letter in _SIGNS else 0.1


def _fits(letter: str, encoding: str, last: int = 0xFF) -> bool:
    """Whether a letter is one of the encoding's common ones, which begin with a byte up to `last`."""
    try:
        code = letter.encode(encoding)
        return len(code) == 2 and code[0] <= last  # EUC-KR spells rare syllables out in eight
    except UnicodeEncodeError:
        return False


_TOP = 1 << 16  # bytes in which a column's name is looked for
_LEAST, _SURE = 0.35, 0.75
# The letters that are most of what is written in Korean and Chinese.
_SYLLABLES = frozenset(
    "가각간감강개거건것격결경계고공과관광교구국군권규그근금급기길김나남내너년노논농는능니다단달담당대더데도독동되된두들등디때라락란람래략량러력로록론료류"
    "르른를름리린립마만많말매면명모목무문물미민바박반발방배백번법변별병보복본부북분불비사산상생서석선설성세소속손송수순술스습시식신실심아안않알야약양어업"
    "없었에여역연열영예오온와요용우운울원월위유육으은을음의이인일임입있자작장재저적전절점정제조족종좋주준중증지직진질집차참창책처천청체초총최추출충치크타"
    "태통트특파판평포표품프피하학한할함합항해했행향험현협형호화환활회후히"
)
_HANZI = frozenset(
    "的一是不了人我在有他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没日于起还发成事只作当想看文"
    "无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几"
    "很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立"
    "马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度"
    "统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求"
    "品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似"
    "斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏兴布县河州省"
)
_WEST = frozenset("äöüÄÖÜßéèêëàâçîïôûùñóíáúÉÈÀÇåøæÅØÆœŒãõÃÕìòÌÒýÿžšŽŠ€–’‘„“”«»")
_SIGNS = frozenset("°§£©®²³½µ·…\xa0")
_OLD = ("cp949", "shift_jis", "cp932", "gb18030", "cp1252")  # the first of those that fit as well
_LIKELY: dict[str, Callable[[str], float]] = {
    "cp949": _hangul,
    "shift_jis": _japanese,
    "cp932": _japanese,
    "gb18030": _chinese,
    "cp1252": _western,
    "utf-8": lambda _letter: 1.0,  # what is so by chance is rare
}
_MIXED_UP = (
    ("cp1252", "utf-8"), ("cp949", "shift_jis"), ("cp949", "gb18030"), ("cp1252", "cp949"), ("cp1252", "shift_jis"),
    ("gb18030", "cp949"), ("shift_jis", "cp949"), ("gb18030", "shift_jis"),
)  # (what it was taken for, what it was)  # fmt: skip


def fits(path: Path, name: str) -> bool:
    """Whether the whole file is text in the encoding that a person named. Raises LookupError for an unknown one."""
    return bool(_whole(path, codecs.lookup(name).name))


def _how(encoding: str, name: str) -> str:
    return _("in Excel save as 'CSV UTF-8', or: iconv -f {encoding} -t UTF-8 {name} > new.csv").format(
        encoding=encoding, name=name
    )
