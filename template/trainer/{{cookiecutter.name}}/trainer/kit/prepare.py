"""Columns as people write them -> the numbers that the network sees; the same in training and in the exported model."""

import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from trainer import data

Columns = Mapping[str, tf.Tensor]  # name -> [rows] float32 or string, or [rows, *sizes]
Rows = dict[str, tf.Tensor]  # an input of the network -> [rows, ...]: "numbers", "words", "counts", and arrays by name
Statistics = Mapping[str, dict]
PARTS = 8  # numbers that a date becomes
DAY = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?"
SPACE = r"[\s\v\x{1c}-\x{1f}\x{85}\pZ]"  # what Python's regular expressions take as \s
NGRAMS = {"text": 1, "letters": 2}  # up to so many words, or letters, in a row count as one


def names(*kinds: str) -> list[str]:
    """The columns of these kinds, in the order of data.py."""
    return [name for name, kind in data.COLUMNS.items() if kind in kinds]


def arrays() -> dict[str, tuple[int, ...]]:
    """The columns that hold arrays, and the sizes of one."""
    return {name: tuple(kind) for name, kind in data.COLUMNS.items() if not isinstance(kind, str)}


def inputs(statistics: Statistics) -> dict[str, keras.KerasTensor]:
    """All numbers of a row in one input, the ids of its words in another, how often it has which word in a third."""
    width = len(names("number")) + PARTS * len(names("date"))
    counts = sum(slots(statistics, "text", "letters"))
    found = {"numbers": (width, "float32"), "words": (len(names("category")), "int32"), "counts": (counts, "float32")}
    made = {name: keras.Input((size,), name=name, dtype=kind) for name, (size, kind) in found.items() if size}
    return made | {name: keras.Input(sizes, name=name) for name, sizes in arrays().items()}


def slots(statistics: Statistics, *kinds: str) -> list[int]:
    """How many places each column of words has: a category one more than words, for all others."""
    return [len(statistics[name]["words"]) + (data.COLUMNS[name] == "category") for name in names(*kinds)]


def stack(columns: Columns) -> Columns:
    """All numbers in one tensor and all categories in another, however many: [rows, columns]; the rest as it is."""
    kinds = {kind: names(kind) for kind in ("number", "category")}
    found = {f"all {kind}": tf.stack([columns[name] for name in some], -1) for kind, some in kinds.items() if some}
    return found | {name: columns[name] for name in [*names("text", "letters", "date"), *arrays()]}


def layout(statistics: Statistics) -> list[str]:
    """What stands where in a row of model.py's `features`, arrays left out."""
    dates = [f"{name} {part}" for name in names("date") for part in range(PARTS)]
    words = [f"{name} {word}" for name in names("category") for word in [0, *map(repr, statistics[name]["words"])]]
    counts = [f"{name} {word!r}" for name in names("text", "letters") for word in statistics[name]["words"]]
    return names("number") + dates + words + counts


def encoder(statistics: Statistics) -> tuple[Callable[[Columns], Rows], list]:
    """Stacked columns -> what the network takes, and the tables in which it looks words up."""
    tables = {}
    for name in names("category", "text", "letters"):
        words, category = tf.constant(statistics[name]["words"], tf.string), data.COLUMNS[name] == "category"
        ids = tf.range(tf.size(words, tf.int64)) + int(category)
        # An unknown category has place 0; an unknown word of a text the one behind all, which isn't counted.
        other = 0 if category else len(words)
        tables[name] = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, ids), other)
    first = np.cumsum([0, *slots(statistics, "category")])

    def encode(columns: Columns) -> Rows:
        rows = {name: columns[name] for name in arrays()}
        numbers = [columns["all number"]] if names("number") else []
        if numbers := numbers + [calendar(columns[name]) for name in names("date")]:
            rows["numbers"] = tf.concat(numbers, -1)
        if found := names("category"):
            ids = [tables[name].lookup(columns["all category"][:, i]) + first[i] for i, name in enumerate(found)]
            rows["words"] = tf.cast(tf.stack(ids, -1), tf.int32)
        if found := names("text", "letters"):
            rows["counts"] = tf.concat([counted(tables[name], tokens(name, columns[name])) for name in found], -1)
        return rows

    return encode, list(tables.values())


def calendar(text: tf.Tensor) -> tf.Tensor:
    """[rows, PARTS] of dates: days since 1970, year, month, weekday (Monday: 0), and where in the year and in the day
    it is, as points on a circle. NaN where there is no date in ISO 8601."""
    good = tf.strings.regex_full_match(text, DAY)
    text = tf.strings.join([tf.where(good, text, "1970-01-01"), "T00:00"])
    places = ((0, 4), (5, 2), (8, 2), (11, 2), (14, 2))
    digits = [tf.strings.to_number(tf.strings.substr(text, *place), tf.int32) for place in places]
    year, month, day, hour, minute = digits
    # Days of the Gregorian calendar: https://howardhinnant.github.io/date_algorithms.html, days_from_civil.
    early = tf.cast(month <= 2, tf.int32)
    y, m = year - early, month - 3 + 12 * early
    days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468
    in_year = tf.cast((month - 1) * 31 + day - 1, tf.float32) * (math.tau / 372)
    in_day = tf.cast(hour * 60 + minute, tf.float32) * (math.tau / 1440)
    plain = [tf.cast(part, tf.float32) for part in (days, year, month, (days + 3) % 7)]
    circles = [tf.sin(in_year), tf.cos(in_year), tf.sin(in_day), tf.cos(in_day)]
    return tf.where(good[:, None], tf.stack([*plain, *circles], -1), math.nan)


def tokens(name: str, text: tf.Tensor) -> tf.RaggedTensor:
    """[rows, any number] of words of two letters or more, as scikit-learn's CountVectorizer finds them; of "letters",
    single ones and those that stand side by side, as with analyzer="char"."""
    text, kind = tf.strings.lower(text, encoding="utf-8"), data.COLUMNS[name]
    if kind == "letters":
        found = tf.strings.unicode_split(tf.strings.regex_replace(text, f"{SPACE}{{2,}}", " "), "UTF-8")
    else:
        found = tf.strings.split(tf.strings.regex_replace(text, r"[^\pL\pN_]+", " "))
        found = tf.ragged.boolean_mask(found, tf.strings.length(found, unit="UTF8_CHAR") > 1)
    if NGRAMS[kind] == 1:
        return found
    return tf.strings.ngrams(found, tuple(range(1, NGRAMS[kind] + 1)), separator="" if kind == "letters" else " ")


def counted(table: tf.lookup.StaticHashTable, found: tf.RaggedTensor) -> tf.Tensor:
    """[rows, words]: how often each row has each word of the table."""
    ids, size = table.lookup(found.flat_values), table.size()
    places = tf.boolean_mask(found.value_rowids() * size + ids, ids < size)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(places, tf.float32), places, found.nrows() * size)
    return tf.reshape(counts, tf.stack([found.nrows(), size]))
