"""`new --wrap`: what is changed in a program, what is told, and what is refused with its line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from invoke.program import Program

import tasks
from cloudkite import workspace
from cloudkite.show.errors import BadValue
from cloudkite.trainers import folders
from cloudkite.trainers.wrapping import pins, wrap
from tests import programs, trainer_folder

HEAD = "import numpy as np\nimport tensorflow as tf\nfrom tensorflow import keras\n"


def looked(folder: Path, text: str | bytes, name: str = "lesson.py", **more: Path) -> wrap.Wrapped:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return wrap.look(folder / name, **more)


def refused(folder: Path, text: str | bytes, name: str = "lesson.py", **more: Path) -> BadValue:
    with pytest.raises(BadValue) as caught:
        looked(folder, text, name, **more)
    return caught.value


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ('model.save("m.keras")', 'model.save(places.output("m.keras"))'),
        ('model.save(filepath="m.h5")', 'model.save(filepath=places.output("m.h5"))'),
        ('model.save("folder/model")', 'model.save(places.output("folder/model.keras"))'),
        ("model.export('served')", "model.export(places.model('served'))"),
        ('tf.saved_model.save(model, "served")', 'tf.saved_model.save(model, places.model("served"))'),
        ('model.save_weights("w.h5")', 'model.save_weights(places.output("w.weights.h5"))'),
        ('model.save(f"m{1}.keras")', 'model.save(places.output(f"m{1}.keras"))'),
        ('np.savez("a.npz", x=[1])', 'np.savez(places.output("a.npz"), x=[1])'),
        ('open("log.txt", "w").write("한글")', 'open(places.output("log.txt"), "w").write("한글")'),
        ('"한글"; text = open("in.txt").read()', '"한글"; text = open(places.data("in.txt")).read()'),
        ('x = np.load("/content/drive/MyDrive/x.npy")', 'x = np.load(places.data("/content/drive/MyDrive/x.npy"))'),
        (r'x = np.load("C:\\me\\x.npy")', r'x = np.load(places.data("C:\\me\\x.npy"))'),
        ('open(__file__ + "/../a.txt")', 'open(places.data(__file__ + "/../a.txt"))'),
        ('import pathlib as p\nHERE = p.Path(__file__).parent\nopen(HERE / "a")', 'open(places.data(HERE / "a"))'),
        ('PATH: str = "a.txt"\nopen(PATH)\nopen(PATH)', "open(PATH)"),
        ('page = "\x0c"; x = np.load("a.npy")', 'page = "\x0c"; x = np.load(places.data("a.npy"))'),
        ('BASE = f"/content/{1}"', 'BASE = places.data(f"/content/{1}")'),
        ('def f(path="/content/a"): return path', 'def f(path=places.data("/content/a")): return path'),
        ('x = {"a": "/content/a"}', 'x = {"a": places.data("/content/a")}'),
        ('ROOT = "/kaggle/input/set"', 'ROOT = places.data("/kaggle/input/set")'),
        ('keras.Sequential().load_weights("old.h5")', 'keras.Sequential().load_weights(places.data("old.h5"))'),
        (
            'base = keras.applications.VGG16(weights="vgg.weights.h5")',
            'base = keras.applications.VGG16(weights=places.data("vgg.weights.h5"))',
        ),
        ("model.fit(x, y, epochs=50)", "model.fit(x, y, epochs=places.epochs(50))"),
        ("def f(n): model.fit(x, y, epochs=n)", "def f(n): model.fit(x, y, epochs=places.epochs(n))"),
        ("NUM_EPOCHS = 5", "NUM_EPOCHS = places.epochs(5)"),
        (
            'cb = keras.callbacks.ModelCheckpoint(filepath="b.keras")',
            'cb = keras.callbacks.ModelCheckpoint(filepath=places.output("b.keras"))',
        ),
        # Left as they are: addresses, what is no path, what has its place already.
        ('u = keras.utils.get_file("f.csv", "https://x.org/f.csv")', 'u = keras.utils.get_file("f.csv", "https://x.org/f.csv")'),
        ("model.fit(x, y, epochs=args.epochs)", "model.fit(x, y, epochs=args.epochs)"),
        ("def display(a): return a\ndisplay(1)", "display(1)"),
        ("API_KEY = 'MY_API_KEY'", "API_KEY = 'MY_API_KEY'"),
        ("OOV_TOKEN = '<OOV>'; password = 'your password'", "OOV_TOKEN = '<OOV>'; password = 'your password'"),
        ("def f(unicode): return unicode", "def f(unicode): return unicode"),
        ('print("see /content/drive")', 'print("see /content/drive")'),
    ],
)  # fmt: skip
def test_a_line_becomes_another(tmp_path: Path, line: str, becomes: str):
    made = looked(tmp_path, f"{HEAD}model = x = y = args = None\n{line}\n")
    assert made.after.rstrip("\n").split("\n")[-1] == becomes
    assert made.changed == (2 if "places." in made.after else 0)


def test_a_path_is_changed_where_it_is_written_down_and_read_back_from_there(tmp_path: Path):
    text = HEAD + (
        'import os\nBASE = "set"\nOUT = "m.keras"\n'
        'a = np.load(os.path.join(BASE, "a.npy"))\nb = np.load(f"{BASE}/b.npy")\n'
        "model = keras.Sequential()\nmodel.save(OUT)\nagain = keras.models.load_model(OUT)\n"
        'model.save_weights("w")\nmodel.load_weights("w")\n'
    )
    made = looked(tmp_path, text)
    for line in ('BASE = places.data("set")', 'OUT = places.output("m.keras")', "model.save(OUT)"):
        assert line in made.after.splitlines()
    assert 'model.load_weights(places.data("w.weights.h5"))' in made.after
    assert [path for place, path in made.look if place == "data"] == [
        "'set' isn't beside the program: put it into data/ for jobs"
    ]
    assert made.pins == ("numpy==2.4.6",)


def test_the_import_stands_after_what_must_be_first_and_has_a_free_name(tmp_path: Path):
    made = looked(
        tmp_path, '#!/usr/bin/env python\n"""Doc."""\nfrom __future__ import annotations\nplaces = open("a.txt")\n'
    )
    assert made.after.splitlines()[2:] == [
        "from __future__ import annotations",
        "from trainer import places as places_",
        'places = open(places_.data("a.txt"))',
    ]
    assert looked(tmp_path, "# a\nopen('b.txt')\n").after.splitlines()[:2] == ["# a", "from trainer import places"]


def test_what_only_a_notebook_or_colab_has(tmp_path: Path):
    cells = [
        "!pip install -U pip\n!pip install pandas 'scikit-learn==1.9.1' tensorflow==2.8 # all\n%load_ext tensorboard",
        "from google.colab import drive, files, userdata\ndrive.mount(\n    '/content/drive'\n)\nup = files.upload()",
        "if True:\n    !wget -q https://example.org/x.zip\n    files.download('a.keras')\n%time z = 1\ndisplay(z)",
        "KEY = userdata.get('SOME_KEY')\nfiles.upload()\nname = input('name?')\n"
        "print(userdata.get('B'), '''\n%not a magic\n''')",
        "%%bash\npip list\ngit clone https://example.org/y",
    ]
    made = looked(tmp_path, programs.notebook(cells), "lesson.ipynb")
    lines = made.after.splitlines()
    for line in (
        "# !pip install pandas 'scikit-learn==1.9.1' tensorflow==2.8 # all", "# drive.mount( ...",
        "    pass  # !wget -q https://example.org/x.zip", "    pass", "z = 1", "print(z)", "%not a magic",
        "up = places.uploaded()", "KEY = places.variable('SOME_KEY')", "# files.upload()", "# %%bash", "# pip list",
    ):  # fmt: skip
        assert line in lines, line
    assert made.pins == ("pandas==3.1.1", "scikit-learn==1.9.1")
    told = dict(made.look)
    assert told["cell 1, line 2"] == "`pip install tensorflow==2.8`: it gets tensorflow 2.21.0"
    assert "put what it brings into data/" in told["cell 3, line 2"] and "git clone" in told["cell 5, line 3"]
    assert "SOME_KEY is needed" in told["cell 4, line 1"] and "no keyboard" in told["cell 4, line 3"]
    assert ("cell 3, line 3", "left out: files.download('a.keras') (fetch brings what is saved)") in made.done


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os\nos.environ['MY_TOKEN']", "line 5: the variable MY_TOKEN is needed"),
        ("(x_train, y_train), _t = keras.datasets.mnist.load_data()", "line 4: datasets.mnist.load_data downloads"),
        ("import matplotlib.pyplot as plt\nplt.show()", "line 5: plt.show() shows nothing in a job"),
        ("def read(path):\n    return path\nread('table.csv')", "line 6: 'table.csv' was left as it is"),
        ("keras.optimizers.Adam(lr=0.1)", "line 4: lr is called learning_rate in Keras 3"),
        ("try:\n    import somewhere\nexcept ImportError:\n    somewhere = None", "line 5: somewhere isn't installed"),
        ("!pip install pandas==2.0.0", "line 4: pandas==2.0.0 was not tried with TensorFlow 2.21.0"),
        ("import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()", "tensorflow.compat.v1 is TensorFlow 1"),
    ],
)
def test_what_the_person_must_look_at(tmp_path: Path, line: str, said: str):
    made = looked(tmp_path, f"{HEAD}{line}\n")
    assert any(f"{place}: {text}".startswith(said) or text.startswith(said) for place, text in made.look), made.look


def test_data_beside_the_program_are_copied_and_its_options_known(tmp_path: Path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    for name in ("a.csv", "data/b.csv", "data/sub/c.csv"):
        (tmp_path / name).write_text("x\n1\n", encoding="utf-8")
    text = HEAD + (
        "import argparse, glob\nparser = argparse.ArgumentParser()\nparser.add_argument('--epochs', type=int)\n"
        "def read(path):\n    return open(path)\nread('a.csv')\nglob.glob('data/*.csv')\nopen('data/sub/c.csv')\n"
    )
    made = looked(tmp_path, text)
    assert {place for _path, place in made.files} == {"a.csv", "b.csv", "sub/c.csv"}
    assert "read(places.data('a.csv'))" in made.after
    space = trainer_folder.space(tmp_path)
    trainer = folders.Trainer("own", wrap.make(space, "own", made))
    assert trainer.plain and trainer.rehearsal == ("--epochs", "1")
    assert 'OWN = ("--epochs",)' in (trainer.package / "task.py").read_text(encoding="utf-8")
    assert [path.relative_to(trainer.folder / "data").as_posix() for path in trainer.data_files] == [
        "a.csv", "b.csv", "sub/c.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/content/drive/MyDrive/lesson/grades.csv", "C:\\\\Users\\\\me\\\\grades.csv"])
def test_data_that_was_elsewhere_is_taken_from_beside_the_program(tmp_path: Path, path: str):
    (tmp_path / "grades.csv").write_text("x\n1\n", encoding="utf-8")
    made = looked(tmp_path, f"{HEAD}open('{path}')\n")
    assert [place for _path, place in made.files] == ["grades.csv"] and not made.look
    empty = looked(tmp_path, f"{HEAD}open('{path.replace('grades', 'others')}')\n")
    assert not empty.files and "isn't beside the program" in empty.look[-1][1]
    folder = wrap.make(trainer_folder.space(tmp_path), "own", empty)
    assert (folder / "data").is_dir() and not list((folder / "data").iterdir())


KEY = "AIza" + "x1" * 17 + "y"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (f"a = 1\nurl = 'https://x.org?key={KEY}'\n", "line 2: there is a key in it", "revoke"),
        ("call(api_key='abc123def')\n", "line 1: api_key has its value in the program", "revoke"),
        (
            "\nimport os\nos.environ['HF_TOKEN'] = 'a1b2c3d4e5f6g7h8i9j0k1'\n",
            "line 3: HF_TOKEN has its value",
            "revoke",
        ),
        (
            "import tensorflow as tf\nwith tf.Session() as s: pass\n",
            "line 2: tf.Session is TensorFlow 1",
            "TensorFlow 2",
        ),
        ("import tensorflow as tf\nx = tf.placeholder(1)\ntf.app.run()\n", "line 3: tf.app is TensorFlow 1", "migrate"),
        ("import tensorflow.contrib.slim as slim\n", "line 1: tensorflow.contrib.slim is TensorFlow 1", "migrate"),
        ("a = 1\nprint 'x'\n", "lesson.py: line 2: that is Python 2", "2to3"),
        ("for i in xrange(3): pass\n", "line 1: xrange is Python 2", "2to3"),
        ("a = (1,\nb = 2\n", "lesson.py: line 1: '(' was never closed", "fix the Python"),
        ("def f():\n  x = 1\nreturn x\n", "lesson.py: line 3: 'return' outside function", "fix the Python"),
        ("!python train.py\n", "line 1: `!python train.py` runs another program", "change that"),
        ("a = 1\nfiles = !ls\n", "line 2: the output of a command is used: `files = !ls`", "change that"),
        ("!pip install git+https://x.org/y\n", "only packages of the index can be pinned", "change that"),
        ("import helper\n", "line 1: it imports helper, a file beside it", "change that"),
        ("import unheard_of\n", "the version isn't known of: line 1: unheard_of", "--requirements FILE"),
        ("!pip install unheard-of\n", "the version isn't known of: line 1: unheard-of", "--requirements FILE"),
        ("# nothing\n\n", "lesson.py has no code", "saved"),
        (b"a = 1\nb = '\xff'\n", "lesson.py:2: ", "UTF-8"),
        (b"a = 1\nb = '\x00'\n", "lesson.py:2: not a text", "UTF-8"),
        (b"# -*- coding: nosuch -*-\n", "lesson.py:1: unknown encoding", "UTF-8"),
    ],
)
def test_a_program_is_refused_with_its_line(tmp_path: Path, text: str | bytes, said: str, hint: str):
    (tmp_path / "helper.py").write_text("", encoding="utf-8")
    told = refused(tmp_path, text)
    assert said in told.message and hint in told.hint and told.code == 2
    assert KEY not in told.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "lesson.ipynb:1: not a notebook"),
        ("[]", "isn't a notebook of format 4"),
        ('{"worksheets": []}', "isn't a notebook of format 4"),
        ('{"cells": [3]}', "cell 1 isn't a cell"),
        ("\n[" * 100_000, "not a notebook"),
        (programs.notebook([]), "has no code"),
        (programs.notebook(["# only words"]), "has no code"),
        (
            programs.notebook(["x <- 3"], kernelspec={"name": "ir", "display_name": "R", "language": "R"}),
            "written in R",
        ),
        (programs.notebook(["x = 3"], language_info={"name": "julia"}), "written in julia"),
        (programs.notebook(["x = 3"], language_info={"name": "python", "version": "2.7.18"}), "written in Python 2"),
        (programs.notebook(["x = 3", "y = = 4"]), "lesson.ipynb: cell 2, line 1: invalid syntax"),
        (programs.notebook(["x = 3", "%%R\nx <- 3"]), "cell 2, line 1: `%%R` isn't Python"),
        (programs.notebook(["# words", "import tensorflow as tf\ntf.Session()"]), "cell 2, line 2: tf.Session"),
        (programs.notebook(["x = 3"]).replace("done", KEY), "cell 1: there is a key in it"),
        (b"\xff\xfe", "lesson.ipynb:1: not in utf-8"),
    ],
)
def test_a_notebook_is_refused_with_its_cell(tmp_path: Path, text: str | bytes, said: str):
    assert said in refused(tmp_path, text, "lesson.ipynb").message


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert "isn't a notebook (.ipynb) or a file of Python" in refused(tmp_path, "x", "lesson.txt").message
    for name in ("gone.py", "folder.py"):
        (tmp_path / "folder.py").mkdir(exist_ok=True)
        with pytest.raises(BadValue, match=r"doesn't exist|isn't a notebook"):
            wrap.look(tmp_path / name)
    monkeypatch.setattr("cloudkite.trainers.wrapping.reading.MOST", 10)
    assert "a program may have" in refused(tmp_path, "x = 1 + 1 + 1\n").message


def test_requirements_name_the_versions(tmp_path: Path):
    file = tmp_path / "requirements.txt"
    text = "!pip install -r requirements.txt\nimport unheard_of, skimage_like, pandas, sklearn\n"
    assert "names packages elsewhere: give them by --requirements FILE" in refused(tmp_path, text).message
    file.write_text("# mine\nunheard-of==1.2 # two\npandas==3.0.0\nlike==4\ntensorflow==2.8\n\n", encoding="utf-8")
    made = looked(tmp_path, text, requirements=file)
    assert made.pins == ("like==4", "pandas==3.0.0", "scikit-learn==1.9.1", "unheard-of==1.2")
    assert ("--requirements", "tensorflow is 2.21.0 in each trainer") in made.look
    file.write_text("pandas==3.0.0\nother>=1\n", encoding="utf-8")
    assert "requirements.txt:2: 'other>=1' isn't an exact pin" in refused(tmp_path, text, requirements=file).message
    assert "doesn't exist" in refused(tmp_path, text, requirements=tmp_path / "none.txt").message


def test_each_name_of_a_module_leads_to_a_version():
    assert {pins._distribution(name) for name in pins._DISTRIBUTIONS} <= pins.VERSIONS.keys()
    assert set(pins._BEHIND.values()) <= pins.VERSIONS.keys()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    space = trainer_folder.space(tmp_path)
    monkeypatch.setattr(workspace, "find", lambda: space)

    def start(*words: str) -> tuple[int, str, str]:
        code = 0
        monkeypatch.setattr(sys, "argv", ["invoke", *words])
        try:
            Program(namespace=tasks.ns).run(["invoke", *words], exit=False)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    start.trainers = space.trainers  # type: ignore[attr-defined]
    return start


def test_the_command_shows_the_changes_and_makes_it_whole_or_not(run, tmp_path: Path):
    lesson = tmp_path / "lesson.ipynb"
    lesson.write_text(programs.notebook(programs.TWO), encoding="utf-8")
    code, out, _err = run("new", "mine", "--wrap", str(lesson), "--yes")
    assert code == 0 and out.endswith("next: uv run invoke check mine\n")
    assert "-drive.mount('/content/drive')" in out and "7 lines changed" in out
    for title in ("what was done", "look at this yourself", "pins, besides TensorFlow and Keras"):
        assert title in out
    project = (run.trainers / "mine" / "pyproject.toml").read_text(encoding="utf-8")
    assert '"numpy==2.4.6",' in project and 'rehearsal = ["--epochs", "1"]' in project
    assert json.loads((run.trainers / "mine" / "original" / "lesson.ipynb").read_text(encoding="utf-8"))["cells"]

    code, _out, err = run("new", "mine", "--wrap", str(lesson), "--yes")
    assert code == 2 and "is there already" in err
    lesson.write_text(programs.notebook(["import tensorflow as tf\ntf.Session()"]), encoding="utf-8")
    code, _out, err = run("new", "other", "--wrap", str(lesson), "--yes")
    assert code == 2 and "error: lesson.ipynb can't be wrapped:\n  cell 1, line 2: tf.Session is TensorFlow 1" in err
    assert [path.name for path in run.trainers.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--wrap", "a.py", "--data", "b.csv"], "--wrap and --data exclude each other"),
        (["--wrap", "a.py", "--kind", "first-steps"], "--wrap and --kind exclude each other"),
        (["--requirements", "a.txt"], "--requirements is for a program"),
        (["--kind", "first-steps", "--label", "b"], "--label b needs a file"),
        (["--kind", "first-steps", "--model", "wide"], "--kind first-steps and --model exclude each other"),
        (["--kind", "first-steps", "--data", "b.csv"], "--kind and --data exclude each other"),
        (["--wrap", "Gone.py"], "the file Gone.py doesn't exist"),
    ],
)
def test_options_that_exclude_each_other(run, words: list[str], said: str):
    code, _out, err = run("new", "mine", *words)
    assert code == 2 and f"error: {said}" in err and not any(run.trainers.iterdir())


def test_first_steps_by_the_command_and_what_refuses_a_plain_trainer(run):
    code, out, _err = run("new", "one", "--kind", "first-steps")
    assert code == 0 and "uv run python -m trainer.multiply" in out
    for words, said in {
        ("predict", "one", "--row", "a=1"): "one can't be asked by predict: it declares no columns",
        ("report", "one"): "one declares no columns: it is a program of its own",
        ("check", "one", "--data", "x.csv"): "one declares no columns: it is a program of its own",
    }.items():
        code, _out, err = run(*words)
        assert code == 2 and f"error: {said}" in err
