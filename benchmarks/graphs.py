"""Generators and measures of graphs beside NetworkX, igraph, SciPy and PyG, in one process.

Graphs have a thousand to a million neurons and about ten synapses for each. Before anything is
timed, results are compared: measures agree to rounding, or within five standard errors where they
are sampled; generators make equally many synapses, or within five standard deviations. What takes
over a second is measured once. What would take longer than --patience, judged by smaller sizes, is
skipped, and so is what takes longer than --limit; of ours only what is beyond --own-patience, so
that its slowest cases are known too. Peers get the graph in their own form ready-made.
Peaks are those of the resident set, each in a fresh process, beyond what was there before the call.

All takes some hours. Rows are written to the CSV as they come: with --resume a run goes on where
another ended, also with other cases --only.

The word scale in front of the options measures the largest graphs instead; it has a --help of its
own.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from benchmarks import command, environment, graph_rows, graph_scale, report, resident
from benchmarks.equality import WrongResultError
from benchmarks.graph_cases import OURS, Case
from benchmarks.graph_compositions import COMPOSITIONS
from benchmarks.graph_generators import GENERATORS
from benchmarks.graph_measures import MEASURES
from benchmarks.timing import Timing, interleaved
from benchmarks.weighted_measures import WEIGHTED

CASES: dict[str, Case] = {**GENERATORS, **COMPOSITIONS, **MEASURES, **WEIGHTED}
SIZES = (1000, 10_000, 100_000, 1_000_000)
GOALS = {"networkx": 100.0, "igraph": 1.0}
"""How many times as fast as each peer, wherever both do the same work."""

LEAST = 100
"""Neurons that groups and neighbors have room among."""

_PEERS = ("networkx", "igraph", "scipy")
_ONCE = 1.0
"""Seconds from which on a single measurement is enough."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    if given and given[0] == "scale":
        return graph_scale.main(given[1:])
    arguments = _parse(given)
    wrong: list[str] = []
    status = command.run(
        arguments, lambda each: measure(each, wrong), show, lambda found: found["rows"]
    )
    return 1 if wrong else status


def measure(arguments: argparse.Namespace, wrong: list[str]) -> dict[str, Any]:
    """All cases, from small to large; everything that is known afterwards.

    Rows are written as they come. What is wrong is told and added to ``wrong``; the rest goes on.
    """
    machine, versions = environment.machine(), environment.versions(*_PEERS)
    rows = graph_rows.read(arguments.csv) if arguments.resume else []
    done = {(row["case"], row["neurons"]) for row in rows}
    for title in arguments.only or CASES:
        known: dict[str, tuple[int, float]] = {}
        for neurons in sorted(set(arguments.neurons or SIZES)):
            if (title, neurons) not in done:
                rows += _at_size(title, neurons, known, arguments, wrong)
                rows.sort(key=lambda row: (list(CASES).index(row["case"]), row["neurons"]))
                if arguments.csv is not None:
                    report.write_csv(arguments.csv, rows, {**machine, **versions})
            else:
                known |= graph_rows.seconds(rows, title, neurons)
    return {
        "benchmark": "graphs",
        "parameters": {
            name: getattr(arguments, name)
            for name in ("rounds", "patience", "own_patience", "limit", "no_peaks", "cpu_time")
        },
        "machine": machine,
        "versions": versions,
        "rows": rows,
        "goals": [_judge(peer, goal, rows) for peer, goal in GOALS.items()],
    }


def first_call(title: str, name: str, neurons: int, limit: float) -> tuple[float, int]:
    """Seconds of a call, and the bytes that it takes at most, in a process of its own.

    The system ends the process at the limit: compiled code would hear of nothing else.
    """
    case = CASES[title]
    given = case.given(name, neurons)
    before = resident.now()
    resident.reset()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit)
    start = time.perf_counter()
    case.candidates[name].run(given)
    seconds = time.perf_counter() - start
    signal.setitimer(signal.ITIMER_REAL, 0)
    return seconds, resident.peak() - before


