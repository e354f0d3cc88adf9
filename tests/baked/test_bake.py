"""What the template generates: exactly these files, clean, and nothing of this machine."""

from __future__ import annotations

import ast
import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import invoke
import pytest

from cloudkite import workspace
from cloudkite.bench import matrix
from cloudkite.show.errors import BadValue
from cloudkite.trainers import making
from cloudkite.workspace import CLONE, Workspace
from tests.baked.conftest import clean_environment

FILES = {
    ".gitignore", ".template.json", "notebook.ipynb", "README.md", "README.ko.md", "pyproject.toml", "tasks.py",
    "tuning.toml", "data/README.md", "data/penguins.csv",
    "tests/conftest.py", "tests/test_job.py", "tests/test_run.py", "tests/test_streams.py",
    "trainer/__init__.py", "trainer/data.py", "trainer/experiment.py", "trainer/model.py", "trainer/task.py",
    "trainer/kit/__init__.py", "trainer/kit/export.py", "trainer/kit/job.py", "trainer/kit/prepare.py",
    "trainer/kit/resume.py", "trainer/kit/rows.py", "trainer/kit/tell.py",
}  # fmt: skip


DATA = {
    "classes": {"data/penguins.csv"}, "number": {"data/penguins.csv"}, "yes-no": {"data/penguins.csv"},
    "images": {"data/digits.npz"}, "series": {"data/co2.csv"},
    "text": {"data/names.csv", "data/UNICODE-LICENSE"}, "korean": {"data/names.csv", "data/UNICODE-LICENSE"},
}  # fmt: skip


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_exact_set_of_files(penguins: Path):
    assert files(penguins) == FILES


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trainer of each kind, as `invoke new` makes them; the models differ, too."""
    space = workspace.throw_away(tmp_path_factory.mktemp("kinds"))
    models = zip(DATA, itertools.cycle(making.MODELS), strict=False)
    return {kind: making.new(space, kind, kind=kind, model=model).folder for kind, model in models}


def test_the_kinds_and_models_are_those_of_the_template():
    asked = json.loads((CLONE / "template" / "trainer" / "cookiecutter.json").read_text(encoding="utf-8"))
    assert (asked["kind"], asked["model"]) == (list(making.KINDS), list(making.MODELS))
    names = [path.name for path in (CLONE / "template").rglob("*")]
    assert not [name for name in names if set(name) & set('<>:"/\\|?*') or name[-1] in ". "]  # not on Windows
    assert set(DATA) == set(making.KINDS)


@pytest.mark.parametrize(("kind", "model"), [*zip(DATA, itertools.cycle(making.MODELS), strict=False)])
def test_cookiecutter_alone_makes_the_same(baked: dict[str, Path], tmp_path: Path, kind: str, model: str):
    words = ["-m", "cookiecutter", str(CLONE / "template"), "--no-input", "--default-config", "-o", str(tmp_path)]
    home = clean_environment(HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    answers = [f"name={kind}", f"kind={kind}", f"model={model}"]
    subprocess.run([sys.executable, *words, *answers], check=True, env=home, capture_output=True, cwd=tmp_path)
    expected = FILES - {"data/penguins.csv"} | DATA[kind]
    assert files(tmp_path / kind) == files(baked[kind]) == expected
    for name in expected - {"pyproject.toml"}:  # `home` differs: the other trainer lives outside the clone
        assert (tmp_path / kind / name).read_bytes() == (baked[kind] / name).read_bytes()


@pytest.mark.parametrize("name", ["My Flowers", "꽃", "class", "con", '"', "x-"])
def test_cookiecutter_alone_refuses_the_names_that_new_refuses(tmp_path: Path, name: str):
    (tmp_path / "mine").write_text("kept", encoding="utf-8")
    words = ["-m", "cookiecutter", str(CLONE / "template"), "--no-input", "--default-config", "-o", str(tmp_path)]
    home = clean_environment(HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    done = subprocess.run(
        [sys.executable, *words, f"name={name}"], env=home, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"error: {name!r} isn't a valid name for a trainer\n\nhint: lowercase letters" in done.stderr
    with pytest.raises(BadValue) as caught:
        making.check_name(name)
    assert f"error: {caught.value.message}\n\nhint: {caught.value.hint}\n" in done.stderr
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"mine"}


def test_few_questions_and_no_hook_that_changes_anything():
    questions = json.loads((CLONE / "template" / "trainer" / "cookiecutter.json").read_text(encoding="utf-8"))
    asked = [name for name in questions if not name.startswith("_")]
    assert len(asked) <= 6
    assert set(questions["__prompts__"]) == set(asked)
    (hook,) = (CLONE / "template" / "trainer" / "hooks").iterdir()
    assert hook.name == "pre_gen_project.py"
    source = hook.read_text(encoding="utf-8").replace("{{ cookiecutter.name | tojson }}", "''")
    names = {node.names[0].name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)}
    assert names == {"keyword", "re", "sys"}  # nothing that writes or deletes


def test_what_was_left_in_the_template_is_not_generated(tmp_path: Path):
    template = tmp_path / "template"
    shutil.copytree(CLONE / "template" / "trainer", template, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    package = template / "{{cookiecutter.name}}" / "trainer"
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"\xf7")
    assert files(making.bake(template, "penguins", tmp_path / "out")) == FILES


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]])
def test_ruff_by_the_trainers_own_rules(baked: dict[str, Path], words: list[str]):
    for folder in baked.values():
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_kind_tells_where_its_data_come_from_and_how_well_it_does(baked: dict[str, Path]):
    licences = dict.fromkeys(making.KINDS, "CC0 1.0") | {"images": "CC BY 4.0", "series": "public domain"}
    licences |= dict.fromkeys(("text", "korean"), "Unicode License V3")
    for kind, folder in baked.items():
        said = (folder / "data" / "README.md").read_text(encoding="utf-8")
        assert f"- Licence: {licences[kind]}" in said and "- Source: " in said and "{" not in said
        assert all(matrix.expected(folder, model).low > 0 for model in making.MODELS)
    text = (baked["images"] / "trainer" / "model.py").read_text(encoding="utf-8")
    assert 'MODEL, LAYERS, UNITS = "mlp", 2, 64' in text and 'WINDOW = ""' in text
    text = (baked["number"] / "trainer" / "model.py").read_text(encoding="utf-8")
    assert 'MODEL, LAYERS, UNITS = "linear", 2, 64' in text


def test_what_a_person_types_is_no_template(space: Workspace):
    made = making.bake(CLONE / "template" / "trainer", "odd", space.trainers, "{{ 7 * 7 }} {% raw %}")
    settings = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["description"] == "{{ 7 * 7 }} {% raw %}"


def test_the_project_pins_exactly_and_knows_the_clone(penguins: Path):
    project = tomllib.loads((penguins / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == "penguins"
    assert project["project"]["dependencies"] == [
        "tensorflow-cpu==2.21.0 ; sys_platform == 'linux' and platform_machine == 'x86_64'",
        "tensorflow==2.21.0 ; sys_platform != 'linux' or platform_machine != 'x86_64'",
        "keras==3.15.1",
    ]
    assert project["tool"]["cloudkite"]["home"] == str(CLONE)


def test_the_columns_can_be_read_without_running_anything(penguins: Path):
    tree = ast.parse((penguins / "trainer" / "data.py").read_text(encoding="utf-8"))
    names = [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
    assert names == ["COLUMNS", "HEADERS", "LABEL", "CLASSES", "DATA", "GROUP", "TIME", "WEIGHT", "RANGES"]
    assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)


def test_the_data_are_the_344_penguins_with_source_and_licence(penguins: Path):
    rows = list(csv.DictReader((penguins / "data" / "penguins.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 344
    assert sum("" in row.values() for row in rows) == 11
    assert not any("NA" in row.values() for row in rows)
    told = (penguins / "data" / "README.md").read_text(encoding="utf-8")
    assert "CC0 1.0" in told and "palmerpenguins" in told


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_readmes_name_every_module(penguins: Path, name: str):
    text = (penguins / name).read_text(encoding="utf-8")
    assert "cookiecutter" not in text
    for path in sorted(FILES):
        if path.startswith("trainer/") and path != "trainer/__init__.py":
            assert f"| {'trainer/kit/' if path.startswith('trainer/kit/') else path} |" in text


def test_the_wheel_is_pure_and_without_data(penguins: Path, tmp_path: Path):
    from uv import find_uv_bin

    words = [find_uv_bin(), "build", "--wheel", "--offline", "-o", str(tmp_path)]
    subprocess.run(words, check=True, cwd=penguins, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == "penguins-0.1.0-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    modules = {name for name in FILES if name.startswith("trainer/")}
    assert modules == {name for name in names if name.startswith("trainer/") and not name.endswith("/")}
    assert not any("data/" in name or "tests" in name for name in names)


@pytest.mark.parametrize(
    "name", ["", "Penguins", "1st", "-x", "x-", "x_", "a b", "a/b", "../up", "펭귄", "class", "con", "x" * 41, "a.b"]
)
def test_bad_names(space: Workspace, name: str):
    with pytest.raises(BadValue) as caught:
        making.new(space, name)
    assert caught.value.message == f"{name!r} isn't a valid name for a trainer"
    assert caught.value.hint.startswith("lowercase letters, digits, - and _")
    assert caught.value.code == 2
    assert not any(space.trainers.iterdir())


def test_a_folder_that_is_there_is_left_alone(space: Workspace):
    (space.trainers / "taken").mkdir()
    with pytest.raises(BadValue, match="is there already"):
        making.new(space, "taken")
    assert files(space.trainers / "taken") == set()


def _without_the_clone(folder: Path) -> tuple[str, dict[str, str]]:
    """A Python that has Invoke and nothing else of the clone's environment, and the variables for it."""
    for path in Path(invoke.__file__).parents[1].glob("invoke*"):
        shutil.copytree(path, folder / "only" / path.name)
    python = Path(sys.base_prefix, "python.exe" if os.name == "nt" else "bin/python3")
    return str(python), {"PYTHONPATH": str(folder / "only")}


