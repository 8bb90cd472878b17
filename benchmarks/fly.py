"""The layer on a graph as large as a fly's brain: 139,255 neurons, 15 million synapses, batch 32.

In- and out-degrees follow a power law, with hubs of 55,000 synapses either way. The problem is
x <- tanh(W x), float32; times are given per call and per loop, beside torch.sparse with autograd
and both limits of the machine. Peaks of memory are those of the resident set (VmHWM), for each peer
in a fresh process that holds the problem already: what making the peer adds, what it holds
afterwards, and what two calls forward + backward take at most. The goal counts the higher peak.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from torch_geometric.data import Data

from benchmarks import cases, command, report, resident
from benchmarks.peers import OURS, PEERS
from benchmarks.power_law import power_law
from benchmarks.problem import Problem, draw
from benchmarks.race import PASSES

CONTESTANTS = (OURS, "torch-sparse", "torch-sparse-reduce")
GOAL = 5.0
"""How many times as fast as the fastest torch.sparse, in less memory."""

_MIB = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare, time, take peaks; everything that is known afterwards."""
    header = cases.header("fly", arguments)
    given = (arguments.neurons, arguments.synapses, arguments.loops, arguments.batch)
    names = [name for name in CONTESTANTS if name not in arguments.skip]
    case = cases.case("power law", _draw(*given), names, arguments.rounds)
    obstacle = resident.obstacle()
    for name, peer in case["peers"].items():
        if obstacle is None and "unavailable" not in peer:
            peer["memory"] = resident.in_fresh_process(_peaks, name, *given)
    return {**header, "cases": [case], "no_memory": obstacle, "goal": _judge(case["peers"])}


def _draw(neurons: int, synapses: int, loops: int, batch: int) -> Problem:
    edge_index = power_law(neurons, synapses)
    return draw(Data(edge_index=edge_index, num_nodes=neurons), loops, batch)


def _peaks(name: str, neurons: int, synapses: int, loops: int, batch: int) -> dict[str, float]:
    """MiB beyond what the problem takes."""
    problem = _draw(neurons, synapses, loops, batch)
    before = resident.now()
    resident.reset()
    peer = PEERS[name](problem)
    making = resident.peak() - before
    held = resident.now() - before
    resident.reset()
    for _ in range(2):
        peer.forward_backward()
    running = resident.peak() - before
    return {
        "making_peak_mib": making / _MIB,
        "held_mib": held / _MIB,
        "peak_mib": running / _MIB,
    }


def _judge(peers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ours = peers[OURS]
    others = [peer for name, peer in peers.items() if name != OURS and "forward" in peer]
    complete = len(others) == len(CONTESTANTS) - 1
    measured = complete and all("memory" in peer for peer in (ours, *others))
    return {
        "goal": GOAL,
        "ratio": min(p["forward_backward"]["ratio"] for p in others) if complete else None,
        "less_memory": _highest(ours) < min(map(_highest, others)) if measured else None,
    }


def _highest(peer: dict[str, Any]) -> float:
    """MiB; a peer that is made in more than it runs in needs a machine that has as much."""
    return max(peer["memory"]["making_peak_mib"], peer["memory"]["peak_mib"])


def lines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the CSV; peaks are those of forward + backward."""
    (case,) = found["cases"]
    unknown = dict.fromkeys(("making_peak_mib", "held_mib", "peak_mib"))
    peaks = {
        ("forward_backward", name): peer.get("memory", unknown)
        for name, peer in case["peers"].items()
    }
    return [
        {
            **row,
            "ms_per_loop": row["median_ms"] / row["loops"],
            **peaks.get((row["pass"], row["peer"]), unknown),
        }
        for row in cases.lines(found)
    ]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    cases.show(found)
    (case,) = found["cases"]
    loops = case["problem"]["loops"]
    rows = [
        [
            peer["title"],
            *(report.digits(peer[one]["median_ms"] / loops) for one in PASSES),
            *(report.digits(each) for each in peer.get("memory", {}).values()),
        ]
        for peer in case["peers"].values()
        if "unavailable" not in peer
    ]
    columns = ["", "forward", "forward + backward"]
    if found["no_memory"] is None:
        columns += ["MiB peak, making", "MiB held", "MiB peak, running"]
    report.table("ms a loop; resident memory beyond the problem", columns, rows)
    if found["no_memory"] is not None:
        print(f"memory was not measured: {found['no_memory']}")
    goal = found["goal"]
    ratio = "not measured" if goal["ratio"] is None else f"{goal['ratio']:.2f}"
    less = {None: "not measured", True: "yes", False: "no"}[goal["less_memory"]]
    print(
        f"goal, forward + backward: {goal['goal']:g} times as fast as the fastest torch.sparse: "
        f"{ratio}; in less memory: {less}"
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("layer fly", __doc__, rounds=5)
    parser.add_argument("--neurons", type=command.positive, default=139_255, metavar="N")
    parser.add_argument("--synapses", type=command.positive, default=15_000_000, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=32, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=3, metavar="N")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=[name for name in CONTESTANTS if name != OURS],
        help="leave a peer out; may be given several times",
    )
    return parser.parse_args(argv)
