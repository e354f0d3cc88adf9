"""Google's bad days while an account is set up: the provider's calls fail or are cut, and `up` comes through."""

import json

import pytest

from cloudkite.accounts import local
from cloudkite.show.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def drill(place):
    """Makes faults on the account's local cloud."""

    def fault(*options):
        return local.run(place.space, "fault", *options)

    yield fault
    fault("--clear")


def test_up_that_google_ends_in_the_middle_tells_why_and_a_second_one_completes_it(place, drill):
    drill("pulumi.storage.BucketIAMMember.create", "--code", "504")  # which the provider does not try again
    with pytest.raises(UserError) as told:
        place.up()
    assert told.value.message.startswith("create BucketIAMMember ")
    assert told.value.message.endswith(": 504 Gateway Timeout")
    assert told.value.hint == "the same command goes on where it stopped"
    drill("pulumi.storage.BucketIAMMember.create", "--cut", "after")
    assert place.up().changes
    assert json.loads(drill("--list", "--json")) == []
    assert place.up().changes == {}
    assert len(place.left()) == len(place.preview().resources)


def test_what_is_over_soon_up_does_not_notice(place, drill):
    drill("pulumi.projects.Service.create", "--code", "503", "--times", "2")
    drill("pulumi.projects.IAMMember.create", "--code", "429")
    drill("pulumi.serviceaccount.Account.create", "--cut")
    drill("pulumi.storage.Bucket.create", "--cut", "after")  # the next try hears that it exists: it is taken over
    place.up()
    assert json.loads(drill("--list", "--json")) == []
    assert place.up().changes == {}
