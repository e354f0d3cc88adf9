"""What a new person's answers come to: another currency, a trial, regions abroad; a damaged file; Google's own way."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings
from cloudkite.journey import placing, start
from cloudkite.show.errors import BadValue, UserError
from cloudkite.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = workspace.throw_away(tmp_path_factory.mktemp("answers") / "state")
    yield made
    local.run(made, "stop")


@pytest.fixture
def home(cloud: Workspace, tmp_path: Path) -> Workspace:
    """A workspace with nothing in it, on the module's local cloud."""
    made = workspace.throw_away(tmp_path / "state")
    made.localcloud.symlink_to(cloud.localcloud, target_is_directory=True)
    workspace.private_folder(cloud.localcloud)
    return made


class Stopped(Exception):
    """The person has typed all that the test has for them."""


def type_in(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """A person at a terminal who types these; gives what they are asked."""
    keyboard, asked, left = io.StringIO(), [], list(answers)
    keyboard.isatty = lambda: True

    def read(question: str) -> str:
        asked.append(question)
        if not left:
            raise Stopped
        return left.pop(0)

    monkeypatch.setattr("sys.stdin", keyboard)
    monkeypatch.setattr("builtins.input", read)
    return asked


def test_a_payer_in_won_and_a_region_anywhere(home: Workspace, monkeypatch, capsys) -> None:
    opened = "--billing-account=won-project=ABCDEF-ABCDEF-000001:KRW"
    local.run(home, "start", "--project=won-project", opened)
    asked = type_in(
        monkeypatch,
        "won",
        "paid",
        "won-second",
        "y",
        "ABCDEF-ABCDEF-000001",
        "y",
        "yes",
        "",
        "5EUR",
        "7,000KRW",
        "",
        "me@x.org",
    )
    monkeypatch.setattr(start.setup, "set_up", _stop)
    with pytest.raises(Stopped):
        start.run(home, local=True)
    config = settings.read(home.accounts / "Pulumi.won.yaml")
    assert (config["gcp:project"], config["gcp:region"]) == ("won-second", "us-central1")
    assert config["cloudkite:budget"]["amount"] == 7000.0
    assert config["cloudkite:budget"]["currency"] == "KRW"
    assert config["cloudkite:budget"]["billingAccount"] == "ABCDEF-ABCDEF-000001"
    said = capsys.readouterr()
    assert "budget, such as 5EUR or 7000KRW: " in asked  # no default in a currency whose size isn't known
    assert "not in EUR" in said.err and "Linking a billing account means:" in said.out
    table = said.out[said.out.index("against the least") :].splitlines()
    shown = [line.split()[1] for line in table if line[:1].isdigit()]
    assert shown[:3] == ["us-central1", "us-east1", "us-west1"] and len(shown) == 6


def _stop(*_given: object, **_named: object) -> None:
    raise Stopped


def test_a_trial_pays_with_the_account_it_has(home: Workspace, monkeypatch, capsys) -> None:
    asked = type_in(monkeypatch, "student", "", "", "no", "EU", "", "", "", "me@x.org")
    monkeypatch.setattr(start.setup, "set_up", _stop)
    with pytest.raises(Stopped):
        start.run(home, local=True)
    account = registry.load(home, "student")
    assert (account.tier, account.project, account.region) == ("trial", "student-project", "europe-west1")
    assert not [question for question in asked if question.startswith("billing")]
    assert f"billing account {account.payer} pays for project student-project" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2, "answers": {}}', '{"version": 1, "answers": {"a": 1}}']
)
def test_a_damaged_file_is_told_and_begun_anew(home: Workspace, monkeypatch, text: str) -> None:
    (home.state / "start.json").write_text(text, encoding="utf-8")
    type_in(monkeypatch)
    with pytest.raises(UserError) as refused:
        start.run(home)
    assert refused.value.message == f"{home.state / 'start.json'} can't be read"
    assert refused.value.hint == "uv run invoke start --again asks everything anew"
    with pytest.raises(Stopped):
        start.run(home, again=True)


