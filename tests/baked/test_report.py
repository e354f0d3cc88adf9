"""`invoke report` on runs that really happened: killed and taken up again, with groups, of numbers, of images."""

from __future__ import annotations

import csv
import json
import random
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cloudkite import workspace
from cloudkite.journey import reporting
from cloudkite.models.evaluating import asking, pages
from cloudkite.models.evaluating.report import Report, Run
from cloudkite.show.errors import BadValue
from cloudkite.trainers import making
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace
from tests.baked.conftest import Run as Start
from tests.baked.conftest import clean_environment, told, train

pytestmark = pytest.mark.slow

EPOCHS = 40
_SEEN = re.compile(r"^epoch (\d+)/\d+ loss=(\S+) accuracy=(\S+) val_loss=(\S+) val_accuracy=(\S+)$", re.M)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace.throw_away(tmp_path_factory.mktemp("reports"))


def look(home: Workspace, folder: Path, *by: str) -> Report:
    found = reporting.here(Trainer(folder.name, folder))
    assert isinstance(found, Run)
    return reporting.look(home, found, by=by)


@pytest.fixture(scope="module")
def killed(home: Workspace, python: Path, run: Start) -> tuple[Path, str]:
    """A trainer on two columns of penguins, which are not enough, and all that its two processes said: the first was
    killed between two checkpoints."""
    folder = making.new(home, "penguins").folder
    data = folder / "trainer" / "data.py"
    columns = re.compile(r'    "(bill|flipper)\w+": [^\n]*\n')
    data.write_text(columns.sub("", data.read_text(encoding="utf-8")), encoding="utf-8")
    words = ["-m", "trainer.task", "--epochs", str(EPOCHS), "--save-every", "28", "--test", "0.1"]
    first = subprocess.Popen(
        [str(python), *words], cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, text=True
    )
    said = ""
    for line in first.stdout or ():
        said += line
        if line.startswith("epoch 11/"):
            break
    first.kill()
    said += first.communicate()[0]
    again = train(run, folder, folder / "output", *words[2:])
    assert "resumed after step" in again
    return folder, said + again


@pytest.fixture(scope="module")
def reported(home: Workspace, killed: tuple[Path, str]) -> Report:
    return look(home, killed[0])


def test_each_epoch_once_as_the_processes_said_it(killed: tuple[Path, str], reported: Report):
    lines = _SEEN.findall(killed[1])
    assert len(lines) > EPOCHS  # some twice: the second process went on from a checkpoint before the kill
    said = {int(epoch): list(map(float, values)) for epoch, *values in lines}
    curves = reported.curves
    assert curves.processes == 2 and 0 < curves.seconds < 120
    for place, (name, part) in enumerate((n, p) for p in ("train", "validation") for n in ("loss", "accuracy")):
        drawn = curves.values[name][part]
        assert list(sorted(drawn)) == list(range(1, EPOCHS + 1))
        assert [drawn[epoch] for epoch in sorted(drawn)] == pytest.approx(
            [said[e][place] for e in sorted(said)], rel=1e-3
        )


def test_the_model_is_asked_about_the_rows_that_the_run_held_out(killed: tuple[Path, str], reported: Report):
    """What Keras counted at the end of the run, and what the exported model answers now."""
    about = told(killed[0] / "output")
    validation, test = reported.parts
    assert (validation.name, test.name) == ("validation", "test")
    for part, prefix in ((validation, ""), (test, "test_")):
        found = {one.name: one for one in part.measured.headlines}
        for name in ("accuracy", "balanced_accuracy"):
            assert found[name].value == pytest.approx(about["metrics"][prefix + name], abs=1e-6)
        assert found["accuracy"].baseline == pytest.approx(about["metrics"][f"{prefix}baseline_accuracy"])
        assert found["log_loss"].value == pytest.approx(about["metrics"][f"{prefix}loss"], rel=1e-4)
        assert all(one.same for one in part.compared) and len(part.compared) == 2
    recall = {one.name: [one.recall.right, one.recall.of] for one in validation.measured.classes}
    assert recall == about["recall"]
    assert sum(map(sum, validation.measured.table)) == about["rows"]["held_out"] == validation.measured.rows
    assert sum(b.right.of for b in validation.measured.bins) == validation.measured.rows


