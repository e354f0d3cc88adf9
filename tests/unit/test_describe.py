"""`account.add` at a terminal: each answer is checked when it is given, and a mistake costs none of the others."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.accounts import registry, settings
from cloudkite.journey.describe import Answers, add_account
from cloudkite.show.errors import BadValue
from cloudkite.workspace import Workspace


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """A workspace with one account on the local cloud, and one on Google."""
    made = workspace.throw_away(tmp_path / "state")
    registry.add(made, "first", settings.describe("first-project", target="local"))
    registry.add(made, "paid", settings.describe("paid-project"))
    return made


def type_in(monkeypatch: pytest.MonkeyPatch, *answers: str | type[BaseException]) -> list[str]:
    """A person at a terminal who types these; gives what they are asked."""
    keyboard, asked, left = io.StringIO(), [], list(answers)
    keyboard.isatty = lambda: True

    def read(question: str) -> str:
        asked.append(question)
        answer = left.pop(0)
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr("sys.stdin", keyboard)
    monkeypatch.setattr("builtins.input", read)
    return asked


def files(space: Workspace) -> list[str]:
    return sorted(path.name for path in space.accounts.rglob("*") if path.is_file())


def test_each_wrong_answer_is_asked_again_with_its_reason(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = type_in(
        monkeypatch,
        "A", "first", "second", "Second Project", "paid-project", "second-project", "free", "paid", "me@example.com",
        "user:me@example.com", "1234", "012345-ABCDEF-012345", "ten", "0", "20", "won", "KRW", "me", "",
    )  # fmt: skip
    add_account(space, Answers(), local=False)
    made = registry.load(space, "second")
    assert (made.target, made.project, made.tier, made.owner) == (
        "google",
        "second-project",
        "paid",
        "user:me@example.com",
    )
    assert (made.budget, made.currency, made.region) == (20.0, "KRW", "us-central1")
    assert settings.read(made.settings)["cloudkite:budget"]["emails"] == ["me@example.com"]
    said = capsys.readouterr()
    reasons = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert reasons == [
        "error: 'A' isn't a valid name for an account",
        "error: there is an account first already",
        "error: gcp:project is 'Second Project'",
        "error: project paid-project is account paid's: each account needs a project of its own",
        "error: cloudkite:tier is 'free'",
        "error: cloudkite:owner is 'me@example.com'",
        "error: cloudkite:budget.billingAccount is '1234'",
        "error: budget must be a number, not 'ten'",
        "error: cloudkite:budget.amount is 0.0",
        "error: cloudkite:currency is 'won'".replace("currency", "budget.currency"),
        "error: cloudkite:budget.emails is ['me']",
    ]
    assert said.err.count("\nhint: ") == len(reasons)
    assert len(asked) == 19
    assert said.out.endswith("next: uv run invoke up --account second\n")


@pytest.mark.parametrize("end", [KeyboardInterrupt, EOFError])
def test_ctrl_c_and_ctrl_d_leave_nothing_behind(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    before = files(space)
    type_in(monkeypatch, "second", "second-project", "paid", end)
    with pytest.raises(KeyboardInterrupt):
        add_account(space, Answers(), local=False)
    assert files(space) == before


def test_an_account_on_the_local_cloud_needs_a_name_and_no_more(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = type_in(monkeypatch, "mine")
    add_account(space, Answers(), local=True)
    made = registry.load(space, "mine")
    assert len(asked) == 1
    assert (made.target, made.project, made.tier, made.budget) == ("local", "mine-project", "paid", 10.0)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nor does it where nobody can answer
    add_account(space, Answers(tier="trial"), local=True)
    assert registry.load(space, "practice").tier == "trial"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (Answers(name="x1", project="Bad"), "gcp:project is 'Bad'", "a project id is needed: "),
        (Answers(name="x1", region="mars"), "gcp:region is 'mars'", "a region with custom training is needed"),
        (Answers(name="x1", budget="ten"), "budget must be a number, not 'ten'", "for example 10"),
        (Answers(name="first"), "there is an account first already", "uv run invoke account.use first"),
        (Answers(name="x1", tier="free"), "cloudkite:tier is 'free'", "allowed are trial and paid"),
    ],
)
def test_a_wrong_option_ends_it_before_anything_is_asked(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, given: Answers, message: str, hint: str
) -> None:
    asked, before = type_in(monkeypatch), files(space)
    with pytest.raises(BadValue) as refused:
        add_account(space, given, local=False)
    assert (refused.value.message, asked, files(space)) == (message, [], before)
    assert refused.value.hint.startswith(hint)
