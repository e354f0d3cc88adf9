"""`invoke prices`: what training costs, before anything is started, and where prices come from."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command

_OPTIONS = {
    "trainer": "a trainer's name or folder: what a whole run of it costs on each machine that was measured",
    "epochs": "with a trainer: the price of a run of so many epochs (default: the trainer's own number)",
    "gpu": "only machines with this accelerator, e.g. t4",
    "memory": "at least so many GB of memory",
    "cpus": "at least so many vCPUs",
    "spot": "by the price on Spot machines",
    "region": "another region than the account's",
    "on": "where it trains: vertex (default), or run for Cloud Run jobs",
    "all": "every machine of every region",
    "refresh": "read today's prices from the price list of the account's cloud, and count by them from now on",
    "gather": "for maintainers: write Google's price list of today into the bundled price book",
    "account": ACCOUNT,
    "json": JSON,
}


@command(maybe="trainer", help=_OPTIONS)
def prices(
    c: Context,
    trainer: str = "",
    epochs: int = 0,
    gpu: str = "",
    memory: int = 0,
    cpus: int = 0,
    spot: bool = False,
    region: str = "",
    on: str = "vertex",
    all: bool = False,
    refresh: bool = False,
    gather: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Show machines by price, what the budget and the quotas allow; or what a run of a trainer costs on each."""
    from cloudkite import workspace
    from cloudkite.journey import pricing

    if refresh or gather:
        from cloudkite.journey import refreshing

        (refreshing.gather if gather else refreshing.refresh)(workspace.find(), account, as_json=json)
        return
    wishes = pricing.Wishes(gpu, memory, cpus, spot, region, on, all)
    if trainer or epochs:
        from cloudkite.journey import speeds

        speeds.show(workspace.find(), trainer, account, wishes, epochs=epochs, as_json=json)
    else:
        pricing.show(workspace.find(), account, wishes, as_json=json)
