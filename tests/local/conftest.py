"""Local clouds for tests of what the commands do, those that the local cloud's own tests use; and a place on one."""

from clouds.fixtures import client_environment, local_cloud, make_cloud, new_cloud, session
from tests.local.place import place

__all__ = ["client_environment", "local_cloud", "make_cloud", "new_cloud", "place", "session"]
