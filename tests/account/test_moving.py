"""Accounts that leave this computer and come to another: only what is taken down is removed, and what was set up is
found again by its project.
"""

from __future__ import annotations

import io
import stat

import pytest

from cloudkite import engine, workspace
from cloudkite.accounts import registry, settings
from cloudkite.engine.folder import Folder
from cloudkite.journey import moving, setup
from cloudkite.journey.reach import connect
from cloudkite.show.errors import BadValue, UserError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nobody_at_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def elsewhere(place, tmp_path):
    """The workspace of another computer, which reaches the same cloud."""
    made = workspace.throw_away(tmp_path / "elsewhere")
    made.localcloud.symlink_to(place.space.localcloud, target_is_directory=True)
    return made


def refusal(call, *arguments, **options):
    with pytest.raises(UserError) as refused:
        call(*arguments, **options)
    return refused.value.message, refused.value.hint


def test_an_account_goes_only_when_nothing_of_it_is_left(place, capsys):
    space, name = place.space, place.account.name
    place.up()
    assert refusal(moving.remove, space, name, yes=True) == (
        f"account {name} is set up", f"uv run invoke down --account {name}"
    )  # fmt: skip
    place.down()
    message, hint = refusal(moving.remove, space, name, yes=True)
    assert "resources of account" in message and "are left, and may cost" in message
    assert hint.startswith(f"uv run invoke down --everything --account {name} removes them")
    place.down(everything=True)
    registry.use(space, name)
    assert refusal(moving.remove, space, name)[1] == "add --yes"
    assert place.account.settings.is_file() and place.account.state.is_dir()
    capsys.readouterr()
    moving.remove(space, name, yes=True)
    said = capsys.readouterr().out
    assert f"{name} is in use; after it, local is" in said and "in use: local" in said
    assert not place.account.settings.exists() and not place.account.state.exists()
    assert not (space.state / "settings" / f"{name}.json").exists()
    assert registry.current(space) == "local"
    assert refusal(moving.remove, space, name)[0] == f"no account is called {name}"


def test_the_account_of_every_checkout_stays(place):
    assert refusal(moving.remove, place.space, "local", yes=True) == (
        "account local is the one that every checkout has", "uv run invoke local.reset empties the local cloud"
    )  # fmt: skip


def test_an_account_comes_to_another_computer_whole(place, elsewhere, capsys):
    place.up()
    name, project = place.account.name, place.account.project
    before = place.account.settings.read_bytes()
    assert refusal(moving.recover, place.space, project, local=True, yes=True) == (
        f"account {name} of project {project} is on this computer already", f"uv run invoke up --account {name}"
    )  # fmt: skip
    assert refusal(moving.recover, elsewhere, project, local=True)[1] == "add --yes"
    assert registry.names(elsewhere) == []
    moving.recover(elsewhere, project, local=True, yes=True)
    here = registry.load(elsewhere, name)
    assert here.settings.read_bytes() == before
    assert here.outputs() == place.account.outputs()
    assert {one.urn for one in engine.left(here)} == {one.urn for one in place.left()}
    assert stat.S_IMODE(Folder(here).checkpoint.stat().st_mode) == 0o600
    # It is the same account: `up` changes nothing, and what one makes the other takes down.
    preview = engine.preview(here, connect(elsewhere, here))
    assert preview.changes == () and preview.drift == ()
    assert refusal(moving.recover, elsewhere, project, local=True, yes=True)[0].endswith("on this computer already")
    assert engine.down(here, connect(elsewhere, here), everything=True).failures == ()
    assert engine.left(here) == []
    moving.remove(elsewhere, name, yes=True)


