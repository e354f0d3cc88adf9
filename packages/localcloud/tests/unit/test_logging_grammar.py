"""The filter language beyond the everyday: functions, types, null, quoting, and that what is written reads the same."""

from __future__ import annotations

import random

import pytest

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.filters import Both, Compare, Either, Filter, Function, Not, Text, parse
from localcloud.logging.filtering.matching import matcher

ENTRY = {
    "logName": "projects/p/logs/app%2Fweb",
    "insertId": "abc",
    "resource": {"type": "global", "labels": {"project_id": "p"}},
    "timestamp": "2026-11-24T23:30:00Z",
    "httpRequest": {"status": 404, "latency": "1.500s", "remoteIp": "10.1.2.3", "requestSize": "2048"},
    "jsonPayload": {
        "nothing": None,
        "count": "12",
        "ratio": "0.5",
        "flag": "TRUE",
        "took": "90s",
        "message": "Hello, wide World! user=kim took 37ms",
        "path": 'a\tb"c',
        "colon": "abc:def",
    },
}
MATCHING = [
    "jsonPayload.nothing=NULL_VALUE",
    "jsonPayload.count!=NULL_VALUE",
    "jsonPayload.nothing:*",
    "NOT jsonPayload.missing=NULL_VALUE",
    "httpRequest.status=404",
    "httpRequest.status:404",
    "http_request.status>=400 http_request.status<500",
    "httpRequest.latency>1s",
    'httpRequest.latency<="1500ms"',
    "httpRequest.requestSize>1000",
    'ip_in_net(httpRequest.remoteIp, "10.0.0.0/8")',
    'NOT ip_in_net(jsonPayload.message, "10.0.0.0/8")',
    'source("projects/p")',
    "source(projects/p)",
    'SEARCH("hello world")',
    'SEARCH("`wide world`")',
    'SEARCH(jsonPayload.message, "KIM")',
    "cast(jsonPayload.count, INT64) > 9",
    "cast(jsonPayload.ratio, FLOAT64) = 0.50",
    "cast(jsonPayload.flag, BOOL) = true",
    "cast(jsonPayload.took, DURATION) >= 1m",
    'cast(timestamp, STRING, TIMEZONE("Asia/Seoul")) =~ "^2026-11-25T08:30"',
    'cast(timestamp, STRING) =~ "^2026-11-24"',
    'cast(timestamp, TIMESTAMP) < "2026-11-25"',
    'regexp_extract(jsonPayload.message, "user=(\\\\w+)") = kim',
    'cast(regexp_extract(jsonPayload.message, "took (\\\\d+)ms"), INT64) = (36 OR 37)',
    'jsonPayload.path = "a\\tb\\"c"',
    'jsonPayload.path = "a\\x09b\\u0022c"',
    'jsonPayload.colon = "abc:def"',
    'jsonPayload.message =~ "^hello|^Hello"',
    'jsonPayload.message =~ "(?i)hello, WIDE"',
    'jsonPayload.message =~ "[[:upper:]]ello"',
    "timestamp>=2026-11-24 -- a day needs no quotes\nAND -severity>DEFAULT",
    "(hello OR missing) AND (kim)",
    "jsonPayload.message:(hello kim)",
    "jsonPayload.message:(hello AND (NOT nobody OR -kim))",
]
OTHER = [
    "jsonPayload.count=NULL_VALUE",
    "jsonPayload.missing=NULL_VALUE",
    "jsonPayload.missing!=NULL_VALUE",
    'jsonPayload.nothing="NULL_VALUE"',
    "jsonPayload.nothing=null",
    "httpRequest.latency>1.5s",
    'ip_in_net(httpRequest.remoteIp, "192.168.0.0/16")',
    'source("projects/q")',
    'SEARCH("hell")',
    'SEARCH("`world wide`")',
    'SEARCH(jsonPayload.count, "kim")',
    "jsonPayload.count > 9a",
    "cast(jsonPayload.message, INT64) != 1",
    "cast(jsonPayload.missing, STRING) != x",
    'regexp_extract(jsonPayload.message, "user=(\\\\d+)") != kim',
]
REFUSED = [
    ("insertId = abc:def", "syntax error at line 1, column 15, token ':def'"),
    ("timestamp>=2026-01-01T00:00:00Z", "syntax error at line 1, column 25, token ':00:00Z'"),
    ("textPayload=~foo.*", "regular expressions must begin and end with '\"' at line 1, column 14, token 'foo.*'"),
    ('textPayload=~"(?=x)"', "invalid perl operator: (?="),
    ('textPayload=~"(a)\\\\1"', "invalid perl operator: \\1"),
    ("resource.label.job_id=1", "Field not found: 'resource.label.job_id'"),
    ("httpRequest.status=ok", "'ok' is no number"),
    ("httpRequest.latency>soon", "Invalid duration: 'soon'"),
    ("jsonPayload.x>NULL_VALUE", "NULL_VALUE can't be compared by '>'"),
    ("cast(jsonPayload.x, DATE) = 1", "cast is to one of STRING, INT64, FLOAT64, BOOL, TIMESTAMP, DURATION"),
    ("cast(jsonPayload.x, INT64) = one", "'one' is no INT64"),
    ("cast(jsonPayload.x, INT64)", "cast needs a comparison after it"),
    ('cast(timestamp, STRING, TIMEZONE("Mars/Olympus")) = x', "unknown time zone 'Mars/Olympus'"),
    ('regexp_extract(jsonPayload.x, "(a)(b)") = x', "one group at most"),
    ('ip_in_net(jsonPayload.x, "10.0.0.0/99")', "'10.0.0.0/99' is no network"),
    ("log_id()", "wrong arguments of the function 'log_id'"),
    ('SEARCH("")', "SEARCH needs something to look for"),
    ("log_id(x) = y", "the function 'log_id' can't be compared"),
    ("a:(OR b)", "syntax error at line 1, column 4, token 'OR'"),
    ("a:()", "syntax error at line 1, column 4, token ')'"),
    ("cast(jsonPayload.x INT64) = 1", "syntax error at line 1, column 20, token 'INT64'"),
]