def _at_size(
    title: str,
    neurons: int,
    known: dict[str, tuple[int, float]],
    arguments: argparse.Namespace,
    wrong: list[str],
) -> list[dict[str, Any]]:
    """The rows of a case, and in ``known`` the last size and seconds of each candidate."""
    case = CASES[title]
    limits = dict.fromkeys(case.candidates, arguments.limit)
    limits[OURS] = max(arguments.limit, arguments.own_patience)
    print(f"{title}, {neurons} neurons", file=sys.stderr, flush=True)
    skipped = {name: _obstacle(case, name, neurons, known, arguments) for name in case.candidates}
    peaks: dict[str, int] = {}
    if not arguments.no_peaks:
        for name in case.candidates:
            if skipped[name] is None:
                try:
                    seconds, peaks[name] = _first(title, name, neurons, limits[name])
                except _StoppedError as stopped:
                    seconds, skipped[name] = limits[name], f"skipped: {stopped}"
                known[name] = neurons, seconds
    chosen = [name for name, why in skipped.items() if why is None]
    times: dict[str, Timing] = {}
    try:
        # Without ours there is nothing to compare with.
        if OURS in chosen:
            clock = time.process_time if arguments.cpu_time else time.perf_counter
            times = _race(title, neurons, chosen, known, arguments.rounds, clock)
    except WrongResultError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        wrong.append(str(error))
        skipped |= dict.fromkeys(chosen, f"{graph_rows.WRONG}: {error}")
    return [
        graph_rows.row(case, title, neurons, name, times, peaks.get(name), skipped[name])
        for name in case.candidates
    ]


class _StoppedError(Exception):
    """A call that did not come to its end."""


def _first(title: str, name: str, neurons: int, limit: float) -> tuple[float, int]:
    """What :func:`first_call` returns, in a process of its own."""
    start = time.perf_counter()
    try:
        return resident.in_fresh_process(first_call, title, name, neurons, limit)
    except BrokenProcessPool:
        if time.perf_counter() - start < limit:
            raise _StoppedError("its process was killed, maybe for its memory") from None
        raise _StoppedError(f"stopped after {limit:g} s") from None
    except MemoryError:
        raise _StoppedError("out of memory") from None


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
    if expected <= (arguments.own_patience if name == OURS else arguments.patience):
        return None
    return f"skipped: would take about {report.digits(expected)} s"


def _race(
    title: str,
    neurons: int,
    names: Sequence[str],
    known: dict[str, tuple[int, float]],
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, Timing]:
    case = CASES[title]
    given = {name: case.given(name, neurons) for name in names}
    results, times = {}, {}
    for name in names:
        start = clock()
        results[name] = case.candidates[name].run(given[name])
        seconds = clock() - start
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
        times |= interleaved(again, rounds=rounds, warmups=1, clock=clock)
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
        default=20.0,
        metavar="S",
        help="seconds beyond which a candidate is skipped, by its smaller sizes (default 20)",
    )
    parser.add_argument(
        "--own-patience",
        type=_seconds,
        metavar="S",
        help="the same for graphs, which also has as long at least before it is stopped (default: "
        "ten times --patience)",
    )
    parser.add_argument(
        "--limit",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="seconds after which a call is stopped where peaks are measured (default 60)",
    )
    parser.add_argument(
        "--no-peaks", action="store_true", help="measure times alone, and stop no call"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="measure the time of the processor, which others on the machine hardly change",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep the rows of the file that --csv names, and measure what is not there",
    )
    arguments = parser.parse_args(argv)
    if min(arguments.neurons or SIZES) < LEAST:
        parser.error(f"--neurons must be at least {LEAST}, for groups and neighbors to have room")
    if arguments.own_patience is None:
        arguments.own_patience = 10 * arguments.patience
    if arguments.resume:
        if arguments.csv is None:
            parser.error("--resume needs --csv, the file that it goes on with")
        try:
            graph_rows.read(arguments.csv)
        except ValueError as error:
            parser.error(f"--resume cannot go on with {arguments.csv}: {error}")
    obstacle = None if arguments.no_peaks else resident.obstacle()
    if obstacle is not None:
        parser.error(f"{obstacle}; --no-peaks does without")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
