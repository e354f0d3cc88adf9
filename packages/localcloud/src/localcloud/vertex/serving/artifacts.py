"""What a model is made of: its container image and its files, which are copied when it is uploaded, as Google does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import catalog.images
from localcloud.containers import images
from localcloud.core.errors import ApiError
from localcloud.storage.admission import Admission
from localcloud.storage.store import Storage
from localcloud.vertex.jobs import reach
from localcloud.vertex.place import Call

if TYPE_CHECKING:
    from catalog.images import Image
    from localcloud.core.cloud import Cloud

_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")


def image(cloud: Cloud, uri: str) -> tuple[Image, list[str]]:
    """The stand-in for a serving image, and its entry point. Raises 400 for an image that is not known, or trains."""
    try:
        found, entrypoint = images.find(cloud.root, uri)
    except images.UnknownImage:
        known = [one.uri for one in catalog.images.images().values() if one.kind == "prediction"]
        words = (
            f'The local cloud has no stand-in for the container image "{uri}". It knows: {", ".join(known)}. '
            f"Add yours to {cloud.root / 'images.json'}."
        )
        raise ApiError(400, words, "FAILED_PRECONDITION") from None
    if found.kind == "training" and found.date:  # the catalogue's; those of images.json have no date
        words = (
            f'The container image "{uri}" does not serve predictions: use a prebuilt prediction image, or an image of '
            "your own."
        )
        raise ApiError(400, words, "FAILED_PRECONDITION")
    return found, entrypoint


def split(uri: str) -> tuple[str, str]:
    """(bucket, name) of gs://bucket/name, without a slash at the end."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name.rstrip("/")


def check(call: Call, uri: str, tensorflow: bool) -> None:
    """Raises 400, 403, 404 unless the caller may read an artifactUri with something below it, here in the region."""
    bucket, prefix = split(uri)
    reach.check_bucket(call.cloud, uri, call.place.location)
    asker = Admission(call.cloud.of(Storage)).of(call.caller, {}, {})
    asker.bucket(bucket, "storage.objects.list")
    asker.object(bucket, f"{prefix}/", "storage.objects.get")
    names = {one["name"].removeprefix(prefix).lstrip("/") for one in listed(call.cloud, uri)}
    if tensorflow and not names & set(_SAVED_MODEL):
        expected = ", ".join(f"[{name}]" for name in _SAVED_MODEL)
        words = f"Model directory {uri} is expected to contain exactly one of: {expected}."
        raise ApiError(400, words, "FAILED_PRECONDITION")
    if not names:
        raise ApiError(400, f"Model directory {uri} is empty or does not exist.", "FAILED_PRECONDITION")


def listed(cloud: Cloud, uri: str) -> list[dict[str, Any]]:
    """The objects below a gs:// path. Raises 404."""
    bucket, prefix = split(uri)
    return cloud.of(Storage).list_objects(bucket, f"{prefix}/" if prefix else "")


def folder(cloud: Cloud, model: str, version: str) -> Path:
    """Where the copy of a version's files is; `model` is the model's full name."""
    _, number, _, location, _, model_id = model.split("/")
    return cloud.folder("vertex") / "serving" / "models" / f"{number}-{location}-{model_id}" / version


def copy(cloud: Cloud, uri: str, target: Path) -> None:
    """Copy the files below a gs:// path to a folder, whole or not at all."""
    draft = target.with_name(f"{target.name}.part")
    for left in (draft, target):
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    bucket, prefix = split(uri)
    for one in listed(cloud, uri):
        path = draft / one["name"].removeprefix(prefix).lstrip("/")
        if not path.resolve().is_relative_to(draft.resolve()):
            raise ApiError(
                400, f"The name of gs://{bucket}/{one['name']} is not that of a file.", "FAILED_PRECONDITION"
            )
        if one["name"].endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with cloud.of(Storage).open_object(bucket, one["name"]) as source, path.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    draft.rename(target)


def is_tensorflow(found: Image) -> bool:
    """Whether the image is one of Google's prebuilt ones that serve SavedModels."""
    return found.kind == "prediction" and bool(found.tensorflow)


def is_path(uri: str) -> bool:
    """Whether a text is a gs:// path that names a bucket."""
    return re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]+[a-z0-9](/.*)?", uri) is not None
