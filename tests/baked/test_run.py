"""The generated trainer, run for real: accuracy, exact resume, signals, the wheel, several workers, own data."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudkite.check import steps as checking
from cloudkite.models import beside, predictions, questions
from cloudkite.trainers import folders, making
from cloudkite.workspace import Workspace
from tests.baked.conftest import Run, clean_environment, told, train, weights

pytestmark = pytest.mark.slow
posix = pytest.mark.skipif(os.name != "posix", reason="signals as a cloud sends them exist on Linux and macOS only")

_ANSWER = """
import json, sys, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
rows = json.loads(sys.argv[2])
columns = {name: tf.constant([row[name] for row in rows]) for name in rows[0]}
answer = served(**columns)
print(json.dumps({name: [v.decode() if isinstance(v, bytes) else v for v in value.numpy().tolist()]
                  for name, value in answer.items()}))
"""
_ON_TWO_DEVICES = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer import experiment, task
experiment.strategy = lambda job: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
sys.exit(task.main(sys.argv[1:]))
"""
_FROM_THE_WHEEL = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""


def test_its_own_tests_pass(run: Run, penguins: Path):
    done = run(penguins, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


@pytest.mark.parametrize("seed", [0, 1])
def test_it_learns_the_penguins(run: Run, penguins: Path, tmp_path: Path, seed: int):
    said = train(run, penguins, tmp_path, "--seed", str(seed)).splitlines()
    assert said[0].startswith("TensorFlow 2.21.0, Keras 3.15.1, Python 3.11.")
    assert said[1] == "data: 275 rows to train on, 69 held out"
    assert said[-1].startswith("held-out: loss=")
    found = told(tmp_path)
    assert found["metrics"]["accuracy"] >= 0.95
    assert found["rows"] == {"training": 275, "held_out": 69}
    assert found["classes"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert (found["tensorflow"], found["keras"]) == ("2.21.0", "3.15.1")
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"train", "validation"}
    names = ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]
    birds = [("Torgersen", 39.1, 18.7, 181.0, 3750.0, "male"), ("Biscoe", 50.0, float("nan"), 220.0, 5500.0, "")]
    rows = [dict(zip(names, bird, strict=True)) for bird in birds]
    answered = json.loads(run(tmp_path, "-c", _ANSWER, str(tmp_path / "model"), json.dumps(rows)).stdout)
    assert answered["species"] == ["Adelie", "Gentoo"]
    assert all(abs(sum(row) - 1) < 1e-5 for row in answered["probabilities"])


def test_help_does_not_import_tensorflow(run: Run, penguins: Path):
    code = (
        "import sys; from trainer import task\ntry: task.main(['--help'])\nfinally: print('tensorflow' in sys.modules)"
    )
    said = run(penguins, "-c", code).stdout
    assert said.endswith("False\n")
    for option in ("--data", "--epochs", "--steps", "--batch", "--rate", "--seed", "--output", "--save-every"):
        assert option in said


def started(python: Path, folder: Path, output: Path, *words: str) -> subprocess.Popen[str]:
    command = [str(python), "-u", "-m", "trainer.task", "--output", str(output), *words]
    return subprocess.Popen(command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, text=True)


