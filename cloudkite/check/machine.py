"""What this machine lacks to train on, told before anything takes minutes: TensorFlow's wheels run on few machines.

Wheels of 2.21: Linux on x86-64 and 64-bit ARM with glibc 2.27, macOS 12 on Apple silicon, Windows on x86-64.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from cloudkite.show import amounts
from cloudkite.show.text import _

_GLIBC = (2, 27)
_ROOM = 2_500_000_000  # bytes: TensorFlow and what it needs, unpacked (1.5 GB), and while it is downloaded
_MEMORY = 4_000_000_000  # bytes: two processes with TensorFlow, and the local cloud
_X86 = ("x86_64", "amd64")
_ARM = ("arm64", "aarch64")


@dataclass(frozen=True)
class Machine:
    """`system` as sys.platform, `processor` as platform.machine() in lower case.

    `avx`, `glibc` and `memory` are None where they aren't known, or mean nothing. `free` are the bytes on the disk that
    environments are kept on; `ready` says whether the environment that is needed stands.
    """

    system: str
    processor: str
    bits: int = 64
    musl: bool = False
    glibc: tuple[int, int] | None = None
    avx: bool | None = None
    memory: int | None = None
    free: int = 0
    ready: bool = False


ABLE = Machine("linux", "x86_64", avx=True, ready=True)  # one that lacks nothing


@dataclass(frozen=True)
class Lack:
    """What is missing and the way on. One that is `fatal` lets nothing train here; another makes it slow or tight."""

    what: str
    way: str
    fatal: bool = True


def here(envs: Path, ready: bool) -> Machine:
    """This machine, read in milliseconds. `envs`: where environments are kept."""
    system, processor = sys.platform, platform.machine().lower()
    name, version = platform.libc_ver()
    numbers = re.match(r"(\d+)\.(\d+)", version) if name == "glibc" else None
    return Machine(
        system=system,
        processor=processor,
        bits=64 if sys.maxsize > 1 << 32 else 32,
        musl="musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE") or ""),
        glibc=(int(numbers[1]), int(numbers[2])) if numbers else None,
        avx=_avx(system) if processor in _X86 else None,
        memory=_memory(),
        free=_free(envs),
        ready=ready,
    )


def lacks(machine: Machine) -> list[Lack]:
    """What TensorFlow lacks on a machine, the first is what to look at first; [] when all is well."""
    found = [lack for lack in (_wheels(machine), _room(machine)) if lack]
    if machine.memory is not None and machine.memory < _MEMORY:
        what = _("this machine has {memory} of memory: training needs about {needed}").format(
            memory=amounts.size(machine.memory), needed=amounts.size(_MEMORY)
        )
        found.append(Lack(what, _("close other programs, or use {places}").format(places=_PLACES), fatal=False))
    return found


_PLACES = _("Colab (https://colab.research.google.com) or Cloud Shell (https://shell.cloud.google.com)")
_ELSEWHERE = _("use {places}").format(places=_PLACES)


def _wheels(machine: Machine) -> Lack | None:
    """Why no wheel of TensorFlow runs on it: processor and system first, for nothing else helps then."""
    if machine.bits == 32:
        return Lack(_("this Python has 32 bits, and TensorFlow needs 64"), _("install a 64-bit Python: uv does"))
    if machine.system == "darwin" and machine.processor in _X86:
        return Lack(
            _("TensorFlow is not made for Macs with an Intel processor any more (2.16 was the last)"),
            _("if it has Apple silicon, install uv for that: this Python is Intel's. Else {way}").format(
                way=_ELSEWHERE
            ),
        )
    if machine.system == "win32" and machine.processor in _ARM:
        return Lack(_("TensorFlow has no release for Windows on ARM"), _ELSEWHERE)
    if machine.musl:
        return Lack(
            _("this Linux has musl instead of glibc, as Alpine does, and TensorFlow has no release for it"),
            _("use another image, such as python:3.11-slim, or another Linux"),
        )
    if machine.system == "linux" and machine.processor not in (*_X86, *_ARM):
        said = _("TensorFlow has releases for x86-64 and 64-bit ARM alone, not for {processor}")
        return Lack(said.format(processor=machine.processor), _ELSEWHERE)
    if machine.glibc is not None and machine.glibc < _GLIBC:
        return Lack(
            _("this Linux has glibc {theirs}, and TensorFlow needs {needed}").format(
                theirs=".".join(map(str, machine.glibc)), needed=".".join(map(str, _GLIBC))
            ),
            _("use a newer Linux, or a container of one, such as python:3.11-slim"),
        )
    if machine.avx is False:
        return Lack(
            _("this processor has no AVX, and TensorFlow ends at once without it"),
            _("in a virtual machine, let it have the processor of its host (QEMU: -cpu host); else {way}").format(
                way=_ELSEWHERE
            ),
        )
    return None


def _room(machine: Machine) -> Lack | None:
    if machine.ready or machine.free >= _ROOM:
        return None
    return Lack(
        _("TensorFlow's environment needs {needed} on the disk, once, and {free} are free").format(
            needed=amounts.size(_ROOM), free=amounts.size(machine.free)
        ),
        _("free some space, or set CLOUDKITE_CACHE and UV_CACHE_DIR to folders on another disk"),
    )


def _avx(system: str) -> bool | None:
    """Whether an x86-64 processor has AVX; None where nothing tells it."""
    if system == "win32":
        import ctypes

        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(39))  # type: ignore[attr-defined]  # PF_AVX
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return "avx" in flags[1].split() if flags else None


def _memory() -> int | None:
    """Bytes that processes here may have: the machine's, or its container's when that is less."""
    import psutil

    found = [psutil.virtual_memory().total]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # there is none, or "max"
            continue
    return min(found)


def _free(folder: Path) -> int:
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
