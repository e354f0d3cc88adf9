"""`invoke predict`: predictions with a fetched model."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, TRAINER, command


@command(
    positional=["trainer"],
    iterable=["row"],
    help={
        "trainer": TRAINER,
        "row": "column=value,column=value ..., or a JSON object; an image is FILE.png, a series FILE.csv; repeatable",
        "csv": "a file with the trainer's columns, such as the one that made it; .npz for arrays",
        "output": "write all columns of the rows, and the predictions beside them, to this .csv or .jsonl file",
        "model": "a fetched model's folder (default: the newest)",
        "json": JSON,
    },
)
def predict(
    c: Context,
    trainer: str,
    row: list[str] | None = None,
    csv: str = "",
    output: str = "",
    model: str = "",
    json: bool = False,
) -> None:
    """Predict with a fetched model on this machine."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.predict(workspace.find(), trainer, list(row or []), csv, model, output, as_json=json)