def test_local_is_not_mixed_with_what_was_answered_of_google(home: Workspace, monkeypatch) -> None:
    type_in(monkeypatch, "google")
    with pytest.raises(Stopped):
        start.run(home)
    with pytest.raises(BadValue) as refused:
        start.run(home, local=True)
    assert refused.value.hint == "uv run invoke start --local --again"


def test_regions_of_a_country_are_by_price_and_those_with_gpus_first() -> None:
    from catalog.regions import regions_of

    assert placing.by_price(regions_of("Japan")) == ["asia-northeast1", "asia-northeast2"]
    assert regions_of("KR") == regions_of("korea") == ["asia-northeast3"]
    assert "europe-west2" not in regions_of("eu") and "europe-west3" in regions_of("EU")
    assert regions_of("united") == [] and regions_of("") == [] and regions_of("a") == []


GCLOUD = """#!{python}
import json, os, shutil, sys
folder = os.environ["CLOUDSDK_CONFIG"]
file = os.path.join(folder, "application_default_credentials.json")
with open("{log}", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if "login" in sys.argv:
    shutil.copy("{adc}", file)
else:
    kept = json.load(open(file))
    json.dump({{**kept, "quota_project_id": sys.argv[-2]}}, open(file, "w"))
"""


@pytest.mark.skipif(os.name == "nt", reason="a script is a program by its first line only where there is one")
def test_an_account_on_google_is_signed_in_for_itself(home: Workspace, monkeypatch, tmp_path: Path, capsys) -> None:
    """Google's own way, to a local cloud that this network's proxy leads to: gcloud's sign-in, project, billing."""
    local.run(
        home, "start", "--project=my-first-project", "--billing-account=my-first-project=0A0A0A-0A0A0A-0A0A0A:EUR"
    )
    status = json.loads(local.run(home, "status", "--json"))
    bundle = shutil.copy(home.localcloud / "ca.pem", tmp_path / "company.pem")
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{status['proxy']}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    programs, log = tmp_path / "bin", tmp_path / "gcloud.log"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    # Without gcloud: the way to it, and Enter looks again. There it is left, and come back to.
    asked = type_in(monkeypatch, "google", "first", "paid", "")
    with pytest.raises(Stopped):
        start.run(home)
    assert asked[-1].startswith("press Enter when it is there") and len(asked) == 5
    said = capsys.readouterr().out
    assert "not signed in to Google for account first" in said and "https://shell.cloud.google.com" in said
    adc = home.localcloud / "projects" / "my-first-project" / "adc.json"
    (programs / "gcloud").write_text(GCLOUD.format(python=sys.executable, adc=adc, log=log), encoding="utf-8")
    (programs / "gcloud").chmod(0o755)
    asked = type_in(
        monkeypatch, "cloudkite-first", "y", "0A0A0A-0A0A0A-0A0A0A", "y", "yes", "2", "5EUR", "user:me@x.org", ""
    )
    monkeypatch.setattr(start.setup, "set_up", _stop)
    with pytest.raises(Stopped):
        start.run(home)
    said = capsys.readouterr().out
    assert "signed in as owner@my-first-project.iam.gserviceaccount.com" in said
    assert "who submits jobs [serviceAccount:owner@my-first-project.iam.gserviceaccount.com]: " in asked
    account = registry.load(home, "first")
    own = account.state / "gcloud" / "application_default_credentials.json"
    assert account.costs_money and account.project == "cloudkite-first" and account.region == "us-east1"
    assert json.loads(own.read_text(encoding="utf-8"))["quota_project_id"] == "cloudkite-first"
    assert log.read_text(encoding="utf-8").splitlines() == [
        "auth application-default login --disable-quota-project",
        "auth application-default set-quota-project cloudkite-first --quiet",
    ]
    assert settings.read(account.settings)["cloudkite:budget"] == {
        "billingAccount": "0A0A0A-0A0A0A-0A0A0A", "amount": 5.0, "currency": "EUR", "thresholds": [0.5, 0.9, 1.0],
        "emails": ["me@x.org"],
    }  # fmt: skip
