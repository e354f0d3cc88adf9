"""Columns that say which rows belong together or which came later, where data.py has no GROUP or TIME."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from cloudkite.check.findings import NOTE, WARNING, Findings
from cloudkite.show.text import _

_ENOUGH = 20  # rows
_FEW = 5  # different values, below which a column is one of kinds
_WHO = re.compile(
    r"(.* )?(patient|subject|person|people|user|customer|client|member|student|pupil|participant|respondent|employee"
    r"|driver|family|household|animal|device|sensor|machine|vehicle|session|account|owner|author|speaker|writer|batch"
    r"|store|shop|hospital|school|plot|well|engine)( ?(id|no|nr|number|code|key|name))?|(.* )?(p|u|s)id"
)
_WHO_KOREAN = re.compile(
    r".*(환자|고객|학생|회원|사용자|참가자|대상자|피험자|가구|가족|직원|기기|장비|센서|차량|매장|병원|학교)"
    r"( ?(id|아이디|번호|코드|명))?"
)


def tell(name: str, column: str, headers: Iterable[str], values: Sequence[str], findings: Findings) -> bool:
    """Tell that `column`, shown as `name`, seems to say whose a row is; `values` are fields of some rows."""
    filled = [text for text in values if text]
    counts = Counter(filled)
    repeated = sum(count for count in counts.values() if count > 1)
    if len(filled) < _ENOUGH or len(counts) < _FEW or repeated < 0.1 * len(filled) or len(counts) < 0.01 * len(filled):
        return False
    if not any(_who(header) for header in headers):
        return False
    said = _(
        "{name}: several rows of each, of which some are learnt and others held out: results look better than they are;"
        ' GROUP = "{column}" in data.py keeps them together'
    )
    findings.add(WARNING, said.format(name=name, column=column))
    return True


def _who(header: str) -> bool:
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"\(.*?\)", " ", header))
    plain = re.sub(r"[\W_]+", " ", plain).strip().lower()
    return bool(_WHO.fullmatch(plain) or _WHO_KOREAN.fullmatch(plain))


def tell_time(name: str, column: str, findings: Findings) -> None:
    """Tell that the rows are in the order of a column of dates."""
    said = _(
        '{name}: the rows are in its order; if later ones are to be predicted from earlier ones, TIME = "{column}" in'
        " data.py holds out the newest"
    )
    findings.add(NOTE, said.format(name=name, column=column))