def wait_for_line(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(f"ended without a line that begins with {beginning!r}")


WATCHED = """\
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=0.01)
    return [plateau, keras.callbacks.EarlyStopping("val_loss", patience=30, min_delta=1e-3, restore_best_weights=True)]
"""


@posix
def test_killed_at_any_moment_it_ends_bit_by_bit_the_same(run: Run, python: Path, penguins: Path, tmp_path: Path):
    """With callbacks that remember, killed ten times, and told to end within an epoch."""
    penguins = shutil.copytree(penguins, tmp_path / "penguins")
    others = [("Adam(schedule)", "Adam(options.rate)"), ("TOGETHER = 32", "TOGETHER = 2")]
    change(penguins, "model.py", ("    return []\n", WATCHED), *others)
    words = ["--epochs", "120", "--save-every", "6", "--rate", "0.0005"]
    whole = train(run, penguins, tmp_path / "whole", *words)
    assert "learning_rate=0.00025" in whole and "step 960 of 960" not in whole  # both callbacks have acted
    chance = random.Random(9)
    for _ in range(10):
        with started(python, penguins, tmp_path / "killed", *words) as process:
            wait_for_line(process, "epoch ")
            time.sleep(chance.random() / 50)
            process.kill()
    with started(python, penguins, tmp_path / "killed", *words) as process:
        wait_for_line(process, "epoch ")
        process.send_signal(signal.SIGTERM)
        assert process.stdout
        last = process.stdout.read().splitlines()[-1]
        assert process.wait() == 143
    step = int(last.removeprefix("stopped by a signal after step ").split()[0])
    assert (next((tmp_path / "killed").glob("checkpoints/*/")) / f"step-{step:010d}.index").exists()
    said = train(run, penguins, tmp_path / "killed", *words)
    assert f"resumed after step {step} of 960" in said
    assert said.splitlines()[-1] == whole.splitlines()[-1]
    assert weights(tmp_path / "whole") == weights(tmp_path / "killed")
    assert told(tmp_path / "whole") == told(tmp_path / "killed")


def test_the_wheel_runs_from_its_zip_and_speaks_json_in_the_cloud(run: Run, penguins: Path, tmp_path: Path):
    from uv import find_uv_bin

    subprocess.run([find_uv_bin(), "build", "--wheel", "--offline", "-o", str(tmp_path)], cwd=penguins, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    data = penguins / "data" / "*.csv"
    env = {
        "CLOUD_ML_JOB_ID": "123", "AIP_MODEL_DIR": f"{tmp_path}/m/", "AIP_CHECKPOINT_DIR": f"{tmp_path}/c/",
        "AIP_TENSORBOARD_LOG_DIR": f"{tmp_path}/l/", "CLOUD_ML_HP_METRIC_FILE": f"{tmp_path}/h/output.metrics",
        "CLOUDKITE_REQUIRE_GPU": "0",
    }  # fmt: skip
    words = ["-c", _FROM_THE_WHEEL, str(wheel), "--data", str(data), "--epochs", "2"]
    done = run(tmp_path, *words, env=env)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line["severity"] == "INFO" and line["message"] for line in lines)
    epochs = [line for line in lines if "epoch" in line]
    assert [(line["epoch"], line["epochs"]) for line in epochs] == [(1, 2), (2, 2)]
    assert set(epochs[-1]["metrics"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert lines[-1]["message"].startswith("held-out: ")
    assert (tmp_path / "m" / "saved_model.pb").exists()
    assert list((tmp_path / "c").glob("*/step-*.index"))
    assert list((tmp_path / "l" / "train").iterdir())
    tuned = [json.loads(line) for line in (tmp_path / "h" / "output.metrics").read_text(encoding="utf-8").splitlines()]
    assert {"accuracy", "loss"} <= {name for line in tuned for name in line}
    done = run(tmp_path, *words, env=env | {"CLOUDKITE_REQUIRE_GPU": "1"})
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["severity"] == "ERROR"
    assert "a GPU was asked for, but TensorFlow sees none" in done.stdout


OWN_LAYER = """\
class Own(keras.layers.Layer):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def get_config(self):
        raise NotImplementedError("its settings are a function")

    def call(self, values):
        return self.how(values)


def build("""
OWN_LOSS = """\
def own_loss(y, p):
    return keras.losses.sparse_categorical_crossentropy(y, p) * 1.0


def build("""


def test_a_run_goes_on_only_with_the_code_it_began_with(run: Run, penguins: Path, tmp_path: Path):
    folder = tmp_path / "penguins"
    shutil.copytree(penguins, folder)
    change(folder, "model.py", ("def build(", OWN_LOSS), ('"sparse_categorical_crossentropy"', "own_loss"))
    (folder / "trainer" / "layers").mkdir()
    (folder / "trainer" / "layers" / "own.py").write_text("UNITS = 1\n", encoding="utf-8")
    words = ["--epochs", "2"]
    train(run, folder, tmp_path / "out", *words, "--steps", "3")
    # What an editor, git on Windows or Python itself leaves is no other code.
    for path in (folder / "trainer").glob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (folder / "trainer" / "__pycache__").mkdir(exist_ok=True)
    (folder / "trainer" / "__pycache__" / "old.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "trainer" / ".#model.py").write_text("x = 1\n", encoding="utf-8")
    said = train(run, folder, tmp_path / "out", *words, "--steps", "5", env={"PYTHONDONTWRITEBYTECODE": ""})
    assert "resumed after step 3 of 16" in said
    before = next(line for line in said.splitlines() if line.startswith("resumed")).rpartition(" from ")[2]
    change(folder, "model.py", ("* 1.0", "* 2.0"))
    (folder / "trainer" / "layers" / "own.py").write_text("UNITS = 2\n", encoding="utf-8")
    said = train(run, folder, tmp_path / "out", *words)
    assert "resumed" not in said
    assert (
        f"\nstarts anew: changed since the checkpoints in {before}: trainer/layers/own.py, trainer/model.py\n" in said
    )
    (folder / "trainer" / "layers" / "own.py").unlink()
    said = train(run, folder, tmp_path / "out", *words)
    assert ": trainer/layers/own.py\n" in said


def test_more_epochs_go_on_where_the_model_does_not_depend_on_them(run: Run, penguins: Path, tmp_path: Path):
    folder = tmp_path / "penguins"
    shutil.copytree(penguins, folder)
    layer = ("keras.layers.Dropout(0.1)(hidden)", "Own(abs)(hidden)")
    change(folder, "model.py", ("keras.optimizers.Adam(schedule)", "keras.optimizers.Adam(options.rate)"), layer)
    change(folder, "model.py", ("def build(", OWN_LAYER))
    # Such a layer can't be written to a .keras file, which leaves the rest of the export as it is.
    assert "note: without model.keras: " in train(run, folder, tmp_path / "out", "--epochs", "1")
    assert "resumed after step 8 of 16" in train(run, folder, tmp_path / "out", "--epochs", "2")


def test_a_run_goes_on_with_the_same_code_in_a_wheel(run: Run, space: Workspace, penguins: Path, tmp_path: Path):
    folder = tmp_path / "penguins"
    shutil.copytree(penguins, folder)
    (folder / "trainer" / "layers").mkdir()
    (folder / "trainer" / "layers" / "own.py").write_text("UNITS = 1\n", encoding="utf-8")
    trainer = folders.Trainer("penguins", folder)
    words = ["--data", str(folder / "data" / "penguins.csv"), "--epochs", "2", "--output", str(tmp_path / "out")]

    def from_wheel(*more: str) -> str:
        wheel = folders.build_wheel(trainer, space).path
        done = run(tmp_path, "-c", _FROM_THE_WHEEL, str(wheel), *words, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    from_wheel("--steps", "3")
    assert "resumed after step 3 of 16" in from_wheel("--steps", "5")
    assert "resumed after step 5 of 16" in train(run, folder, tmp_path / "out", *words, "--steps", "7")
    (folder / "trainer" / "layers" / "own.py").write_text("UNITS = 2\n", encoding="utf-8")
    assert ": trainer/layers/own.py\n" in from_wheel()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


ENDED_WHILE_VALIDATING = """\
    import os
    import signal

    class Ended(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            if not os.path.exists("ended"):
                open("ended", "w").close()
                os.kill(os.getpid(), signal.SIGTERM)

    return [Ended()]
"""


@posix
def test_a_signal_while_an_epoch_is_validated_loses_nothing(run: Run, python: Path, penguins: Path, tmp_path: Path):
    penguins = shutil.copytree(penguins, tmp_path / "penguins")
    change(penguins, "model.py", ("    return []\n", ENDED_WHILE_VALIDATING))
    with started(python, penguins, tmp_path / "ended", "--epochs", "3") as process:
        assert process.stdout
        said = process.stdout.read()
        assert process.wait() == 143, said
    step = int(said.partition("stopped by a signal after step ")[2].split()[0])
    assert f"resumed after step {step} of {3 * step}" in train(run, penguins, tmp_path / "ended", "--epochs", "3")


@posix
def test_two_workers_learn_together_and_resume(python: Path, penguins: Path, tmp_path: Path):
    def workers(*words: str) -> list[subprocess.Popen[str]]:
        ports = free_ports(2)
        cluster = {f"workerpool{i}": [f"127.0.0.1:{port}"] for i, port in enumerate(ports)}
        return [
            subprocess.Popen(
                [str(python), "-u", "-m", "trainer.task", "--output", str(tmp_path / "two"), *words],
                cwd=penguins, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=clean_environment(
                    CLUSTER_SPEC=json.dumps({"cluster": cluster, "task": {"type": f"workerpool{i}", "index": 0}})
                ),
            )
            for i in range(2)
        ]  # fmt: skip

    both = workers("--epochs", "800")
    wait_for_line(both[0], "epoch 3/")
    for process in both:
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [143, 143], said
    step = int(said[0].partition("stopped by a signal after step ")[2].split()[0])
    both = workers("--epochs", "800", "--steps", str(step + 40))
    said = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert f"resumed after step {step} of 6400" in said[0]
    assert "starts anew" not in said[0]
    (made_from,) = (tmp_path / "two" / "checkpoints").glob("*/run.json")
    assert json.loads(made_from.read_text(encoding="utf-8"))["--rate"] == 0.005
    assert said[1] == ""  # only the chief speaks
    assert told(tmp_path / "two")["metrics"]["accuracy"] >= 0.95


def test_two_devices_of_one_machine_learn_together_and_resume(run: Run, penguins: Path, tmp_path: Path):
    """Two parts of the processor stand for two GPUs, which the machines that run these tests do not have."""
    words = ["-c", _ON_TWO_DEVICES, "--epochs", "6", "--output"]
    for output, more in [("whole", []), ("parts", ["--steps", "13"]), ("parts", [])]:
        done = run(penguins, *words, str(tmp_path / output), *more)
        assert done.returncode == 0, done.stderr[-3000:]
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert told(tmp_path / "whole")["metrics"]["accuracy"] >= 0.95


def own_data(kind: str) -> Iterator[list]:
    """Rows of three files as people have them, the header first."""
    chance = random.Random(1)
    if kind == "binary":
        yield ["학번", "공부 시간", "attendance %", "class", "passed"]
        for i in range(160):
            hours, present = round(chance.uniform(0, 20), 1), chance.randint(40, 100)
            yield [f"2026{i:04}", hours, present, chance.choice("ABC"), int(hours * 5 + present > 115)]
    elif kind == "regression":
        yield ["area", "rooms", "district", "price"]
        for _ in range(200):
            area, district = chance.randint(30, 150), chance.choice(["north", "south", "old town"])
            price = area * (9000 if district == "old town" else 5000) + chance.randint(-10000, 10000)
            yield [area, max(1, area // 25), district, price]
    else:
        yield ["weight", "colour", "size", "fruit"]
        for i in range(180):
            fruit = ["apple", "banana", "plum"][i % 3]
            weight = {"apple": 180, "banana": 120, "plum": 50}[fruit] + chance.gauss(0, 15)
            colour = {"apple": "red", "banana": "yellow", "plum": "blue"}[fruit]
            yield [
                "NA" if i % 11 == 0 else round(weight, 1), "" if i % 7 == 0 else colour, chance.choice("SML"),
                "" if i % 17 == 0 else fruit,
            ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "label", "metric", "good"),
    [
        ("binary", "passed", "accuracy", 0.85),
        ("regression", "price", "mae", 60_000),
        ("multiclass", "fruit", "accuracy", 0.9),
    ],
)
def test_trainers_for_own_data(run: Run, space: Workspace, tmp_path: Path, kind, label, metric, good):
    path = tmp_path / f"{kind}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(own_data(kind))
    folder = making.new(space, kind, path, label).folder
    subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=folder, check=True)
    train(run, folder, tmp_path / "short", "--steps", "2")
    assert told(tmp_path / "short")["label"] == label
    train(run, folder, tmp_path / "long")
    found = told(tmp_path / "long")["metrics"][metric]
    assert found <= good if metric == "mae" else found >= good
    if kind == "regression":
        done = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "learns or rows or streams")
        assert done.returncode == 0, done.stdout[-5000:]


def test_a_rare_class_and_a_persons_own_names(run: Run, space: Workspace, tmp_path: Path):
    """Accuracy that means nothing is said to; and the very file that made the trainer can be asked about."""
    chance = random.Random(3)
    rows = [
        [f"{chance.random():.3f}", chance.choice(["서울", "부산"]), "예" if i % 40 == 7 else "아니오"]
        for i in range(2000)
    ]
    path = tmp_path / "드문.csv"
    text = "\n".join(";".join(row) for row in [["키 (cm)", "도시", "합격"], *rows])
    path.write_text(text, encoding="cp949")
    folder = making.new(space, "rare", path, "합격").folder
    said = train(run, folder, tmp_path / "out", "--epochs", "1")
    assert "note: always '아니오' would have accuracy 0.975; of the held-out rows the model knew 390 of 390" in said
    found = told(tmp_path / "out")
    assert found["metrics"]["baseline_accuracy"] == 0.975 and 0.5 <= found["metrics"]["balanced_accuracy"] < 0.9
    assert found["headers"] == {"ki_cm": "키 (cm)", "dosi": "도시"}
    assert sorted(found["words"]["dosi"]) == ["", "부산", "서울"]
    notes: list[str] = []
    trainer = folders.find(space, "rare")
    asked = predictions.ask(space, trainer, tmp_path / "out" / "model", path, note=notes.append)
    assert beside.write(asked, tmp_path / "answers.csv") == 2000
    first = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()[:2]
    assert first[0] == "키 (cm),도시,합격,prediction,probability"
    assert first[1].startswith(",".join([*rows[0], "아니오,0.9"]))
    assert "semicolons" in notes[0] and len(notes) == 1  # which encoding it has was settled when it was looked at


def change(folder: Path, file: str, *pairs: tuple[str, str]) -> None:
    """Replace texts in a module of the trainer."""
    path = folder / "trainer" / file
    text = path.read_text(encoding="utf-8")
    for old, new_one in pairs:
        assert old in text
        text = text.replace(old, new_one)
    path.write_text(text, encoding="utf-8")


def diffs(readme: Path) -> list[list[str]]:
    """The changes that a README shows, each as the lines of its block."""
    return [block.partition("```")[0].strip("\n").splitlines() for block in
            readme.read_text(encoding="utf-8").split("```diff\n")[1:]]  # fmt: skip


def test_the_changes_that_the_readme_shows_pass_the_check_and_train(
    run: Run, space: Workspace, penguins: Path, tmp_path: Path
):
    folder = shutil.copytree(penguins, tmp_path / "penguins")
    shown = diffs(folder / "README.md")
    assert len(shown) == 4 and shown == diffs(folder / "README.ko.md")
    for file, *lines in shown:
        assert len(lines) <= 10
        before, after = ("".join(f"{line[1:]}\n" for line in lines if line[0] in kind) for kind in ("- ", "+ "))
        change(folder, file.removeprefix("--- trainer/"), (before, after))
    report = checking.check(space, folders.find(space, str(folder)))
    assert report.ok, report.steps
    said = train(run, folder, tmp_path / "out")
    assert told(tmp_path / "out")["metrics"]["accuracy"] >= 0.9
    assert "island" not in told(tmp_path / "out")["columns"] and "epoch 2/30" in said


def test_thousands_of_columns_are_two_inputs_of_the_network(run: Run, penguins: Path, tmp_path: Path):
    folder = shutil.copytree(penguins, tmp_path / "penguins")
    columns = {**{f"n{i}": "number" for i in range(4980)}, **{f"w{i}": "category" for i in range(20)}}
    (folder / "trainer" / "data.py").write_text(
        f'COLUMNS = {columns}\nHEADERS = {{}}\nGROUP = TIME = WEIGHT = ""\n'
        f'LABEL = "y"\nCLASSES = ("a", "b")\nDATA = "data/wide.csv"\n'
        "RANGES = {}\n", encoding="utf-8"
    )  # fmt: skip
    chance = random.Random(5)
    with (folder / "data" / "wide.csv").open("w", encoding="utf-8", newline="") as file:
        rows = ([round(chance.random(), 3)] * 4980 + [chance.choice("pqr")] * 20 + ["ab"[i % 2]] for i in range(80))
        csv.writer(file).writerows([[*columns, "y"], *rows])
    train(run, folder, tmp_path / "out", "--steps", "1")
    code = (
        "import sys, keras, tensorflow as tf\n"
        "served = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "network = keras.saving.load_model(sys.argv[1] + '/assets.extra/model.keras')\n"
        "print(len(served.structured_input_signature[1]), {k: v.shape for k, v in network.input.items()})"
    )
    said = run(tmp_path, "-c", code, str(tmp_path / "out" / "model")).stdout
    assert said == "5000 {'numbers': (None, 4980), 'words': (None, 20)}\n"


def test_lower_precision_xla_and_single_steps_are_choices(run: Run, penguins: Path, tmp_path: Path):
    folder = shutil.copytree(penguins, tmp_path / "penguins")
    choices = [('PRECISION = "float32"', 'PRECISION = "mixed_bfloat16"'), ("TOGETHER = 32", "TOGETHER = 1")]
    change(folder, "model.py", *choices, ("jit_compile=False", "jit_compile=True"))
    train(run, folder, tmp_path / "out", "--epochs", "6")
    assert told(tmp_path / "out")["metrics"]["accuracy"] >= 0.9


TWO_OUTPUTS = ("if len(data.CLASSES) > 2 else 1", "if data.CLASSES else 1")
ALL_METRICS = '["accuracy", keras.metrics.AUC(name="auc"), keras.metrics.Recall(name="recall")]'
BALANCED = "keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.6)"
OWN_WEIGHTS = """\
def weighted(y, p):
    return keras.losses.binary_crossentropy(y, p) * keras.ops.where(y[:, 0] > 0, 2.0, 1.0)


def build("""


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [("", '["accuracy"]'), (BALANCED, ALL_METRICS), ("weighted", ALL_METRICS)],
    ids=["two outputs", "balanced", "own weights"],
)
def test_two_classes_from_one_sigmoid_output_or_from_two(
    run: Run, space: Workspace, tmp_path: Path, loss: str, metrics: str
):
    path = tmp_path / "pass.csv"
    rows = list(own_data("binary"))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*row[:-1], row[-1] if i == 0 else "ny"[row[-1]]] for i, row in enumerate(rows)])
    folder = making.new(space, "pass-or-not", path, "passed").folder
    own = [("def build(", OWN_WEIGHTS), ('"binary_crossentropy", ["accuracy"]', f"{loss}, {metrics}")]
    change(folder, "model.py", *(own if loss else [TWO_OUTPUTS]))
    train(run, folder, tmp_path / "out", "--epochs", "60")
    found = told(tmp_path / "out")["metrics"]
    assert found["accuracy"] >= 0.85
    assert found.get("auc", 1) >= 0.9 and found.get("recall", 1) >= 0.7

    model = tmp_path / "out" / "model"
    with (folder / "data" / "pass.csv").open(encoding="utf-8", newline="") as file:
        data = list(csv.DictReader(file))
    columns = predictions.facts(model)["columns"]
    asked = [{name: row[name] for name in columns} for row in data]
    answers = predictions.predict(space, folders.find(space, "pass-or-not"), model, asked)
    right = [answer["prediction"] == row["passed"] for answer, row in zip(answers, data, strict=True)]
    for kind in "ny":
        of_kind = [ok for ok, row in zip(right, data, strict=True) if row["passed"] == kind]
        assert sum(of_kind) >= 0.75 * len(of_kind), kind
    # The served model itself says so; nobody has to know how many columns the last layer has.
    typed = [{name: parsed if (parsed := one[name]) is not None else "" for name in columns}
             for one in (questions.parse(row, columns) for row in asked[:20])]  # fmt: skip
    served = json.loads(run(tmp_path, "-c", _ANSWER, str(model), json.dumps(typed)).stdout)
    assert served["passed"] == [answer["prediction"] for answer in answers[:20]]
    assert [[*answer["probabilities"].values()] for answer in answers[:20]] == [
        pytest.approx(row, abs=1e-5) for row in served["probabilities"]
    ]
    assert all(abs(sum(row) - 1) < 1e-6 for row in served["probabilities"])
    if metrics != ALL_METRICS:
        done = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "learns or output")
        assert done.returncode == 0, done.stdout[-5000:]


