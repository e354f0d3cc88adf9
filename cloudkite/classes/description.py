"""class.toml: one model of it, which tells every mistake with its key, its value and what is allowed."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically
from infra.mistakes import ALLOWED, told
from infra.settings import Email, Region

NAME = "class.toml"
LEARNER = r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$"  # becomes a label, a folder and a part of a service account's name
_COMPARE = _("compare with infra/examples/class.toml")
_MOST = 200_000  # bytes
# Field reports of new billing accounts; Google documents no number, and no API tells it:
# https://github.com/GoogleCloudPlatform/pbmm-on-gcp-onboarding/issues/33
LINKED = 5


def _key(name: str, allowed: str, default: Any = ..., **limits: Any) -> Any:
    return Field(default, alias=name, json_schema_extra={ALLOWED: allowed}, **limits)


def _exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _day(value: datetime.date) -> datetime.date:
    if isinstance(value, datetime.datetime):
        raise ValueError
    return value


Amount = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, lt=1_000_000)]
Day = Annotated[datetime.date, AfterValidator(_day)]
_AMOUNT = "a number above 0 is needed: USD for each learner"
_DAY = "a day is needed, like 2026-09-01, without quotation marks"


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


class Learner(_Model):
    """One learner. Without `email` there is no sign-in to Google, and all work stays on `local`."""

    name: str = _key(
        "name", "1 to 20 lower-case letters, digits and hyphens are needed, starting with a letter", pattern=LEARNER
    )
    email: Email | None = _key("email", "an e-mail address is needed", None)
    cap: Amount | None = _key("cap", _AMOUNT, None)
    left: Day | None = _key("left", _DAY, None)

    @property
    def member(self) -> str:
        """Who signs in, as permissions name them; "" for nobody."""
        if not self.email:
            return ""
        return f"{'serviceAccount' if self.email.endswith('.gserviceaccount.com') else 'user'}:{self.email}"


class Projects(_Model):
    """How the projects of a class with one project for each learner are called, and who pays for all of them."""

    prefix: str = _key(
        "prefix",
        "2 to 9 lower-case letters and digits are needed, starting with a letter: project ids are PREFIX-NAME",
        pattern=r"^[a-z][a-z0-9]{1,8}$",
    )
    billing: str = _key(
        "billing",
        "a billing account's id is needed, like 012345-6789AB-CDEF01",
        pattern=r"^[0-9A-F]{6}(-[0-9A-F]{6}){2}$",
    )
    region: Region = _key("region", "a region with custom training is needed, like us-central1", "us-central1")
    tier: Literal["trial", "paid"] = _key("tier", "allowed are trial and paid", "paid")
    target: Literal["google", "local"] = _key("target", "allowed are google and local", "google")
    limit: int = _key(
        "limit", "a whole number from 1 is needed: how many linked projects Google allows the account", LINKED, ge=1
    )


class Class(_Model):
    """A class. `cap` is in USD for each learner and `period`; a learner's own goes before it."""

    name: str = _key(
        "name",
        "2 to 20 lower-case letters, digits and hyphens are needed, starting with a letter",
        pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$",
    )
    form: Literal["trials", "projects", "shared"] = _key(
        "form",
        "allowed are trials (each has a free trial of their own), projects (one project each, one billing account) and "
        "shared (one project for all)",
    )
    starts: Day = _key("starts", _DAY)
    ends: Day = _key("ends", _DAY)
    account: str | None = _key("account", "the name of an account of yours is needed: whose project all share", None)
    cap: Amount | None = _key("cap", _AMOUNT, None)
    period: Literal["month", "term"] = _key("period", "allowed are month and term", "term")
    projects: Projects | None = _key("projects", "a table is needed: [projects]", None)
    learners: Annotated[tuple[Learner, ...], BeforeValidator(_fixed), Field(min_length=1, max_length=200)] = _key(
        "learners", "at least one learner is needed: [[learners]] with a name"
    )

    def learner(self, name: str) -> Learner:
        """The one of that name. Raises BadValue."""
        from cloudkite.show.text import near

        for one in self.learners:
            if one.name == name:
                return one
        raise BadValue(
            _("class {name} has no learner {learner}").format(name=self.name, learner=name[:40]),
            near(name[:40], [one.name for one in self.learners]),
        )

    @property
    def present(self) -> tuple[Learner, ...]:
        """Those who have not left."""
        return tuple(one for one in self.learners if one.left is None)

    def cap_of(self, learner: Learner) -> Decimal | None:
        """What the learner may spend in a period, in USD."""
        return learner.cap if learner.cap is not None else self.cap

    def project_of(self, learner: Learner) -> str:
        """The id of a learner's own project."""
        assert self.projects
        return f"{self.projects.prefix}-{learner.name}"


