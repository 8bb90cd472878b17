"""The page of commands: every command with its options, from the same texts as ``--help``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main

from sparsebrain.cli.app import app
from sparsebrain.experiments.help_texts import fill

PAGE = "docs/reference/commands.rst"


def _escaped(text: str) -> str:
    """Return a text of the help as reStructuredText that shows it unchanged."""
    shown = re.sub(r"([*|`_\\])", r"\\\1", fill(text).strip())
    # Dashes of options would be joined, and values such as file:brain.npz would become links.
    return re.sub(r"(?<!\S)(?:--[a-z-]+|file:[\w.]+)", r"``\g<0>``", shown)


def _option(parameter: Any) -> list[str]:
    """Return one row of the table of options."""
    names = ", ".join(f"``{name}``" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = "" if default is None or callable(default) or default == () else f"``{default}``"
    told = " ".join(_escaped(parameter.help or "").split())
    return [f"   * - {names}", f"     - {told}", f"     - {shown}"]


def page() -> str:
    """Return the page of all commands."""
    lines = ["Commands", "========", ""]
    lines += ["The name of an option is that of the argument of the function in Python.", ""]
    for name, command in typer.main.get_command(app).commands.items():
        title = f"sparsebrain {name}"
        lines += [title, "-" * len(title), "", _escaped(command.help or ""), ""]
        if not command.params:
            continue
        lines += [".. list-table::", "   :header-rows: 1", "   :widths: 25 55 20", ""]
        lines += ["   * - option", "     - meaning", "     - default"]
        for parameter in command.params:
            lines += _option(parameter)
        lines += [""]
    return "\n".join(lines)


def write(root: Path) -> None:
    """Write the page below the root of the site's sources."""
    path = root / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(), encoding="utf-8")
