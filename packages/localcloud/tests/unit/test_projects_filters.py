"""The filters of projects: the shared grammar, but AND binds tighter than OR."""

import pytest

from localcloud.core.errors import ApiError
from localcloud.projects import filters

PROJECTS = [
    {"projectId": "how-now", "name": "How now", "state": "ACTIVE", "labels": {"color": "brown"}},
    {"projectId": "by-gcloud", "name": "renamed", "state": "ACTIVE", "labels": {"color": "red", "size": "big"}},
    {"projectId": "gone", "name": "gone", "state": "DELETE_REQUESTED", "labels": {}},
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["how-now", "by-gcloud", "gone"]),
        ("name:how*", ["how-now"]),
        ("name:How", []),
        ('NAME:"how now"', ["how-now"]),
        ("id=by-gcloud", ["by-gcloud"]),
        ("id!=by-gcloud", ["how-now", "gone"]),
        ("-id:by-gcloud", ["how-now", "gone"]),
        ("NOT id:by-gcloud", ["how-now", "gone"]),
        ("labels.color:*", ["how-now", "by-gcloud"]),
        ("labels.color:red labels.size:big", ["by-gcloud"]),
        ("projectId:gone OR labels.color:red AND labels.size:small", ["gone"]),
        ("labels.size:small AND labels.color:red OR projectId:gone", ["gone"]),
        ("(projectId:gone OR labels.color:red) AND labels.size:big", ["by-gcloud"]),
        ("lifecycleState:DELETE_REQUESTED", ["gone"]),
        ("parent.type:organization AND id:gone", ["gone"]),
    ],
)
def test_what_a_filter_lets_through(text, found):
    tree = filters.read(text)
    assert [one["projectId"] for one in PROJECTS if filters.fits(tree, one)] == found


@pytest.mark.parametrize("text", ["name", "name:", "(name:a", "name:a)", "OR", "name:a OR", "name>a", "AND AND", '"x'])
def test_a_filter_that_cannot_be_read(text):
    with pytest.raises(ApiError) as refused:
        filters.read(text)
    assert (refused.value.code, refused.value.message) == (400, f"Invalid filter: {text}")


def test_a_filter_that_names_the_state_is_after_deleted_projects_too():
    assert [
        filters.names_state(filters.read(text)) for text in ("state:ACTIVE", "id:a OR NOT lifecycleState:x", "id:state")
    ] == [True, True, False]
