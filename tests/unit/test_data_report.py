"""`invoke data.report` and `invoke check --data`: columns before training, and new rows beside old ones."""

import json
import random
from html.parser import HTMLParser

import pytest

from cloudkite.journey import looking
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.page import plots
from tests import trainer_folder

DATA_PY = """\
COLUMNS = {"height": "number", "city": "category", "note": "text", "born": "date"}
HEADERS = {"height": "신장 (cm)"}
LABEL = "passed"
CLASSES = ("no", "yes")
DATA = "data/grades.csv"
"""
REGRESSION = DATA_PY.replace('("no", "yes")', "()")
HEADER = "height,city,note,born,passed"


def rows(count=200, mean=170, seed=1, label=None):
    chance = random.Random(seed)
    made = []
    for i in range(count):
        height = chance.gauss(mean, 10)
        answer = label(height) if label else "yes" if height + chance.gauss(0, 5) > 170 else "no"
        city = ["Seoul", "Busan", "<b>Jeju</b>"][i % 3]
        made.append(f"{height:.1f},{city},words {i} of text,{1990 + i % 20}-0{1 + i % 9}-11,{answer}")
    return made


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # a narrow terminal gets fewer columns
    return trainer_folder.space(tmp_path)


def make(place, data_py=DATA_PY, lines=None):
    trainer_folder.make(place, data_py=data_py, csv="\n".join([HEADER, *(rows() if lines is None else lines)]) + "\n")


def shown(capsys, call, *arguments, **options):
    call(*arguments, **options)
    return capsys.readouterr().out


def test_each_column_is_shown_with_what_it_holds_and_what_it_tells(place, capsys):
    make(place, lines=["", *rows()[:150], *(line.replace("Seoul", "") for line in rows(50, seed=3))])
    said = shown(capsys, looking.report, place, "grades").splitlines()
    assert said[0] == "200 rows of grades.csv"
    assert said[1].startswith("passed: no ") and "%), yes " in said[1]
    assert said[2].startswith("always the commonest is right in 5") and said[2].endswith("%: the accuracy to beat")
    height, city, note, born = (next(line for line in said if line.startswith(name))
                                for name in ("신장 (cm) (height)", "city", "note", "born"))  # fmt: skip
    assert "number" in height and "mean 1" in height and any(bar in height for bar in "▅▆▇█")
    assert 40 < int(height.rstrip().rpartition(" ")[2].rstrip("%")) < 90
    assert "8.5%" in city and "<b>Jeju</b> 33%" in city
    assert "4 words on average" in note
    assert "1990-01-11 to 2009-0" in born
    assert any(line.startswith("note: blank fields: city 8.5%") for line in said)
    assert said[-1] == "next: uv run invoke check grades"


def test_the_same_as_json(place, capsys):
    make(place)
    found = json.loads(shown(capsys, looking.report, place, "grades", as_json=True))
    assert (found["rows"], found["verdict"], found["files"]) == (200, "ok", ["grades.csv"])
    columns = {column["name"]: column for column in found["columns"]}
    height = columns["height"]
    assert (height["header"], height["kind"], height["blanks"], len(height["histogram"])) == (
        "신장 (cm)",
        "number",
        0,
        10,
    )
    assert height["low"] <= height["quantiles"][0] <= height["mean"] <= height["quantiles"][-1] <= height["high"]
    assert height["mean"] == pytest.approx(170, abs=3) and height["deviation"] == pytest.approx(10, abs=2)
    assert columns["city"]["common"][0][1] == 67 and columns["city"]["distinct"] == 3
    assert columns["note"]["tells"] is None
    assert found["base_rate"] == max(found["classes"].values()) / 200


def test_a_label_that_is_a_number_has_an_error_to_beat(place, capsys):
    make(place, REGRESSION, rows(label=lambda height: f"{2 * height:.1f}"))
    said = shown(capsys, looking.report, place, "grades")
    assert "always the mean is wrong by 19" in said or "always the mean is wrong by 2" in said
    height = next(line for line in said.splitlines() if line.startswith("신장 (cm)"))
    assert int(height.rstrip().rpartition(" ")[2].rstrip("%")) > 80


def test_what_is_wrong_is_part_of_the_report_and_no_failure(place, capsys):
    make(place, lines=[*rows(), "tall,Seoul,x,2001-01-11,yes", "170,Seoul,x,11.1.2001,maybe"])
    said = shown(capsys, looking.report, place, "grades")
    assert "error: grades.csv:202:신장 (cm) (height): text 'tall' in a number column" in said
    assert "error: grades.csv:203:born: '11.1.2001' isn't a date" in said
    assert "error: grades.csv:203:passed: 'maybe' is not in CLASSES" in said
    make(place, lines=[])
    assert "error: grades.csv: a header and no row" in shown(capsys, looking.report, place, "grades")


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_a_page_needs_nothing_else_and_runs_nothing(place, tmp_path, capsys):
    make(place)
    path = tmp_path / "page.html"
    assert shown(capsys, looking.report, place, "grades", output=str(path)) == ""
    written = path.read_text(encoding="utf-8")
    read = _Tags()
    read.feed(written)
    names = [tag for tag, _attributes in read.tags]
    assert not {"script", "link", "img", "iframe", "b"} & set(names)
    assert not [a for _tag, attributes in read.tags for a in attributes if a in ("src", "href") or a.startswith("on")]
    assert "default-src 'none'" in written
    assert names.count("tr") == 5 and names.count("svg") == 1
    assert "<b>Jeju</b> 33%" in read.text and "신장 (cm) (height)" in read.text


