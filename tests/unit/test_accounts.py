"""Accounts: what is read from a settings file, and what is refused."""

import json
import stat
import sys

import pytest

from cloudkite import workspace
from cloudkite.accounts import registry, settings
from cloudkite.engine.folder import Folder
from cloudkite.journey import reach, setup
from cloudkite.show.errors import BadValue, UserError
from infra.outputs import Budget, Outputs

GOOD = "config:\n  gcp:project: my-project\n  cloudkite:target: local\n"


@pytest.fixture
def space(tmp_path):
    made = workspace.throw_away(tmp_path / "state")
    (made.accounts / "Pulumi.first.yaml").write_text(GOOD, encoding="utf-8")
    return made


def test_an_account_is_its_settings_file(space):
    account = registry.load(space, "first")
    assert (account.project, account.target, account.region) == ("my-project", "local", "us-central1")
    assert account.budget is None
    assert not account.costs_money
    assert registry.names(space) == ["first"]


def test_adding_an_account_never_switches_to_it(space):
    registry.use(space, "first")
    described = settings.describe("other-project", target="local", budget=5, billing_account="012345-ABCDEF-012345")
    registry.add(space, "second", described)
    assert registry.current(space) == "first"
    second = registry.load(space, "second")
    assert (second.budget, second.currency) == (5.0, "USD")


PAYER = "012345-ABCDEF-012345"
BUDGET = GOOD + f"  cloudkite:budget: {{billingAccount: {PAYER}, amount: 50000}}\n"
WON = {"name": f"billingAccounts/{PAYER}/budgets/1", "amount": 50000, "currency": "KRW"}


@pytest.mark.parametrize(
    ("settings", "outputs", "currency"),
    [
        (BUDGET.replace("}", ", currency: EUR}"), "", "EUR"),
        (BUDGET.replace("}", ", currency: EUR}"), json.dumps({"budget": WON}), "EUR"),
        (BUDGET, json.dumps({"budget": WON}), "KRW"),
        (BUDGET.replace("}", ", currency: }"), json.dumps({"budget": WON}), "KRW"),
        (BUDGET, "", None),  # never set up
        (BUDGET, "{", None),
        (BUDGET, "[]", None),
        (BUDGET, "{}", None),  # set up before it had a budget
        (BUDGET, json.dumps({"budget": None}), None),
        (BUDGET, json.dumps({"budget": WON | {"currency": None}}), None),
        (BUDGET.replace(PAYER, "ABCDEF-012345-ABCDEF"), json.dumps({"budget": WON}), None),  # another one pays now
        (GOOD, json.dumps({"budget": WON}), None),
    ],
)
def test_a_budgets_currency_is_the_settings_else_what_up_read(space, settings, outputs, currency):
    (space.accounts / "Pulumi.x.yaml").write_text(settings, encoding="utf-8")
    if outputs:
        (registry.load(space, "x").state / "outputs.json").write_text(outputs, encoding="utf-8")
    assert registry.load(space, "x").currency == currency


def test_the_list_says_that_a_currency_is_unknown(space, capsys, monkeypatch):
    monkeypatch.setenv("CLOUDKITE_ACCOUNT", "x")
    (space.accounts / "Pulumi.x.yaml").write_text(BUDGET, encoding="utf-8")
    setup.list_accounts(space)
    assert "50,000.00 (unknown currency)" in capsys.readouterr().out
    setup.list_accounts(space, as_json=True)
    [first, listed] = json.loads(capsys.readouterr().out)
    assert (first["budget"], first["currency"]) == (None, None)
    assert (listed["budget"], listed["currency"]) == (50000, None)


def test_the_environment_variable_chooses_for_one_command(space, monkeypatch):
    monkeypatch.setenv("CLOUDKITE_ACCOUNT", "first")
    assert registry.load(space).name == "first"


