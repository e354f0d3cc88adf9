"""The trainer's notebook runs from a clean machine to a plot without an edit: in Jupyter, and as on Colab.

`google.colab` is played by a start-up file of the kernel: what the cells use of it, and no more.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from cloudkite import workspace
from cloudkite.trainers import making
from environments import environment
from tests.baked.conftest import Run, clean_environment, told

pytestmark = pytest.mark.slow

KERNEL = ("nbclient==0.11.0", "ipykernel==7.4.0")
COLAB = """
import sys, types
from pathlib import Path
colab = types.ModuleType("google.colab")
colab.drive = types.SimpleNamespace(mount=lambda place: print("Mounted at", place))
colab.files = types.SimpleNamespace(download=lambda path: print("downloads", Path(path).name))
colab.userdata = types.SimpleNamespace(get=lambda name: "secret-" + name)
sys.modules["google.colab"] = colab
"""


@dataclass(frozen=True)
class Ran:
    """A notebook that was executed: what each code cell printed, and the pictures it drew."""

    printed: list[str]
    drawn: list[str]


def execute(python: Path, notebook: Path, ipython: Path, **more: str) -> Ran:
    """Run all cells as `jupyter execute` does; a cell that fails raises. `ipython` is the kernel's settings folder."""
    out = notebook.with_name("ran.ipynb")
    script = "from nbclient.cli import NbClientApp; NbClientApp.launch_instance()"
    words = [str(python), "-c", script, "--output", out.stem, "--timeout", "280", notebook.name]
    env = clean_environment(
        IPYTHONDIR=str(ipython),
        JUPYTER_PATH=str(python.parent.parent / "share/jupyter"),
        JUPYTER_PLATFORM_DIRS="1",
        **more,
    )
    done = subprocess.run(words, cwd=notebook.parent, env=env, capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, done.stderr[-3000:]
    cells: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["cells"]
    outputs = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
    printed = ["".join("".join(one.get("text", ())) for one in some) for some in outputs]
    drawn = [one["data"]["image/svg+xml"] for some in outputs for one in some if "image/svg+xml" in one.get("data", {})]
    return Ran(printed, ["".join(one) for one in drawn])


@pytest.fixture(scope="module")
def bare() -> Path:
    """The Python of a clean machine with Jupyter: it has another TensorFlow than the trainer's, here none."""
    return environment(workspace.find().envs, [*KERNEL, f"uv=={version('uv')}"], "3.11")


@pytest.fixture(scope="module")
def whole(penguins: Path) -> Path:
    """The trainer's own environment with Jupyter, as `uv run --with jupyterlab` makes it."""
    project = tomllib.loads((penguins / "pyproject.toml").read_text(encoding="utf-8"))
    return environment(workspace.find().envs, [*project["project"]["dependencies"], *KERNEL], "3.11")


def profile(folder: Path, start_up: str = "") -> Path:
    """A settings folder for a kernel that runs `start_up` first."""
    place = folder / "ipython"
    (place / "profile_default" / "startup").mkdir(parents=True)
    (place / "profile_default" / "startup" / "00-first.py").write_text(start_up, encoding="utf-8")
    return place


def test_on_colab_it_goes_on_with_what_drive_has_kept(penguins: Path, bare: Path, run: Run, tmp_path: Path) -> None:
    """With an environment of its own beside Drive, made by uv; a session before was cut short."""
    folder = Path(shutil.copytree(penguins, tmp_path / "drive" / "MyDrive" / "trainers" / "penguins"))
    cut = run(folder, "-m", "trainer.task", "--save-every", "20", "--steps", "60")
    assert cut.returncode == 0, cut.stderr
    notebook = Path(shutil.copy(folder / "notebook.ipynb", tmp_path / "notebook.ipynb"))
    found = execute(bare, notebook, profile(tmp_path, COLAB))
    where, about, trained, _, model, github = found.printed
    assert "Mounted at" in where and where.endswith("trainers/penguins\n")
    assert "TensorFlow 2.21.0 without a GPU" in about
    assert "Runtime > Change runtime type > T4 GPU" in about and "런타임 유형 변경" in about
    assert (tmp_path / ".venv").is_dir() and not (folder / ".venv").exists()
    assert "step 60" in trained and "epoch 1/30" not in trained and "epoch 30/30" in trained
    titles = [re.findall(r'font-weight="bold">([a-z_]+)<', picture)[0] for picture in found.drawn]
    assert sorted(titles) == ["accuracy", "loss"]
    for picture in found.drawn:
        lines = re.findall(r'points="([^"]+)"', picture)
        assert [len(line.split()) for line in lines] == [30, 30]  # each epoch once, also those of the session before
    accuracy = told(folder / "output")["metrics"]["accuracy"]
    assert f"accuracy             {accuracy:.4g}\n" in model and accuracy > 0.9
    assert "downloads model.zip" in model
    with zipfile.ZipFile(folder / "output" / "model.zip") as packed:
        assert "assets.extra/trainer.json" in packed.namelist()
    assert github == "Nothing was sent: REPOSITORY is empty.\n"


def test_in_jupyter_and_to_github(whole: Path, tmp_path: Path) -> None:
    """With the trainer's own environment, and of another kind; the repository is one of this machine."""
    folder = making.new(workspace.throw_away(tmp_path / "space"), "digits", kind="images").folder
    there = tmp_path / "github" / "somebody" / "digits.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(there)], check=True)
    notebook = folder / "notebook.ipynb"
    text = notebook.read_text(encoding="utf-8")
    assert 'REPOSITORY = \\"\\"' in text
    notebook.write_text(text.replace('REPOSITORY = \\"\\"', 'REPOSITORY = \\"somebody/digits\\"'), encoding="utf-8")
    redirect = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{there.parent.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }
    found = execute(whole, notebook, profile(tmp_path), GITHUB_TOKEN="never-shown", **redirect)
    assert "TensorFlow 2.21.0" in found.printed[1] and "T4" not in found.printed[1]
    assert not (folder / ".venv").exists()
    assert len(found.drawn) == 2
    assert "https://github.com/somebody/digits" in found.printed[-1]
    kept = subprocess.run(
        ["git", "-C", str(there), "ls-tree", "-r", "--name-only", "main"], capture_output=True, text=True
    )
    assert {"trainer/model.py", "notebook.ipynb", "data/digits.npz"} <= set(kept.stdout.split())
    assert not any(name.startswith(("output/", ".venv/")) for name in kept.stdout.split())
    assert "never-shown" not in "".join(found.printed)


def test_the_notebook_holds_no_output_and_no_place_of_a_machine(penguins: Path) -> None:
    cells = json.loads((penguins / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell["cell_type"] for cell in cells].count("code") == 6
    for cell in cells:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
    text = "".join("".join(cell["source"]) for cell in cells)
    assert "cookiecutter" not in text and str(Path.home()) not in text
    for cell in cells:
        if cell["cell_type"] == "markdown":  # each says it in both languages
            assert re.search("[가-힣]", "".join(cell["source"])) or len(cell["source"]) == 1
