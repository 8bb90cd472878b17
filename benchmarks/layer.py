"""The graph layer beside its peers: forward, and forward + backward, in one process.

The problem is x <- tanh(W x) on a square grid, one weight per synapse, float32; by default layer Y:
28 x 28 neurons, distance 2, 20 loops, batch 128. The backward pass gives the gradients of weights
and input. Outputs and gradients of every peer are first compared with the reference backend in
float64.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.peers import OURS, PEERS, Peer, Sparsebrain, UnavailableError
from benchmarks.problem import Problem, Solution, draw, solve
from benchmarks.timing import Timing, interleaved
from sparsebrain.kernels.select import resolve

PASSES = ("forward", "forward_backward")


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
    return command.run(_parse(argv), measure, show)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Build, compare, time; everything that is known afterwards."""
    machine = environment.machine()
    problem = draw(arguments.side, arguments.distance, arguments.loops, arguments.batch)
    peers, found = _ready(problem, set(arguments.skip))
    timings = {
        name: interleaved(
            {peer: getattr(made, name) for peer, made in peers.items()}, rounds=arguments.rounds
        )
        for name in PASSES
    }
    for name, timing in timings.items():
        for peer in peers:
            found[peer][name] = _times(timing[peer], timing[OURS])
    parameters = {name: getattr(arguments, name) for name in ("side", "distance", "loops", "batch")}
    return {
        "benchmark": "layer",
        "parameters": {
            **parameters,
            "rounds": arguments.rounds,
            "skipped": arguments.skip,
            "neurons": problem.connectome.num_nodes,
            "synapses": problem.connectome.num_edges,
            "activation": "tanh",
            "dtype": "float32",
            "gradients": ["weight", "input"],
        },
        "machine": machine,
        "versions": environment.versions(),
        "backend": _backend(peers[OURS]),
        "tolerance": TOLERANCES[torch.float32],
        "peers": found,
        "goals": [_judge(goal, found) for goal in GOALS],
    }


def _ready(problem: Problem, skip: set[str]) -> tuple[dict[str, Peer], dict[str, dict[str, Any]]]:
    """The peers that can run, all of them compared; and for each what is known of it so far."""
    expected = solve(problem)
    peers: dict[str, Peer] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, build in PEERS.items():
        if name in skip:
            continue
        peer = build(problem)
        found[name] = {"title": peer.title}
        try:
            found[name]["compile_seconds"] = peer.prepare()
        except UnavailableError as error:
            found[name]["unavailable"] = str(error)
            continue
        found[name]["errors"] = _compare(name, peer, expected)
        peers[name] = peer
    return peers, found


def _compare(name: str, peer: Peer, expected: Solution) -> dict[str, float]:
    tolerance = TOLERANCES[torch.float32]
    actual = {**peer.solution()._asdict(), "output without gradients": peer.columns(peer.forward())}
    wanted = {**expected._asdict(), "output without gradients": expected.output}
    return {
        what: assert_equal(name, what, actual[what], wanted[what], tolerance) for what in wanted
    }


def _times(timing: Timing, ours: Timing) -> dict[str, Any]:
    return {
        **report.entry(timing),
        "ratio": timing.median / ours.median,
        "ratio_of_min": timing.minimum / ours.minimum,
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


def _backend(ours: Peer) -> str:
    assert isinstance(ours, Sparsebrain)
    return resolve(ours.layer.backend, ours.weight.device).name


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
    print(
        "outputs and gradients equal the float64 reference within "
        f"{found['tolerance']:.0e} of the largest value"
    )
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
