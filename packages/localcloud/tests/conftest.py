"""What all tests of the local cloud share."""

from clouds.fixtures import client_environment, local_cloud, make_cloud, new_cloud, session

__all__ = ["client_environment", "local_cloud", "make_cloud", "new_cloud", "session"]
