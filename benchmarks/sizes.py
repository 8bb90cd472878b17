"""The layer on graphs from a thousand to a million neurons, about 25 synapses each.

The problem is x <- tanh(W x), float32, on a square grid of distance 2, whose synapses are local, on
a random graph, whose are not, and on neurons at random places in a plane, whose are once the layer
has renumbered them; beside it stand the kernels on neurons as they are numbered. Time per synapse,
loop and column is flat until the state leaves the caches. Beside it stand both limits of the
machine, measured in turn with it: that of arithmetic, and that of the memory which a problem of
that size lies in.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any

from torch_geometric.data import Data

import graphs
from benchmarks import cases, command
from benchmarks.peers import AS_NUMBERED, OURS
from benchmarks.problem import draw

_DEGREE = 25
NEURONS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


def _grid(neurons: int) -> Data:
    side = math.isqrt(neurons)
    return graphs.grid_local((side, side), 2)


def _random(neurons: int) -> Data:
    return graphs.small_world(neurons, neighbors=_DEGREE - 1, rewire=1.0, self_loops=True, seed=0)


def _places(neurons: int) -> Data:
    # In the bulk a neuron of density 1 sends pi d^2 / 3 synapses.
    return graphs.coordinate_random(
        neurons, (math.sqrt(neurons),) * 2, math.sqrt(3 * _DEGREE / math.pi), seed=0
    )


GRAPHS: dict[str, Callable[[int], Data]] = {"grid": _grid, "random": _random, "places": _places}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, cases.show, cases.lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every graph and size; everything that is known afterwards."""
    return {
        **cases.header("sizes", arguments),
        "cases": [
            cases.case(
                graph,
                draw(GRAPHS[graph](neurons), arguments.loops, arguments.batch),
                [OURS, AS_NUMBERED] if graph == "places" else [OURS],
                arguments.rounds,
            )
            for graph in arguments.graph or GRAPHS
            for neurons in arguments.neurons or NEURONS
        ],
    }


def _neurons(text: str) -> int:
    number = int(text)
    if number <= _DEGREE:
        raise argparse.ArgumentTypeError(f"{text} neurons cannot have {_DEGREE} synapses each")
    return number


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("layer sizes", __doc__, rounds=5)
    parser.add_argument(
        "--graph",
        choices=GRAPHS,
        action="append",
        help="may be given several times (default: all)",
    )
    parser.add_argument(
        "--neurons",
        type=_neurons,
        action="append",
        metavar="N",
        help="may be given several times (default 1000, 3000, ... 1000000); a grid takes the "
        "largest square",
    )
    parser.add_argument("--batch", type=command.positive, default=32, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=5, metavar="N")
    return parser.parse_args(argv)
