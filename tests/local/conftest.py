"""Local clouds for tests of what the commands do: those that the local cloud's own tests use."""

from clouds.fixtures import client_environment, local_cloud, make_cloud, new_cloud, session

__all__ = ["client_environment", "local_cloud", "make_cloud", "new_cloud", "session"]
