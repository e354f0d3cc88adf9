"""Jobs with names that mean harm, on the local cloud: fetching their models changes nothing but trainers/*/models."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from cloudkite.jobs import service
from cloudkite.journey import results
from cloudkite.show.errors import UserError
from tests.jobs import SPEC
from tests.local.place import Place
from tests.trees import outside, put, tree

NAMES = [
    "ABSOLUTE",
    "../../x",
    "../../../x",
    ".",
    "..",
    "../trainer",
    "a/b",
    "CON",
    "x" * 128,
    "펭" * 128,
    "two\nlines",
]


def submitted(place: Place, name: str, files: dict[str, bytes]) -> service.Job:
    """A job that has failed, as nobody knows its image, and the model that it could have left."""
    outputs = place.account.outputs()
    folder = f"tiny/{len(name)}-{time.time_ns()}"
    spec = dataclasses.replace(
        SPEC, name=name, trainer="tiny", image="nobody/knows:1", service_account=outputs.trainer, accelerator="",
        count=0, machine="e2-standard-4", output=f"{outputs.buckets['models']}/{folder}/", spot=False,
    )  # fmt: skip
    bucket = outputs.buckets["models"].removeprefix("gs://")
    for file, data in files.items():
        where = quote(f"{folder}/model/{file}", safe="")
        url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name={where}"
        assert place.target.session().post(url, data=data).ok
    job = service.create(place.target, spec)
    while job.active:
        time.sleep(0.05)
        job = service.get(place.target, job.id)
    return job


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:20] for name in NAMES])
def test_a_jobs_name_leads_nowhere(place: Place, tmp_path: Path, name: str) -> None:
    elsewhere = put(tmp_path / "elsewhere", thesis="years of work")
    put(place.workspace.trainers / "x", note="mine")
    name = str(elsewhere) if name == "ABSOLUTE" else name
    job = submitted(place, name, {"saved_model.pb": b"graph", "variables/variables.index": b"x" * 1000})
    assert job.name == name
    before = outside(place.workspace.trainers.parent), tree(tmp_path)
    folder = results.fetch_job(place.workspace, place.target, job, quiet=True)
    assert (outside(place.workspace.trainers.parent), tree(tmp_path)) == before
    assert folder.parent == place.trainer.folder / "models"
    assert (folder / "variables" / "variables.index").read_bytes() == b"x" * 1000


def test_an_objects_name_leads_nowhere(place: Place) -> None:
    job = submitted(place, "tiny-harmless", {"saved_model.pb": b"graph", "a/../../../trainer/task.py": b"evil"})
    before = tree(place.workspace.trainers)
    with pytest.raises(UserError, match=r"has a file called 'a/\.\./\.\./\.\./trainer/task\.py', which is not fetched"):
        results.fetch_job(place.workspace, place.target, job, quiet=True)
    assert tree(place.workspace.trainers) == before
