"""What the commands of this package have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.equality import WrongResultError


def positive(text: str) -> int:
    """An int of at least 1, as argparse wants a type."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def not_negative(text: str) -> int:
    """An int of at least 0, as argparse wants a type."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _new_file(text: str) -> Path:
    path = Path(text)
    # Found out before the measurement and not after it.
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a file in a folder that exists; make the folder first"
        )
    return path


def parser(
    name: str, description: str | None, *, rounds: int | None, several_threads: bool = False
) -> argparse.ArgumentParser:
    """A parser with the options that all commands share; without rounds nothing is timed."""
    # Abbreviations would let a misspelled option pass for another one.
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--json", type=_new_file, metavar="FILE", help="write everything to FILE as well"
    )
    made.add_argument(
        "--csv",
        type=_new_file,
        metavar="FILE",
        help="write a line for each measurement to FILE as well, with machine and versions",
    )
    if rounds is not None:
        made.add_argument(
            "--rounds",
            type=positive,
            default=rounds,
            metavar="N",
            help=f"times each candidate is measured, in turn with the others (default {rounds})",
        )
    if several_threads:
        made.add_argument(
            "--threads",
            type=positive,
            action="append",
            metavar="N",
            help="of torch; may be given several times (default: 1 and torch's choice)",
        )
    else:
        made.add_argument(
            "--threads",
            type=positive,
            metavar="N",
            help="threads of torch (default: torch's choice)",
        )
    return made


def run(
    arguments: argparse.Namespace,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    lines: Callable[[dict[str, Any]], list[dict[str, Any]]],
) -> int:
    """Measure, show, write what was asked for; the exit status is 1 for a wrong result.

    ``lines`` are those of the CSV.
    """
    if isinstance(arguments.threads, int):
        torch.set_num_threads(arguments.threads)
    try:
        found = measure(arguments)
    except WrongResultError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(found)
    if arguments.json is not None:
        report.write_json(arguments.json, found)
    if arguments.csv is not None:
        report.write_csv(arguments.csv, lines(found), {**found["machine"], **found["versions"]})
    return 0
