"""Rows of the benchmark of graphs, as they are kept in a CSV and read again."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.graph_cases import OURS, Case
from benchmarks.timing import Timing

WRONG = "wrong"
"""How the note of a result begins that is another than ours; it is measured again."""

_MIB = 1 << 20
_NUMBERS = ("median_ms", "min_ms", "ratio", "peak_mib")


def row(
    case: Case,
    title: str,
    neurons: int,
    name: str,
    times: Mapping[str, Timing],
    peak: int | None,
    skipped: str | None,
) -> dict[str, Any]:
    """What is known of one candidate at one size."""
    candidate, timing = case.candidates[name], times.get(name)
    return {
        "family": case.family,
        "case": title,
        "neurons": neurons,
        "peer": name,
        "median_ms": timing and timing.median,
        "min_ms": timing and timing.minimum,
        "ratio": timing and timing.median / times[OURS].median,
        "peak_mib": None if peak is None else peak / _MIB,
        "same_work": not candidate.other,
        "note": skipped or candidate.other,
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none where it is missing, and without those that were wrong.

    Raises:
        ValueError: it was not written by this benchmark, or by another version of it.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = csv.DictReader(file)
        names = ["family", "case", "neurons", "peer", *_NUMBERS, "same_work", "note"]
        names += [name for name in environment.machine() if name not in names]
        if (lines.fieldnames or [])[: len(names)] != names:
            raise ValueError(f"its first columns are not {', '.join(names)}")
        kept: list[dict[str, Any]] = [line for line in lines if not line["note"].startswith(WRONG)]
    for line in kept:
        line["neurons"] = int(line["neurons"])
        line["same_work"] = line["same_work"] == "True"
        line |= {name: float(line[name]) if line[name] else None for name in _NUMBERS}
    return kept


def seconds(
    rows: Sequence[Mapping[str, Any]], title: str, neurons: int
) -> dict[str, tuple[int, float]]:
    """The size and the seconds of each candidate that was timed there."""
    return {
        each["peer"]: (neurons, each["median_ms"] / 1000)
        for each in rows
        if (each["case"], each["neurons"]) == (title, neurons) and each["median_ms"] is not None
    }
