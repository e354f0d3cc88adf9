"""Commands that take one word more or less: `fetch`, `fetch grades`, `fetch --job grades`."""

import sys

import pytest
from invoke.collection import Collection
from invoke.parser import Parser

from cloudkite.commands.cancel import cancel
from cloudkite.commands.fetch import fetch
from cloudkite.commands.jobs import jobs
from cloudkite.commands.logs import logs
from cloudkite.commands.train import train
from cloudkite.commands.wait import wait


def parsed(monkeypatch, line: str) -> list[tuple[str, dict]]:
    words = line.split()
    monkeypatch.setattr(sys, "argv", ["invoke", *words])
    parser = Parser(contexts=Collection(cancel, fetch, jobs, logs, train, wait).to_contexts())
    return [(context.name, context.as_kwargs) for context in parser.parse_argv(words)]


@pytest.mark.parametrize("command", ["fetch", "logs", "cancel"])
@pytest.mark.parametrize(
    "line, job, account",
    [
        ("", "", ""),
        ("grades", "grades", ""),
        ("--job grades", "grades", ""),
        ("--job=grades", "grades", ""),
        ("--json", "", ""),
        ("--json grades", "grades", ""),
        ("grades --account mine", "grades", "mine"),
        ("--account mine grades", "grades", "mine"),
        ("--account mine", "", "mine"),
        ("fetch", "fetch", ""),
    ],
)
def test_a_job_is_named_with_or_without_its_option(monkeypatch, command, line, job, account):
    ((name, given),) = parsed(monkeypatch, f"{command} {line}")
    assert (name, given["job"] or "", given["account"]) == (command, job, account)


def test_states_may_be_given_one_by_one_or_together(monkeypatch):
    ((_name, given),) = parsed(monkeypatch, "jobs --state failed --state running,queued --trainer grades")
    assert (given["state"], given["trainer"]) == (["failed", "running,queued"], "grades")


@pytest.mark.parametrize(
    "line, option, words",
    [
        ("train a", "trainer", ["a"]),
        ("train a b c --limit 1h", "trainer", ["a", "b", "c"]),
        ("train --seeds 5 a --spot b", "trainer", ["a", "b"]),
        ("train a --name=x b -- --epochs 3 c", "trainer", ["a", "b"]),
        ("wait", "job", [""]),
        ("wait --limit 2h", "job", [""]),
        ("wait a b --trainer t c", "job", ["a", "b", "c"]),
        ("jobs --compare a b", "job", ["a", "b"]),
        ("jobs --compare", "job", [""]),
    ],
)
def test_several_words_are_one_list(monkeypatch, line, option, words):
    ((_name, given),) = parsed(monkeypatch, line)
    assert [given[key] for key in given if key == option or key.startswith(f"{option}_")] == words


def test_the_name_of_a_command_ends_the_list(monkeypatch):
    assert [name for name, _given in parsed(monkeypatch, "train a b fetch a")] == ["train", "fetch"]
    ((_name, given),) = parsed(monkeypatch, "train fetch")
    assert given["trainer"] == "fetch"
