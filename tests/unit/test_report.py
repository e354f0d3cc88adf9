"""The report of a run, without a run: measures, curves of processes that were killed, plots, and how a page is made."""

import dataclasses
import json
import math
import re
from decimal import Decimal
from html.parser import HTMLParser

import numpy as np
import pytest

from cloudkite import workspace
from cloudkite.jobs.places import vertex
from cloudkite.journey import reporting
from cloudkite.models.evaluating import curves, measures, pages, report
from cloudkite.models.evaluating.asking import Found
from cloudkite.models.evaluating.measures import Share
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.page import document, plots
from cloudkite.trainers.folders import Trainer
from tests import trainer_folder
from tests.jobs import NOW, answer

CLASSES = ["no", "yes", "<i>어쩌면</i>"]
VOID = {"meta", "img", "rect", "line", "circle", "polyline"}


class Read(HTMLParser):
    """A page's tags, and the cells of its tables; what isn't closed in order is a mistake."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == first)


# --- measures


def counted(labels, answers, sure):
    """What look_again counts, by formulas written anew."""
    table = [[int(((labels == a) & (answers == b)).sum()) for b in range(3)] for a in range(3)]
    which = np.minimum((sure * 10).astype(int), 9)
    right = labels == answers
    bins = [[int((which == b).sum()), sure[which == b].sum(), int(right[which == b].sum())] for b in range(10)]
    return {"rows": len(labels), "table": table, "bins": bins, "loss": 12.5}


def test_measures_are_those_of_their_formulas():
    chance = np.random.default_rng(4)
    labels = chance.integers(0, 3, 400)
    answers = np.where(chance.random(400) < 0.7, labels, chance.integers(0, 3, 400))
    sure = chance.uniform(0.34, 1, 400)
    made = measures.classified(counted(labels, answers, sure), CLASSES)
    found = {one.name: one for one in made.headlines}
    recalls = [(answers[labels == c] == c).mean() for c in range(3)]
    precisions = [(labels[answers == c] == c).mean() for c in range(3)]
    shares = np.bincount(labels) / 400
    assert found["accuracy"].value == pytest.approx((labels == answers).mean())
    assert found["accuracy"].baseline == pytest.approx(shares.max())
    assert found["balanced_accuracy"].value == pytest.approx(np.mean(recalls))
    f1 = [2 * p * r / (p + r) for p, r in zip(precisions, recalls, strict=True)]
    assert found["f1"].value == pytest.approx(np.mean(f1))
    always = np.full(400, shares.argmax())
    of_always = [
        2 * ((labels == c) & (always == c)).sum() / ((labels == c).sum() + (always == c).sum()) for c in range(3)
    ]
    assert found["f1"].baseline == pytest.approx(np.mean(of_always))
    assert found["log_loss"].value == 12.5 / 400
    assert found["log_loss"].baseline == pytest.approx(-(shares * np.log(shares)).sum())
    assert [one.recall.value for one in made.classes] == pytest.approx(recalls)
    assert [one.precision.value for one in made.classes] == pytest.approx(precisions)
    edges = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs((labels == answers)[edges == b].mean() - sure[edges == b].mean()) * (edges == b).mean()
            for b in np.unique(edges)]  # fmt: skip
    assert made.calibration_error == pytest.approx(sum(gaps))


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),  # of statsmodels 0.15.0: proportion_confint(right, of, method="wilson")
    [
        (8, 10, 0.49016247, 0.94331785),
        (0, 5, 0.0, 0.43448246),
        (69, 69, 0.94726274, 1.0),
        (20, 40, 0.35199527, 0.64800473),
    ],
)
def test_intervals_are_wilsons(right, of, low, high):
    assert Share(right, of).interval == pytest.approx((low, high), abs=1e-7)
    # The interval's ends are where the test of a share just doesn't refuse it: |p - p0| = z sqrt(p0 (1 - p0) / n).
    for end in (p for p in Share(right, of).interval if 0 < p < 1):
        assert abs(right / of - end) == pytest.approx(measures.Z * math.sqrt(end * (1 - end) / of))


def test_what_too_few_rows_are():
    assert (measures.fewest(0.5), measures.fewest(1)) == (40, 9)
    assert Share(20, 40).tells and not Share(19, 38).tells and not Share(8, 8).tells and not Share(0, 0).tells
    assert not measures.spread([9, 9, 9, 0]).tells and measures.spread([10, 10, 10, 0]).tells


def test_measures_of_numbers_are_those_of_their_formulas():
    chance = np.random.default_rng(5)
    labels = chance.normal(50_000, 900, 300)
    answers = labels + chance.normal(20, 300, 300)
    error, apart = answers - labels, labels - 49_000
    sums = [300, abs(error).sum(), (error**2).sum(), error.sum(), abs(apart).sum(), (apart**2).sum(), apart.sum()]
    made = measures.estimated({"rows": 300, "sums": sums, "pairs": [[1.0, 2.0]]}, 49_000)
    found = {one.name: (one.value, one.baseline) for one in made.headlines}
    assert found["mae"] == pytest.approx((abs(error).mean(), abs(apart).mean()))
    assert found["rmse"] == pytest.approx((math.sqrt((error**2).mean()), math.sqrt((apart**2).mean())))
    assert found["r2"][0] == pytest.approx(1 - (error**2).sum() / ((labels - labels.mean()) ** 2).sum())
    half = 1.959964 * abs(error).std(ddof=1) / math.sqrt(300)
    assert made.errors.interval == pytest.approx((abs(error).mean() - half, abs(error).mean() + half))
    same = measures.estimated({"rows": 2, "sums": [2, 0, 0, 0, 0, 0, 0], "pairs": []}, 1)
    assert same.headlines[2].value is None  # where all labels are the same, R² says nothing


# --- curves


def file(begun, *points, seconds=3):
    return {"begun": begun, "ended": begun + seconds, "points": [[step, "loss", value] for step, value in points]}


def test_each_epoch_once_after_kills():
    """Killed after epoch 3, gone on from a checkpoint in epoch 2, killed before the first epoch's end, gone on."""
    first, second = file(10, (8, 0.9), (16, 0.8), (24, 0.7)), file(20, (16, 0.81), (24, 0.71), (32, 0.6))
    written = {"train": [first, second, file(29), file(30, (40, 0.5))]}
    found = curves.of(written, 8, 40)
    assert found.values == {"loss": {"train": {1: 0.9, 2: 0.81, 3: 0.71, 4: 0.6, 5: 0.5}}}
    assert (found.epochs, found.processes, found.seconds) == (5, 3, 9)
    assert curves.steps_an_epoch(written) == 8


