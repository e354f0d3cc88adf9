"""Machine types that custom training accepts, and how many accelerators each can have.

Source: the documentation's table "machine types for training"; n1-standard-1, n1-standard-2 and e2-standard-2 are not
accepted. Shapes that the source does not give are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from catalog.book import pick, read


@dataclass(frozen=True)
class Machine:
    """One machine type. `gpus` maps an accelerator type to the counts allowed on it.

    `fixed` machines come with exactly that accelerator, which a job must still name. `chips` and `topology` describe
    TPU machines that take no accelerator type. `memory_gb` is in GB.
    """

    name: str
    family: str
    vcpus: int | None
    memory_gb: float | None
    gpus: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    fixed: bool = False
    chips: int = 0
    topology: str = ""

    @property
    def tpu(self) -> bool:
        """Whether its accelerators are TPUs."""
        return self.family in ("tpu", "ct5lp")

    @property
    def chip(self) -> str:
        """The accelerator of a machine that has `chips` and takes no accelerator type; "" for others."""
        return "TPU_V5E" if self.chips else ""


@cache
def machines() -> Mapping[str, Machine]:
    """All accepted machine types by name."""
    made = {}
    for name, row in read("machines.json")["machines"].items():
        gpus = {kind: tuple(counts) for kind, counts in row.get("accelerators", {}).items()}
        memory = row["memory_gb"]
        made[name] = Machine(
            name,
            row["family"],
            row["vcpus"],
            None if memory is None else float(memory),
            MappingProxyType(gpus),
            row.get("fixed", False),
            row.get("chips", 0),
            row.get("topology", ""),
        )
    return MappingProxyType(made)


def machine(name: str) -> Machine:
    """The machine type called `name`. Raises catalog.book.UnknownName for one that training does not accept."""
    return pick("machine", name, machines())


def smallest_with(accelerator: str, count: int) -> Machine | None:
    """The machine type with the fewest vCPUs that may have `count` of `accelerator`, None when there is none.

    The smallest n1 high-memory machines are passed over: with a GPU they may lose log lines (documentation of shapes).
    """
    fits = [
        m for m in machines().values() if count in m.gpus.get(accelerator, ()) and not m.name.startswith("n1-highmem-2")
    ]
    return min(fits, key=lambda m: (m.vcpus is None, m.vcpus or 0, m.memory_gb or 0), default=None)
