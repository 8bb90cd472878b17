"""What the brains of a fly, a mouse and a human would take: nodes, memory, time and traffic.

The command computes a table from sizes of brains, assumptions about a node, and numbers that other
benchmarks have measured. With --measured, it reads a CSV of the benchmark of layers on several
processes, and prints the time that the same formulas predict from one process beside each measured
time. docs/whole_brains.md describes the formulas.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import graphs
from benchmarks import command, environment, report, scale_check

# Two int32 positions, a weight and its place in the transpose; training adds a gradient and a sum.
SYNAPSE_BYTES = {"inference": 16, "training": 24}
_STATE_BYTES = 4
# fly.csv of 2026-11-25: 0.137 ns per synapse, sample and loop on two cores, 0.452 ns with
# backward. Today's has 0.110 and 0.369 ns.
CORE_RATE = 1 / (2 * 0.137e-9)
BACKWARD = 0.452 / 0.137
# A weight and an index, which have to be read once per loop, however many samples there are.
_READ_BYTES = 8
_GIB = 2**30


class Brain(NamedTuple):
    """The number of neurons, and that of synapses."""

    neurons: float
    synapses: float


BRAINS = {
    "fly": Brain(139_255, 15e6),
    "mouse": Brain(7e7, 1e11),
    "human, fewest synapses": Brain(8.6e10, 1e14),
    "human, most synapses": Brain(8.6e10, 1e15),
}

WIRINGS = {"local": 0.0, "1 % far": 0.01, "10 % far": 0.1, "random": 1.0}
"""The share of synapses whose source may be anywhere, by name."""


class Node(NamedTuple):
    """What a node is assumed to have.

    Attributes:
        cores: Cores, each as fast as a measured one.
        memory: Bytes of memory.
        reads: Bytes per second that all cores together read from it.
        network: Bytes per second that it receives.
        latency: Seconds until a message arrives.
    """

    cores: int = 64
    memory: float = 512 * _GIB
    reads: float = 2e11
    network: float = 1.25e10
    latency: float = 1e-5


class Plan(NamedTuple):
    """A brain on nodes, with the largest node's memory, and times and traffic of one loop.

    Attributes:
        nodes: The smallest number of nodes whose memory suffices; infinite if none does.
        memory: Bytes per node.
        halo: Neurons of other nodes that a node reads.
        compute: Seconds of computation.
        traffic: Bytes that a node receives.
        transfer: Seconds of the exchange.
    """

    nodes: float
    memory: float
    halo: float
    compute: float
    traffic: float
    transfer: float

    @property
    def loop(self) -> float:
        """The seconds of a loop, if the exchange is hidden behind computation."""
        return max(self.compute, self.transfer)


def halo_shares(edge_index: Tensor, owner: Tensor) -> list[float]:
    """Measure, for each part, the share of all neurons of other parts that it has to receive.

    Args:
        edge_index: The synapses [2, E].
        owner: The part [N] of every neuron, from 0.
    """
    source, target = edge_index
    shares = []
    for part in range(int(owner.max()) + 1):
        own = owner == part
        read = source[own[target]].unique()
        others = len(owner) - int(own.sum())
        shares.append(int((~own[read]).sum()) / others if others else 0.0)
    return shares


def expected_halo(brain: Brain, parts: float, far: float, dimensions: int = 3) -> float:
    r"""Estimate the neurons of other parts that one of equal parts has to receive.

    Near synapses come from the cube of neurons around their target, and a part is a cube itself.
    Far synapses come from anywhere, so that a neuron of another part is missed by all of them with
    a probability of about exp(-far k / parts), where k is the number of synapses per neuron.

    Args:
        brain: The sizes.
        parts: The number of parts.
        far: The share of far synapses, 0 to 1.
        dimensions: The dimensions of the cubes.
    """
    own = brain.neurons / parts
    others = brain.neurons - own
    degree = brain.synapses / brain.neurons
    near = 0.0
    if far < 1:
        reach = ((1 - far) * degree) ** (1 / dimensions) - 1
        side = own ** (1 / dimensions)
        near = min((side + reach) ** dimensions - own, others)
    missed = math.exp(-far * degree / parts)
    return near + (others - near) * (1 - missed)


def plan(
    brain: Brain, far: float, node: Node, *, mode: str = "inference", batch: int = 1, kept: int = 1
) -> Plan:
    """Find the smallest number of nodes, and the times of a loop on them.

    Args:
        brain: The sizes.
        far: The share of synapses whose source may be anywhere.
        node: The node.
        mode: "inference" or "training", which computes a loop forward and backward.
        batch: Samples at a time.
        kept: States per neuron and sample: 1 for inference, and the number of loops for training.
    """

    def memory(parts: float) -> float:
        states = brain.neurons / parts * (kept + 1) + kept * expected_halo(brain, parts, far)
        return SYNAPSE_BYTES[mode] * brain.synapses / parts + _STATE_BYTES * batch * states

    nodes = _smallest(lambda parts: memory(parts) <= node.memory, brain.neurons)
    if math.isinf(nodes):
        return Plan(nodes, math.nan, math.nan, math.nan, math.nan, math.nan)
    halo = expected_halo(brain, nodes, far)
    passes = 1 if mode == "inference" else BACKWARD
    synapses = brain.synapses / nodes
    arithmetic = synapses * batch / (node.cores * CORE_RATE)
    compute = passes * max(arithmetic, synapses * _READ_BYTES / node.reads)
    traffic = (1 if mode == "inference" else 2) * _STATE_BYTES * batch * halo
    transfer = traffic / node.network + (node.latency if halo else 0.0)
    return Plan(nodes, memory(nodes), halo, compute, traffic, transfer)


def _smallest(fits: Any, most: float) -> float:
    """Return the smallest number up to ``most`` that fits, if all larger ones do as well."""
    low, high = 0, 1
    while not fits(high):
        low, high = high, 2 * high
        if high > most:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = _parse(argv)
    if arguments.measured is None:
        return command.run(arguments, _plan, _show, lambda found: found["rows"])
    try:
        return command.run(
            arguments, scale_check.measure, scale_check.show, lambda found: found["rows"]
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _plan(arguments: argparse.Namespace) -> dict[str, Any]:
    node = Node(
        cores=arguments.cores,
        memory=arguments.memory * _GIB,
        network=arguments.network * 1e9 / 8,
    )
    return {
        "benchmark": "scale",
        "parameters": {**node._asdict(), "batch": arguments.batch, "loops": arguments.loops},
        "machine": environment.machine(),
        "versions": environment.versions(),
        "halo": list(_measure_halo(arguments.neurons)),
        "rows": [
            {
                **{"brain": name, "wiring": wiring, "mode": mode},
                **found._asdict(),
                "loop": found.loop,
            }
            for mode, kept in (("inference", 1), ("training", arguments.loops))
            for name, brain in BRAINS.items()
            for wiring, far in WIRINGS.items()
            for found in [plan(brain, far, node, mode=mode, batch=arguments.batch, kept=kept)]
        ],
    }


def _measure_halo(neurons: int) -> Iterator[dict[str, Any]]:
    """Measure halos of topologies in 2 to 8 parts of consecutive neurons."""
    side = round(neurons**0.5)
    made = {
        "grid, reach 2": graphs.grid_local((side, side), 2),
        "small world, 10 % rewired": graphs.small_world(neurons, 20, 0.1, seed=0),
        "random": graphs.erdos_renyi(neurons, 20 / neurons, seed=0),
    }
    for name, data in made.items():
        size = int(data.num_nodes)
        for parts in (2, 4, 8):
            shares = halo_shares(data.edge_index, torch.arange(size) * parts // size)
            yield {"topology": name, "parts": parts, "share": statistics.mean(shares)}


def _show(found: dict[str, Any]) -> None:
    print(environment.describe(found["machine"], found["versions"]))
    told = found["parameters"]
    print(
        f"a node: {told['cores']} cores, {told['memory'] / _GIB:.0f} GiB, "
        f"{told['reads'] / 1e9:.0f} GB/s from memory, {told['network'] / 1e9:.2f} GB/s from the "
        f"network; batch {told['batch']}, {told['loops']} loops in training"
    )
    rows = [
        [each["topology"], str(each["parts"]), f"{100 * each['share']:.1f}"]
        for each in found["halo"]
    ]
    report.table("neurons of other parts that a part receives, %", ("", "parts", "%"), rows)
    columns = ("brain", "wiring", "mode", "nodes", "GiB a node")
    times = ("compute, ms", "GB received", "exchange, ms", "loop, ms")
    report.table("one loop", (*columns, *times), [_row(each) for each in found["rows"]])


def _row(found: dict[str, Any]) -> list[str]:
    told = [found["brain"], found["wiring"], found["mode"]]
    if math.isinf(found["nodes"]):
        return [*told, "does not fit", "", "", "", "", ""]
    return [
        *told,
        f"{found['nodes']:.0f}",
        report.digits(found["memory"] / _GIB),
        report.digits(1000 * found["compute"]),
        report.digits(found["traffic"] / 1e9),
        report.digits(1000 * found["transfer"]),
        report.digits(1000 * found["loop"]),
    ]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("scale", __doc__, rounds=None)
    positive = command.positive
    parser.add_argument("--cores", type=positive, default=64, metavar="N", help="of a node")
    parser.add_argument("--memory", type=positive, default=512, metavar="GIB", help="of a node")
    parser.add_argument(
        "--network", type=positive, default=100, metavar="GBITS", help="per second of a node"
    )
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="samples at a time")
    parser.add_argument(
        "--loops", type=positive, default=10, metavar="N", help="states kept in training"
    )
    parser.add_argument(
        "--neurons",
        type=positive,
        default=10_000,
        metavar="N",
        help="of the graphs whose halo is measured",
    )
    parser.add_argument(
        "--measured",
        type=Path,
        metavar="CSV",
        help="of python -m benchmarks.distributed: print predicted beside measured times",
    )
    arguments = parser.parse_args(argv)
    if arguments.measured is not None and not arguments.measured.is_file():
        parser.error(f"--measured: there is no file {arguments.measured}.")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