def test_curves_are_those_of_the_models_run():
    """Another run, with other batches, began in the same folder and has not ended."""
    before, after = file(10, (8, 0.9), (16, 0.8)), file(50, (5, 0.4), (10, 0.3), (15, 0.2))
    assert curves.of({"train": [before, after]}, 8, 16).values["loss"]["train"] == {1: 0.9, 2: 0.8}
    assert curves.of({"train": [before, after]}, 8, 21).values["loss"]["train"] == {1: 0.9, 2: 0.8}  # --steps 21
    assert curves.of({"train": [before, after]}, 8, 32).values == {}
    assert curves.steps_an_epoch({"train": [before, after]}) == 5
    assert curves.of({"train": [before, after]}, 5, None).values["loss"]["train"] == {1: 0.4, 2: 0.3, 3: 0.2}
    assert curves.of({}, 1, 8).values == {} and curves.steps_an_epoch({}) == 1


# --- plots


def test_plots_tell_what_they_show_and_hold_their_frame():
    drawn = plots.lines("a < b", "c & d", {"x": [(1, 0.5), (2, math.nan), (3, 1e-9)]}, "<epoch>")
    read = Read(f"<div>{drawn}</div>")
    (svg,) = (attributes for tag, attributes in read.tags if tag == "svg")
    ids = {attributes["id"] for _tag, attributes in read.tags if "id" in attributes}
    assert svg["role"] == "img" and set((svg["aria-labelledby"] or "").split()) == ids and len(ids) == 2
    assert "<title" in drawn and "a &lt; b" in drawn and "c &amp; d" in drawn and "&lt;epoch&gt;" in drawn
    assert "nan" not in drawn
    (path,) = (attributes["points"] for tag, attributes in read.tags if tag == "polyline")
    assert [tuple(map(float, point.split(","))) for point in (path or "").split()] == [(62, 26), (406, 220)]
    assert plots.lines("a", "b", {"x": [(1, math.nan)]}, "c") == plots.scatter("a", "b", [], "c", "d") == ""
    assert Read(f"<p>{plots.lines('a', 'b', {'x': [(1, 5.0)]}, 'c')}</p>").tags  # one epoch: a point


