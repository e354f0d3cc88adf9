"""The faults that wait to happen: kept in memory and in a file, counted down one by one."""

from __future__ import annotations

import json
import logging
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from localcloud.core import hints
from localcloud.core.errors import Advised, ApiError
from localcloud.core.state.files import write_privately
from localcloud.core.state.kept import anew, read_json, text, whole
from localcloud.faults.names import Aim, Seen, aim

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)

CODES = (401, 403, 404, 408, 429, 500, 502, 503, 504)
HALF = -1  # bytes of a torn body: half of it


@dataclass(frozen=True)
class Fault:
    """One fault. What happens is `code` (an HTTP code), `cut` ("before" or "after" the request is executed), `torn`
    (after so many bytes) or `expired`; and before that, or alone, `delay` seconds pass.

    `left` is how often it will still happen, 0 for until it is cleared. `hits` is how often it did.
    """

    id: str
    method: str
    code: int = 0
    delay: float = 0.0
    cut: str = ""
    torn: int = 0
    expired: bool = False
    probability: float = 1.0
    times: int = 1
    principal: str = ""
    retry_after: int = 0
    hits: int = 0
    created: str = ""
    aim: Aim = field(default=Aim(), compare=False, repr=False)

    @property
    def left(self) -> int:
        """How often it will still happen; -1: until it is cleared."""
        return self.times - self.hits if self.times else -1

    @property
    def kind(self) -> str:
        """What happens, in words."""
        words = []
        if self.delay:
            words.append(f"delay {self.delay:g} s")
        if self.code:
            words.append(str(self.code))
        if self.cut:
            words.append("cut" if self.cut == "before" else "cut after")
        if self.torn:
            words.append("torn" if self.torn == HALF else f"torn after {self.torn} bytes")
        if self.expired:
            words.append("expired")
        return ", ".join(words)

    def as_json(self) -> dict[str, Any]:
        """As it is listed and kept."""
        shown = {name: value for name, value in asdict(self).items() if name != "aim"}
        return shown | {"kind": self.kind, "left": self.left}


class Faults:
    """All faults of one cloud. While there is none, `active` is False, and that is all that a request looks at."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._path = cloud.root / "faults.json"
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self._next = 1
        if self._path.exists():
            lost = anew(cloud.root, self._path, "no failure will happen on purpose")
            self._next, self._faults = read_json(self._path, _kept, lost)
        self.active = bool(self._faults)

    def list(self) -> list[dict[str, Any]]:
        """Those that will still happen, oldest first."""
        with self._lock:
            return [fault.as_json() for fault in self._faults.values()]

    def add(self, wanted: Mapping[str, Any]) -> Fault:
        """A new fault from the fields of `Fault`. Raises 400 for what can't be."""
        made = _checked(wanted)
        with self._lock:
            made = replace(made, id=str(self._next), created=self._cloud.clock.stamp())
            self._next += 1
            self._faults[made.id] = made
            self._save()
        return made

    def clear(self, fault_id: str = "") -> int:
        """Forget one fault, or all; how many there were. Raises 404 for an id that is none."""
        with self._lock:
            if fault_id and fault_id not in self._faults:
                raise Advised(404, f"no fault has the id {fault_id}", hints.Command("fault", options={"list": True}))
            gone = [fault_id] if fault_id else [*self._faults]
            for one in gone:
                del self._faults[one]
            self._save()
        return len(gone)

    def hit(self, *seen: Seen, kinds: frozenset[str] | None = None) -> Fault | None:
        """The fault that happens to this request now, counted; `kinds` are fields of which it must have one.

        Several `seen` are the calls of one batch. The oldest fault that fits wins.
        """
        with self._lock:
            for fault in self._faults.values():
                if kinds is not None and not any(getattr(fault, kind) for kind in kinds):
                    continue
                found = next((one for one in seen if _fits(fault, one)), None)
                if found is None or random.random() >= fault.probability:  # noqa: S311
                    continue
                counted = replace(fault, hits=fault.hits + 1)
                if counted.left:
                    self._faults[fault.id] = counted
                else:
                    del self._faults[fault.id]
                self._save()
                log.warning("fault %s (%s) happens to %s", fault.id, fault.kind, found)
                return counted
        return None

    def _save(self) -> None:
        kept = [fault.as_json() for fault in self._faults.values()]
        write_privately(self._path, json.dumps({"next": self._next, "faults": kept}, indent=1))
        self.active = bool(self._faults)


def _fits(fault: Fault, seen: Seen) -> bool:
    if fault.principal and fault.principal != seen.principal:
        return False
    if fault.expired and not seen.principal:  # nobody showed a token
        return False
    return fault.aim.fits(seen)


def _read(kept: Mapping[str, Any]) -> Fault:
    fields = {name: kept[name] for name in Fault.__dataclass_fields__ if name != "aim" and name in kept}
    return Fault(**fields, aim=aim(kept["method"]))


def _kept(value: Any) -> tuple[int, dict[str, Fault]]:
    """The shape of the file: the next fault's number, and all faults."""
    try:
        return whole(value["next"], 1, 10**9), {text(one["id"]): _checked(one) for one in value["faults"]}
    except ApiError as error:
        raise ValueError(error.message) from None


def _checked(wanted: Mapping[str, Any]) -> Fault:
    """Raises 400, with a hint."""
    made = _read({"id": "", **wanted})
    if made.code and made.code not in CODES:
        raise Advised(400, f"--code must be one of {', '.join(map(str, CODES))}, not {made.code}")
    ways = [name for name in ("code", "cut", "torn", "expired") if getattr(made, name)]
    if len(ways) > 1:
        raise Advised(400, f"a request fails in one way: --{ways[0]} or --{ways[1]}", "make two faults")
    if made.aim.of_provider and (odd := next((way for way in ways if way in ("torn", "expired")), "")):
        raise Advised(400, f"--{odd} does not go with Pulumi's provider", "--code, --delay or --cut")
    if not ways and not made.delay:
        raise Advised(400, "nothing would happen", "--code, --delay, --cut, --torn or --expired")
    if made.cut not in ("", "before", "after"):
        raise Advised(400, f"--cut must be before or after, not {made.cut}", "--cut, or --cut after")
    if not 0 < made.probability <= 1:
        raise Advised(400, f"--probability must be more than 0 and at most 1, not {made.probability:g}")
    if made.principal and not re.fullmatch(r"[^@\s]+@[^@\s]+", made.principal):
        raise Advised(400, f"--principal must be an account's e-mail address, not {made.principal}")
    for name, least in (("delay", 0), ("times", 0), ("retry_after", 0), ("torn", HALF)):
        if (value := getattr(made, name)) < least:
            option = name.replace("_", "-")
            hint = "0 is until it is cleared" if name == "times" else ""
            raise Advised(400, f"--{option} must be 0 or more, not {value:g}", hint)
    return made
