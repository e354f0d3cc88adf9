"""What columns become, as scikit-learn prepares them, in training and in the exported model; rows of other sources."""

from __future__ import annotations

import csv
import datetime
import json
import random
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudkite import workspace
from environments import environment
from tests.baked.conftest import Run, clean_environment, told, train, weights

pytestmark = pytest.mark.slow

WORDS = (
    "The the Fox fox's 3rd x y 42 e-mail naïve ÉCOLE école Straße STRASSE ÄRGER ärger ΟΔΟΣ οδός Привет МИР İzmir "
    "½ Ⅳ 👍 "
    "한국어 학교에서 배우는 데이터 데이터, 좋아요! ㅋㅋ 서울·부산 東京 日本語 snake_case \t \u3000 ’ “quoted” CO₂ .."
).split(" ")
_BESIDE_SCIKIT_LEARN = r"""
import json, random, sys
import numpy as np, tensorflow as tf
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import StandardScaler
from trainer import data
from trainer.kit import prepare, rows

data.COLUMNS = {"a": "number", "b": "number", "english": "text", "pairs": "text", "korean": "letters"}
data.LABEL, data.CLASSES, data.GROUP, data.TIME, data.WEIGHT = "y", (), "", "", ""
chance = random.Random(7)
words_of = json.loads(sys.argv[1])
documents = [" ".join(chance.choice(words_of) for _ in range(chance.randrange(12))) for _ in range(4000)]
numbers = np.random.default_rng(0).lognormal(3, 2, (4000, 2)).astype("float32")
columns = {"a": numbers[:, 0], "b": numbers[:, 1], "y": np.zeros(4000, "float32"),
           **{name: np.array(documents) for name in ("english", "pairs", "korean")}}
data.load = lambda pattern: columns
tokens = prepare.tokens
def words(name, text):
    prepare.NGRAMS["text"] = 2 if name == "pairs" else 1
    return tokens(name, text)
prepare.tokens = words
source = rows.read("", 0.0, 0.0)
assert np.array_equal(source.table.labels, columns["y"])

ours = np.array([[source.statistics[name][what] for name in "ab"] for what in ("mean", "variance")])
theirs = StandardScaler().fit_transform(numbers.astype("float64"))
np.testing.assert_allclose((numbers - ours[0]) / np.sqrt(ours[1]), theirs, atol=1e-6)

how = {"english": {}, "pairs": {"ngram_range": (1, 2)}, "korean": {"analyzer": "char", "ngram_range": (1, 2)}}
encoded, at = source.table.inputs["counts"], 0
for name, more in how.items():
    known = source.statistics[name]["words"]
    theirs = CountVectorizer(**more)
    full = theirs.fit(documents).vocabulary_
    assert set(known) <= set(full) and len(known) == min(len(full), 2000), (name, set(known) - set(full), len(full))
    expected = CountVectorizer(**more, vocabulary={word: i for i, word in enumerate(known)}).transform(documents)
    np.testing.assert_array_equal(encoded[:, at : at + len(known)], expected.toarray(), name)
    at += len(known)
assert at == encoded.shape[1]
print("equal", len(source.statistics["english"]["words"]), len(source.statistics["korean"]["words"]))
"""