def test_bars_and_dots_stand_where_the_numbers_are():
    drawn = plots.reliability("r", "", [(0.5, 0.6, 0.55, 0.5, 8), (0.9, 1.0, None, None, 0)], "x", "y")
    (dot,) = (a for tag, a in Read(f"<p>{drawn}</p>").tags if tag == "circle")
    assert (float(dot["cx"] or 0), float(dot["cy"] or 0)) == pytest.approx((62 + 0.55 * 344, 26 + 0.5 * 194), abs=0.1)
    assert ">8</text>" in drawn
    drawn = plots.scatter("s", "", [(0, 0), (10, 5)], "x", "y")
    dots = [(a["cx"], a["cy"]) for tag, a in Read(f"<p>{drawn}</p>").tags if tag == "circle"]
    assert dots == [("62.0", "220.0"), ("406.0", "123.0")]
    heights = [
        float(h) for h in re.findall(r'height="([\d.]+)" fill="#2b', plots.histogram("h", "", [-1, 0, 0, 1], "x", "y"))
    ]
    assert sorted(heights) == [97, 97, 194]


@pytest.mark.parametrize("ends", [(0, 1), (-3, 70_000), (1e-7, 3e-7), (5, 5)])
def test_ticks_are_few_and_inside(ends):
    marks = plots.Axis(*ends, 0, 100).ticks()
    assert 1 <= len(marks) <= 7 and all(ends[0] - 1e-12 <= mark <= ends[1] + 1e-12 for mark in marks)


# --- the page

DATA_PY = """\
COLUMNS = {"height": "number", "city": "category"}
HEADERS = {"height": "신장 (cm)"}
LABEL = "passed"
CLASSES = ("no", "yes", "<i>어쩌면</i>")
DATA = "data/grades.csv"
"""
EVIL = '<script src="https://example.com/x.js"></script>القدس\u202e😀'
WORST = {"row": 17, "label": "no", "answer": "yes", "sure": 0.9, "of_label": 0.1,
         "fields": {"city": {"text": EVIL}, "height": {"picture": "aGk=", "width": 2, "height": 3}}}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    return trainer_folder.space(tmp_path)


def job(**changes):
    """A job that has ended."""
    ended = answer(state="JOB_STATE_SUCCEEDED", endTime="2026-11-24T14:37:00Z")
    return dataclasses.replace(vertex.parse(ended, NOW), **changes)


