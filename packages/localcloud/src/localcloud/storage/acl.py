"""Access control lists: none are kept here, so who names one is refused, with uniform access in Google's words.

https://cloud.google.com/storage/docs/access-control/lists
"""

from __future__ import annotations

from typing import Any

from localcloud.storage.errors import StorageError, invalid, not_emulated

# What each object has anyhow, or nearly: taken, without effect.
_PRIVATE = {"private", "projectPrivate", "bucketOwnerFullControl", "bucketOwnerRead"}
INSERT = "Cannot insert legacy ACL for an object"
UPDATE = "Cannot update access control for an object"
UPDATE_BUCKET = "Cannot use ACL API to update bucket policy"


def refusal(what: str) -> StorageError:
    """400 for who comes with a list where access is uniform."""
    return invalid(
        f"{what} when uniform bucket-level access is enabled. "
        "Read more at https://cloud.google.com/storage/docs/uniform-bucket-level-access"
    )


def refuse_lists(uniform: bool, what: str, *predefined: str | None, given: Any = None) -> None:
    """Raise 400, 501 unless no list is `given`, and none `predefined` but private ones without uniform access."""
    named = {name for name in predefined if name}
    if uniform and (named or given):
        raise refusal(what)
    if given or not named <= _PRIVATE:
        raise not_emulated("access control lists")
