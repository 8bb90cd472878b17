"""The parts of an HTML page. Arguments are plain text, which is escaped here."""

from __future__ import annotations

import base64
import html
import io
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.table import Table

from graphs.io.atomic import write_atomically

# The page runs no script and loads nothing, whatever a label contains.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
:root {{ --ink: #1d2733; --soft: #5b6877; --line: #d5dce4; --paper: #fff; --mark: #2f6f9f;
  --card: #f5f7f9 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e4e9ee; --soft: #9aa7b4; --line: #36424e; --paper: #14191f; --mark: #6cb2e0;
    --card: #1d242c }}
}}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem }}
h2 {{ font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line) }}
.scroll {{ overflow-x: auto; margin: .6rem 0 }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }}
th, td {{ padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: normal }}
th {{ color: var(--soft); font-weight: 600 }}
.number {{ text-align: right; white-space: nowrap }}
td.wide {{ min-width: 5.5rem; max-width: 24rem; overflow-wrap: anywhere }}
@media (max-width: 40rem) {{
  table {{ font-size: .8rem }}
  th, td {{ padding-right: .5rem }}
}}
img {{ display: block; max-width: 100%; height: auto; background: #fff; border-radius: 4px }}
figure {{ margin: 1rem 0 }}
figcaption {{ color: var(--soft); font-size: .9rem }}
pre {{ overflow-x: auto; padding: .8rem; background: var(--card); border-radius: 4px;
  font: .85rem/1.45 ui-monospace, monospace; overflow-wrap: normal }}
summary {{ cursor: pointer; color: var(--mark) }}
svg {{ display: block }}
.axis {{ stroke: var(--soft); stroke-dasharray: 2 2 }}
.interval {{ stroke: var(--mark); stroke-width: 2 }}
.mean {{ fill: var(--mark) }}
@media print {{ details > * {{ display: block }} }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page, either completely or not at all.

    Args:
        path: The file.
        title: The title, as text.
        parts: The content: results of the other functions of this module.

    Raises:
        OSError: The file cannot be written.
    """
    page = _PAGE.format(title=escape(title), body="\n".join(parts))
    # Bytes of a file name that are not text have no place in UTF-8.
    write_atomically(path, lambda aside: aside.write_bytes(page.encode(errors="replace")))


def escape(text: object) -> str:
    """Return text as HTML that shows it; line breaks stay, and control characters do not."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(text))
    return html.escape(shown).replace("\n", "<br>")


def heading(text: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraphs(text: str | None) -> str:
    """Return one paragraph per line of text."""
    return "\n".join(f"<p>{escape(line)}</p>" for line in (text or "").splitlines() if line)


def code(text: str) -> str:
    """Return text in a fixed-width font, line by line."""
    return f"<pre>{escape(text).replace('<br>', chr(10))}</pre>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1) -> str:
    """Return a table.

    Args:
        columns: The heading of each column; none for a table without headings.
        rows: The cells of each row. A :class:`Drawing` is shown as it is.
        texts: The number of columns of text, on the left; the others are numbers.
    """
    head = "".join(_cell("th", each, place < texts) for place, each in enumerate(columns))
    body = "\n".join(
        f"<tr>{''.join(_cell('td', each, place < texts) for place, each in enumerate(row))}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table>{f"<thead><tr>{head}</tr></thead>" if head else ""}'
        f"<tbody>{body}</tbody></table></div>"
    )


def of_rich(shown: Table) -> str:
    """Return a table of the terminal with its caption."""
    columns = [str(column.header) for column in shown.columns]
    texts = sum(column.justify != "right" for column in shown.columns)
    rows = zip(*(list(column.cells) for column in shown.columns), strict=True)
    caption = None if shown.caption is None else str(shown.caption)
    return table(columns, rows, texts=texts) + paragraphs(caption)


def settings_table(settings: Mapping[str, object]) -> str:
    """Return a table of settings by name; lists have one line per entry."""
    return table(
        (),
        [
            (name, "\n".join(map(str, value)) if isinstance(value, list | tuple) else value)
            for name, value in settings.items()
        ],
        texts=2,
    )


class Drawing(str):
    """HTML that is not escaped."""

    __slots__ = ()


def interval(mean: float, low: float, high: float, reach: float) -> Drawing:
    """Return a small drawing of a confidence interval around zero.

    Args:
        mean: The estimate.
        low: The lower end.
        high: The upper end.
        reach: The distance from the middle, which is zero, to either end of the drawing, > 0.
    """
    if not all(map(math.isfinite, (mean, low, high, reach))):
        return Drawing("")
    at = [f"{80 + 76 * max(-1.0, min(1.0, value / reach)):.1f}" for value in (low, mean, high)]
    return Drawing(
        '<svg width="160" height="18" aria-hidden="true">'
        '<line class="axis" x1="80" x2="80" y1="0" y2="18"/>'
        f'<line class="interval" x1="{at[0]}" x2="{at[2]}" y1="9" y2="9"/>'
        f'<circle class="mean" cx="{at[1]}" cy="9" r="4"/></svg>'
    )


def picture(source: Path | Figure, caption: str) -> str:
    """Return a figure, embedded as PNG.

    Args:
        source: A PNG file, or a figure of matplotlib.
        caption: What it shows.
    """
    if isinstance(source, Figure):
        drawn = io.BytesIO()
        source.savefig(drawn, dpi=120, format="png")
        content = drawn.getvalue()
    else:
        content = source.read_bytes()
    data = base64.b64encode(content).decode()
    told = escape(caption)
    return (
        f'<figure><img alt="{told}" src="data:image/png;base64,{data}">'
        f"<figcaption>{told}</figcaption></figure>"
    )


def details(summary: str, content: str) -> str:
    """Return content that is shown on request."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def environment() -> str:
    """Return a table of versions and of the machine."""
    names = ("sparsebrain", "torch", "torch-geometric", "numpy", "scipy")
    versions = {name: metadata.version(name) for name in names}
    return settings_table(
        {
            **versions,
            # Distributions state the release alone; torch also states its build.
            "torch": torch.__version__,
            "Python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        }
    )


def _cell(tag: str, content: object, is_text: bool) -> str:
    shown = content if isinstance(content, Drawing) else escape(content)
    kind = ' class="wide"' if is_text and tag == "td" else "" if is_text else ' class="number"'
    return f"<{tag}{kind}>{shown}</{tag}>"