def test_a_google_account_keeps_its_state_outside_the_clone(space, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (space.accounts / "Pulumi.paid.yaml").write_text("config:\n  gcp:project: my-project\n", encoding="utf-8")
    account = registry.load(space, "paid")
    assert account.costs_money
    assert space.home not in account.state.parents
    if sys.platform != "win32":
        assert stat.S_IMODE(account.state.stat().st_mode) == 0o700


def test_an_account_that_is_not_set_up_says_so(space):
    with pytest.raises(UserError) as refused:
        registry.load(space, "first").outputs()
    assert refused.value.message == "account first is not set up"
    assert refused.value.hint == "uv run invoke up --account first"


PROJECT = "a project id is needed: 6 to 30 lower-case letters, digits and hyphens, starting with a letter"
COMPARE = "compare with infra/examples/"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("config:\n  gcp:project: Bad\n", f"Pulumi.x.yaml: gcp:project is 'Bad'; {PROJECT}", COMPARE),
        ("config:\n  gcp:region: us-central1\n", f"Pulumi.x.yaml: gcp:project is missing; {PROJECT}", COMPARE),
        ("config: [1, 2\n", "Pulumi.x.yaml:2 isn't valid YAML", "compare with infra/examples/"),
        ("hello\n", "Pulumi.x.yaml has no `config:`", "compare with infra/examples/"),
        ("", "Pulumi.x.yaml has no `config:`", "compare with infra/examples/"),
        (
            GOOD.replace("local", "moon"),
            "Pulumi.x.yaml: cloudkite:target is 'moon'; allowed are google and local",
            COMPARE,
        ),
        (GOOD + "  cloudkite:budget: 5\n", "Pulumi.x.yaml: cloudkite:budget is 5; a mapping is needed", COMPARE),
        (
            BUDGET.replace("50000", "'50000'"),  # a budget that is not read is no budget
            "Pulumi.x.yaml: cloudkite:budget.amount is '50000'; a number above 0 is needed: the budget of a month",
            COMPARE,
        ),
    ],
)
def test_settings_that_cannot_be(space, text, message, hint):
    (space.accounts / "Pulumi.x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        registry.load(space, "x")
    assert refused.value.message == message
    assert refused.value.hint.startswith(hint)
    assert refused.value.code == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("firts", "no account is called firts"),
        ("../first", "no account is called ../first"),
        ("", None),
    ],
)
def test_an_unknown_account_is_named(space, name, message):
    with pytest.raises(UserError) as refused:
        registry.load(space, name)
    assert refused.value.message == (message or "no account is called local")
    assert refused.value.code == 2
    if name == "firts":
        assert refused.value.hint == "did you mean first?"


@pytest.mark.parametrize("name", ["A", "a", "has space", "1st", "x" * 40, "trailing-"])
def test_a_bad_name_for_an_account_is_refused(space, name):
    with pytest.raises(UserError, match="isn't a valid name for an account"):
        registry.add(space, name, settings.describe("my-project"))


def test_an_account_is_not_overwritten(space):
    with pytest.raises(UserError, match="there is an account first already"):
        registry.add(space, "first", settings.describe("my-project"))
    assert (space.accounts / "Pulumi.first.yaml").read_text(encoding="utf-8") == GOOD


SHARED = "project my-project is account first's: each account needs a project of its own"


def test_a_project_is_one_accounts(space):
    with pytest.raises(UserError) as refused:
        registry.add(space, "second", settings.describe("my-project", target="local"))
    assert (refused.value.message, refused.value.code) == (SHARED, 2)
    assert refused.value.hint == "uv run invoke account.use first, or give second another project"
    assert registry.names(space) == ["first"]
    registry.add(space, "second", settings.describe("my-project"))  # Google's, which is another than the local cloud's


def test_up_takes_no_project_that_another_account_is_set_up_in(space):
    """Also where the files were written by hand; who comes first may set it up."""
    (space.accounts / "Pulumi.second.yaml").write_text(GOOD, encoding="utf-8")
    first, second = (registry.load(space, name) for name in ("first", "second"))
    reach.refuse_shared(space, second)
    first.outputs_file.write_text("{}", encoding="utf-8")
    reach.refuse_shared(space, first)
    with pytest.raises(UserError, match=SHARED):
        reach.refuse_shared(space, second)
    first.outputs_file.unlink()  # after `down` its data and models are still there
    state = first.state / "state" / ".pulumi" / "stacks" / "cloudkite" / "first.json"
    assert state == Folder(first).checkpoint
    state.parent.mkdir(parents=True)
    bucket = {"type": "gcp:storage/bucket:Bucket", "urn": "urn:pulumi:first::cloudkite::x::data", "custom": True}
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": [bucket]}}}), encoding="utf-8")
    with pytest.raises(UserError, match=SHARED):
        reach.refuse_shared(space, second)