def test_groups_and_wrong_rows_are_those_of_the_file(killed: tuple[Path, str], reported: Report):
    folder, _said = killed
    with (folder / "data" / "penguins.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    part = reported.parts[0]
    assert set(part.groups) == {"island", "sex"}
    for groups in part.groups.values():
        assert sum(one.all.of for one in groups) == part.measured.rows
        assert sum(one.all.right for one in groups) == part.measured.accuracy.right
        assert all(sum(s.of for s in one.classes.values()) == one.all.of for one in groups)
    assert len(part.worst) == min(12, part.measured.rows - part.measured.accuracy.right) > 3
    sure = [row["sure"] for row in part.worst]
    assert sure == sorted(sure, reverse=True)
    for row in part.worst:
        written = rows[row["row"] - 1]
        assert row["label"] == written["species"] != row["answer"]
        fields = {name: value["text"] for name, value in row["fields"].items()}
        assert fields["island"] == written["island"] and fields["year"] == written["year"]  # which data.py leaves alone
        assert float(fields["body_mass_g"]) == float(written["body_mass_g"])


def test_the_run_is_described_so_that_it_can_be_done_again(killed: tuple[Path, str], reported: Report, run: Start):
    folder, _said = killed
    assert not reported.data_changed and reported.content[0] == reported.content[1] != ""
    assert all(file.same for file in reported.code) and len(reported.code) > 10 and len(reported.wheel) == 64
    assert "CC0 1.0" in reported.source and [file.name for file in reported.data] == ["penguins.csv"]
    page = pages.html(reported)
    assert "stopped and taken up again: 2 processes, each epoch shown once" in page
    assert not re.search(r'(src|href)="(?!data:image/png)', page) and str(folder.parent) not in page
    words = shlex.split(reported.repeat)
    assert words[:2] == ["uv", "run"] and words[2] == "python"
    done = run(folder, *words[3:])
    assert done.returncode == 0, done.stderr
    assert told(folder / "output" / "again")["metrics"] == told(folder / "output")["metrics"]


def test_what_has_changed_since_the_run_is_told(
    home: Workspace, killed: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "penguins"
    shutil.copytree(killed[0], folder)
    table = folder / "data" / "penguins.csv"
    whole = table.read_text(encoding="utf-8")
    table.write_text(whole.replace("Adelie", "?").replace("Gentoo", "Adelie").replace("?", "Gentoo"), encoding="utf-8")
    (folder / "trainer" / "model.py").write_text(
        "# other\n" + (folder / "trainer" / "model.py").read_text("utf-8"), "utf-8"
    )
    reporting.report(home, str(folder), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["changed"] and not found["wheel"]
    assert [file["name"] for file in found["code"] if not file["same"]] == ["trainer/model.py"]
    assert not any(one["same"] for one in found["parts"]["validation"]["compared"])
    assert not (folder / "output" / "report.html").exists()  # only where --output says so, beside --json
    table.unlink()
    reporting.report(home, str(folder))
    page = (folder / "output" / "report.html").read_text(encoding="utf-8")
    assert "the model was not asked about any row" in page and "no file matches" in page and "How it learned" in page
    data = folder / "trainer" / "data.py"
    data.write_text(data.read_text("utf-8").replace('("Adelie", ', '("Emperor", '), encoding="utf-8")
    assert "data.py now declares other classes" in " ".join(look(home, folder).notes)


@pytest.fixture(scope="module")
def scores(home: Workspace, run: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trainer that estimates a number from a person's own table, with a group and weights, after a run."""
    chance = random.Random(1)
    lines = ["반,키 (cm),거주지,메모,본 횟수,날짜,점수"]
    for i in range(400):
        height, city = chance.gauss(165, 9), ["서울", "부산", "القدس 😀"][i % 3]
        score = 2 * height + (10 if i % 3 == 0 else 0) + chance.gauss(0, 4)
        memo = "아주 좋은 학생" if height > 165 else "보통 학생"
        lines.append(f"c{i % 20},{height:.1f},{city},{memo} {i},{1 + i % 3},20{20 + i % 4}-0{1 + i % 9}-11,{score:.1f}")
    table = tmp_path_factory.mktemp("scores") / "성적.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    folder = making.new(home, "scores", table, "점수").folder
    data = folder / "trainer" / "data.py"
    text = (
        data.read_text(encoding="utf-8")
        .replace('GROUP = ""', 'GROUP = "ban"')
        .replace('WEIGHT = ""', 'WEIGHT = "bon_hoessu"')
    )
    data.write_text(re.sub(r'    "bon_hoessu": (?!"본)[^\n]*\n', "", text), encoding="utf-8")
    train(run, folder, folder / "output", "--epochs", "8")
    return folder


def test_a_label_that_is_a_number(home: Workspace, scores: Path):
    made = look(home, scores)
    metrics, (part,) = told(scores / "output")["metrics"], made.parts
    found = {one.name: one.value for one in part.measured.headlines}
    assert found["mae"] == pytest.approx(metrics["mae"], rel=1e-4)
    assert found["rmse"] == pytest.approx(metrics["loss"] ** 0.5, rel=1e-4)
    labels, answers = np.array(part.measured.pairs).T
    assert len(labels) == part.measured.rows  # all are kept, of so few
    assert found["r2"] == pytest.approx(1 - ((answers - labels) ** 2).sum() / ((labels - labels.mean()) ** 2).sum())
    assert list(part.spreads) == ["ban"]  # GROUP
    spread = part.spreads["ban"]
    assert sum(one.rows for one in spread.values()) == part.measured.rows and len(spread) < 20
    assert sum(one.mae * one.rows for one in spread.values()) / part.measured.rows == pytest.approx(found["mae"])
    errors = sorted(abs(answers - labels), reverse=True)
    assert [abs(row["answer"] - row["label"]) for row in part.worst] == pytest.approx(errors[:12])
    assert any("whatever its weight" in note for note in made.notes)
    page = pages.html(made)
    assert "predicted against true" in page and "키 (cm) (ki_cm)" in page and "القدس 😀" in page


def test_by_columns_as_the_person_calls_them(home: Workspace, scores: Path):
    (part,) = look(home, scores, "거주지", "날짜", "ki_cm", "bon_hoessu").parts
    assert set(part.spreads) == {"geojuji", "naljja", "ki_cm", "bon_hoessu"}
    assert set(part.spreads["geojuji"]) == {"서울", "부산", "القدس 😀"}
    assert set(part.spreads["naljja"]) == {"2020", "2021", "2022", "2023"}
    assert set(part.spreads["bon_hoessu"]) == {"1", "2", "3"}
    ranges = list(part.spreads["ki_cm"])
    assert len(ranges) == 4 and ranges[0].startswith("< 1") and ranges[-1].startswith(">= 1")
    sizes = [one.rows for one in part.spreads["ki_cm"].values()]
    assert sum(sizes) == part.measured.rows and max(sizes) < 0.4 * sum(sizes)
    with pytest.raises(BadValue, match="no such column") as caught:
        look(home, scores, "거주")
    assert "거주지" in caught.value.hint
    with pytest.raises(BadValue, match="sentences or arrays"):
        look(home, scores, "메모")


def test_images_are_shown_as_they_are(home: Workspace, run: Start, tmp_path: Path):
    chance, made = np.random.default_rng(0), tmp_path / "pets.npz"
    shades = chance.normal(np.where(np.arange(80) % 2, 120, 130), 40).clip(0, 255)
    np.savez(
        made, picture=np.ones((80, 6, 5)) * shades[:, None, None], kind=np.array(["cat", "dog"])[np.arange(80) % 2]
    )
    folder = making.new(home, "pets", made, "kind").folder
    done = run(folder, "-m", "trainer.task", "--epochs", "1", "--validation", "0.4")
    assert done.returncode == 0, done.stderr
    made = look(home, folder)
    (part,) = made.parts
    assert part.measured.rows == 32 and part.worst
    picture = part.worst[0]["fields"]["picture"]
    assert (picture["height"], picture["width"]) == (6, 5) and picture["picture"].startswith("iVBORw0KGgo")
    assert f"data:image/png;base64,{picture['picture']}" in pages.html(made)


# --- counting in batches, beside formulas over all rows at once

_COUNT = """
import importlib.util, json, sys
import numpy as np, tensorflow as tf
spec = importlib.util.spec_from_file_location("look_again", sys.argv[1])
again = importlib.util.module_from_spec(spec)
spec.loader.exec_module(again)
given = dict(np.load(sys.argv[2]))
classes = [f"c{i}" for i in range(given["shares"].shape[1])]
groups = [again.Groups("city", "category"), again.Groups("age", "number")]
both = again.ClassesCount(classes, "y", groups, again.Worst("y", {}))
numbers = again.NumbersCount(5.0, "y", [again.Groups("city", "category")], again.Worst("y", {}))
for start in range(0, len(given["labels"]), 700):
    some = {name: values[start : start + 700] for name, values in given.items()}
    fields = {name: tf.constant(some[name]) for name in ("age", "labels")}
    fields |= {"city": tf.constant(some["city"].astype("S")), "y": fields.pop("labels")}
    said = {"y": tf.gather(tf.constant(classes), some["shares"].argmax(1))}
    said["probabilities"] = tf.constant(some["shares"])
    at = np.arange(start, start + len(some["labels"])) + 1
    both.add(at, some["labels"], fields, said)
    numbers.add(at, some["truth"], fields, {"y": tf.constant(some["guess"])})
out = {"classes": both.told(), "groups": [g.told() for g in groups], "worst": [r["row"] for r in both.worst.told()]}
out |= {"numbers": numbers.told(), "farthest": [r["row"] for r in numbers.worst.told()]}
print(json.dumps(out))
"""


def test_batches_count_as_all_rows_together(run: Start, tmp_path: Path):
    chance, count = np.random.default_rng(3), 8000
    shares = chance.dirichlet(np.ones(4), count).astype("float32")
    labels = chance.integers(0, 4, count).astype("int32")
    truth = chance.normal(100, 20, count)
    given = {"shares": shares, "labels": labels, "truth": truth, "guess": truth + chance.normal(0, 3, count)}
    given |= {"city": chance.choice(["a", "b", "c"], count), "age": chance.normal(40, 9, count).astype("float32")}
    np.savez(tmp_path / "given.npz", **given)
    script = Path(asking.__file__).with_name("look_again.py")
    done = run(tmp_path, "-c", _COUNT, str(script), str(tmp_path / "given.npz"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    answers, sure = shares.argmax(1), shares.max(1).astype("float64")
    assert found["classes"]["table"] == [
        [int(((labels == a) & (answers == b)).sum()) for b in range(4)] for a in range(4)
    ]
    of_label = shares[np.arange(count), labels].astype("float64")
    assert found["classes"]["loss"] == pytest.approx(-np.log(np.maximum(of_label, 1e-7)).sum())
    where = np.minimum((sure * 10).astype(int), 9)
    right = answers == labels
    for b, (n, s, r) in enumerate(found["classes"]["bins"]):
        assert (n, r) == ((where == b).sum(), right[where == b].sum()) and s == pytest.approx(sure[where == b].sum())
    cities, ages = (one["values"] for one in found["groups"])
    for city, counts in cities.items():
        inside = given["city"] == city
        assert counts == [
            [int((inside & (labels == c)).sum()), int((inside & right & (labels == c)).sum())] for c in range(4)
        ]
    assert len(ages) == 4 and sum(n for counts in ages.values() for n, _r in counts) == count
    wrong = np.flatnonzero(~right)
    assert found["worst"] == (wrong[np.argsort(-sure[wrong], kind="stable")][:12] + 1).tolist()
    error, apart = given["guess"] - truth, truth - 5
    sums = [count, abs(error).sum(), (error**2).sum(), error.sum(), abs(apart).sum(), (apart**2).sum(), apart.sum()]
    assert found["numbers"]["sums"] == pytest.approx(sums)
    pairs = np.array(found["numbers"]["pairs"])
    assert len(pairs) == 5000 and len(np.unique(pairs[:, 0])) == 5000
    assert pairs[:, 0].mean() == pytest.approx(100, abs=2)  # from all over
    assert found["farthest"] == (np.argsort(-abs(error), kind="stable")[:12] + 1).tolist()
