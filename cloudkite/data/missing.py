"""Words that stand for a missing number in people's tables: `new` takes them for blanks, `check` names them.

Numbers may stand for one, too: -999 among lengths.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDS = frozenset(
    "na n/a n.a. #n/a nan null none nil - -- --- – — ? . missing unknown k.a. #div/0! #value! #ref! #name? #num! "
    "#null! 없음 해당없음 미상 모름 무응답 결측 不明 なし 未知".split()
)
_NUMBERS = ("-9", "-99", "-999", "-9999", "-99999", "99", "999", "9999", "99999", "999999", "-1")


def sentinels(values: Mapping[str, int], low: float, high: float) -> list[tuple[str, int]]:
    """Numbers that may stand for a missing one, with their count: they come again, at an end far from all others."""
    found = []
    for word in _NUMBERS:
        count = max(values.get(word, 0), values.get(f"{word}.0", 0))
        at = float(word)
        if count < 2 or at not in (low, high):
            continue
        others = sorted(n for text in values if (n := _read(text)) is not None and n != at)
        if len(others) < 5:
            continue
        near, far = (others[0], others[-1]) if at == low else (others[-1], others[0])
        # As far away as all others are apart, and of another sign or length.
        apart = abs(at - near) > abs(far - near) if word != "-1" else near >= 0 and len(others) > 10
        if apart or (at < 0 <= near and word != "-1"):
            found.append((word, count))
    return found


def _read(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
