"""`invoke doctor`: this machine, the account and its cloud looked over."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(
    help={
        "fix": "run the fixes that cost and delete nothing: install the engine, turn APIs on again, quota project",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def doctor(c: Context, fix: bool = False, account: str = "", json: bool = False) -> None:
    """Look everything over: each is ok, or what is wrong with the one step that fixes it."""
    from cloudkite import workspace
    from cloudkite.journey import doctor

    doctor.doctor(workspace.find(), account, fix=fix, as_json=json)
