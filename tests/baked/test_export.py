"""Exports of trained models, each compared with Keras on every row: LiteRT, ONNX, and the page in Node and Chromium."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudkite import workspace
from cloudkite.data.table import Wishes as Columns
from cloudkite.export import making, manifest
from cloudkite.export import place as folder_of
from cloudkite.export.making import Export, Wishes
from cloudkite.models import predictions
from cloudkite.show.errors import UserError
from cloudkite.trainers import folders
from cloudkite.trainers import making as trainers
from cloudkite.workspace import Workspace
from tests import browser
from tests.baked.conftest import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Answers = list[list[float]]
_LIMIT = 1e-5  # of the largest answer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace.throw_away(tmp_path_factory.mktemp("exports"))


def trained(place: Workspace, run: Run, name: str) -> None:
    """Train for two epochs."""
    folder = folders.find(place, name).folder
    done = run(folder, "-m", "trainer.task", "--output", str(folder / "models" / "one"), "--epochs", "2")
    assert done.returncode == 0, done.stdout + done.stderr


def exported(place: Workspace, run: Run, name: str, onnx: bool = False) -> Export:
    """Train for two epochs, and export."""
    trained(place, run, name)
    return export(place, name, Wishes(device=True, onnx=onnx))


def export(place: Workspace, name: str, wishes: Wishes) -> Export:
    """What is made of the model that was trained last."""
    trainer = folders.find(place, name)
    model, folder = predictions.latest_model(trainer), trainer.folder / "output" / "export"
    return making.make(place, trainer, model, folder, predictions.facts(model), wishes, lambda _line: None)


def by_name(made: Export) -> dict[str, making.File]:
    return {one.name: one for one in made.files}


def keras_answers(place: Workspace, name: str, rows: list[Mapping[str, Any]]) -> Answers:
    """What the trained model says, by the way that `predict` goes, which knows nothing of exports."""
    trainer = folders.find(place, name)
    found = predictions.predict(place, trainer, predictions.latest_model(trainer), rows)
    return [list(one["probabilities"].values()) if "probabilities" in one else [one["prediction"]] for one in found]


def page_answers(made: Export, rows: list[Mapping[str, Any]], scratch: Path) -> list[Any]:
    """What the page says in Node."""
    if not shutil.which("node"):
        pytest.skip(f"no Node; {browser.NEEDS}")
    script = Path(making.__file__).parent / "inside" / "ask_page.cjs"
    (scratch / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    command = [
        "node",
        str(script),
        str(made.folder / making.PAGE),
        str(scratch / "rows.json"),
        str(scratch / "out.json"),
    ]
    subprocess.run(command, check=True, timeout=120)
    found = json.loads((scratch / "out.json").read_text(encoding="utf-8"))
    assert found["check"]["wrong"] == 0 < found["check"]["rows"]
    return found["answers"]


def is_near(found: list[Any], expected: Answers) -> None:
    assert len(found) == len(expected)
    largest = max(1.0, max(abs(value) for row in expected for value in row))
    assert float(np.max(np.abs(np.array(found) - np.array(expected)))) <= _LIMIT * largest


def in_browser(made: Export, rows: list[Mapping[str, Any]], scratch: Path, also: str = "0") -> dict[str, Any]:
    """All rows in Chromium, and what the page itself shows."""
    script = f"""(async () => {{
        const rows = {json.dumps(rows)};
        let fetched = "refused";
        try {{ await fetch("https://example.com/"); fetched = "sent"; }} catch {{}}
        const also = await ({also});
        return {{
            answers: rows.map(row => model.answer(row)), also, fetched,
            check: document.getElementById("check").textContent,
            shown: document.getElementById("answers").textContent, wide: document.documentElement.scrollWidth,
            bare: [...form.querySelectorAll("input, select, textarea")].filter(one => !one.labels.length).length,
            language: document.documentElement.lang,
        }};
    }})()"""
    told = browser.ask(made.folder / making.PAGE, script, scratch)
    assert not told["thrown"] and all(address.startswith("file:") for address in told["asked"])
    value = told["value"]
    assert value["fetched"] == "refused" and value["bare"] == 0 and value["wide"] <= 360
    return value


def test_penguins(place: Workspace, run: Run, tmp_path: Path) -> None:
    trainers.new(place, "penguins")
    made = exported(place, run, "penguins", onnx=True)
    files = by_name(made)
    assert made.rows == 344 and made.fit is None and not made.lacking
    assert {name for name, one in files.items() if one.exact} == {"model_float32.tflite", "model.onnx", making.PAGE}
    assert files["model_float16.tflite"].error < 0.01 and files["model_dynamic_int8.tflite"].agree > 0.98
    assert files["model_int8.tflite"].agree > 0.98 and not any(one.refused for one in files.values())
    with (folders.find(place, "penguins").folder / "data" / "penguins.csv").open(encoding="utf-8") as file:
        table = [*csv.DictReader(file)]
    taken = folders.find(place, "penguins").declared.columns
    rows: list[Mapping[str, Any]] = [{name: row[name] for name in taken} for row in table]
    expected = keras_answers(place, "penguins", rows)
    is_near(page_answers(made, rows, tmp_path), expected)
    kotlin, swift = ((made.folder / part).read_text() for part in ("android/Model.kt", "ios/Model.swift"))
    assert "island: String" in kotlin and "island: Int32" in swift and (made.folder / "ios" / "model.tflite").is_file()
    card = (made.folder / making.CARD).read_text(encoding="utf-8")
    assert "CC0" in card and "Chinstrap" in card and "model_int8.tflite" in card and "learned from" in card

    typing = """(() => {
        const field = document.getElementById("field-bill_length_mm");
        field.value = "forty"; field.dispatchEvent(new Event("input", { bubbles: true }));
        const wrong = answers.textContent;
        field.value = "39,100.5"; field.dispatchEvent(new Event("input", { bubbles: true }));
        return [wrong, answers.textContent];
    })()"""
    value = in_browser(made, rows, tmp_path, typing)
    is_near(value["answers"], expected)
    assert "20" in value["check"] and "differ" not in value["check"]
    assert "bill_length_mm: forty isn't a number" in value["also"][0] and "outside" in value["also"][1]

    page = made.folder / making.PAGE
    whole = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r'"expected":\[\[[^,]+', '"expected":[[0.5', whole), encoding="utf-8")
    told = browser.ask(page, "[document.getElementById('check').textContent, form.hidden]", tmp_path)["value"]
    assert told[0].startswith("Do not use this page") and told[1]
    with pytest.raises(UserError, match=r"what you changed or added: index\.html"):
        folder_of.check(made.folder)
    page.write_text(whole, encoding="utf-8")
    again = export(place, "penguins", Wishes(language="ko"))
    assert again.fit == manifest.Fit(True, ()) and not (made.folder / making.PAGE).exists()
    assert "따로 떼어 둔 행" in (again.folder / making.CARD).read_text(encoding="utf-8")
    (predictions.latest_model(folders.find(place, "penguins")) / "assets.extra" / "model.keras").unlink()
    with pytest.raises(UserError, match=r"can't be exported: it has no model\.keras"):
        export(place, "penguins", Wishes())
    assert folder_of.check(again.folder)  # what was there is there


WORDS = "good bad fine poor great awful plain nice 좋다 나쁘다 café naïve".split()
SYLLABLES = "가나다라마바사아자차"


def people(path: Path) -> list[dict[str, Any]]:
    """Rows with sentences, names in Korean, days and moments, numbers as Germans write them, and blanks."""
    chance, rows = random.Random(4), []
    for i in range(160):
        yes = i % 2
        sentence = " ".join(chance.choices(WORDS[yes::2], k=6)).capitalize() + chance.choice(["!", ", Éa.", " 2x_y…"])
        rows.append({
            "review": sentence if i % 17 else "",
            "name": "".join(chance.choices(SYLLABLES[yes * 4 :], k=4)) + " İß Σ"[: i % 5],
            "day": f"20{i % 30:02}-{i % 12 + 1:02}-{i % 28 + 1:02}" + (f"T{i % 24:02}:{i % 60:02}" if i % 3 else ""),
            "height": f"{150 + i % 50},{i % 10}" if i % 23 else "", "bought": "yes" if yes else "no",
        })  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter=";")
        table.writeheader()
        table.writerows(rows)
    return rows


def test_sentences_letters_dates_and_a_changed_network(place: Workspace, run: Run, tmp_path: Path) -> None:
    rows = people(tmp_path / "people.csv")
    wishes = Columns(kinds={"review": "text", "name": "letters", "day": "date"})
    found = trainers.look(place, "people", tmp_path / "people.csv", "bought", wishes=wishes)
    folder = trainers.make(place, "people", found)
    network = folder / "trainer" / "model.py"
    text = network.read_text(encoding="utf-8")
    last = '        outputs.append(keras.layers.Dense(size, dtype="float32")(hidden))\n'
    text = text.replace(
        last,
        '        wide = keras.layers.Dense(32, activation="gelu")(keras.layers.BatchNormalization()(hidden))\n'
        f"        hidden = keras.layers.LayerNormalization()(keras.layers.Add()([wide, hidden]) * 0.5)\n{last}",
    )
    assert text.count("gelu") == text.count('sigmoid", dtype') == 1
    network.write_text(text, encoding="utf-8")
    made = exported(place, run, "people")
    files = by_name(made)
    assert {"StringLower", "RegexReplace"} & set(made.lacking)
    assert files["model_float32.tflite"].exact and files[making.PAGE].exact
    asked: list[Mapping[str, Any]] = [{k: v for k, v in row.items() if k != "bought"} for row in rows]
    headers = predictions.facts(predictions.latest_model(folders.find(place, "people")))["columns"]
    assert set(headers) == {"review", "name", "day", "height"}
    expected = keras_answers(place, "people", asked)
    is_near(page_answers(made, asked, tmp_path), expected)
    is_near(in_browser(made, asked, tmp_path)["answers"], expected)
    assert "review: FloatArray" in (made.folder / "android" / "Model.kt").read_text()


def test_pictures_and_a_layer_that_a_page_has_not(place: Workspace, run: Run, tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    labels = np.arange(120) % 3
    pictures = chance.integers(0, 60, (120, 8, 8, 1)) + 180 * (
        np.arange(8)[None, :, None, None] // 3 == labels[:, None, None, None]
    )
    np.savez(tmp_path / "bars.npz", x=pictures.astype("uint8"), y=labels)
    trainers.new(place, "bars", tmp_path / "bars.npz", "y")
    made = exported(place, run, "bars")
    assert by_name(made)["model_float32.tflite"].exact and by_name(made)["model_int8.tflite"].agree > 0.9
    rows: list[Mapping[str, Any]] = [{"x": one.ravel().tolist()} for one in pictures]
    typed: list[Mapping[str, Any]] = [{"x": one.tolist()} for one in pictures]
    expected = keras_answers(place, "bars", typed)
    is_near(page_answers(made, rows, tmp_path), expected)
    drawing = """(async () => {
        const pad = document.querySelector("canvas"), ink = pad.getContext("2d");
        ink.fillStyle = "#fff"; ink.fillRect(0, 0, pad.width / 2, pad.height);
        form.querySelector("input[type=checkbox]").dispatchEvent(new Event("change"));
        return [document.querySelector("textarea").value.split(",").map(Number), answers.textContent];
    })()"""
    value = in_browser(made, rows, tmp_path, drawing)
    is_near(value["answers"], expected)
    assert value["also"][0] == ([255] * 4 + [0] * 4) * 8 and "%" in value["also"][1]

    network = folders.find(place, "bars").folder / "trainer" / "model.py"
    text = network.read_text(encoding="utf-8")
    plain = "flat([convolved(part) for part in parts])"
    assert text.count(plain) == 1
    turned = "flat([keras.layers.Permute((2, 1, 3), name='turned')(convolved(part)) for part in parts])"
    network.write_text(text.replace(plain, turned), encoding="utf-8")
    trained(place, run, "bars")
    again = by_name(export(place, "bars", Wishes(device=True, csv=str(tmp_path / "bars.npz"), rows=50)))
    assert again[making.PAGE].refused == "turned (Permute)" and again["model_float32.tflite"].exact


def test_a_number_to_estimate(place: Workspace, run: Run, tmp_path: Path) -> None:
    chance = random.Random(6)
    rows = [{"area": f"{20 + 90 * chance.random():.1f}", "kind": chance.choice(["집", "아파트"])} for _ in range(150)]
    lines = [f"{row['area']},{row['kind']},{3000 * float(row['area']) + chance.random():.0f}" for row in rows]
    (tmp_path / "homes.csv").write_text("\n".join(["area,kind,price", *lines]) + "\n", encoding="utf-8")
    trainers.new(place, "homes", tmp_path / "homes.csv", "price")
    made = exported(place, run, "homes")
    assert by_name(made)["model_float32.tflite"].exact
    expected = keras_answers(place, "homes", rows)
    is_near(page_answers(made, rows, tmp_path), expected)
    is_near(in_browser(made, rows, tmp_path)["answers"], expected)
