"""Forty things that people get wrong, as they type them: the error, the hint, the exit code; nothing is started."""

import io
import json
import shlex
from pathlib import Path

import pytest
from invoke.program import Program

import tasks
from cloudkite import workspace
from cloudkite.accounts import local, registry, settings
from cloudkite.trainers import making

CLONE = Path(__file__).resolve().parents[2]
OUTPUTS = {
    "schema": 1,
    "project": "my-project",
    "project_number": "123456789012",
    "region": "us-central1",
    "trainer": "trainer@my-project.iam.gserviceaccount.com",
    "submitter": "user:me@example.com",
    "buckets": {"data": "gs://d", "staging": "gs://s", "models": "gs://m"},
    "images": "us-central1-docker.pkg.dev/my-project/cloudkite",
    "budget": None,
    "quotas": {},
    "labels": {},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with an account that is set up, one that is not, one on Google, and a trainer."""
    space = workspace.throw_away(tmp_path_factory.mktemp("bad") / "state")
    for name, project in (("ready", "my-project"), ("bare", "bare-project")):
        described = settings.describe(project, target="local", budget=10, billing_account="012345-ABCDEF-012345")
        registry.add(space, name, described)
    (registry.load(space, "ready").state / "outputs.json").write_text(json.dumps(OUTPUTS), encoding="utf-8")
    (space.accounts / "Pulumi.broken.yaml").write_text("config: [", encoding="utf-8")
    (space.accounts / "Pulumi.remote.yaml").write_text("config: {gcp:project: my-project}\n", encoding="utf-8")
    making.new(space, "penguins")
    yield space
    if (space.localcloud / "server.json").exists():  # a case that should have been refused before
        local.run(space, "stop")


@pytest.fixture
def run(made, monkeypatch, capsys, tmp_path):
    """Run a command line in this process; gives (exit code, standard error)."""
    monkeypatch.setattr(workspace, "find", lambda: made)
    monkeypatch.setenv("CLOUDKITE_ACCOUNT", "ready")
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody at a terminal
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text)

    def call(line: str) -> tuple[int, str]:
        argv = ["invoke", *shlex.split(line)]
        monkeypatch.setattr("sys.argv", argv)
        with pytest.raises(SystemExit) as end:
            Program(namespace=tasks.ns).run(argv, exit=True)
            raise SystemExit(0)
        return int(end.value.code or 0), capsys.readouterr().err

    return call


FILES = {
    "good.csv": b"a,b,y\n" + b"".join(b"%d,%d,%s\n" % (i, i % 7, b"yes" if i % 3 else b"no") for i in range(60)),
    "korean.csv": "이름,점수\n김민지,90\n".encode("cp949"),
    "ragged.csv": b"a,b,y\n1,2,x\n1,2\n",
    "twice.csv": b"a,a,y\n1,2,x\n",
    "empty.csv": b"",
    "header.csv": b"a,b,y\n",
    "one.csv": b"a,y\n1,x\n2,x\n",
}

TRAIN = "train penguins"
CASES = [
    # accounts
    ("up --account nosuch", 2, "no account is called nosuch", "known: bare, broken, ready, remote"),
    ("down --account raedy", 2, "no account is called raedy", "did you mean ready?"),
    ("account.use nosuch", 2, "no account is called nosuch", "known:"),
    ("jobs --account broken", 2, "Pulumi.broken.yaml:1 isn't valid YAML", "compare with infra/examples/"),
    (
        "jobs --account remote",
        4,
        "not signed in to Google for account remote",
        "gcloud auth application-default login",
    ),
    ("account.add --local --name Big --project my-project", 2, "'Big' isn't a valid name for an account", "2 to 30"),
    ("account.add --local --name ready --project my-project", 2, "there is an account ready already", ""),
    ("account.add --local --name x1 --project X", 2, "gcp:project", ""),
    ("account.add --local --name x1 --project my-project --region us-centrall", 2, "us-centrall", "us-central1?"),
    ("account.add --local --name x1 --project my-project --tier gold", 2, "gold", "allowed are trial and paid"),
    (
        "account.add --local --name x1 --project my-project --budget ten",
        2,
        "budget must be a number, not 'ten'",
        "for example 10, 5EUR or 7000KRW",
    ),
    ("account.add --local --name x1 --project my-project --budget -5 --billing 012345-ABCDEF-012345", 2, "amount", ""),
    ("account.add --local --name x1 --project my-project --budget 5 --billing 12", 2, "billingAccount", ""),
    (
        "account.add --local --name x1 --project my-project --owner me",
        2,
        "cloudkite:owner is 'me'",
        "user:E-MAIL or serviceAccount:E-MAIL is needed",
    ),
    ("account.add", 2, "a value is missing: name for the account on this machine", "give it as an option"),
    ("local.env --account remote", 2, "account remote is on Google", "name one on the local cloud, such as local"),
    # trainers
    ("new Bad-Name!", 2, "Bad-Name!", ""),
    ("new penguins", 2, "penguins", ""),
    ("new x1 --data nosuch.csv --label y", 2, "nosuch.csv", ""),
    ("new x1 --data good.csv --label z", 2, "z", ""),
    (
        "new x1 --data good.csv",
        2,
        "which column of good.csv is to be predicted?",
        "add --label COLUMN, one of: a, b, y",
    ),
    ("new x1 --data korean.csv", 2, "which column of korean.csv is to be predicted?", "one of: 이름, 점수"),
    ("new x1 --data nosuch.csv", 2, "the file nosuch.csv doesn't exist", "--data"),
    (
        "new 성적표 --data good.csv --label y",
        2,
        "'성적표' isn't a valid name for a trainer",
        "; for example `uv run invoke new seongjeogpyo --data good.csv --label y`",
    ),
    ("new 'My Flowers'", 2, "'My Flowers'", "; for example `uv run invoke new my-flowers`"),
    ("new 3-Übungen_ --output 'a b'", 2, "", "; for example `uv run invoke new ubungen --output 'a b'`"),
    ("new class", 2, "'class' isn't a valid name for a trainer", "not a word that Python or Windows keeps"),
    ("new x1 --data korean.csv --label 점수", 2, "korean.csv: every label is 90", "one class"),
    ("new x1 --data ragged.csv --label y", 2, "ragged.csv", ""),
    ("new x1 --data twice.csv --label y", 2, "a", ""),
    ("new x1 --data empty.csv --label y", 2, "empty.csv", ""),
    ("new x1 --data header.csv --label y", 2, "header.csv", ""),
    ("new x1 --data one.csv --label y", 2, "y", ""),
    ("check nosuch", 2, "no trainer is called nosuch", "penguins"),
    ("check pengiuns", 2, "no trainer is called pengiuns", "did you mean penguins?"),
    # jobs
    ("train penguins --account bare", 1, "account bare is not set up", "uv run invoke up --account bare"),
    (f"{TRAIN} --machine n1-standard-5", 2, "n1-standard-5", "n1-standard-4"),
    (f"{TRAIN} --machine n1-standard-2", 2, "n1-standard-2", ""),
    (f"{TRAIN} --gpu t5", 2, "unknown accelerator T5", ""),
    (f"{TRAIN} --gpu t4 --gpus 3", 2, "3", ""),
    (f"{TRAIN} --gpus 2", 2, "--gpus", ""),
    (f"{TRAIN} --machine e2-standard-4 --gpu t4", 2, "e2-standard-4", ""),
    (f"{TRAIN} --workers 0", 2, "--workers must be 1 to 20, not 0", ""),
    (f"{TRAIN} --limit soon", 2, "--limit 'soon' isn't a duration", "for example 30m, 1h or 2h30m"),
    (f"{TRAIN} --limit 1m", 2, "--limit 1m is too short", "at least 5m"),
    (f"{TRAIN} --limit 9d", 2, "--limit 9d is too long", "at most 7d"),
    (f"{TRAIN} --max-cost free", 2, "--max-cost 'free' isn't an amount", "for example 0.50 or 2"),
    (f"{TRAIN} --max-cost=-1", 2, "--max-cost '-1' isn't an amount", "for example 0.50 or 2"),
    (f"{TRAIN} --max-cost 0.001", 2, "--max-cost 0.001 USD pays for less than 5 minutes", "--max-cost 0.02"),
    (f"{TRAIN} --limit 5h --max-cost 0.5", 2, "--limit 5h may cost", "fits"),
    (f"{TRAIN} -- --data nosuch.csv", 2, "--data nosuch.csv: no such file", "a path or gs:// address"),
    ("predict penguins", 2, "nothing to predict", "--row COLUMN=VALUE,... or --csv FILE"),
    ("predict penguins --row a=1 --csv x.csv", 2, "--row and --csv exclude each other", "--row COLUMN=VALUE"),
    ("predict penguins --row a=1", 1, "penguins", "uv run invoke fetch"),
    ("export penguins", 1, "penguins has no model yet", "uv run invoke fetch"),
    ("export pengiuns", 2, "no trainer and no fetched job is called pengiuns", "did you mean penguins?"),
    ("export penguins --language fr", 2, "--language fr isn't known", "known: en, ko"),
    ("export penguins --rows 0", 2, "--rows must be 1 or more, not 0", ""),
    ("tensorboard penguins --port 0", 2, "--port must be 1 to 65535, not 0", ""),
    ("bench --only nosuch", 2, "no measurement is called 'nosuch'", "uv run invoke bench --only up"),
]


@pytest.mark.parametrize(("line", "code", "error", "hint"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_is_told(run, line, code, error, hint):
    ended, said = run(line)
    message, _blank, advice = said.partition("\n\nhint: ")
    assert ended == code, said
    assert message.startswith("error: "), said
    assert error in message
    assert hint in advice
    assert "Traceback" not in said


def test_forty_mistakes_are_in_the_table():
    assert len(CASES) >= 40


def test_nothing_was_started_or_lost(made, run):
    before = sorted(p.name for p in made.trainers.iterdir())
    run("new x1 --data ragged.csv --label y")
    assert sorted(p.name for p in made.trainers.iterdir()) == before
    assert not (made.localcloud / "server.json").exists()
