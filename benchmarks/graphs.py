"""Generators and measures of graphs beside NetworkX, igraph, SciPy and PyG, in one process.

Graphs have a thousand to a million neurons and about ten synapses for each. Before anything is
timed, results are compared: measures agree to rounding, or within five standard errors where they
are sampled; generators make equally many synapses, or within five standard deviations. What takes
over a second is measured once. What would take longer than --patience, judged by smaller sizes, is
skipped. Peers get the graph in their own form ready-made. Peaks are those of the resident set, each
in a fresh process, beyond what was there before the call.

The word scale in front of the options measures the largest graphs instead; it has a --help of its
own.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import command, environment, graph_scale, report, resident
from benchmarks.graph_cases import OURS, Case
from benchmarks.graph_generators import GENERATORS
from benchmarks.graph_measures import MEASURES
from benchmarks.timing import Timing, interleaved

CASES: dict[str, Case] = {**GENERATORS, **MEASURES}
SIZES = (1000, 10_000, 100_000, 1_000_000)
GOALS = {"networkx": 100.0, "igraph": 1.0}
"""How many times as fast as each peer, wherever both do the same work."""

LEAST = 100
"""Neurons that groups and neighbours have room among."""

_PEERS = ("networkx", "igraph", "scipy")
_ONCE = 1.0
"""Seconds from which on a single measurement is enough."""
_MIB = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    if given and given[0] == "scale":
        return graph_scale.main(given[1:])
    return command.run(_parse(given), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All cases, from small to large; everything that is known afterwards."""
    machine = environment.machine()
    rows: list[dict[str, Any]] = []
    for title in arguments.only or CASES:
        known: dict[str, tuple[int, float]] = {}
        for neurons in sorted(set(arguments.neurons or SIZES)):
            rows += _at_size(title, neurons, known, arguments)
    return {
        "benchmark": "graphs",
        "parameters": {
            name: getattr(arguments, name) for name in ("rounds", "patience", "no_peaks")
        },
        "machine": machine,
        "versions": environment.versions(*_PEERS),
        "rows": rows,
        "goals": [_judge(peer, goal, rows) for peer, goal in GOALS.items()],
    }


def peak(title: str, name: str, neurons: int) -> int:
    """Bytes that a call takes at most, in a process that has nothing else to do."""
    case = CASES[title]
    given = case.given(name, neurons)
    before = resident.now()
    resident.reset()
    case.candidates[name].run(given)
    return resident.peak() - before


