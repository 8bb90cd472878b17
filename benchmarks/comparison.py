"""Compare the figures of two benchmark runs, for example those of two commits."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import report

KEYS = (
    *("library", "graph", "family", "case", "of", "bytes of", "model", "rule", "option", "way"),
    *("aggr", "data", "sources and targets", "neurons", "units", "density", "synapses", "distance"),
    *("pairs", "chains", "order", "dtype", "batch", "loops", "steps", "rate", "samples", "epochs"),
    *("num_seeds", "groups", "test_images", "spreads", "spread", "gap", "seed", "third", "until"),
    *("threads", "operation", "peer", "pass"),
)
"""Columns that say what was measured; rows that agree in all of them are compared."""

FIGURES = (
    *("median_ms", "median_us", "median_s", "median_cpu_s", "seconds", "seconds_per_epoch"),
    *("peak_mib", "held_mib", "peak_gb", "peak_bytes", "bytes_per_synapse", "measured"),
    *("median_updates_per_us", "million_events_per_s"),
)
"""Columns that are compared: times, memory, and rates."""

RATES = ("median_updates_per_us", "million_events_per_s")
"""Figures of which more is better."""

MACHINE = ("processor", "system", "cores", "python", "torch", "torch-geometric", "numpy", "MKL")
"""Columns in which both runs should agree; only then does a ratio say something of the code."""

NOTABLE = 1.1
"""A row is marked if its cost has changed by this factor."""


class Change(NamedTuple):
    """One figure before and after.

    Attributes:
        case: The keys of the row that are not the same in all rows, as text.
        figure: The name of the column.
        old: The figure of the old run.
        new: The figure of the new run.
        cost: The new time or memory divided by the old one; for a rate, the old divided by the new.
    """

    case: str
    figure: str
    old: float
    new: float
    cost: float


class Comparison(NamedTuple):
    """What two files have in common, and what they do not.

    Attributes:
        changes: Every figure of every row that both files have.
        only_old: Rows without a counterpart in the new file.
        only_new: Rows without a counterpart in the old file.
        machine: For each column of ``MACHINE`` that differs, the old and the new values.
    """

    changes: list[Change]
    only_old: list[str]
    only_new: list[str]
    machine: dict[str, tuple[str, str]]


def compare(old: Path, new: Path) -> Comparison:
    """Match the rows of two CSV files of one benchmark and compare their figures.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is not a result of a benchmark, or both have no row in common.
    """
    before, after = _read(old), _read(new)
    shared = [key for key in KEYS if key in before[0] and key in after[0]]
    matched, found = _by_case(before, shared), _by_case(after, shared)
    told = [key for key in shared if len({row[key] for row in before + after}) > 1]
    names = {case: _name(case, shared, told) for case in {**matched, **found}}
    changes = [
        change
        for case, row in matched.items()
        if case in found
        for change in _changes(names[case], row, found[case])
    ]
    if not changes:
        raise ValueError(
            f"{old} and {new} have no figure in common; compare two files of the same benchmark, "
            "measured with the same options"
        )
    machine = {
        column: (_values(before, column), _values(after, column))
        for column in MACHINE
        if _values(before, column) != _values(after, column)
    }
    return Comparison(
        changes,
        [names[case] for case in matched if case not in found],
        [names[case] for case in found if case not in matched],
        machine,
    )


def show(title: str, found: Comparison) -> None:
    """Print every change, then what was not compared and what else differs."""
    report.table(
        f"{title}: new cost divided by old (* where it changed by {NOTABLE:g} times or more)",
        ["case", "figure", "old", "new", "cost"],
        [
            [
                each.case,
                each.figure,
                report.digits(each.old),
                report.digits(each.new),
                f"{each.cost:.2f}{'*' if max(each.cost, 1 / each.cost) >= NOTABLE else ' '}",
            ]
            for each in found.changes
        ],
    )
    costs = [math.log(each.cost) for each in found.changes]
    print(f"geometric mean of {len(costs)} costs: {math.exp(sum(costs) / len(costs)):.3f}")
    for label, rows in (("old", found.only_old), ("new", found.only_new)):
        if rows:
            print(f"only in the {label} run: {'; '.join(rows)}")
    for column, (before, after) in found.machine.items():
        print(f"warning: {column} differs: {before} and {after}")


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not any(figure in rows[0] for figure in FIGURES):
        raise ValueError(
            f"{path} holds no results of a benchmark; pass a CSV written by "
            "python -m benchmarks --out DIR"
        )
    return rows


def _by_case(
    rows: Sequence[Mapping[str, str]], keys: Sequence[str]
) -> dict[tuple[str, ...], Mapping[str, str]]:
    """Return the rows by their keys and their number among those with the same keys."""
    seen: Counter[tuple[str, ...]] = Counter()
    found = {}
    for row in rows:
        case = tuple(row[key] or "" for key in keys)
        found[*case, str(seen[case])] = row
        seen[case] += 1
    return found


def _name(case: Sequence[str], keys: Sequence[str], told: Sequence[str]) -> str:
    number = "" if case[-1] == "0" else f" #{int(case[-1]) + 1}"
    values = dict(zip(keys, case, strict=False))
    # Words speak for themselves; a number needs the name of its column.
    parts = [
        f"{key} {values[key]}" if values[key][:1].isdigit() else values[key]
        for key in told
        if values[key]
    ]
    return ", ".join(parts) + number or "all"


def _changes(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for figure in FIGURES:
        before, after = _number(old.get(figure)), _number(new.get(figure))
        if before is None or after is None:
            continue
        cost = before / after if figure in RATES else after / before
        yield Change(name, figure, before, after, cost)


def _number(text: str | None) -> float | None:
    """Return a positive number, or None for an empty cell or zero; ValueError for anything else."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"a figure must be a number >= 0, got {text!r}; measure that row again")
    return number or None


def _values(rows: Sequence[Mapping[str, str]], column: str) -> str:
    return ", ".join(sorted({row.get(column) or "unknown" for row in rows}))
