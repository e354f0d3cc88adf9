"""Commands that take one word more or less: `fetch`, `fetch grades`, `fetch --job grades`."""

import sys

import pytest
from invoke.collection import Collection
from invoke.parser import Parser

from cloudkite.commands.cancel import cancel
from cloudkite.commands.fetch import fetch
from cloudkite.commands.jobs import jobs
from cloudkite.commands.logs import logs


def parsed(monkeypatch, line: str) -> list[tuple[str, dict]]:
    words = line.split()
    monkeypatch.setattr(sys, "argv", ["invoke", *words])
    parser = Parser(contexts=Collection(cancel, fetch, jobs, logs).to_contexts())
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
