"""`invoke export`: a model for phones, browsers and other runtimes."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, command


@command(
    positional=["name"],
    help={
        "name": "a trainer, for its newest model, fetched or trained in its folder; or a fetched job",
        "output": "the folder to write (default: the trainer's output/export-<job>, or output/export)",
        "device": "also a page for a phone's browser, and code for Android and iOS",
        "onnx": "also ONNX",
        "rows": "rows to compare on, at most",
        "csv": "rows to compare on, where the trainer's own data are elsewhere",
        "compare": "a folder with an earlier export: say whether the model there can be replaced by this one",
        "language": "of the page and the model card: en or ko (default: yours)",
        "yes": "replace an earlier export without asking",
        "json": JSON,
    },
)
def export(
    c: Context,
    name: str,
    output: str = "",
    device: bool = False,
    onnx: bool = False,
    rows: int = 10_000,
    csv: str = "",
    compare: str = "",
    language: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Write a model for devices, compared with it on real rows: LiteRT, ONNX, a page for the browser."""
    from cloudkite import workspace
    from cloudkite.export.making import Wishes
    from cloudkite.journey import exporting

    wishes = Wishes(device, onnx, rows, csv, exporting.language(language))
    exporting.export(workspace.find(), name, output, compare, wishes, yes=yes, as_json=json)