def made(place, *, which=None, about=None, parts=None, why="", **more):
    folder = trainer_folder.make(place, data_py=DATA_PY)
    options = {"data": "data/grades.csv", "epochs": 3, "seed": 0, "batch": None, "widen": False, "steps": 0,
               "validation": 0.2, "before": "", "my_own": "a b"}  # fmt: skip
    told = {"options": options, "step": 24, "epoch": 8, "python": "3.11.7", "machine": "Linux, 2 CPUs",
            "made_from": {"trainer/data.py": "0" * 16, "the data": "feed"}}  # fmt: skip
    about = {"label": "passed", "classes": CLASSES, "columns": {"height": "number", "city": "category"},
             "tensorflow": "2.21.0", "metrics": {"accuracy": 0.75}, "rows": {"training": 40, "held_out": 12},
             "statistics": {}, "run": told} | (about or {})  # fmt: skip
    table = [[8, 1, 0], [2, 1, 0], [0, 0, 0]]
    cities = {"Seoul": [[9, 8], [0, 0], [0, 0]], EVIL: [[0, 0], [3, 1], [0, 0]]}
    if parts is None:
        parts = {"validation": {"rows": 12, "table": table, "bins": [[0, 0, 0]] * 9 + [[12, 11.4, 9]], "loss": 3.0,
                                "groups": {"city": {"values": cities, "left": 2}}, "worst": [WORST]}}  # fmt: skip
    events = {"train": [file(10, (8, 0.9), (16, 0.8), (24, 0.7))]}
    found = Found(events, parts, "feed", why)
    run = report.Run(Trainer("grades", folder), "grades", folder, folder, about, which, **more)
    return report.make(run, found, {"grades.csv": "ab" * 32}, "cd" * 32)


def test_the_page_has_all_numbers_and_nothing_that_runs_or_is_elsewhere(place):
    written = pages.html(made(place))
    read = Read(written)
    assert read.row("accuracy")[:3] == ["accuracy", "0.75", "0.75"]
    assert read.row("accuracy")[3] == "not better than knowing nothing"
    assert [row for row in read.rows if row[0] == "no"][:2] == [
        ["no", "8 (89%)", "1 (11%)", "0"],
        ["no", "8 / 9", "88.9%", "57 - 98%, too few to tell", "8 / 10", "80.0%", "49 - 94%, too few to tell"],
    ]
    assert read.row("<i>어쩌면</i>")[1:] == ["", "", ""]  # a label without a row
    shown = EVIL.replace("\u202e", "\\u202e")
    assert read.row("Seoul") == ["Seoul", "9", "88.9%", "57 - 98%, too few to tell", "8 / 9 (too few)", ""]
    assert read.row(shown)[1:3] == ["3", "33.3%"]
    assert read.row("17")[1:5] == ["no", "yes", "90.0%", "10.0%"] and shown in read.row("17")[5]
    assert read.row("grades.csv") == ["grades.csv", "ab" * 32]
    assert read.row("trainer/data.py") == ["trainer/data.py", "0" * 16, "changed since, or gone"]
    assert read.row("TensorFlow")[1] == "2.21.0" and read.row("seed")[1] == "0"
    assert read.row("cost")[1] == "0: it ran on this machine"
    names = [tag for tag, _a in read.tags]
    assert not {"script", "link", "iframe", "a", "i", "object"} & set(names)
    assert "default-src 'none'" in written and '<html lang="en">' in written
    outside = [v for _t, a in read.tags for k, v in a.items() if k in ("src", "href") or k.startswith("on")]
    assert outside == ["data:image/png;base64,aGk="]
    assert all(a.get("scope") in ("row", "col") for tag, a in read.tags if tag == "th")
    assert all(a.get("alt") for tag, a in read.tags if tag == "img")
    assert "\u202e" not in written


def test_what_was_not_looked_at_is_told(place):
    notes = " / ".join(made(place).notes)
    assert "the 40 rows learnt from were not looked at" in notes and "(--test)" in notes
    assert "not divided into groups: 신장 (cm) (height); --by COLUMN does that" in notes
    assert "city: 2 rows are in groups beyond the first thousand" in notes
    lacking = made(place, parts={}, why="the data are gone", lacks=("its logs are lost",))
    assert (
        "the model was not asked about any row: the data are gone" in lacking.notes
        and lacking.notes[0] == "its logs are lost"
    )
    page = pages.html(lacking)
    assert "the data are gone" in page and "How it learned" in page and "How good" not in page
    assert "data/README.md" in page  # which this trainer lacks


