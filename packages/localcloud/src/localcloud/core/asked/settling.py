"""What takes a while on Google until it works: an API that was turned on, a service agent, a grant.

Only in a fresh project; others are born settled, and nothing in them waits. Whoever is refused because it is too early
brings the clock on by ten seconds, so that a patient client passes after a few tries without waiting in real time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from localcloud.core.asked.directory import Directory

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

# Seconds, each less than the six tries of a patient client take. Google names minutes:
# https://cloud.google.com/service-usage/docs/enable-disable, https://cloud.google.com/iam/docs/access-change-propagation
API, AGENT, GRANT = 30.0, 40.0, 50.0
_STEP = 10.0


class Settling:
    """Knows which projects are fresh, and how long ago things were done in them. Any thread may ask."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._fresh: dict[str, bool] = {}
        self._catching_up = False

    def is_fresh(self, project_id: str) -> bool:
        """Whether a project, by its id, is as a new one on Google."""
        found = self._fresh.get(project_id)
        if found is None:
            project = self._cloud.of(Directory).find(project_id)
            found = bool(project and project.get("fresh"))
            if project:
                self._fresh[project_id] = found
        return found

    def forget(self) -> None:
        """A project became fresh, or is gone."""
        self._fresh = {}

    def is_early(self, since: float, takes: float) -> bool:
        """Whether what was done at `since` does not work yet."""
        return self._cloud.clock.time() < since + takes

    def refuses(self, since: float, takes: float) -> bool:
        """The same; whoever is refused for it brings the clock on."""
        early = self.is_early(since, takes)
        if early:
            self.wait()
        return early

    def wait(self) -> None:
        """Bring the clock on for somebody who was told to come again."""
        self._cloud.clock.nudge(_STEP)
        if not self._catching_up:
            self._catching_up = True
            self._cloud.on_start(self._catch_up)

    async def _catch_up(self) -> None:
        """Let happen what is due by now."""
        self._catching_up = False
        await self._cloud.clock.forward(timedelta(0))
