"""What an export says beside the model: code for apps, the card, the page's text, whether it fits an older copy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudkite.export import card, languages, manifest, page, place, snippets
from cloudkite.journey import exporting
from cloudkite.show.errors import BadValue, UserError
from tests import trainer_folder

ABOUT: dict[str, Any] = {
    "label": "bought", "classes": ["no", 'yes </script> $x "@RUNTIME@"'], "headers": {"height": "키 (cm)"},
    "columns": {"height": "number", "city": "category", "day": "date", "review": "text", "x": [2, 2]},
    "forms": {"": {"missing": ["-999"]}, "height": {"style": "german", "unit": "cm"}, "day": {"order": "dmy"}},
    "statistics": {
        "height": {"mean": 170, "variance": 9, "low": 150.10000610351562, "high": 190.0},
        "city": {"words": ["", "서울", "Busan|x"]},
        "day": {"low": [18000.0, 2019], "high": [19000.0, 2022]}, "review": {"words": ["good", "so good"]},
        "x": {"mean": 0, "variance": 1, "low": 0.0, "high": 200.0},
    },
    "metrics": {"accuracy": 0.9, "baseline_accuracy": 0.5}, "recall": {"no": [4, 5]},
    "rows": {"training": 9, "held_out": 5},
}  # fmt: skip
PROGRAM = {"inputs": {}, "shapes": {}, "steps": [], "out": 0, "places": 1, "weights": ""}
ROW = {"height": "170,5", "city": "서울", "day": "1.2.2020", "review": "<b>", "x": [1, 2, 3, 4]}


def changed(**more: Any) -> dict[str, Any]:
    return {**ABOUT, **more}


def said(about: dict[str, Any], weights: str = "a") -> dict[str, Any]:
    return {
        "signature": manifest.signature(about),
        "weights": weights,
        "preparation": manifest.digest(about["statistics"]),
    }


def columns(**more: Any) -> dict[str, Any]:
    return {name: kind for name, kind in {**ABOUT["columns"], **more}.items() if kind}


def words(**more: list[str]) -> dict[str, Any]:
    return {**ABOUT["statistics"], **{name: {"words": known} for name, known in more.items()}}


@pytest.mark.parametrize(
    ("after", "weights", "told"),
    [
        (ABOUT, "a", "the same model as before: nothing to do"),
        (ABOUT, "b", "same inputs, same answers' form: replace the file"),
        (changed(columns=dict(reversed(ABOUT["columns"].items()))), "a", "the same model as before: nothing to do"),
        (changed(columns=columns(age="number")), "b", "the app must change: new column age"),
        (changed(columns=columns(height=None)), "b", "the app must change: column height is gone"),
        (changed(columns=columns(x=[3, 2])), "b", "the app must change: x is 3 x 2, before: 2 x 2"),
        (changed(classes=None), "b", "the app must change: other classes: a number"),
        (changed(classes=ABOUT["classes"][::-1]), "a", "the app must change: other classes: yes"),
        (changed(label="sold"), "b", "the app must change: sold is predicted, not bought"),
        (
            changed(statistics=words(review=["good"])),
            "b",
            "the app must change: review: other words in preparation.json",
        ),
        (
            changed(statistics=words(city=["", "Busan|x", "서울"])),
            "b",
            "the app must change: city: on iOS, other places",
        ),
    ],
)
def test_whether_an_older_copy_can_be_replaced(after: dict[str, Any], weights: str, told: str) -> None:
    assert manifest.compare(said(ABOUT), said(after, weights)).told().startswith(told)


def test_code_for_apps_has_the_models_own_names() -> None:
    inputs = {"height": ("float32", []), "city": ("string", []), "x": ("float32", [2, 2])}
    kotlin = snippets.kotlin("m.tflite", inputs, "output", "serve", 2, ABOUT["classes"])
    assert "height: Float," in kotlin and "city: String," in kotlin and "x: Array<FloatArray>," in kotlin
    assert '"height" to floatArrayOf(height)' in kotlin and '"city" to arrayOf(city)' in kotlin
    assert '"x" to arrayOf(x)' in kotlin and 'open("m.tflite")' in kotlin and '"output" to answer), "serve")' in kotlin
    assert 'listOf("no", "yes </script> \\$x \\"@RUNTIME@\\"")' in kotlin and "FloatArray(2)" in kotlin
    swift = snippets.swift("m.tflite", {**inputs, "city": ("int32", [])}, "output", "serve", 1, None)
    assert "city: Int32," in swift and '"city": bytes([city])' in swift and '"x": bytes(x)' in swift
    assert "-> Float32 {" in swift and "return answer[0]" in swift and 'signatureRunner(with: "serve")' in swift
    assert "1 - answer[0][0]" in snippets.kotlin("m", inputs, "o", "s", 1, ["a", "b"])
    assert "1 - answer[0]" in snippets.swift("m", {"x": inputs["x"]}, "o", "s", 1, ["a", "b"])
    for code in (kotlin, swift):
        assert code.count("{") == code.count("}") and code.count("(") == code.count(")")


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_the_page_is_one_file_that_data_cannot_break(language: str) -> None:
    text = page.write("<b>x</b>", ABOUT, PROGRAM, [ROW] * 30, [[0.2, 0.8]] * 30, language)
    assert f'lang="{language}"' in text and "&lt;b&gt;" in text and not re.search(r"@[A-Z]+@(?!\\)", text)
    assert text.count("</script>") == 3 and "default-src 'none'" in text and not re.search(r"https?:|src=|href=", text)
    about = json.loads(text.partition('id="about">')[2].partition("</script>")[0])
    assert about["classes"] == ABOUT["classes"] and len(about["rows"]) == page.STORED and "-999" in about["missing"]
    by_name = {column["name"]: column for column in about["columns"]}
    assert by_name["height"]["low"] == 150.1 and by_name["height"]["header"] == "키 (cm)"
    assert by_name["day"]["low"] == "2019-04-14" and by_name["review"]["ngrams"] == 2 and by_name["x"]["top"] == 255


def test_both_languages_say_all_with_the_same_placeholders() -> None:
    for table in (languages.PAGE, languages.CARD):
        assert len({tuple(table[language]) for language in languages.LANGUAGES}) == 1
        for key, text in table["en"].items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", table["ko"][key])), key


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_the_card_tells_source_quality_limits_and_use(language: str) -> None:
    asked = {
        "rows": 14,
        "counts": "1, 7",
        "lacking": ["StringLower"],
        "snippets": {"kotlin": "code"},
        "versions": {"keras": "3"},
    }
    text = card.write("a*b", ABOUT, "# x.csv\n\nLicence: CC0", [("m.tflite", 1234, 2e-7, 1.0)], asked, language)
    for part in ("Licence: CC0", "4 / 5", "서울, Busan\\|x", "150.1 - 190.0", "2019-04-14", "1,234", "2.0e-07", "2 x 2",
                 "키 (cm)", "`StringLower`", "```kotlin\ncode\n```", "keras: `3`", "a\\*b", "0.5"):  # fmt: skip
        assert part in text
    assert languages.CARD[language]["limits"] in text and "# x.csv" not in text
    bare = card.write("x", changed(metrics={}, recall=None), "", [], asked, language)
    assert languages.CARD[language]["no_source"] in bare and languages.CARD[language]["no_metrics"] in bare


PREPARED = [
    ("height", "1.234,5", 1234.5), ("height", "170 cm", 170), ("height", " 12,5CM ", 12.5), ("height", "-999", None),
    ("height", "", None), ("height", "n/a", None), ("height", "１２", 12), ("height", "1e3", 1000),
    ("height", "12 kg", "키"),
    ("height", "0x10", "키"), ("height", "1e99", "키"), ("height", "Infinity", "키"),
]  # fmt: skip


@pytest.mark.skipif(not shutil.which("node"), reason="no Node; install it from https://nodejs.org to run this")
def test_the_page_reads_what_people_type(tmp_path: Path) -> None:
    about = {"columns": page.columns(ABOUT), "missing": sorted(page.missing_words(ABOUT)), "said": languages.PAGE["en"]}
    rows = [{**ROW, name: text} for name, text, _found in PREPARED]
    rows += [{**ROW, "day": day} for day in ("31.12.1969", "2020-02-30", "2020-02-29T06:00", "")]
    rows += [{**ROW, "city": city, "review": "So GOOD, so!! good"} for city in (" Busan|x", "Paris", "NA")]
    rows += [{**ROW, "x": value} for value in ("1, 2;3\n4", "1,2,3")]
    script = f"""
        const made = preparation({json.dumps(about)});
        console.log(JSON.stringify({json.dumps(rows)}.map(row => {{
            try {{ return made.inputs(row); }} catch (error) {{ return error.message; }}
        }})));"""
    (tmp_path / "ask.cjs").write_text(
        (Path(page.__file__).parent / "page" / "prepare.js").read_text("utf-8") + script, "utf-8"
    )
    done = subprocess.run(["node", str(tmp_path / "ask.cjs")], capture_output=True, encoding="utf-8", check=True)
    found = json.loads(done.stdout)
    for (_name, text, expected), got in zip(PREPARED, found, strict=False):
        assert expected in got if isinstance(expected, str) else got["numbers"][0] == expected, text
    days, cities, arrays = found[len(PREPARED) :][:4], found[-5:-2], found[-2:]
    assert days[0]["numbers"][1:5] == [-1, 1969, 12, 2] and "2020-02-30 isn't a date" in days[1]
    assert days[2]["numbers"][7:] == pytest.approx([1, 0], abs=1e-7) and days[3]["numbers"][1:] == [None] * 8
    assert [one["words"] for one in cities] == [[3], [0], [1]] and cities[0]["counts"] == [2, 2]
    assert arrays[0]["x"] == {"0": 1, "1": 2, "2": 3, "3": 4} and "3 numbers" in arrays[1]


def an_export(folder: Path, content: str = "new") -> Path:
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_text(content, encoding="utf-8")
    files = {"model.tflite": place.digest(folder / "model.tflite")}
    (folder / manifest.NAME).write_text(json.dumps({"format": 1, **said(ABOUT), "files": files}), encoding="utf-8")
    return folder


def test_what_people_made_is_never_replaced(tmp_path: Path) -> None:
    assert place.check(tmp_path / "none") is None
    (tmp_path / "mine").mkdir()
    assert place.check(tmp_path / "mine") is None
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(UserError, match="was not made by an export"):
        place.check(tmp_path / "mine")
    folder = an_export(tmp_path / "export")
    assert place.check(folder)
    (folder / "own.txt").touch()
    with pytest.raises(UserError, match=r"changed or added: own\.txt"):
        place.check(folder)
    (folder / manifest.NAME).write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="not what this export writes"):
        place.check(folder)


def test_a_killed_export_leaves_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    folder, dead = tmp_path / "export", 2**22 + 1
    an_export(tmp_path / f".old-{dead}-export", "old")
    an_export(tmp_path / f".new-{dead}-export")
    before = place.check(folder)
    assert before and (folder / "model.tflite").read_text(encoding="utf-8") == "old"
    made = an_export(tmp_path / "work" / "made")
    place.put(made, folder)
    assert (folder / "model.tflite").read_text(encoding="utf-8") == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "work"]


def test_what_is_asked_for_is_found_or_named(tmp_path: Path) -> None:
    space = trainer_folder.space(tmp_path)
    folder = trainer_folder.make(space)
    model = folder / "models" / "grades-20261129-1" / "model"
    with pytest.raises(UserError, match="grades has no model yet"):
        exporting.find(space, "grades")
    model.mkdir(parents=True)
    (model / "saved_model.pb").touch()
    assert exporting.find(space, "grades")[1] == exporting.find(space, model.parent.name)[1] == model
    with pytest.raises(BadValue, match="no trainer and no fetched job is called grads") as found:
        exporting.find(space, "grads")
    assert "grades" in found.value.hint
    with pytest.raises(BadValue, match="--language fr isn't known"):
        exporting.language("fr")