def test_an_output_that_fits_no_label_is_refused_before_training(run: Run, penguins: Path, tmp_path: Path):
    folder = tmp_path / "penguins"
    shutil.copytree(penguins, folder)
    change(folder, "model.py", ("size = len(data.CLASSES) if len(data.CLASSES) > 2 else 1", "size = 1"))
    done = run(folder, "-m", "trainer.task", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == (
        "error: model.py: the model gives an output of shape (None, 1), which does not fit 3 CLASSES\n\n"
        'hint: the last layer: Dense(3, activation="softmax")\n'
    )
    assert "epoch" not in done.stdout


def test_several_files_are_read_by_a_pattern(run: Run, penguins: Path, tmp_path: Path):
    lines = (penguins / "data" / "penguins.csv").read_text(encoding="utf-8").splitlines()
    for i in range(3):
        part = [lines[0], *lines[1 + i :: 3]]
        (tmp_path / f"part-{i}.csv").write_text("\n".join(part) + "\n", encoding="utf-8")
    words = [
        "--data",
        str(tmp_path / "part-*.csv"),
        "--validation",
        str(penguins / "data/penguins.csv"),
    ]
    said = train(run, penguins, tmp_path, *words)
    assert "data: 344 rows to train on, 344 held out" in said
    assert told(tmp_path)["metrics"]["accuracy"] >= 0.95
