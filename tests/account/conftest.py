"""What the tests of an account's life share: the engine on accounts of a local cloud, as tests/engine has them."""

from tests.engine.conftest import another_cloud, describe, place, pulumi, space

__all__ = ["another_cloud", "describe", "place", "pulumi", "space"]
