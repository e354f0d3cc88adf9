"""The seam: credentials, session and environment come from the target alone."""

import json

import pytest

from cloudkite import workspace
from cloudkite.accounts import registry, target
from cloudkite.show.errors import UserError


@pytest.fixture
def account(tmp_path, monkeypatch):
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    space = workspace.throw_away(tmp_path / "state")
    (space.accounts / "Pulumi.mine.yaml").write_text("config:\n  gcp:project: my-project\n", encoding="utf-8")
    return space, registry.load(space, "mine")


def user_credentials(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    info = {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "account": "me@x.org",
    }
    path.write_text(json.dumps(info), encoding="utf-8")
    return path


def test_nobody_signed_in_is_exit_code_4(account):
    space, mine = account
    with pytest.raises(UserError) as refused:
        target.connect(space, mine)
    assert refused.value.code == 4
    assert refused.value.hint == "gcloud auth application-default login"


def test_google_credentials_are_handed_to_children_and_to_the_engine(account, tmp_path):
    space, mine = account
    path = user_credentials(tmp_path / "cloudsdk_config" / "application_default_credentials.json")
    found = target.connect(space, mine)
    assert found.environment["GOOGLE_APPLICATION_CREDENTIALS"] == str(path)
    assert found.pulumi_environment["GOOGLE_APPLICATION_CREDENTIALS"] == str(path)
    assert found.credentials.quota_project_id == "my-project"
    assert found.identity == "me@x.org"


def test_the_accounts_own_credentials_come_first(account, tmp_path):
    space, mine = account
    user_credentials(tmp_path / "cloudsdk_config" / "application_default_credentials.json")
    own = user_credentials(mine.state / "application_default_credentials.json")
    assert target.connect(space, mine).environment["GOOGLE_APPLICATION_CREDENTIALS"] == str(own)


@pytest.mark.parametrize("text", ["", "{", '{"type": "service_account"}', '{"type": "nonsense"}'])
def test_credentials_that_cannot_be_used_are_named(account, text):
    space, mine = account
    path = mine.state / "application_default_credentials.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="can't be used") as refused:
        _ = target.connect(space, mine).credentials
    assert str(path) in refused.value.message


def test_children_see_no_credentials_of_this_process(account, monkeypatch, tmp_path):
    space, mine = account
    user_credentials(tmp_path / "cloudsdk_config" / "application_default_credentials.json")
    for name in (
        "GOOGLE_CLOUD_PROJECT",
        "PULUMI_ACCESS_TOKEN",
        "CLOUDSDK_CORE_PROJECT",
    ):
        monkeypatch.setenv(name, "of-the-person")
    child = target.connect(space, mine).child_environment({"EXTRA": "1"})
    assert "of-the-person" not in child.values()
    assert child["EXTRA"] == "1"
    assert child["GOOGLE_CLOUD_PROJECT"] == "my-project"


def test_what_works_on_google_goes_by_the_persons_proxy_and_certificates(account, monkeypatch, tmp_path):
    space, mine = account
    user_credentials(tmp_path / "cloudsdk_config" / "application_default_credentials.json")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    own = {"HTTPS_PROXY": "http://proxy.company:3128", "no_proxy": "intranet", "SSL_CERT_FILE": "/company/ca.crt"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    made = target.connect(space, mine)
    assert own.items() <= made.child_environment().items()
    assert own.items() <= made.pulumi_environment.items()
    assert made.session().verify == "/company/ca.crt"
    assert made.session().trust_env  # no_proxy holds


def test_what_works_on_google_never_goes_by_a_local_cloud(account, monkeypatch, tmp_path):
    """Also in a shell that `local.env` made its client: whom it trusts and asks is not the world's."""
    space, mine = account
    user_credentials(tmp_path / "cloudsdk_config" / "application_default_credentials.json")
    local = {"https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "no_proxy": "localhost"}
    (tmp_path / "ports.json").write_text("{}", encoding="utf-8")
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    for name, value in {**local, **dict.fromkeys(names, str(tmp_path / "ca.pem"))}.items():
        monkeypatch.setenv(name, value)
    made = target.connect(space, mine)
    seen = {**made.child_environment(), **made.pulumi_environment}
    assert not {*local, *names} & seen.keys()
    session = made.session()
    settings = session.merge_environment_settings("https://x.googleapis.com", {}, None, None, None)
    assert not settings["proxies"]
    assert settings["verify"] != str(tmp_path / "ca.pem")


def test_a_session_with_a_proxy_of_its_own_ignores_the_persons(account, tmp_path, monkeypatch):
    _space, mine = account
    path = user_credentials(tmp_path / "key.json")
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "https_proxy": "http://127.0.0.1:1",
        "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
    }
    monkeypatch.setenv("https_proxy", "http://of-the-person:3128")
    session = target.Target(mine, environment, {}).session()
    assert session.proxies["https"] == "http://127.0.0.1:1"
    assert session.verify == environment["REQUESTS_CA_BUNDLE"]
    assert not session.trust_env


def runner_credentials(path, **changes):
    """What google-github-actions/auth writes on a runner."""
    base = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/cloudkite/providers/github",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "service_account_impersonation_url": f"{base}/ci-train@my-project.iam.gserviceaccount.com:generateAccessToken",
        "credential_source": {
            "url": "https://example.com/token",
            "headers": {"Authorization": "Bearer x"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
        **changes,
    }
    path.write_text(json.dumps({key: value for key, value in info.items() if value}), encoding="utf-8")
    return str(path)


def test_a_runner_without_a_key_acts_as_a_service_account(account, tmp_path, monkeypatch):
    space, mine = account
    path = runner_credentials(tmp_path / "gha-creds-1.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
    found = target.connect(space, mine)
    assert found.identity == "ci-train@my-project.iam.gserviceaccount.com"
    assert found.pulumi_environment["GOOGLE_APPLICATION_CREDENTIALS"] == path


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"service_account_impersonation_url": None}, "they name no service account to act as"),
        ({"credential_source": {"executable": {"command": "/bin/true"}}}, "can't be used"),
    ],
)
def test_credentials_of_a_runner_that_are_not_taken(account, tmp_path, monkeypatch, changes, said):
    space, mine = account
    path = runner_credentials(tmp_path / "gha-creds-1.json", **changes)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
    with pytest.raises(UserError, match=said) as refused:
        target.connect(space, mine).credentials  # noqa: B018
    assert refused.value.code == 4
