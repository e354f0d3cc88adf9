"""Machines that are out of stock, as a drill: jobs that need them wait, and fail as they do on Google."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core.errors import Advised

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_KIND = "vertex-stockout"  # of document
ANY = "any machine"


class Stockouts:
    """What is out of stock in which region; kept over restarts. Any thread may call."""

    def __init__(self, cloud: Cloud) -> None:
        self._documents = cloud.documents

    def add(self, region: str, accelerator: str = "") -> dict[str, str]:
        """From now on there are none of an accelerator in a region, or with "" no machines at all. Raises 400."""
        from catalog.accelerators import accelerators
        from catalog.regions import regions

        if region not in regions():
            raise Advised(400, f"unknown region {region or '(none was named)'}", "such as us-central1")
        if accelerator and accelerator not in accelerators():
            raise Advised(400, f"unknown accelerator {accelerator}", ", ".join(accelerators()))
        made = {"region": region, "accelerator": accelerator}
        self._documents.put(_name(region, accelerator), _KIND, made)
        return made

    def list(self) -> list[dict[str, str]]:
        """All, by region."""
        return self._documents.list(_KIND)

    def clear(self, region: str = "", accelerator: str = "") -> int:
        """Let there be machines again, with "" in all regions or of all kinds; gives how many it forgot."""
        found = [
            one for one in self.list() if region in ("", one["region"]) and accelerator in ("", one["accelerator"])
        ]
        for one in found:
            self._documents.delete(_name(one["region"], one["accelerator"]))
        return len(found)

    def hit(self, region: str, spec: dict[str, Any]) -> str:
        """What a CustomJobSpec needs and can't get in a region, "" when it can get all."""
        needed = {pool["machineSpec"].get("acceleratorType", "") for pool in spec["workerPoolSpecs"] if pool}
        for one in self.list():
            if one["region"] == region and (not one["accelerator"] or one["accelerator"] in needed):
                return one["accelerator"] or ANY
        return ""


def _name(region: str, accelerator: str) -> str:
    return f"vertex/stockouts/{region}/{accelerator or '-'}"