@pytest.mark.parametrize("by", ["home", "variable"])
def test_the_tasks_of_the_clone_work_in_a_trainer_elsewhere(space: Workspace, tmp_path: Path, by: str):
    folder = making.new(space, "far", output=tmp_path / "elsewhere").folder
    more = {}
    if by == "variable":
        settings = folder / "pyproject.toml"
        text = settings.read_text(encoding="utf-8").replace(f"home = {json.dumps(str(CLONE))}", 'home = ""')
        settings.write_text(text, encoding="utf-8")
        python, alone = _without_the_clone(tmp_path)
        done = subprocess.run(
            [python, "-m", "invoke", "--list"],
            cwd=folder,
            env=clean_environment(**alone),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "error: the Cloudkite clone of this trainer was not found\n\nhint: " in done.stderr
        more = {"CLOUDKITE_HOME": str(CLONE)}
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"],
        cwd=folder,
        env=clean_environment(**more),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {"check", "new", "train"} <= {line.split()[0] for line in done.stdout.splitlines() if line.strip()}


@pytest.mark.parametrize("by", ["the clone's environment", "the trainer's environment"])
def test_the_tasks_of_the_clone_work_by_either_environment(space: Workspace, tmp_path: Path, by: str):
    """`uv run --project CLONE invoke`, and `uv run invoke` in the trainer's folder, which hands over to that."""
    folder = making.new(space, "far", output=tmp_path / "elsewhere").folder
    settings = folder / "pyproject.toml"
    named = f"home = {json.dumps(str(CLONE))}"
    if by == "the clone's environment":
        settings.write_text(settings.read_text(encoding="utf-8").replace(named, 'home = ""'), encoding="utf-8")
        python, more = sys.executable, {}
    else:
        from uv import find_uv_bin

        assert "invoke==3.0.3" in tomllib.loads(settings.read_text(encoding="utf-8"))["dependency-groups"]["dev"]
        python, more = _without_the_clone(tmp_path)
        more |= {"UV": find_uv_bin(), "UV_NO_SYNC": "1", "UV_OFFLINE": "1"}
    done = subprocess.run(
        [python, "-m", "invoke", "predict", "."],
        cwd=folder,
        env=clean_environment(**more),
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines()[-3:] == [
        "error: nothing to predict",
        "",
        "hint: --row COLUMN=VALUE,... or --csv FILE",
    ]
    assert done.returncode == 2
