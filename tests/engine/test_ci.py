"""A repository on GitHub: `up` lets it in, a runner signs in as it does there, and may no more than it needs."""

import base64
import dataclasses
import json
import time

import pytest

from cloudkite import engine
from cloudkite.accounts.target import Target
from cloudkite.engine.run import opened, silent
from cloudkite.jobs import submit
from cloudkite.jobs.plans import Wishes
from cloudkite.show.errors import UserError
from infra import settings
from localcloud import launch
from localcloud.iam import jwt
from tests.engine.conftest import Place
from tests.local.place import make_trainer

pytestmark = pytest.mark.slow

KEY = jwt.new_key()
ISSUER = "https://token.actions.githubusercontent.com"
IAM = "https://iam.googleapis.com/v1"
PUSH = {"event_name": "push", "ref": "refs/heads/main", "sub": "repo:kim/grades:ref:refs/heads/main"}
PULL = {"event_name": "pull_request", "ref": "refs/pull/7/merge", "sub": "repo:kim/grades:pull_request"}


def with_ci(place):
    lines = "  cloudkite:state: bucket\n  cloudkite:ci: {repository: kim/grades}\n  cloudkite:tier:"
    return place.settings(lambda text: text.replace("  cloudkite:tier:", lines))


@pytest.fixture
def owner(place):
    """Who sets up an account whose settings let a repository in."""
    return with_ci(place)


@pytest.fixture
def runner(owner, tmp_path):
    """A runner of GitHub's: `runner(email, **claims)` is the account there, where nothing is known of it."""
    numbers = iter(range(100))

    def make(email, repository="kim/grades", **claims):
        folder = tmp_path / f"runner-{next(numbers)}"
        folder.mkdir(mode=0o700)
        provider, now = owner.account.outputs().ci.provider, int(time.time())
        said = {"iss": ISSUER, "aud": f"https://iam.googleapis.com/{provider}", "iat": now, "exp": now + 300}
        (folder / "token").write_text(jwt.sign({**said, "repository": repository, **claims}, KEY, "github"))
        base = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
        written = {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/{provider}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url": f"{base}/{email}:generateAccessToken",
            "credential_source": {"file": str(folder / "token"), "format": {"type": "text"}},
        }
        credentials = folder / "gha-creds-1.json"
        credentials.write_text(json.dumps(written), encoding="utf-8")
        here = owner.target
        account = dataclasses.replace(owner.account, state=folder / "state")
        account.state.mkdir(mode=0o700)
        environment = {**here.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(credentials)}
        return Place(owner.space, account, Target(account, environment, here.pulumi_environment, here.cloud))

    return make


def trust_our_key(owner):
    """On Google the provider gets the issuer's keys from the network; here they are said."""
    url = f"{IAM}/{owner.account.outputs().ci.provider}"
    oidc = {"issuerUri": ISSUER, "jwksJson": json.dumps({"keys": [jwt.web_key(KEY, "github")]})}
    assert owner.target.session().patch(url, params={"updateMask": "oidc"}, json={"oidc": oidc}).ok


def submitted(place, trainer):
    engine.learn(place.account, place.target)
    plan = dataclasses.replace(submit.plan(place.account, trainer, Wishes()), image="python:3.11")
    return submit.submit(place.space, place.target, plan)


