"""One question at a time: why it is asked, a default where one is honest, a check, and the answer kept at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cloudkite.accounts.beginning import Beginning
from cloudkite.show import screen
from cloudkite.show.errors import NOT_SIGNED_IN, BadValue, UserError
from cloudkite.show.text import _


@dataclass(frozen=True)
class Question:
    """`check` gives the answer as it is kept, or raises UserError with a hint; `default` is "" where none is honest."""

    key: str
    text: str
    why: str
    check: Callable[[str], str]
    default: str = ""


def ask(kept: Beginning, question: Question) -> str:
    """The answer that is kept, else what is typed: asked again, with the reason, until it is right."""
    if question.key in kept.answers:
        return kept.answers[question.key]
    screen.say()
    screen.say(question.why, style="dim")
    while True:
        typed = screen.ask(question.text, question.default)
        try:
            answer = question.check(typed)
        except UserError as mistake:
            if mistake.code == NOT_SIGNED_IN:
                raise
            screen.error(mistake)
            continue
        kept.keep(**{question.key: answer})
        return answer


def one_of(*words: str) -> Callable[[str], str]:
    """A check for one of a few words; the start of one is enough."""

    def check(typed: str) -> str:
        found = [word for word in words if typed and word.startswith(typed.lower())]
        if len(found) != 1:
            raise BadValue(
                _("{typed!r} isn't an answer").format(typed=typed[:40]),
                _("type {words}").format(words=_(" or ").join(words)),
            )
        return found[0]

    return check


def yes_or_no(typed: str) -> bool | None:
    """What a person means by yes or no; None for anything else. A Korean keyboard has ㅛ and ㅜ on these keys."""
    word = typed.strip().lower()
    return True if word in ("y", "yes", "ㅛ", "예") else False if word in ("n", "no", "ㅜ", "아니오") else None


def decided(typed: str) -> str:
    """The check of a question for yes or no."""
    found = yes_or_no(typed)
    if found is None:
        raise BadValue(_("{typed!r} is neither yes nor no").format(typed=typed[:40]), _("type yes or no"))
    return "yes" if found else "no"


def numbered(typed: str, known: list[str]) -> str:
    """One of a list that was shown, by its number or itself; what is typed otherwise."""
    text = typed.strip()
    if text.isdecimal() and 1 <= int(text) <= len(known):
        return known[int(text) - 1]
    return text