def test_a_recovery_that_was_cut_off_is_done_again(place, elsewhere, monkeypatch):
    place.up()
    with monkeypatch.context() as cut:
        cut.setattr(settings, "keep", lambda *_given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            moving.recover(elsewhere, place.account.project, local=True, yes=True)
    assert registry.names(elsewhere) == []
    # The state is there by now; the settings, by which there is an account, are not.
    moving.recover(elsewhere, place.account.project, local=True, yes=True)
    assert registry.load(elsewhere, place.account.name).outputs() == place.account.outputs()


def test_what_is_described_here_gets_its_state(place, elsewhere):
    place.up()
    (elsewhere.accounts / place.account.settings.name).write_bytes(place.account.settings.read_bytes())
    # Who has never heard of it would forget an account that costs.
    message, hint = refusal(moving.remove, elsewhere, place.account.name, yes=True)
    assert message.startswith(f"account {place.account.name} was set up from another computer: gs://")
    assert hint.startswith(f"uv run invoke account.recover {place.account.project} --local, then ")
    moving.recover(elsewhere, place.account.project, local=True, yes=True)
    assert registry.load(elsewhere, place.account.name).outputs() == place.account.outputs()


def test_projects_that_have_nothing_to_recover(place, elsewhere):
    project = place.account.project
    message, hint = refusal(moving.recover, elsewhere, project, local=True, yes=True)
    assert message == f"project {project} has no copy of an account's state"
    assert hint.startswith("`up` leaves a copy in the account's bucket of models; describe the account")
    assert refusal(moving.recover, elsewhere, "Bad Project", local=True)[0] == "gcp:project is 'Bad Project'"
    place.up()
    message, hint = refusal(moving.recover, elsewhere, project, "other", local=True, yes=True)
    assert hint == f"there is one of: {place.account.name}"


def test_a_copy_that_is_not_what_it_is_called_is_refused(place, elsewhere):
    place.up()
    project, name = place.account.project, place.account.name
    bucket = place.target.storage().bucket(f"{project}-models")
    blob = bucket.get_blob(f".cloudkite/state/{name}.json")
    good, text = dict(blob.metadata), blob.download_as_bytes()
    blob.metadata = {**good, "project": "another-project"}
    blob.patch()
    message, hint = refusal(moving.recover, elsewhere, project, local=True, yes=True)
    assert message == f"the state in gs://{bucket.name} is of project another-project (local), not of {project}"
    assert hint == "uv run invoke account.recover another-project"
    blob.metadata = good
    blob.patch()
    beside = bucket.blob(f".cloudkite/state/{name}.yaml")
    beside.upload_from_string(beside.download_as_bytes().replace(project.encode(), b"another-project"))
    message, _hint = refusal(moving.recover, elsewhere, project, local=True, yes=True)
    assert message == f"the settings in gs://{bucket.name} are of project another-project, not of {project}"
    beside.delete()
    message, hint = refusal(moving.recover, elsewhere, project, local=True, yes=True)
    assert message.endswith("and not its settings: `up` was older")
    assert hint.startswith(f"uv run invoke account.add --name {name} --project {project}, then")
    for torn in (b"", b"{", text[:1000], b'{"checkpoint": {}}'):
        torn_blob = bucket.blob(f".cloudkite/state/{name}.json")
        torn_blob.metadata = good
        torn_blob.upload_from_string(torn)
        assert refusal(moving.recover, elsewhere, project, local=True, yes=True)[0].endswith("of an account's state")
    assert registry.names(elsewhere) == []


def test_a_teams_account_comes_with_its_settings_and_finds_its_state(place, elsewhere):
    joint = place.settings(
        lambda text: text.replace("  cloudkite:tier:", "  cloudkite:state: bucket\n  cloudkite:tier:")
    )
    joint.up()
    moving.recover(elsewhere, joint.account.project, local=True, yes=True)
    here = registry.load(elsewhere, joint.account.name)
    target = connect(elsewhere, here)  # learns what `up` made
    assert here.shared and registry.load(elsewhere, here.name).outputs() == joint.account.outputs()
    assert engine.preview(here, target).changes == ()


def test_two_accounts_never_have_one_project_whichever_way_they_come(place, elsewhere, capsys):
    place.up()
    space, name, project = place.space, place.account.name, place.account.project
    text = place.account.settings.read_text(encoding="utf-8")
    (space.accounts / "Pulumi.twin.yaml").write_text(text, encoding="utf-8")  # by hand
    try:
        taken = f"project {project} is account {name}'s: each account needs a project of its own"
        assert refusal(registry.use, space, "twin")[0] == taken
        assert refusal(setup.up, space, "twin", yes=True)[0] == taken
        assert registry.use(space, name).name == name
        described = settings.describe(project, target="local")
        assert refusal(registry.add, space, "third", described)[0].startswith(f"project {project} is account ")
    finally:
        (space.accounts / "Pulumi.twin.yaml").unlink()
        registry.use(space, name)
        (space.state / "account").unlink()
    registry.add(elsewhere, "mine", settings.describe(project, target="local"))
    message, hint = refusal(moving.recover, elsewhere, project, local=True, yes=True)
    assert hint == f"there is one of: {name}" and message.endswith("has no copy of an account's state")
    with pytest.raises(BadValue):
        moving.recover(space, project, local=True, yes=True)