def _at_size(
    title: str,
    neurons: int,
    known: dict[str, tuple[int, float]],
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    """The rows of a case, and in ``known`` the last size and seconds of each candidate."""
    case = CASES[title]
    skipped = {name: _obstacle(case, name, neurons, known, arguments) for name in case.candidates}
    chosen = [name for name, why in skipped.items() if why is None]
    print(f"{title}, {neurons} neurons", file=sys.stderr, flush=True)
    # Without ours there is nothing to compare with.
    times = _race(title, neurons, chosen, known, arguments.rounds) if OURS in chosen else {}
    rows = []
    for name, candidate in case.candidates.items():
        row = {
            "family": case.family,
            "case": title,
            "neurons": neurons,
            "peer": name,
            "median_ms": None,
            "min_ms": None,
            "ratio": None,
            "peak_mib": None,
            "same_work": not candidate.other,
            "note": skipped[name] or candidate.other,
        }
        if name in times:
            row |= {"median_ms": times[name].median, "min_ms": times[name].minimum}
            row["ratio"] = times[name].median / times[OURS].median
            if not arguments.no_peaks:
                taken = resident.in_fresh_process(peak, title, name, neurons)
                row["peak_mib"] = taken / _MIB
        rows.append(row)
    return rows


def _obstacle(
    case: Case,
    name: str,
    neurons: int,
    known: dict[str, tuple[int, float]],
    arguments: argparse.Namespace,
) -> str | None:
    """Why a candidate is skipped, or None."""
    candidate = case.candidates[name]
    if neurons > candidate.most:
        return f"skipped: not above {candidate.most} neurons, for its memory"
    if name not in known:
        return None
    before, seconds = known[name]
    expected = seconds * (neurons / before) ** candidate.power
    if expected <= arguments.patience:
        return None
    return f"skipped: would take about {report.digits(expected)} s"


def _race(
    title: str,
    neurons: int,
    names: Sequence[str],
    known: dict[str, tuple[int, float]],
    rounds: int,
) -> dict[str, Timing]:
    case = CASES[title]
    given = {name: case.given(name, neurons) for name in names}
    results, times = {}, {}
    for name in names:
        start = time.perf_counter()
        results[name] = case.candidates[name].run(given[name])
        seconds = time.perf_counter() - start
        known[name] = neurons, seconds
        if seconds > _ONCE:
            times[name] = Timing((1000 * seconds,))
    case.assert_equal(title, neurons, results)
    del results
    again = {
        name: lambda name=name: case.candidates[name].run(given[name])
        for name in names
        if name not in times
    }
    if again:
        times |= interleaved(again, rounds=rounds, warmups=1)
    return times


def _judge(peer: str, goal: float, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    judged = [row for row in rows if row["peer"] == peer and row["ratio"] and row["same_work"]]
    missed = [
        {"case": row["case"], "neurons": row["neurons"], "ratio": row["ratio"]}
        for row in judged
        if row["ratio"] < goal
    ]
    return {
        "peer": peer,
        "goal": goal,
        "judged": len(judged),
        "missed": missed,
        "reached": not missed if judged else None,
    }


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    columns = ("case", "neurons", "peer", "ms", "x ours", "peak MiB", "")
    report.table(
        f"ms: median (minimum) of {found['parameters']['rounds']} rounds, of one where it is over "
        "a second",
        columns,
        [_row(row) for row in found["rows"]],
    )
    for goal in found["goals"]:
        print(_told(goal))
        for miss in goal["missed"]:
            print(f"  {miss['case']}, {miss['neurons']} neurons: {report.digits(miss['ratio'])}")


def _row(row: dict[str, Any]) -> list[str]:
    timed = row["median_ms"] is not None
    return [
        row["case"],
        str(row["neurons"]),
        row["peer"],
        report.cell(row) if timed else "",
        report.digits(row["ratio"]) if timed else "",
        "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
        row["note"],
    ]


def _told(goal: dict[str, Any]) -> str:
    wanted = f"goal: {goal['goal']:g} times as fast as {goal['peer']} wherever both do the same"
    if goal["reached"] is None:
        return f"{wanted}: not measured"
    held = goal["judged"] - len(goal["missed"])
    verdict = "reached" if goal["reached"] else "NOT reached"
    return f"{wanted}: {held} of {goal['judged']}, {verdict}"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ValueError(text)
    return seconds


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = command.parser("graphs", __doc__, rounds=3)
    parser.add_argument(
        "--only",
        action="append",
        choices=CASES,
        metavar="CASE",
        help=f"may be given several times (default: all): {', '.join(CASES)}",
    )
    parser.add_argument(
        "--neurons",
        type=command.positive,
        action="append",
        metavar="N",
        help="from 100 on; may be given several times (default: 10^3 to 10^6)",
    )
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=3.0,
        metavar="S",
        help="seconds beyond which a candidate is skipped (default 3)",
    )
    parser.add_argument("--no-peaks", action="store_true", help="measure times alone")
    arguments = parser.parse_args(argv)
    if min(arguments.neurons or SIZES) < LEAST:
        parser.error(f"--neurons must be at least {LEAST}, for groups and neighbours to have room")
    obstacle = None if arguments.no_peaks else resident.obstacle()
    if obstacle is not None:
        parser.error(f"{obstacle}; --no-peaks does without")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
