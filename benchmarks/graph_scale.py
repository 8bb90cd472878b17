"""The largest graphs: a million neurons with 10^8 synapses, and small-worldness of 10^5 synapses.

Each runs once in a fresh process. Seconds are those of the call; the peak is that of the resident
set, all that the process takes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import graphs
from benchmarks import command, environment, report, resident

_GB = 1e9


class Goal(NamedTuple):
    """A graph to make or to measure, and what it may take."""

    prepare: Callable[[int], Any]
    run: Callable[[Any], Any]
    neurons: int
    seconds: float
    gigabytes: float | None = None


def _same(neurons: int) -> int:
    return neurons


def _box(neurons: int) -> Any:
    # A neuron sends pi d^2 / 3 synapses at density 1.
    side, distance = math.sqrt(neurons), math.sqrt(3 * 100 / math.pi)
    return graphs.coordinate_random(neurons, (side, side), distance, seed=0)


CASES: dict[str, Goal] = {
    # 101 places of a square lattice lie within the root of 32.
    "grid_local": Goal(
        _same,
        lambda n: graphs.grid_local((math.isqrt(n),) * 2, math.sqrt(32), metric="euclidean"),
        1_000_000,
        60.0,
        6.0,
    ),
    "coordinate_random": Goal(_same, _box, 1_000_000, 60.0, 6.0),
    "fixed_in_degree": Goal(
        _same, lambda n: graphs.fixed_in_degree(n, 100, seed=0), 1_000_000, 60.0, 6.0
    ),
    "small_worldness": Goal(
        lambda n: graphs.small_world(n, 10, 0.1, seed=0), graphs.small_worldness, 10_000, 30.0
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Each case in a process of its own; everything that is known afterwards."""
    machine = environment.machine()
    rows = []
    for name in arguments.only or CASES:
        goal = CASES[name]
        neurons = arguments.neurons or goal.neurons
        print(f"{name}, {neurons} neurons", file=sys.stderr, flush=True)
        rows.append({"case": name, "neurons": neurons} | _judged(goal, name, neurons))
    return {
        "benchmark": "graphs scale",
        "parameters": {"neurons": arguments.neurons},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def run(name: str, neurons: int) -> tuple[int, float, int]:
    """Synapses, seconds and peak in bytes."""
    goal = CASES[name]
    given = goal.prepare(neurons)
    resident.reset()
    start = time.perf_counter()
    made = goal.run(given)
    seconds = time.perf_counter() - start
    graph = made if hasattr(made, "edge_index") else given
    return graph.num_edges, seconds, resident.peak()


def _judged(goal: Goal, name: str, neurons: int) -> dict[str, Any]:
    synapses, seconds, taken = resident.in_fresh_process(run, name, neurons)
    fits = goal.gigabytes is None or taken / _GB <= goal.gigabytes
    return {
        "synapses": synapses,
        "seconds": seconds,
        "goal_seconds": goal.seconds,
        "peak_gb": taken / _GB,
        "goal_gb": goal.gigabytes,
        # Of another size a goal would be another.
        "reached": seconds <= goal.seconds and fits if neurons == goal.neurons else None,
    }


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    columns = ("case", "neurons", "synapses", "s", "goal", "peak GB", "goal", "")
    verdicts = {True: "reached", False: "NOT reached", None: "not judged at this size"}
    report.table(
        "once each, in a fresh process",
        columns,
        [
            [
                row["case"],
                str(row["neurons"]),
                str(row["synapses"]),
                report.digits(row["seconds"]),
                f"{row['goal_seconds']:g}",
                report.digits(row["peak_gb"]),
                "" if row["goal_gb"] is None else f"{row['goal_gb']:g}",
                verdicts[row["reached"]],
            ]
            for row in found["rows"]
        ],
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("graphs scale", __doc__, rounds=None)
    parser.add_argument(
        "--only", action="append", choices=CASES, help="may be given several times (default: all)"
    )
    parser.add_argument(
        "--neurons",
        type=command.positive,
        metavar="N",
        help="instead of those that the goals are about",
    )
    arguments = parser.parse_args(argv)
    if arguments.neurons is not None and arguments.neurons < 1000:
        parser.error("--neurons must be at least 1000, for a hundred synapses each to have room")
    resident.require(parser)
    return arguments