def test_a_push_trains_a_pull_request_previews_and_nobody_else_gets_in(owner, runner, tmp_path):
    owner.up()
    made = owner.account.outputs().ci
    assert (made.repository, made.branch) == ("kim/grades", "main")
    assert made.provider.endswith("/locations/global/workloadIdentityPools/cloudkite/providers/github")
    trust_our_key(owner)
    trainer = make_trainer(tmp_path / "tiny")
    # A push to main: what `up` made is found in the team's bucket, and a job is submitted as `ci-train`.
    pushed = runner(made.trains, **PUSH)
    assert pushed.target.identity == made.trains
    job = submitted(pushed, trainer)
    assert pushed.account.outputs() == owner.account.outputs()
    assert job.name
    # It reads nothing of the state but that: not the pass-phrase, and it sets nothing up.
    state = pushed.target.session().get(
        f"https://storage.googleapis.com/storage/v1/b/{owner.account.project}-state/o/.cloudkite%2Fpassphrase"
    )
    assert state.status_code == 403
    # A pull request: a preview finds nothing to change but our key.
    pulled = runner(made.previews, **PULL)
    assert [(one.op, one.name, one.details) for one in pulled.preview().changes] == [
        ("update", "ci-github", ("oidc.jwksJson",))
    ]
    with pytest.raises(UserError, match="denied"):
        submitted(runner(made.previews, **PULL), trainer)
    # Neither of them acts as the other, and no other branch, event or repository as either.
    for email, claims in [
        (made.trains, PULL),
        (made.previews, PUSH),
        (made.trains, {**PUSH, "ref": "refs/heads/other"}),
        (made.trains, {**PUSH, "event_name": "pull_request_target"}),
        (made.trains, {**PUSH, "repository": "eve/grades"}),
        (made.previews, {**PULL, "repository": "kim/other"}),
    ]:
        with pytest.raises(UserError, match=r"getAccessToken|attribute condition"):
            runner(email, **claims).target.token()


def look_as(owner, email, folder):
    """A preview by an account of the project, which has to read each resource, and what it made of its rights.

    On Google the provider signs in as whoever runs it; here it reads as whom the state says.
    """
    made = owner.target.session().post(f"{IAM}/projects/-/serviceAccounts/{email}/keys", json={}).json()
    key = folder / "key.json"
    key.write_bytes(base64.b64decode(made["privateKeyData"]))
    here = owner.target
    environment = {**here.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(key)}
    target = Target(owner.account, environment, here.pulumi_environment, here.cloud)
    with opened(owner.account, target, silent) as (_folder, stack):
        stack.sign_in()
    found = engine.preview(owner.account, target)
    (rights,) = launch.control(owner.space.localcloud, "GET", f"/audit?principal={email}")["principals"]
    return found, rights


def test_the_pool_outlives_down_and_is_taken_over_again(place, monkeypatch, tmp_path):
    """With the state in a folder, which no settings may say with `ci`: in a bucket each run takes a minute."""
    monkeypatch.setattr(settings, "_together", lambda _config: ())
    owner = with_ci(place).settings(lambda text: text.replace("  cloudkite:state: bucket\n", ""))
    storage, session = owner.target.storage(), owner.target.session()
    state = storage.bucket(f"{owner.account.project}-state")
    state.iam_configuration.uniform_bucket_level_access_enabled = True
    storage.create_bucket(state, location="us-central1")
    owner.up()
    # Whoever previews can read all but the budget, which is the billing account's; no role was given in vain.
    found, rights = look_as(owner, owner.account.outputs().ci.previews, tmp_path)
    assert found.changes == ()
    assert [warning.partition(":")[0] for warning in found.warnings] == ["Budget monthly-budget was not looked at"]
    assert {row["permission"].partition(".")[0] for row in rights["refused"]} == {"billing"}
    assert {row["role"] for row in rights["unused"]} == {"roles/storage.objectViewer"}  # the state is in a folder here
    provider = owner.account.outputs().ci.provider
    url = f"{IAM}/{provider}"
    owner.down()
    assert session.get(url).json()["state"] == "ACTIVE"
    assert owner.up().changes["adopt"] >= 2  # with the quota, which can't be deleted either
    assert owner.up().changes == {}
    # Somebody deletes both: their ids can't be used for 30 days, but they can be taken back.
    owner.down()
    assert session.delete(url).ok
    assert session.delete(url.rpartition("/providers/")[0]).ok
    assert owner.up().changes["adopt"] >= 2  # with the quota, which can't be deleted either
    assert owner.account.outputs().ci.provider == provider
    # Without the setting nobody gets in: the accounts are gone, and what is left can do nothing.
    plain = owner.settings(lambda text: text.replace("  cloudkite:ci: {repository: kim/grades}\n", ""))
    plain.up()
    assert plain.account.outputs().ci is None
    for name in ("ci-train", "ci-preview"):
        email = f"{name}@{owner.account.project}.iam.gserviceaccount.com"
        assert session.get(f"{IAM}/projects/-/serviceAccounts/{email}").status_code == 404
