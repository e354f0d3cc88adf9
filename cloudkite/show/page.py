"""A report as one HTML file that needs nothing else: no script, nothing from the network."""

from __future__ import annotations

import html as escaping
from collections.abc import Sequence
from typing import Any

from cloudkite.show.text import visible

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .7rem; vertical-align: top; }
tr { border-bottom: 1px solid #ddd; } svg { fill: #4a7ab5; }
li.error { color: #a00; } li.warning { color: #850; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } tr { border-color: #444; }
li.error { color: #f77; } li.warning { color: #fb6; } }
"""
_PAGE = """<!doctype html>
<html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{lines}
<table><thead><tr>{header}</tr></thead><tbody>
{rows}
</tbody></table>
<ul>
{findings}
</ul>
</body></html>
"""


def html(
    title: str, lines: Sequence[str], header: Sequence[str], rows: Sequence[Sequence[Any]], findings: Sequence[str]
) -> str:
    """The page. A cell that is a tuple of counts becomes bars; a finding's first word says how grave it is."""
    return _PAGE.format(
        title=_text(title),
        style=_STYLE,
        lines="\n".join(f"<p>{_text(line)}</p>" for line in lines),
        header="".join(f"<th>{_text(name)}</th>" for name in header),
        rows="\n".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows),
        findings="\n".join(f'<li class="{_grade(line)}">{_text(line)}</li>' for line in findings),
    )


def _grade(line: str) -> str:
    word = line.partition(":")[0]
    return word if word in ("error", "warning") else "note"


def _cell(cell: Any) -> str:
    if not isinstance(cell, tuple):
        return _text(str(cell))
    if not any(cell):
        return ""
    bars = "".join(
        f'<rect x="{i * 8}" y="{24 - 24 * count / max(cell):.1f}" width="7" height="{24 * count / max(cell):.1f}"/>'
        for i, count in enumerate(cell)
    )
    return f'<svg width="{8 * len(cell)}" height="24" role="img">{bars}</svg>'


def _text(text: str) -> str:
    return escaping.escape(visible(text))
