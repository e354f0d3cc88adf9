"""What a failed run is told as: each resource's refusal in one line, and one step that helps."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from cloudkite.engine.events import STACK, Events, kind_of, name_of
from cloudkite.engine.results import Failed, Failure, Outcome
from cloudkite.show.errors import BAD_VALUE, FAILED, NOT_SIGNED_IN, UserError
from cloudkite.show.text import _, counted

if TYPE_CHECKING:
    from pulumi.automation.events import StepEventMetadata

    from cloudkite.engine.command import Ended
    from cloudkite.engine.folder import Folder

_SHOWN = 5  # failures told one by one; the rest is counted
_VERBS = {"refresh": "read"}  # what an operation of the engine's is to people, where that is another word

# "googleapi: Error 403: the message, reason": https://pkg.go.dev/google.golang.org/api/googleapi#Error
_REFUSAL = re.compile(r"[Ee]rror (\d{3}):?\s*(.*)", re.DOTALL)
_REASON = re.compile(r",\s*(?:\"reason\":\s*\")?([A-Za-z][A-Za-z_]+)\"?\s*$")
_GONE = re.compile(
    r"could not connect to provider|connection error: desc = |error reading from server: |transport is closing"
)
# Of a resource that needs one which failed: "property bucket value output<string>{} has a problem: ..."
_FOLLOWS = re.compile(r"\bvalue output<\w+>\{\} has a problem")
_FUNCTION = re.compile(r"invoke of gcp:[\w/]+:(\w+) failed")
_TRACE = "Traceback (most recent call last)"
_WRAPPING = re.compile(r"^(?:\d+ errors? occurred:\s*\*?|\* |\d+\) |error: )+\s*", re.IGNORECASE)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.monotonic() - self._start


def explain(folder: Folder, ended: Ended, events: Events, raised: Exception | None, seconds: float) -> UserError:
    """The failure in the reader's words. `raised` is what the program itself raised, if it did."""
    said = "\n".join([ended.result.stderr, *(message for _urn, message in events.errors)])
    known = _known(folder, said)
    if known:
        return known
    failures = found(events)
    outcome = Outcome(dict(events.done), events.outputs, failures, seconds)
    if failures:
        return Failed(_lines(folder, failures), *_advice(failures), outcome)
    mistakes = _settings_mistakes(folder, events)
    if mistakes:
        return Failed(mistakes, _mend(folder), BAD_VALUE, outcome)
    if raised is not None:
        return Failed(*_program(folder, raised), outcome)
    words = _last_words(ended, events)
    return Failed(
        _("the engine failed on account {name}: {said}").format(name=folder.account.name, said=words),
        _("the same command goes on where it stopped; `--debug` shows the whole story"),
        FAILED,
        outcome,
    )


def found(events: Events) -> tuple[Failure, ...]:
    """One failure for each resource that has one; the run's own "update failed" is left out."""
    messages: dict[str, str] = {}
    made = []
    for urn, message in events.errors:
        if urn and f"::{STACK}::" not in urn:
            messages.setdefault(urn, message)
        elif asked := _FUNCTION.search(message):  # a question of the program's that was refused
            code, reason, text = read(message)
            made = [Failure(asked[1], "", "", urn, text, code, reason)]
    for urn in events.failed:
        messages.setdefault(urn, _("the engine gave no reason"))
    for urn, message in messages.items():
        step = events.failed.get(urn) or events.planned.get(urn)
        op = getattr(step.op, "value", step.op) if step else ""
        code, reason, text = read(message)
        token = urn.split("::")[-2].split("$")[-1] if urn.count("::") >= 3 else ""
        made.append(Failure(kind_of(token), name_of(urn), op, urn, text, code, reason))
    causes = [one for one in made if not _FOLLOWS.search(one.message)]
    return tuple(causes or made)


def read(message: str) -> tuple[int, str, str]:
    """(HTTP code or 0, reason or "", the text) of what a provider says."""
    said = (
        message.partition(_TRACE)[0].strip() or message.strip()
    )  # the SDK tells where in itself a function was called
    plain = " ".join(_WRAPPING.sub("", said).split())
    refusal = _REFUSAL.search(plain)
    if not refusal:
        return 0, "", plain
    reason = _REASON.search(refusal[2])
    text = refusal[2][: reason.start()] if reason else refusal[2]
    return int(refusal[1]), reason[1] if reason else "", text.rstrip(". ") or plain


def _lines(folder: Folder, failures: tuple[Failure, ...]) -> str:
    def line(one: Failure) -> str:
        what = " ".join(filter(None, (_VERBS.get(one.op, one.op), one.kind, one.name)))
        return f"{what}: {one.code or ''} {one.message}".replace(":  ", ": ")

    if len(failures) == 1:
        return line(failures[0])
    head = counted(
        "{count} resource of account {name} failed",
        "{count} resources of account {name} failed",
        len(failures),
        name=folder.account.name,
    )
    shown = [f"  {line(one)}" for one in failures[:_SHOWN]]
    if len(failures) > _SHOWN:
        shown.append(_("  and {count} more").format(count=len(failures) - _SHOWN))
    return "\n".join([head, *shown])


def _advice(failures: tuple[Failure, ...]) -> tuple[str, int]:
    """(hint, exit code) for the first failure that has advice."""
    for one in failures:
        hint = _hint(one)
        if hint:
            return hint, NOT_SIGNED_IN if one.code == 401 else FAILED
    return _("the same command goes on where it stopped"), FAILED