@pytest.mark.parametrize("output", ["page.txt", "page", "page.html/page.html"])
def test_a_page_that_cannot_be_written(place, tmp_path, output):
    make(place)
    (tmp_path / "page.html").touch()
    with pytest.raises(BadValue, match=r"must end with \.html|can't be written"):
        looking.report(place, "grades", output=str(tmp_path / output))


def test_bars_are_left_out_where_the_console_lacks_the_letters(monkeypatch, capsys):
    assert screen.bars([0, 1, 4, 8]) == " ▁▄█"
    assert screen.bars([]) == screen.bars([0, 0]) == ""
    monkeypatch.setattr("sys.stdout", type("Ascii", (), {"encoding": "ascii"})())
    assert screen.bars([1, 2]) == ""
    assert plots.bars([0, 0], "a") == ""


def new_file(tmp_path, lines, header=HEADER, encoding="utf-8"):
    path = tmp_path / "new.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return str(path)


def test_new_rows_like_the_old_ones(place, tmp_path, capsys):
    make(place)
    said = shown(capsys, looking.compare, place, "grades", new_file(tmp_path, rows(80, seed=9)))
    assert said.splitlines() == [f"ok       data  80 rows, 2 classes{said.partition('2 classes')[2].splitlines()[0]}"]


def test_new_rows_that_differ_in_the_persons_own_words(place, tmp_path, capsys):
    """Their own header, no label, semicolons, an old encoding: as a file comes in."""
    make(place)
    lines = [line.rpartition(",")[0].replace(",", ";") for line in rows(80, mean=200, seed=9)]
    path = new_file(tmp_path, lines, "신장 (cm);city;note;born", "cp949")
    said = shown(capsys, looking.compare, place, "grades", path)
    assert "warning  data  80 rows" in said
    assert "warning: 신장 (cm) (height): other numbers than those learnt from: half are 1" in said
    assert "note: new.csv: the fields are separated by semicolons" in said
    found = json.loads(shown(capsys, looking.compare, place, "grades", path, as_json=True))
    assert (found["verdict"], found["rows"]) == ("warning", 80)
    report = shown(capsys, looking.report, place, "grades", path)
    assert "80 rows of new.csv" in report and "other numbers than those learnt from" in report


def test_new_rows_that_do_not_fit_are_a_failure(place, tmp_path, capsys):
    make(place)
    with pytest.raises(UserError, match="doesn't fit the trainer grades") as refused:
        looking.compare(place, "grades", new_file(tmp_path, ["tall,Seoul,x,2001-01-11,yes"]))
    assert refused.value.code == 1
    assert "new.csv:2:신장 (cm) (height): text 'tall' in a number column" in capsys.readouterr().out
    with pytest.raises(UserError, match="doesn't fit"):
        looking.compare(place, "grades", new_file(tmp_path, ["170"], "height"))
    assert "the column city is missing" in capsys.readouterr().out
    with pytest.raises(BadValue, match="doesn't exist"):
        looking.compare(place, "grades", str(tmp_path / "none.csv"))


def test_without_the_old_rows_the_newest_model_tells_of_them(place, tmp_path, capsys):
    make(place)
    (place.trainers / "grades" / "data" / "grades.csv").unlink()
    path = new_file(tmp_path, rows(80, mean=200, seed=9))
    with pytest.raises(BadValue, match="has no such file"):
        looking.compare(place, "grades", path)
    model = place.trainers / "grades" / "models" / "grades-20260101-000000" / "model"
    (model / "assets.extra").mkdir(parents=True)
    (model / "saved_model.pb").touch()
    about = {"label": "passed", "classes": ["no", "yes"], "columns": {"height": "number", "city": "category"},
             "statistics": {"height": {"mean": 170, "variance": 100, "low": 140, "high": 200},
                            "city": {"words": ["", "Seoul", "Busan"]}}}  # fmt: skip
    (model / "assets.extra" / "trainer.json").write_text(json.dumps(about), encoding="utf-8")
    capsys.readouterr()
    looking.compare(place, "grades", path)
    said = capsys.readouterr()
    assert "compared with what the newest model tells of the rows it learnt from" in said.err
    assert (
        "warning: 신장 (cm) (height): a mean of 2" in said.out
        or "warning: 신장 (cm) (height): a mean of 19" in said.out
    )
    assert "warning: city: 32% of the rows have a word that was not learnt from: '<b>Jeju</b>'" in said.out


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (47573.2, "47,570"), (1000.0, "1,000"), (-0.012346, "-0.01235"), (3e12, "3e+12"), (2e-9, "2e-09"),
     (float("inf"), "inf"), (99999.9, "100,000"), (0.5, "0.5")],
)  # fmt: skip
def test_numbers_as_people_read_them(value, said):
    assert amounts.number(value) == said
