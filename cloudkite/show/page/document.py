"""The parts of a page, and the page. What is put in as text is escaped, so that none of it can become markup."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from cloudkite.show import text
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, visible
from cloudkite.workspace import write_atomically

_STYLE = """
@page { size: A4; margin: 15mm; }
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK KR", sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color: #222; background: #fff; overflow-wrap: break-word; }
table { border-collapse: collapse; margin: .7rem 0; max-width: 100%; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; vertical-align: top; font-weight: normal; }
thead th { border-bottom: 1px solid #888; color: #555; } thead { display: table-header-group; }
tr { border-bottom: 1px solid #ddd; break-inside: avoid; }
.wide td, .wide th, .long { overflow-wrap: anywhere; }
.right { text-align: right; font-variant-numeric: tabular-nums; }
.weak { color: #777; } .strong { font-weight: 600; }
figure { margin: .7rem 0; break-inside: avoid; display: inline-block; max-width: 100%; vertical-align: top; }
figcaption, .small { color: #555; font-size: .9em; max-width: 45rem; }
svg { max-width: 100%; height: auto; fill: #4a7ab5; } svg text { fill: #333; }
img { image-rendering: pixelated; min-width: 3.5rem; max-width: 8rem; }
pre { white-space: pre-wrap; background: #f5f5f5; padding: .5rem .8rem; }
h2 { margin-top: 2rem; border-bottom: 2px solid #ddd; break-after: avoid; } h3, caption { break-after: avoid; }
li.error { color: #a00; } li.warning { color: #850; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 10pt; } }
"""
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>
{parts}
</main></body></html>
"""


class Html(str):
    """Text that is markup already. All other text is escaped where it is put in."""

    __slots__ = ()


_WIDE = 8  # columns from which words may be broken anywhere, so that the table fits onto a sheet
Cell = str | float | int  # an Html, or what is to be escaped


def escaped(said: object) -> Html:
    """Text as markup that shows it, line by line as it is; markup as it is."""
    return said if isinstance(said, Html) else Html(html.escape(visible(str(said))))


def page(title: str, parts: Sequence[Html]) -> str:
    """The whole file."""
    return _PAGE.format(
        language=text.language(), title=escaped(title), style=_STYLE, parts="\n".join(part for part in parts if part)
    )


def check(path: str) -> None:
    """Raise BadValue for a name that isn't one of a page; "" is none yet."""
    if path and Path(path).suffix.lower() not in (".html", ".htm"):
        raise BadValue(_("the file {path} must end with .html").format(path=path), _("--json prints JSON"))


def save(made: str, path: Path) -> Path:
    """Write a page, whole or not at all, and give where it is. Raises BadValue."""
    path = path.expanduser()
    try:
        write_atomically(path, made)
    except OSError as error:
        raise BadValue(_("{path} can't be written: {error}").format(path=path, error=error.strerror)) from None
    return path.resolve()


def section(title: str, *parts: Html) -> Html:
    """Parts under a heading; nothing without parts."""
    inside = "\n".join(part for part in parts if part)
    return Html(f"<section><h2>{escaped(title)}</h2>\n{inside}\n</section>") if inside else Html()


def heading(said: str) -> Html:
    """A heading inside a section."""
    return Html(f"<h3>{escaped(said)}</h3>")


def line(said: str, kind: str = "") -> Html:
    """A paragraph; `kind` is "small", "strong" or ""."""
    return Html(f"<p{_class(kind)}>{escaped(said)}</p>") if said else Html()


def block(said: str) -> Html:
    """Text as it stands in a file, or a command."""
    return Html(f"<pre>{escaped(said)}</pre>") if said else Html()


def points(said: Sequence[str]) -> Html:
    """A list. A first word such as `error` or `warning` says how grave one is."""
    items = "\n".join(f"<li{_class(_grade(one))}>{escaped(one)}</li>" for one in said)
    return Html(f"<ul>\n{items}\n</ul>") if said else Html()


def picture(png: str, width: int, height: int, said: str) -> Html:
    """A picture that is part of the page, from base64; `said` is what it shows."""
    size = f'width="{width * 2}" height="{height * 2}"'
    return Html(f'<img {size} alt="{escaped(said)}" src="data:image/png;base64,{escaped(png)}">')


def table(
    header: Sequence[Cell],
    rows: Sequence[Sequence[Cell]],
    caption: str = "",
    *,
    right: Sequence[int] = (),
    row_headers: bool = True,
) -> Html:
    """A table; the columns `right` are numbers. The first cell of a row is its header where there are `row_headers`."""
    if not rows:
        return Html()
    numeric = set(right)
    titles = "".join(f'<th scope="col"{_class("right" if i in numeric else "")}>{escaped(name)}</th>'
                     for i, name in enumerate(header))  # fmt: skip
    made = "\n".join(f"<tr>{_cells(row, numeric, row_headers)}</tr>" for row in rows)
    told = f"<caption>{escaped(caption)}</caption>" if caption else ""
    wide = _class("wide" if len(header) > _WIDE else "")
    return Html(f"<table{wide}>{told}<thead><tr>{titles}</tr></thead><tbody>\n{made}\n</tbody></table>")


def _cells(row: Sequence[Cell], numeric: set[int], row_headers: bool) -> str:
    made = []
    for i, cell in enumerate(row):
        tag, scope = ("th", ' scope="row"') if row_headers and not i else ("td", "")
        made.append(f"<{tag}{scope}{_class('right' if i in numeric else '')}>{escaped(cell)}</{tag}>")
    return "".join(made)


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _grade(said: str) -> str:
    word = said.partition(":")[0]
    return word if word in ("error", "warning") else ""
