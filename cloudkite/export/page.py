"""One HTML file that runs a model in a browser, from a disk, without any network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudkite.data import missing
from cloudkite.data.fields import clean
from cloudkite.export import languages

TOLERANCE = 1e-5  # of the largest answer, or of 1 where that is smaller
STORED = 20  # rows with Keras' answers that the page looks at whenever it starts
_NUMBERS = 60_000  # in all of their arrays
_OTHER = "\U000f0000"  # a word that no data have
_FOLDER = Path(__file__).parent / "page"


def columns(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the page knows of each column, from trainer.json."""
    headers, forms, found = about.get("headers") or {}, about.get("forms") or {}, []
    for name, kind in about["columns"].items():
        known = about["statistics"].get(name) or {}
        column: dict[str, Any] = {"name": name, "header": headers.get(name, name), "low": None, "high": None}
        column |= {key: forms.get(name, {}).get(key, "") for key in ("style", "unit", "order")}
        if isinstance(kind, str):
            column["kind"] = kind
        else:
            column |= {"kind": "array", "sizes": kind, "top": _top(known.get("high", 1.0))}
        if kind in ("category", "text", "letters"):
            column["words"] = known["words"]
            column["ngrams"] = ngrams(kind, known["words"])
        elif kind == "date":
            column |= {end: day(known[end][0]) for end in ("low", "high")}
        else:
            column |= {end: shortest(known.get(end)) for end in ("low", "high")}
        found.append(column)
    return found


def ngrams(kind: str, words: Sequence[str]) -> int:
    """How many words, or letters, in a row count as one at most: the words that the model knows show it."""
    return max([1, *(len(word) if kind == "letters" else word.count(" ") + 1 for word in words)])


def day(days: float) -> str:
    """The date of a count of days since 1970."""
    import datetime

    return (datetime.date(1970, 1, 1) + datetime.timedelta(int(days))).isoformat()


def shortest(value: float | None) -> float | None:
    """The shortest number that is this float32."""
    import numpy as np

    return None if value is None or not np.isfinite(value) else float(str(np.float32(value)))


def _top(high: float) -> float:
    """What white is in the arrays of a picture: 1, 16 or 255."""
    return next((top for top in (1.0, 16.0) if high <= top), 255.0)


def write(
    title: str,
    about: Mapping[str, Any],
    program: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    expected: Sequence[Sequence[float]],
    language: str,
) -> str:
    """The page. `rows` are as a person has them, `expected` what the trained model answers; some of both are stored."""
    sizes = sum(len(value) for value in rows[0].values() if not isinstance(value, str))
    count = min(len(rows), STORED, max(1, _NUMBERS // max(1, sizes)))
    chosen = [i * (len(rows) - 1) // max(1, count - 1) for i in range(count)]
    made = {
        "label": (about.get("headers") or {}).get(about["label"], about["label"]),
        "classes": [str(name) for name in about["classes"]] if about["classes"] else None,
        "columns": columns(about),
        "missing": sorted(missing_words(about)),
        "other": _OTHER,
        "said": languages.PAGE[language],
        "tolerance": TOLERANCE,
        "program": program,
        "rows": [rows[i] for i in chosen],
        "expected": [list(expected[i]) for i in chosen],
    }
    text = json.dumps(made, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    parts = {
        "TITLE": html.escape(title),
        "LANGUAGE": language,
        "ABOUT": text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
        "RUNTIME": _part("runtime.js") + "\n" + _part("prepare.js"),
        "FORM": _part("form.js"),
    }
    # In one go: what stands in the data is no mark of ours.
    return re.sub(r"@([A-Z]+)@", lambda found: parts.get(found[1], found[0]), _part("page.html"))


def missing_words(about: Mapping[str, Any]) -> set[str]:
    """The words, in lower case, that stand for a missing value in the person's data."""
    own = (about.get("forms") or {}).get("", {}).get("missing", ())
    return {*missing.WORDS, *(clean(word).lower() for word in own)}


def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").rstrip("\n")
