"""What `down` says is left, is left."""

from cloudkite.journey import setup
from infra.buckets import PURPOSES


def test_the_days_that_deleted_data_is_billed_are_those_of_the_buckets():
    assert {purpose.undelete_days for purpose in PURPOSES if purpose.protected} == {setup.UNDELETE_DAYS}
