"""An account's tier decides how its project is made on the local cloud."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cloudkite.accounts.local import start_options
from cloudkite.accounts.registry import Account


@pytest.mark.parametrize(("tier", "option"), [("trial", "--trial=my-project"), ("paid", "--project=my-project")])
def test_a_trial_account_is_rehearsed_on_a_trial(tier: str, option: str) -> None:
    account = Account(
        name="home", target="local", project="my-project", region="us-central1", tier=tier, owner="", currency="USD",
        budget=None, settings=Path("Pulumi.home.yaml"), state=Path("state"),
    )  # fmt: skip
    assert start_options(account) == [option]
    paid = dataclasses.replace(account, payer="012345-6789AB-CDEF01", currency="KRW")
    assert start_options(paid) == [option, "--billing-account=my-project=012345-6789AB-CDEF01:KRW"]