def read(path: Path) -> Class:
    """The class that the file describes. Raises BadValue that tells every mistake."""
    try:
        if path.stat().st_size > _MOST:
            raise ValueError
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadValue(
            _("{path} can't be read: {problem}").format(path=path, problem=error.strerror),
            _("infra/examples/class.toml shows one; or name another: --file PATH"),
        ) from None
    except ValueError:
        raise BadValue(_("{path} isn't a text of at most 200 kB").format(path=path), _COMPARE) from None
    return parse(text, path.name)


def parse(text: str, name: str = NAME) -> Class:
    """The same for the text of such a file."""
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadValue(_("{name} isn't valid TOML: {problem}").format(name=name, problem=error), _COMPARE) from None
    mistakes: list[str] = []
    made = None
    try:
        made = Class.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        mistakes += told(error, Class, given)
    mistakes += _together(given)
    if made is None or mistakes:
        raise BadValue("\n".join(f"{name}: {mistake}" for mistake in mistakes), _COMPARE)
    return made


def _together(given: Mapping[str, Any]) -> Iterator[str]:
    """What no single value shows: mistakes between keys."""
    form = given.get("form")
    if form == "shared" and given.get("account") is None:
        yield "account is missing; form shared needs the name of the account whose project all share"
    if form == "projects" and given.get("projects") is None:
        yield "projects is missing; form projects needs a table [projects] with prefix and billing"
    if form in ("trials", "projects") and given.get("account") is not None:
        yield f"account is {given['account']!r}; it goes with form shared alone"
    if form in ("trials", "shared") and given.get("projects") is not None:
        yield "projects is given; it goes with form projects alone"
    rows = [row for row in given.get("learners") or () if isinstance(row, Mapping)] if _is_list(given) else []
    if form in ("shared", "projects") and given.get("cap") is None:
        without = next((row.get("name") for row in rows if row.get("cap") is None and row.get("email")), None)
        if without is not None:
            yield f"cap is missing; {without} has none either, and could spend what the account has"
    starts, ends = given.get("starts"), given.get("ends")
    if type(starts) is datetime.date and type(ends) is datetime.date and ends <= starts:
        yield f"ends is {ends}; a day after starts ({starts}) is needed"
    for key in ("name", "email"):
        named = [row[key] for row in rows if row.get(key) is not None]
        for value in dict.fromkeys(str(one) for one in named if named.count(one) > 1):
            yield f"learners has the {key} {value} twice; each learner needs one of their own"


def _is_list(given: Mapping[str, Any]) -> bool:
    return isinstance(given.get("learners"), list)


def leave(path: Path, name: str, day: datetime.date) -> None:
    """Write the day on which a learner left into the file, and leave everything else in it as it is.

    Raises UserError where the learner's `name` does not stand in a line of its own.
    """
    text = path.read_text(encoding="utf-8")
    wanted = re.compile(rf"""^([ \t]*)name[ \t]*=[ \t]*(["']){re.escape(name)}\2[ \t]*(#.*)?$""", re.MULTILINE)
    before = parse(text, path.name)
    found = [match for match in wanted.finditer(text) if match.start() > text.find("[[learners]]")]
    if len(found) == 1:
        at = found[0].end()
        changed = f"{text[:at]}\n{found[0][1]}left = {day}{text[at:]}"
        after = tuple(one.model_copy(update={"left": day}) if one.name == name else one for one in before.learners)
        try:
            same = parse(changed, path.name) == before.model_copy(update={"learners": after})
        except BadValue:
            same = False
        if same:
            write_atomically(path, changed, path.stat().st_mode & 0o777)
            return
    raise UserError(
        _("{path} could not be changed").format(path=path),
        _('add a line "left = {day}" below the name of {name} there').format(day=day, name=name),
    )
