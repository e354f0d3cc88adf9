"""What `down` says is left, is left."""

import pytest

from cloudkite.engine import Resource
from cloudkite.journey.teardown import undelete_days


def bucket(name, seconds):
    policy = {} if seconds is None else {"softDeletePolicy": {"retentionDurationSeconds": seconds}}
    return Resource("Bucket", name, "gcp:storage/bucket:Bucket", "", inputs=policy)


@pytest.mark.parametrize(
    ("seconds", "days"), [((), 0), ((0,), 0), ((0, 604800), 7), ((604800.0, 7776000.0), 90), ((None,), 0)]
)
def test_the_days_that_deleted_data_is_billed_are_those_of_the_buckets(seconds, days):
    metric = Resource("Metric", "m", "gcp:logging/metric:Metric", "")
    assert undelete_days([metric, *(bucket(f"b{i}", one) for i, one in enumerate(seconds))]) == days
