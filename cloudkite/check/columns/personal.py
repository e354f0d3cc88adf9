"""Columns that seem to say who somebody is: by their header, in English or Korean, or by what their values look like.

What a trainer is given leaves this machine, columns that the model doesn't see included. That a column is not told here
proves nothing: whoever has the data knows best what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from cloudkite.check.findings import WARNING, Findings
from cloudkite.show.text import _

_SHARE = 0.5  # of the values, from which a pattern says what a column is
_FEW = 5  # different values: with fewer, a column of "name" or "address" is one of kinds


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _luhn(text: str) -> bool:
    """Whether a number ends with the check digit of bank cards, ISO/IEC 7812."""
    digits = _digits(text)
    doubled = [int(d) * 2 if i % 2 else int(d) for i, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _resident(text: str) -> bool:
    """A Korean resident registration number: the day of birth, then 1 to 8 for century and sex, and six digits."""
    found = re.fullmatch(r"\d\d(\d\d)(\d\d)-?[1-8](\d{6}|\*{6})", text)
    return bool(found) and 1 <= int(found[1]) <= 12 and 1 <= int(found[2]) <= 31


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: bool(compiled.fullmatch(text))


_EMAIL, _PHONE, _RESIDENT = _("e-mail addresses"), _("phone numbers"), _("resident registration numbers")
_NAME, _ADDRESS, _BIRTH = _("people's names"), _("addresses"), _("birth dates")
_CARD, _ACCOUNT, _PASSPORT, _IP = _("card numbers"), _("bank accounts"), _("passport numbers"), _("network addresses")
_SSN = _("social security numbers")

# The first that fits is told. Whole words of a header, so that "filename" and "addressed" are none of them.
_HEADERS = (
    (_EMAIL, r"e ?mails?( address)?|email\w*|이메일( ?주소)?|전자 ?우편|메일( ?주소)?"),
    (_PHONE, r"(tele|cell)?phones?( ?(no|number))?|tel|mobile( ?(no|number|phone))?"
             r"|(전화|휴대폰|핸드폰|휴대전화)( ?번호)?|연락처"),
    (_RESIDENT, r"주민( ?등록)? ?번호|rrn|resident (registration )?(no|number)|외국인 ?등록 ?번호"),
    (_SSN, r"ssn|social security( (no|number))?"),
    (_PASSPORT, r"passport( ?(no|number))?|여권( ?번호)?"),
    (_CARD, r"(credit )?card ?(no|number)|카드 ?번호"),
    (_ACCOUNT, r"iban|bank account|account ?(no|number)|계좌( ?번호)?"),
    (_NAME, r"(full|first|last|given|family|middle|user|patient|customer|student|employee|client|member)? ?name|surname"
            r"|이름|성명|성함|환자 ?명|고객 ?명|학생 ?명|회원 ?명|직원 ?명"),
    (_ADDRESS, r"(street|home|postal|mailing|residential)? ?address|street|(거주지|자택|도로명|상세)? ?주소"),
    (_BIRTH, r"(date of )?birth|birth ?(date|day)|dob|생년 ?월일|생일|출생(일|일자)"),
    (_IP, r"ip( ?address)?|mac ?address|아이피"),
)  # fmt: skip
_VALUES = (
    (_EMAIL, _matches(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")),
    (_RESIDENT, _resident),
    (_PHONE, _matches(r"(\+\d{1,3}[ -]?)?\(?0?1[016789]\)?[ -]?\d{3,4}[ -]?\d{4}"
                      r"|\+\d{1,3}[ -]?\(?\d{1,4}\)?([ -]?\d{2,4}){2,3}"
                      r"|0\d{1,2}-\d{3,4}-\d{4}|\(?\d{3}\)?[ -.]\d{3}[-.]\d{4}")),
    (_SSN, _matches(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")),
    (_CARD, lambda text: bool(re.fullmatch(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}", text)) and _luhn(text)),
    (_ADDRESS, _matches(r".*[가-힣]+(시|도|군|구) .*[가-힣0-9]+(로|길|동|읍|면|리)( .*|\d.*)?"
                        r"|\d+[A-Za-z]? [A-Z][\w .]+ (St|Street|Ave|Avenue|Rd|Road|Blvd|Lane|Ln|Drive|Dr)\b.*")),
    (_IP, _matches(r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}")),
)  # fmt: skip


def of_header(header: str) -> str:
    """What a column of that name holds of a person, in words; "" for nothing known."""
    plain = re.sub(r"\(.*?\)", " ", header)  # a unit, or what else is explained
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    plain = re.sub(r"[\W_]+", " ", plain).strip().lower()
    return next((kind for kind, pattern in _HEADERS if re.fullmatch(pattern, plain)), "")


def of_values(values: Iterable[str]) -> str:
    """The same by different values of a column."""
    found = [text.strip() for text in values if text.strip()]
    for kind, fits in _VALUES if len(found) >= _FEW else ():
        if sum(map(fits, found)) > _SHARE * len(found):
            return kind
    return ""


def tell(name: str, headers: Iterable[str], values: Iterable[str], findings: Findings) -> None:
    """Tell what a column, shown as `name` and called `headers`, seems to say about people."""
    different = {text for text in values if text}
    if len(different) < _FEW:
        return
    kind = next((kind for header in headers if (kind := of_header(header))), "") or of_values(different)
    if kind in (_NAME, _ADDRESS) and all(not any(map(str.isalpha, text)) for text in different):
        return  # numbers: somebody has made codes of them
    if kind == _BIRTH and all(len(_digits(text)) < 4 for text in different):
        return  # an age, or a month
    if kind:
        said = _(
            "{name}: seems to hold {kind}; take the column out of the file, or put codes in its place, before the data"
            " leave this machine"
        )
        findings.add(WARNING, said.format(name=name, kind=kind))
