"""A local cloud of a test's own, with settings of its own, whose server may be killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from clouds import Start

PLAIN = "local/plain:1"


class OwnCloud:
    """Knows `images`, by default one without packages; `settings` are those of the file called `name`."""

    def __init__(
        self, new_cloud: Start, tmp_path: Path, images: Mapping[str, Any] | None, name: str, settings: Mapping[str, Any]
    ) -> None:
        self.root = tmp_path / "own"
        self.root.mkdir(mode=0o700)
        (self.root / "images.json").write_text(json.dumps(images or {PLAIN: {}}), encoding="utf-8")
        (self.root / name).write_text(json.dumps({"graceSeconds": 1, **settings}), encoding="utf-8")
        self._new_cloud = new_cloud
        self.start()

    def start(self) -> None:
        self.cloud = self._new_cloud("own")
        self.session = self.cloud.session()

    def kill(self) -> None:
        process = psutil.Process(self.cloud.server["pid"])
        process.kill()
        process.wait(10)