def test_numbers_words_and_letters_are_prepared_as_by_scikit_learn(penguins: Path):
    project = tomllib.loads((penguins / "pyproject.toml").read_text(encoding="utf-8"))
    pins = [*project["project"]["dependencies"], "scikit-learn==1.7.2"]
    python = environment(workspace.find().envs, pins, "3.11")
    done = subprocess.run(
        [str(python), "-c", _BESIDE_SCIKIT_LEARN, json.dumps(WORDS)], cwd=penguins,
        env=clean_environment(TF_CPP_MIN_LOG_LEVEL="2"), capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("equal ")


def visits() -> Iterator[dict[str, object]]:
    """Whether somebody was content: because of the weekday, of what was written, and of nothing else."""
    chance = random.Random(11)
    good, bad = ["friendly staff", "친절했어요", "great food"], ["never again", "불친절했어요", "cold food"]
    for i in range(600):
        day = datetime.date(2024, 1, 1) + datetime.timedelta(days=chance.randrange(700))
        mood = chance.random() < 0.5
        weekend = day.weekday() >= 5
        yield {
            "guest": f"g{i % 60}", "day": "" if i % 50 == 7 else day.isoformat(), "table": chance.randrange(20),
            "note": chance.choice(good if mood else bad) + chance.choice([".", "!", " :)", ""]),
            "city": chance.choice(["Seoul", "Busan", ""]), "content": "yes" if mood and not weekend else "no",
        }  # fmt: skip


DECLARED = """\
COLUMNS = {"day": "date", "table": "number", "note": "text", "city": "category", "short": "letters"}
HEADERS = {}
LABEL = "content"
CLASSES = ("no", "yes")
DATA = "data/visits.csv"
WEIGHT = ""
GROUP = "guest"
TIME = ""
RANGES = {}
"""


def declare(folder: Path, text: str) -> None:
    (folder / "trainer" / "data.py").write_text(text, encoding="utf-8")


@pytest.fixture
def visited(penguins: Path, tmp_path: Path) -> Path:
    """A trainer of dates, sentences and words, whose guests stay together."""
    folder = shutil.copytree(penguins, tmp_path / "visits")
    declare(folder, DECLARED)
    rows = [{**row, "short": row["note"]} for row in visits()]
    with (folder / "data" / "visits.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder


_ASK = """
import csv, json, sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
with open(sys.argv[2], encoding="utf-8") as file:
    rows = list(csv.DictReader(file))[:200]
names = served.structured_input_signature[1]
given = {n: tf.constant([float(r[n]) if spec.dtype == tf.float32 else r[n] for r in rows]) for n, spec in names.items()}
answers = served(**given)["probabilities"].numpy()
second = np.array(json.load(open(sys.argv[3])))  # one probability a row: of two classes, that of the second
np.testing.assert_allclose(answers, np.hstack([1 - second, second]), atol=1e-5)
print(len(rows))
"""


def test_dates_sentences_and_groups(run: Run, visited: Path, tmp_path: Path):
    """All that decides is learned, and the exported model answers as Keras does to what people write."""
    some = tmp_path / "some.csv"
    lines = (visited / "data" / "visits.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    some.write_text("".join(lines[:201]), encoding="utf-8")
    said = train(run, visited, tmp_path / "out", "--test", "0.1", "--epochs", "60", "--ask", str(some))
    assert "data: 420 rows to train on, 120 held out, 60 for the test" in said  # whole guests: ten rows each
    found = told(tmp_path / "out")
    assert found["metrics"]["accuracy"] >= 0.95 and found["metrics"]["test_accuracy"] >= 0.9
    assert found["recall"]["yes"][0] >= 0.9 * found["recall"]["yes"][1] > 0
    assert found["rows"] == {"training": 420, "held_out": 120, "test": 60}
    assert "friendly" in found["statistics"]["note"]["words"] and "친절" in found["statistics"]["short"]["words"]
    answers = tmp_path / "out" / "answers.json"
    asked = run(tmp_path, "-c", _ASK, str(tmp_path / "out" / "model"), str(some), str(answers))
    assert asked.stdout == "200\n", asked.stderr[-2000:]


def test_the_newest_rows_are_held_out(run: Run, visited: Path, tmp_path: Path):
    declare(visited, DECLARED.replace('GROUP = "guest"\nTIME = ""', 'GROUP = ""\nTIME = "day"'))
    code = (
        "from trainer.kit import rows\n"
        "source = rows.read('data/visits.csv', 0.2, 0.1)\n"
        "day = source.table.inputs['numbers'][:, 1]\n"
        "import numpy as np\n"
        "old, new, last = (day[source.parts[part]] for part in ('training', 'validation', 'test'))\n"
        "print(np.nanmax(old) < new.min() <= new.max() < last.min(), len(new) > 100, len(last) > 50)"
    )
    assert run(visited, "-c", code).stdout == "True True True\n"


def test_what_each_row_counts(run: Run, visited: Path, tmp_path: Path):
    """By a column and by its class."""
    declare(visited, DECLARED + 'WEIGHT = "table"\n')
    model = visited / "trainer" / "model.py"
    text = model.read_text(encoding="utf-8").replace("CLASS_WEIGHT = {}", 'CLASS_WEIGHT = {"yes": 3.0}')
    model.write_text(text, encoding="utf-8")
    code = (
        "import numpy as np\n"
        "from trainer import experiment\n"
        "from trainer.kit import rows\n"
        "source = rows.read('data/visits.csv', 0.2, 0.0)\n"
        "table = experiment.weighted(source.table)\n"
        "((inputs, labels, counts),) = rows.stream(table, source.parts['training'], 400, 1, 0, 0).take(1)\n"
        "numbers = inputs['numbers'].numpy()[:, 0]\n"
        "print(np.array_equal(counts, numbers * np.where(labels == 1, 3, 1)), len(set(counts.numpy())) > 20)"
    )
    assert run(visited, "-c", code).stdout == "True True\n"
    train(run, visited, tmp_path / "out", "--steps", "2")


ARRAYS = """\
COLUMNS = {"image": (8, 8), "lot": "category"}
HEADERS = {}
LABEL = "digit"
CLASSES = (0, 1, 2)
DATA = "data/digits.npz"
GROUP = ""
TIME = ""
WEIGHT = ""
RANGES = {}


def load(pattern):
    import numpy as np
    import tensorflow as tf

    with tf.io.gfile.GFile(pattern, "rb") as file:
        return dict(np.load(file))
"""
AS_DATASET = """\
    found = dict(np.load(pattern))
    return tf.data.Dataset.from_tensor_slices(found).batch(50)
"""
_DIGITS = """
import numpy as np
chance = np.random.default_rng(1)
digit = chance.integers(0, 3, 300)
image = chance.integers(0, 40, (300, 8, 8)).astype("uint8")
for i, d in enumerate(digit):
    image[i, 2 * d : 2 * d + 2] += 150
np.savez("data/digits.npz", image=image, digit=digit, lot=np.array(["a", "b"])[digit % 2])
"""
_ASK_ARRAYS = """
import json, sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1] + "/model").signatures["serving_default"]
asked = np.load(sys.argv[1] + "/questions.npz")
given = {"image": tf.constant(asked["image"], tf.float32), "lot": tf.constant(asked["lot"].tolist())}
np.testing.assert_allclose(served(**given)["probabilities"], json.load(open(sys.argv[1] + "/answers.json")), atol=1e-5)
print(asked["image"].shape, served.structured_input_signature[1]["image"].shape)
"""


def test_rows_that_a_function_gives(run: Run, penguins: Path, tmp_path: Path):
    """Arrays at once or as a dataset, which are the same rows to a run that goes on."""
    folder = shutil.copytree(penguins, tmp_path / "digits")
    declare(folder, ARRAYS)
    assert run(folder, "-c", _DIGITS).returncode == 0
    words = ["--epochs", "8", "--ask", "data/digits.npz"]
    train(run, folder, tmp_path / "out", *words)
    found = told(tmp_path / "out")
    assert found["metrics"]["accuracy"] >= 0.95 and found["columns"]["image"] == [8, 8]
    asked = run(tmp_path, "-c", _ASK_ARRAYS, str(tmp_path / "out"))
    assert asked.stdout == "(40, 8, 8) (None, 8, 8)\n", asked.stderr[-2000:]
    text = ARRAYS[: ARRAYS.index("    with tf.io")] + AS_DATASET
    declare(folder, text)
    assert run(folder, "-m", "trainer.task", "--output", str(tmp_path / "again"), *words).returncode == 0
    assert told(tmp_path / "again")["metrics"] == found["metrics"]
    assert weights(tmp_path / "again") != b""


def test_learning_on(run: Run, visited: Path, tmp_path: Path):
    """From a model or checkpoints, with the words kept or with new ones; another network is refused."""
    train(run, visited, tmp_path / "first", "--epochs", "40")
    before = told(tmp_path / "first")
    rows = [{**row, "short": row["note"], "city": "Jeju" if i % 3 else row["city"]} for i, row in enumerate(visits())]
    with (visited / "data" / "visits.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    accuracy = {}
    for name, place, more in [
        ("kept", "model", []), ("widened", "model", ["--widen"]), ("checkpoint", "checkpoints", []), ("anew", "", [])
    ]:  # fmt: skip
        words = ["--continue", str(tmp_path / "first" / place)] if place else []
        train(run, visited, tmp_path / name, "--epochs", "1", *words, *more)
        found = told(tmp_path / name)
        accuracy[name] = found["metrics"]["accuracy"]
        if place:
            how = "widened" if more else "kept"
            assert found["continued_from"] == {"path": str(tmp_path / "first" / place), "words": how}
            assert ("Jeju" in found["words"]["city"]) == bool(more)
            assert (found["statistics"] == before["statistics"]) == (not more)
    assert min(accuracy["kept"], accuracy["widened"], accuracy["checkpoint"]) >= 0.93 > accuracy["anew"]
    model = visited / "trainer" / "model.py"
    model.write_text(
        model.read_text(encoding="utf-8").replace('LAYERS, UNITS = "mlp", 2, 64', 'LAYERS, UNITS = "mlp", 2, 60'),
        encoding="utf-8",
    )
    for place, said in [("first/model", "model.py isn't as in the run"), ("nowhere", "isn't a model or a folder of")]:
        done = run(visited, "-m", "trainer.task", "--continue", str(tmp_path / place), "--output", str(tmp_path / "x"))
        assert done.returncode == 2 and said in done.stderr and "hint: " in done.stderr
    assert not (tmp_path / "x" / "model").exists()
    assert json.dumps(before)  # as it was