def test_other_numbers_than_the_run_wrote_and_other_data_are_told(place):
    same = made(place)
    assert [(one.name, one.same) for one in same.parts[0].compared] == [("accuracy", True)] and not same.data_changed
    changed = made(place, about={"metrics": {"accuracy": 0.95}})
    assert not changed.parts[0].compared[0].same
    assert "the run wrote down accuracy 0.95, and its model now has 0.75" in pages.html(changed)
    told = dict(same.run.about["run"], made_from={"the data": "beef"})
    assert "their content was beef and is feed" in pages.html(made(place, about={"run": told}))


def test_the_command_that_repeats_the_run(place):
    words = "--epochs 3 --seed 0 --validation 0.2 --my-own 'a b'"
    assert made(place).repeat == f"uv run python -m trainer.task --output output/again {words}"
    sent = job(
        machine="n1-standard-4", accelerator="NVIDIA_TESLA_T4", count=1, replicas=2, spot=True, limit_seconds=5400
    )
    there = made(place, which=sent)
    assert there.repeat == (
        "uv run invoke train grades --machine n1-standard-4 --gpu NVIDIA_TESLA_T4 --gpus 1 --workers 2 --spot "
        f"--limit 90m -- {words}"
    )
    assert made(place, about={"run": None}).repeat == ""


def test_a_job_has_its_estimate_and_its_cost(place):
    sent = job(
        worst_case=Decimal("0.31"), cost=Decimal("0.0123"), hourly=Decimal("0.154"), seconds=290.0, limit_seconds=7200
    )
    rows = dict(pages.cost(made(place, which=sent)))
    assert rows["estimate"] == "at most 0.31 USD in 2h 00m, at 0.15 USD an hour"
    assert rows["time"] == "4m 50s" and rows["cost"].startswith("0.01 USD, by prices of ")


def test_many_classes_and_many_files_still_fit_onto_a_page(place):
    count = 40
    table = np.eye(count, dtype=int) * 3
    table[2, 5], table[7, 1] = 9, 4
    part = {
        "rows": int(table.sum()),
        "table": table.tolist(),
        "bins": [[0, 0, 0]] * 10,
        "loss": 1.0,
        "groups": {},
        "worst": [],
    }
    many = made(place, about={"classes": [f"c{i}" for i in range(count)]}, parts={"validation": part})
    read = Read(pages.html(many))
    at = next(i for i, row in enumerate(read.rows) if row == ["label", "answer", "rows"])
    assert read.rows[at + 1 : at + 3] == [["c2", "c5", "9"], ["c7", "c1", "4"]]
    assert max(map(len, read.rows)) < 10


# --- which run


def test_a_trainer_without_a_run_or_with_another_name(place, monkeypatch):
    trainer_folder.make(place)
    with pytest.raises(UserError, match="no run of grades yet") as caught:
        reporting.report(place, "grades")
    assert caught.value.hint == "uv run invoke train grades; or in its folder: uv run python -m trainer.task"
    with pytest.raises(BadValue, match="no trainer is called grade") as unknown:
        reporting.report(place, "grade")
    assert "grades" in unknown.value.hint
    with pytest.raises(BadValue, match=r"must end with \.html"):
        reporting.report(place, "grades", output="page.pdf")
    folder = place.trainers / "grades" / "output" / "model"
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    with pytest.raises(UserError, match=r"assets\.extra/trainer\.json"):
        reporting.here(Trainer("grades", place.trainers / "grades"))
    about = {"label": "passed", "classes": ["no", "yes"], "columns": {"hours": "number"}}
    (folder / "assets.extra" / "trainer.json").write_text(json.dumps(about), encoding="utf-8")
    older = reporting.here(Trainer("grades", place.trainers / "grades"))
    assert older and not older.told and "made by an older version of the trainer" in older.lacks[0]


def test_the_language_of_a_page():
    assert re.search(r'<html lang="[a-z]{2}">', document.page("t", []))
    assert workspace.CLONE.is_dir()
