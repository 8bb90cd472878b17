"""The graph layer beside its peers: forward, and forward + backward, in one process.

The problem is x <- tanh(W x) on a square grid, one weight per synapse, float32; by default layer Y:
28 x 28 neurons, distance 2, 20 loops, batch 128. The backward pass gives the gradients of weights
and input. Outputs and gradients of every peer are first compared with SciPy's in float64.

A first word in front of the options measures another case:
  sizes    a thousand to a million neurons, against the limits of the machine
  batches  layer Y at batches from 1 to 512 and at several numbers of threads
  fly      139,255 neurons and 15 million synapses, with peak memory
  memory   bytes per synapse and per state
Each has a --help of its own; python -m benchmarks runs them all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from benchmarks import batches, command, environment, fly, memory, report, sizes
from benchmarks.cases import EQUAL
from benchmarks.equality import TOLERANCES
from benchmarks.peers import OURS, PEERS
from benchmarks.problem import draw_grid
from benchmarks.race import PASSES, race, rows
from sparsebrain.kernels.select import resolve

CASES: dict[str, Callable[[Sequence[str]], int]] = {
    "sizes": sizes.main,
    "batches": batches.main,
    "fly": fly.main,
    "memory": memory.main,
}
HALF = 0.5
"""The share of the nearer limit of the machine that forward + backward is meant to reach."""


class Goal(NamedTuple):
    """How many times as fast as the fastest of ``peers`` forward + backward is meant to be."""

    title: str
    peers: tuple[str, ...]
    ratio: float


GOALS = (
    Goal("PyG MessagePassing, static [N, B]", ("pyg",), 40.0),
    Goal("torch.sparse CSR with autograd", ("torch-sparse", "torch-sparse-reduce"), 8.0),
    Goal("PyG with its edges repeated", ("pyg-repeated",), 140.0),
    Goal("the compiled window", ("window-compiled",), 5.0),
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    if given and given[0] in CASES:
        return CASES[given[0]](given[1:])
    return command.run(_parse(given), measure, show, lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Build, compare, time; everything that is known afterwards."""
    machine = environment.machine()
    problem = draw_grid(arguments.side, arguments.distance, arguments.loops, arguments.batch)
    chosen = [name for name in PEERS if name not in arguments.skip]
    found = race(problem, chosen, rounds=arguments.rounds)
    parameters = {name: getattr(arguments, name) for name in ("side", "distance", "loops", "batch")}
    return {
        "benchmark": "layer",
        "parameters": {
            **parameters,
            "rounds": arguments.rounds,
            "skipped": arguments.skip,
            "neurons": problem.neurons,
            "synapses": problem.synapses,
            "activation": "tanh",
            "dtype": "float32",
            "gradients": ["weight", "input"],
        },
        "machine": machine,
        "versions": environment.versions(),
        "backend": resolve("auto", torch.device("cpu")).name,
        "tolerance": TOLERANCES[torch.float32],
        "peers": found,
        "goals": [_judge(goal, found) for goal in GOALS],
    }


def _judge(goal: Goal, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ratios = [
        found[peer]["forward_backward"]["ratio"]
        for peer in goal.peers
        if "forward_backward" in found.get(peer, {})
    ]
    # Against half of the candidates a goal would be easier than it is meant to be.
    ratio = min(ratios) if len(ratios) == len(goal.peers) else None
    return {
        "title": goal.title,
        "goal": goal.ratio,
        "ratio": ratio,
        "reached": None if ratio is None else ratio >= goal.ratio,
    }


def lines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the CSV."""
    given = found["parameters"]
    names = ("neurons", "synapses", "distance", "batch", "loops")
    return rows({"graph": "grid", **{name: given[name] for name in names}}, found["peers"])


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"{given['side']} x {given['side']} neurons, distance {given['distance']}, "
        f"{given['synapses']} synapses, {given['loops']} loops, tanh, batch {given['batch']}, "
        f"{given['dtype']}; gradients of weights and input"
    )
    print(f"backend of GraphLayer: {found['backend']}")
    print(EQUAL.format(found["tolerance"]))
    columns = ("", "forward", "x ours", "forward + backward", "x ours", "compile s")
    rows = [_row(peer) for peer in found["peers"].values()]
    report.table(f"ms: median (minimum) of {given['rounds']} rounds", columns, rows)
    for name, peer in found["peers"].items():
        if "unavailable" in peer:
            print(f"{name} is unavailable: {peer['unavailable']}")
    if given["skipped"]:
        print(f"skipped: {', '.join(given['skipped'])}")
    for goal in found["goals"]:
        print(_told(goal))
    print(_told_limit(found["peers"][OURS]["forward_backward"]))


def _row(peer: dict[str, Any]) -> list[str]:
    if "unavailable" in peer:
        return [peer["title"], "unavailable", "", "unavailable", "", ""]
    row = [peer["title"]]
    for name in PASSES:
        times = peer[name]
        row += [report.cell(times), f"{times['ratio']:.2f}"]
    seconds = peer["compile_seconds"]
    return [*row, "" if seconds is None else f"{seconds:.1f}"]


def _told(goal: dict[str, Any]) -> str:
    wanted = f"goal, forward + backward: {goal['goal']:g} times as fast as {goal['title']}"
    if goal["ratio"] is None:
        return f"{wanted}: not measured"
    verdict = "reached" if goal["reached"] else "NOT reached"
    return f"{wanted}: {goal['ratio']:.2f}, {verdict}"


def _told_limit(ours: dict[str, Any]) -> str:
    verdict = "reached" if ours["share"] >= HALF else "NOT reached"
    return (
        f"goal, forward + backward: {HALF:.0%} of the nearer limit of the machine, here that of "
        f"{ours['nearer']} ({ours['gflops']:.0f} GFLOP/s, reading {ours['read_gbytes']:.0f} GB/s, "
        f"triad {ours['triad_gbytes']:.0f} GB/s): {ours['share']:.0%}, {verdict}"
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("layer", __doc__, rounds=15)
    parser.add_argument("--side", type=command.positive, default=28, metavar="N")
    parser.add_argument("--distance", type=command.not_negative, default=2, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=20, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=128, metavar="N")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=[name for name in PEERS if name != OURS],
        help="leave a peer out; may be given several times",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
