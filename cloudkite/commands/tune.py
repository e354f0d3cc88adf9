"""`invoke tune`: the options with which a trainer learns best."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, TRAINER, command


@command(
    positional=["trainer"],
    help={
        "trainer": TRAINER,
        "tries": "how many tries in all (default: 12)",
        "parallel": "how many at once (default: as many as this machine has cores and memory for)",
        "engine": "here: processes on this machine, for nothing (default on the local account); google: a tuning job",
        "name": "the study's name; the same again goes on with it (default: the newest of this code, data and space)",
        "limit": "here: end after this time, e.g. 30m, 2h (default: no limit)",
        "try-limit": "end a try after this time (default: 1h)",
        "patience": "here: end after so many tries without a better one (default: never)",
        "seed": "here: another seed, other suggestions (default: 0)",
        "max-cost": "the most that all tries together may cost; shortens the time limit of each",
        "machine": "on Google: machine type of each try (default: e2-standard-4)",
        "gpu": "on Google: accelerator type of each try, e.g. t4",
        "gpus": "on Google: GPUs per try (default: 1)",
        "spot": "on Google: on Spot machines, cheaper; a try that is preempted starts again",
        "image": "on Google: container image of each try",
        "rehearse": "on a local account with --gpu: run the tries on this machine's CPU, to try all else",
        "report": "only write the page of the study again, and try nothing",
        "output": "write the page to this .html file (default: beside the study)",
        "yes": "do not ask",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def tune(
    c: Context,
    trainer: str,
    tries: int = 12,
    parallel: int = 0,
    engine: str = "",
    name: str = "",
    limit: str = "",
    try_limit: str = "",
    patience: int = 0,
    seed: int = 0,
    max_cost: str = "",
    machine: str = "",
    gpu: str = "",
    gpus: int = 0,
    spot: bool = False,
    image: str = "",
    rehearse: bool = False,
    report: bool = False,
    output: str = "",
    yes: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Try options within a trainer's tuning.toml, and tell the best. What follows `--` goes to every try."""
    from cloudkite import workspace
    from cloudkite.commands.train import after_dashes
    from cloudkite.journey import tuning

    if report:
        tuning.report(workspace.find(), trainer, name, output=output, as_json=json)
        return
    asked = tuning.Asked(
        tries=tries, parallel=parallel, engine=engine, name=name, limit=limit, try_limit=try_limit, patience=patience,
        seed=seed, max_cost=max_cost, arguments=tuple(after_dashes()), output=output, account=account,
        yes=yes,
        machines={"machine": machine, "gpu": gpu, "gpus": gpus, "spot": spot, "image": image, "rehearse": rehearse},
    )  # fmt: skip
    tuning.tune(workspace.find(), trainer, asked, as_json=json)
