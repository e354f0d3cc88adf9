"""How the network of the person is left who works with this cloud: environments are built by it, and no job sees it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import environments
from localcloud.core.state.files import write_privately

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

NOTED = "network.sha256"  # in the cloud's folder: the fingerprint of what it was told last, and not the settings


class Network:
    """Proxies, certificates and the package index, as whoever started the cloud has them, or whoever told it since."""

    def __init__(self, cloud: Cloud) -> None:
        self._path = cloud.root / NOTED
        own = environments.index_settings(os.environ)
        self._rest = {name: value for name, value in os.environ.items() if name not in own}
        self._told: Mapping[str, str] = {}
        self.tell(own)

    def tell(self, settings: Mapping[str, str]) -> None:
        """From now on environments are built with these settings; they stay in memory, for there may be secrets."""
        self._told = dict(settings)
        write_privately(self._path, environments.told(settings))

    @property
    def variables(self) -> dict[str, str]:
        """All that who builds an environment may see. Never for a job."""
        return {**self._rest, **self._told}