@pytest.mark.parametrize("text", MATCHING)
def test_matches(text: str) -> None:
    assert matcher(parse(text), text)(ENTRY)


@pytest.mark.parametrize("text", OTHER)
def test_does_not_match(text: str) -> None:
    assert not matcher(parse(text), text)(ENTRY)


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(ApiError) as refused:
        matcher(parse(text), text)
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert refused.value.message.startswith("Unparseable filter: ")
    assert said in refused.value.message


def test_what_python_can_not_match_is_not_emulated() -> None:
    with pytest.raises(NotEmulated):
        matcher(parse('textPayload=~"\\\\pL"'), "")


def _written(tree: Filter) -> str:
    """A filter that means the tree."""
    match tree:
        case Compare(path, operator, value, quoted, _, None):
            shown = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if quoted else value
            return f"{'.'.join(path)}{operator}{shown}"
        case Text(value):
            return value
        case Not(part):
            return f"NOT ({_written(part)})"
        case Both(parts):
            return "(" + " AND ".join(map(_written, parts)) + ")"
        case Either(parts):
            return "(" + " OR ".join(map(_written, parts)) + ")"
    raise AssertionError(tree)


def _random(chance: random.Random, depth: int) -> Filter:
    kind = chance.randrange(5 if depth else 2)
    if kind == 0:
        return Text(chance.choice(["hello", "kim", "x-1", "a/b", "*"]))
    if kind == 1:
        path = chance.choice([("severity",), ("jsonPayload", "a", "b"), ("labels", "x/y")])
        operator = chance.choice(["=", "!=", ">", "<=", ":", "=~"])
        quoted = operator == "=~" or chance.random() < 0.5
        return Compare(path, operator, chance.choice(['a "b" \\', "(", "a:b", ""]) if quoted else "v.1", quoted)
    if kind == 2:
        return Not(_random(chance, depth - 1))
    parts = tuple(_random(chance, depth - 1) for _ in range(chance.randint(2, 3)))
    return Both(parts) if kind == 3 else Either(parts)


def _bare(tree: Filter | None) -> Filter | None:
    """Without the offsets, and without joints of joints of the same kind."""
    match tree:
        case Compare(path, operator, value, quoted):
            return Compare(path, operator, value, quoted)
        case Text(value):
            return Text(value)
        case Function():
            return tree
        case Not(part):
            return Not(_bare(part))  # type: ignore[arg-type]
        case Both(parts):
            return Both(tuple(_bare(part) for part in parts))  # type: ignore[misc]
        case Either(parts):
            return Either(tuple(_bare(part) for part in parts))  # type: ignore[misc]
    return None


@pytest.mark.parametrize("seed", range(200))
def test_what_is_written_reads_the_same(seed: int) -> None:
    tree = _random(random.Random(seed), 4)
    assert _bare(parse(_written(tree))) == tree


@pytest.mark.parametrize("seed", range(200))
def test_any_text_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice("ab.=:<>!~()\"'\\- \n,ANDORT*1") for _ in range(chance.randint(1, 40)))
    try:
        matcher(parse(text), text)
    except ApiError as refused:
        assert refused.code in (400, 501)
