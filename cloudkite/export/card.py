"""The model card: what a model is for, from where it comes, how good it is and how one asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudkite.export import languages, page

_SHOWN = 12  # words of a column


def write(
    title: str,
    about: Mapping[str, Any],
    source: str,
    results: Sequence[tuple[str, int, float, float]],
    asked: Mapping[str, Any],
    language: str,
) -> str:
    """MODEL_CARD.md. `source` is the trainer's data/README.md; `results` are file, bytes, largest difference and share
    of same answers; `asked` has "rows", "counts", "lacking", "snippets" ({language: code}) and "versions".
    """
    said = languages.CARD[language]
    label, classes = about["label"], about["classes"]
    if classes:
        listed = ", ".join(f"`{name}`" for name in classes[:30]) + (", ..." if len(classes) > 30 else "")
        what = said["predicts_class"].format(label=label, count=len(classes), classes=listed)
    else:
        what = said["predicts_number"].format(label=label)
    parts = [f"# {_plain(title)}", what, f"## {said['columns']}", _columns(about, said), f"## {said['data']}"]
    parts += _source(source) or [said["no_source"]]
    if isinstance(rows := about.get("rows"), dict):
        count = {key: rows.get(key, 0) for key in ("training", "held_out")}
        parts.append(said["rows"].format(**count))
    parts += [f"## {said['quality']}", *_quality(about, said), f"## {said['same']}"]
    parts.append(said["same_lead"].format(rows=asked["rows"], counts=asked["counts"]))
    lines = [(f"`{name}`", f"{size:,}", f"{error:.1e}", f"{100 * agree:.1f} %") for name, size, error, agree in results]
    parts.append(_table([said[key] for key in ("file", "size", "error", "agree")], lines))
    limits = ["limit_range", *(["limit_class", "limit_shares"] if classes else []), "limit_people"]
    parts += [f"## {said['limits']}", "\n".join(f"- {said[key]}" for key in limits), f"## {said['ask']}"]
    if "category" in about["columns"].values():
        parts.append(said["ask_strings"])
    if asked["lacking"]:
        parts.append(said["ask_host"].format(lacking=", ".join(f"`{name}`" for name in asked["lacking"])))
    parts += [f"```{name}\n{code.rstrip()}\n```" for name, code in asked["snippets"].items()]
    parts += [f"## {said['versions']}", "\n".join(f"- {key}: `{value}`" for key, value in asked["versions"].items())]
    return "\n\n".join(parts) + "\n"


def _columns(about: Mapping[str, Any], said: Mapping[str, str]) -> str:
    lines = []
    for column in page.columns(about):
        name = f"`{column['name']}`"
        if column["header"] != column["name"]:
            name += f" ({_plain(column['header'])})"
        sizes = " x ".join(map(str, column.get("sizes", ())))
        if column["kind"] == "category":
            words = [word for word in column["words"] if word]
            shown = ", ".join(map(_plain, words[:_SHOWN])) + (", ..." if len(words) > _SHOWN else "")
            learned = said["words"].format(count=len(words), words=shown)
        elif "words" in column:
            learned = said["not_words"].format(count=len(column["words"]))
        else:
            learned = f"{column['low']} - {column['high']}" if column["low"] is not None else ""
        lines.append((name, said[column["kind"]].format(sizes=sizes), learned))
    return _table([said[key] for key in ("column", "kind", "range")], lines)


def _quality(about: Mapping[str, Any], said: Mapping[str, str]) -> list[str]:
    metrics, recall = about.get("metrics"), about.get("recall")
    if not isinstance(metrics, dict) or not metrics:
        return [said["no_metrics"]]
    known = [(said.get(key, key), f"{value:.4g}") for key, value in metrics.items() if isinstance(value, int | float)]
    parts = [said["held"], _table([said["metric"], said["value"]], known)]
    if isinstance(recall, dict) and recall:
        rows = [(_plain(name), f"{right} / {count}") for name, (right, count) in recall.items()]
        parts += [said["recall"], _table([said["class"], said["right"]], rows)]
    return parts


def _source(text: str) -> list[str]:
    """What the trainer says of its data, without its own heading."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()
    return [body] if body else []


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    made = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return "".join(f"\\{letter}" if letter in "`*_[]" else letter for letter in made)
