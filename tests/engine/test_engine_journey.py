"""An account's life on the real engine: set up, looked at, changed, taken down."""

import json
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloudkite import engine
from cloudkite.accounts import registry

pytestmark = pytest.mark.slow

KEPT = {("Bucket", "data"), ("Bucket", "models")}


def buckets(place):
    return {bucket.name for bucket in place.target.storage().list_buckets()}


def test_set_up_then_nothing_to_change(place):
    seen = place.preview()
    assert {change.op for change in seen.changes} == {"create"}
    assert len(seen.changes) == len(seen.resources)
    assert seen.same == 0
    assert not (place.account.state / "outputs.json").exists()

    steps = []
    made = place.up(steps.append)
    assert made.changes == {"create": len(seen.changes)}
    assert made.failures == ()
    assert [s.phase for s in steps].count("done") == len(seen.changes)
    assert {s.name for s in steps if s.phase == "start"} == {c.name for c in seen.changes}
    assert all(s.seconds >= 0 for s in steps)

    again = place.preview()
    assert again.changes == ()
    assert again.same == len(seen.changes)
    assert place.up().changes == {}


def test_what_the_tasks_read(place):
    with pytest.raises(Exception, match="is not set up"):
        place.account.outputs()
    place.up()
    raw = json.loads((place.account.state / "outputs.json").read_text(encoding="utf-8"))
    assert raw["schema"] == 1
    assert set(raw) >= {
        "project", "project_number", "region", "trainer", "submitter", "buckets", "images", "budget", "labels", "quotas"
    }  # fmt: skip
    made = registry.load(place.space, place.account.name).outputs()
    assert made.project == place.account.project
    assert made.region == "us-central1"
    assert set(made.buckets) == {"data", "staging", "models"}
    assert buckets(place) >= {url.removeprefix("gs://") for url in made.buckets.values()}
    assert made.trainer.endswith(f"@{place.account.project}.iam.gserviceaccount.com")
    assert made.images.startswith(f"us-central1-docker.pkg.dev/{place.account.project}/")
    assert made.budget and (made.budget.amount, made.budget.currency) == (10, "USD")
    assert made.labels == {"managed-by": "cloudkite", "account": place.account.name}


def test_outputs_that_were_lost_are_written_again_without_a_change(place):
    place.up()
    path = place.account.state / "outputs.json"
    before = path.read_text(encoding="utf-8")
    path.unlink()
    assert place.preview().changes == ()
    assert path.read_text(encoding="utf-8") == before


def test_a_change_of_settings_is_shown_then_made(place):
    place.up()
    place = place.settings(lambda text: text.replace("logRetentionDays: 30", "logRetentionDays: 31"))
    [change] = place.preview().changes
    assert (change.op, change.kind) == ("update", "ProjectBucketConfig")
    assert change.details == ("retentionDays",)
    assert place.up().changes == {"update": 1}
    assert place.up().changes == {}


def test_down_keeps_data_and_models_and_up_goes_on(place):
    made = place.up().changes["create"]
    urls = place.account.outputs().buckets
    bucket = place.target.storage().bucket(urls["data"].removeprefix("gs://"))
    bucket.blob("grades.csv").upload_from_string("a,b\n1,2\n")

    removed = place.down()
    left = place.left()
    assert removed.changes == {"delete": made - len(left)}
    assert {(r.kind, r.name) for r in left if r.protected} == KEPT
    assert not (place.account.state / "outputs.json").exists()
    assert place.down().changes == {}
    assert bucket.blob("grades.csv").exists()

    # A quota preference can't be deleted: it stays in the cloud, and is taken over.
    assert place.up().changes == {"create": made - len(left) - 1, "adopt": 1}
    assert place.account.outputs().buckets == urls


def test_down_with_everything_leaves_nothing(place):
    made = place.up().changes["create"]
    url = place.account.outputs().buckets["data"]
    place.target.storage().bucket(url.removeprefix("gs://")).blob("a/b.csv").upload_from_string("x")
    assert place.down(everything=True).changes == {"delete": made}
    assert place.left() == []
    assert not any(place.account.project in name for name in buckets(place))
    assert place.down(everything=True).changes == {}
    assert place.down().changes == {}
    assert place.up().changes == {"create": made - 1, "adopt": 1}  # the quota preference, which nobody can delete


def test_down_of_an_account_that_was_never_set_up(place):
    assert place.down().changes == {}
    assert place.left() == []
    assert engine.status(place.account) == engine.Status((), 0, None)


def test_the_state_is_copied(place):
    place.up()
    models = place.account.outputs().buckets["models"].removeprefix("gs://")
    name = f".cloudkite/state/{place.account.name}.json"
    copy = place.target.storage().bucket(models).get_blob(name)
    assert copy is not None
    assert copy.download_as_bytes() == place.folder.checkpoint.read_bytes()
    assert copy.metadata == {
        "account": place.account.name, "project": place.account.project, "target": "local"
    }  # fmt: skip


def test_no_secret_is_in_plain_text(place):
    place.up()
    place.down()
    start = place.target.token()[:40]  # of any token of this account: header and claims come first
    for path in place.account.state.rglob("*"):
        if path.is_file():
            assert start not in path.read_text(encoding="utf-8"), path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_owner_can_read_the_state(place):
    place.up()
    for path in place.account.state.iterdir():
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    for name in ("passphrase", "outputs.json", "target.json", "state.last-good.json"):
        assert stat.S_IMODE((place.account.state / name).stat().st_mode) == 0o600, name


def test_history_does_not_grow(place):
    for days in range(30, 36):
        place.settings(lambda text, d=days: text.replace("logRetentionDays: 30", f"logRetentionDays: {d}")).up()
    assert len(list(place.folder.history.iterdir())) <= 10


def test_accounts_side_by_side(space, pulumi, describe):
    places = [describe(space) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda place: place.up(), places))
        again = list(pool.map(lambda place: place.up(), places))
    assert len({tuple(outcome.changes.items()) for outcome in made}) == 1
    assert [outcome.changes for outcome in again] == [{}] * 4
    for place in places:
        outputs = place.account.outputs()
        assert outputs.project == place.account.project
        assert all(place.account.project in url for url in outputs.buckets.values())
