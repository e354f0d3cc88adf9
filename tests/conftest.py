"""What all tests share: no test sees or changes the person's own accounts, credentials or proxies."""

import os

import pytest

_FOREIGN = ("GOOGLE_", "CLOUDSDK_", "PULUMI_", "CLOUDKITE_ACCOUNT", "CLOUDKITE_STATE")
_ENGINE = "CLOUDKITE_PULUMI"


@pytest.fixture(autouse=True, scope="session")
def _own_environment():
    """Take variables away that would lead a test to somebody's real account, or fold its tables."""
    saved = {k: v for k, v in os.environ.items() if k.startswith(_FOREIGN) and k != _ENGINE}
    saved |= {k: os.environ[k] for k in ("COLUMNS", "LINES") if k in os.environ}
    for name in saved:
        del os.environ[name]
    yield
    os.environ.update(saved)