def _hint(one: Failure) -> str:
    if one.code == 401 or "invalid_grant" in one.message:
        return _("sign in again: `gcloud auth application-default login`")
    if is_off(one):
        return _("the API was enabled a moment ago: wait a minute and run the same command again")
    if "billing" in one.message.lower() and one.code in (400, 403):
        return _("link a billing account to the project, and check cloudkite:budget in the account's settings")
    if one.code == 403:
        missing = re.search(r"([a-z]+(?:\.[A-Za-z]+)+)'? denied", one.message)
        if missing:
            return _("the signed-in identity needs the permission {name} on the project: an owner has it").format(
                name=missing[1]
            )
        return _("the signed-in identity needs the role Owner of the project, or of the billing account for budgets")
    if one.code == 409 and one.op == "create":
        return _("something of that name exists already and is not this account's: remove or rename it")
    if one.code == 409:
        return _("something still uses it: remove what is inside, then run the same command again")
    if one.code == 429:
        return _("wait a minute and run the same command again")
    if one.code == 412 or "protected" in one.message:
        return _("`uv run invoke down --everything` deletes protected resources, too")
    return ""


def is_off(one: Failure) -> bool:
    """Whether an API is off, or not on yet: Google says the same of both."""
    return one.reason in ("SERVICE_DISABLED", "accessNotConfigured") or "or it is disabled" in one.message


def _settings_mistakes(folder: Folder, events: Events) -> str:
    """What infra.settings.SettingsError says, when it was raised after an answer from the cloud had come."""
    start = f"Pulumi.{folder.account.name}.yaml: "
    return next((message for _urn, message in events.errors if message.startswith(start)), "")


def _mend(folder: Folder) -> str:
    return _("fix {path}").format(path=folder.account.settings)


def _program(folder: Folder, raised: Exception) -> tuple[str, str, int]:
    """(message, hint, exit code) of a program that stopped by itself, above all for settings that can't be."""
    from pulumi import RunError

    if isinstance(raised, RunError):
        return str(raised), _mend(folder), BAD_VALUE
    return (
        _("the program of account {name} failed: {kind}: {problem}").format(
            name=folder.account.name, kind=type(raised).__name__, problem=raised
        ),
        _("`--debug` shows the whole story"),
        FAILED,
    )


def _known(folder: Folder, said: str) -> UserError | None:
    """What the engine itself can't do, told with the file or the process that it is about."""
    account = folder.account
    if "no space left on device" in said or "There is not enough space on the disk" in said:
        return full(folder)
    if "incorrect passphrase" in said:
        return UserError(
            _("{path} is not the pass-phrase that the state of account {name} was made with").format(
                path=folder.passphrase, name=account.name
            ),
            _("bring the file back from a backup"),
        )
    locked = re.search(r"locked by.*?\(pid (\d+)\)", said, re.DOTALL)
    if locked:
        return held(folder, int(locked[1]))
    if "failed to load checkpoint" in said or "could not deserialize deployment" in said:
        return corrupt(folder, _("the engine can't read it"))
    if _GONE.search(said):
        return UserError(
            _("the connection to the cloud of account {name} was lost").format(name=account.name),
            _("run the same command again; `uv run invoke local.status` shows whether the local cloud runs"),
        )
    if "no resource plugin" in said or "could not download plugin" in said or "failed to install plugin" in said:
        return UserError(
            _("Pulumi's plug-in for Google Cloud can't be downloaded"),
            _("check the network: it comes once, about 200 MB, from https://get.pulumi.com and github.com"),
        )
    return None


def full(folder: Folder) -> UserError:
    """The state can't be written."""
    return UserError(
        _("the disk is full: the state of account {name} in {path} can't be written").format(
            name=folder.account.name, path=folder.backend
        ),
        _("free some space, then run the same command again: it takes over what was made meanwhile"),
    )


class Foreign(UserError):
    """A run of the program had resources in it that the program did not declare: `steps` are what became of them."""

    def __init__(self, message: str, hint: str, steps: tuple[StepEventMetadata, ...]) -> None:
        super().__init__(message, hint)
        self.steps = steps


def foreign(folder: Folder, steps: tuple[StepEventMetadata, ...]) -> Foreign:
    """Somebody else wrote resources into a run of the account's program."""
    names = ", ".join(f"{name_of(step.urn)} ({step.type})" for step in steps)
    return Foreign(
        _("the program of account {name} does not declare {what}: another process wrote it into this run").format(
            name=folder.account.name, what=names
        ),
        _("another user of this machine may have done that: see who uses it, then run the same command again"),
        steps,
    )


class Locked(UserError):
    """Another run is at work on the account."""


def held(folder: Folder, pid: int | None) -> Locked:
    """Another run is at work on the account."""
    return Locked(
        _("another run is at work on account {name}: process {pid}").format(
            name=folder.account.name, pid=pid or _("unknown")
        ),
        _("wait until it has ended, or stop it, then run the same command again"),
    )


class Corrupt(UserError):
    """The state file can't be read."""


def corrupt(folder: Folder, problem: str) -> Corrupt:
    """The state file can't be read."""
    return Corrupt(
        _("the state {path} can't be read: {problem}").format(path=folder.checkpoint, problem=problem),
        _("`uv run invoke up` goes on from the newest copy that is whole, and takes over what exists"),
    )


def _last_words(ended: Ended, events: Events) -> str:
    lines: list[Any] = [message for _urn, message in events.errors if message != "update failed"]
    lines += [line for line in ended.result.stderr.splitlines() if line.strip()]
    words = (_WRAPPING.sub("", part.strip()) for line in lines for part in str(line).splitlines())
    return next(filter(None, words), "") or _("exit code {code}").format(code=ended.result.code)