def test_broken_outputs_are_named(space):
    account = registry.load(space, "first")
    (account.state / "outputs.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"outputs\.json can't be read"):
        account.outputs()


def test_what_was_found_right_is_not_checked_again_until_it_changes(space, monkeypatch):
    path = space.accounts / "Pulumi.first.yaml"
    registry.load(space, "first")

    def fail(*_anything):
        raise AssertionError("checked once more")

    with monkeypatch.context() as patched:
        patched.setattr(settings, "check", fail)
        assert registry.load(space, "first").project == "my-project"
        path.write_text(GOOD.replace("my-project", "Bad"), encoding="utf-8")
        with pytest.raises(AssertionError, match="checked once more"):
            registry.load(space, "first")
    with pytest.raises(UserError, match="gcp:project is 'Bad'"):
        registry.load(space, "first")
    path.write_text(GOOD, encoding="utf-8")
    (space.state / "settings" / "first.json").write_text("{", encoding="utf-8")
    assert registry.load(space, "first").project == "my-project"


def test_a_described_account_tells_editors_its_schema(space):
    path = registry.add(space, "second", settings.describe("other-project")).settings
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == workspace.CLONE / "infra" / "settings.schema.json"


def test_a_description_with_a_mistake_writes_nothing(space):
    with pytest.raises(UserError, match="gcp:region is 'mars'"):
        registry.add(space, "second", settings.describe("other-project", "mars"))
    assert registry.names(space) == ["first"]


OUTPUTS = {
    "schema": 1, "project": "p", "project_number": "1", "region": "r", "trainer": "t", "submitter": "",
    "buckets": {"data": "gs://d"}, "images": "i", "labels": {}, "quotas": {},
}  # fmt: skip


def test_outputs_are_read_as_they_were_exported():
    made = Outputs.read({**OUTPUTS, "budget": WON})
    assert made.budget == Budget(WON["name"], 50000, "KRW")
    assert Outputs.read(made.exported()) == made
    assert Outputs.read(Outputs.read(OUTPUTS).exported()).budget is None


@pytest.mark.parametrize(
    ("change", "how"),
    [
        ({"schema": 2}, "schema 2, not 1"),
        ({"buckets": "gs://d"}, "buckets is 'gs://d'"),
        ({"region": 1}, "region is 1"),
    ],
)
def test_outputs_of_another_version_are_not_used(space, change, how):
    account = registry.load(space, "first")
    account.outputs_file.write_text(json.dumps({**OUTPUTS, **change}), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        account.outputs()
    assert refused.value.message == f"the outputs of account first are of another version of this program: {how}"


def test_outputs_that_lack_something_say_what(space):
    account = registry.load(space, "first")
    (account.state / "outputs.json").write_text('{"project": "p"}', encoding="utf-8")
    with pytest.raises(UserError, match="lack 'project_number'"):
        account.outputs()


PUT = [
    ("config:\n  gcp:project: my-project\n", "config:\n  cloudkite:a: 'b'\n  gcp:project: my-project\n"),
    (
        "# of mine\nconfig:  # all\n\n  # first\n  gcp:project: my-project # x\n",
        "# of mine\nconfig:  # all\n\n  # first\n  cloudkite:a: 'b'\n  gcp:project: my-project # x\n",
    ),
    ("config:\n    cloudkite:a: old\n    x: 1\n", "config:\n    cloudkite:a: 'b'\n    x: 1\n"),
    ("a: 1\nconfig:\n\n  x: 1\nb: 2\n", "a: 1\nconfig:\n\n  cloudkite:a: 'b'\n  x: 1\nb: 2\n"),
]


@pytest.mark.parametrize("before, after", PUT)
def test_one_key_is_put_into_a_settings_file_and_all_else_stays(tmp_path, before, after):
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(before, encoding="utf-8")
    settings.put(path, "cloudkite:a", "b")
    assert path.read_text(encoding="utf-8") == after
    settings.put(path, "cloudkite:a", "b")
    assert path.read_text(encoding="utf-8") == after


@pytest.mark.parametrize("text", ["config: {gcp:project: my-project}\n", "{config: {a: 1}}\n"])
def test_where_there_is_no_line_to_put_it_nothing_is_written(tmp_path, text):
    path = tmp_path / "Pulumi.x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadValue) as refused:
        settings.put(path, "cloudkite:a", "b")
    assert refused.value.message == f"cloudkite:a can't be written into {path}"
    assert refused.value.hint == "put this line below `config:`: cloudkite:a: 'b'"
    assert path.read_text(encoding="utf-8") == text
