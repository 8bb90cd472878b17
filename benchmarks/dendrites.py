"""Neurons that join messages otherwise than by a sum, with torch-scatter and without.

One layer for each aggregation of PyG, on Layer Y's grid (28x28 neurons, 17,956 synapses), compared
with a computation in float64 by torch alone before it is timed. Both take turns in one process: PyG
looks at every call whether it may use torch-scatter. Sum, mean, max and min run in our kernels,
softmax message by message.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch_geometric.typing
from torch import Tensor

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer

AGGREGATIONS = ("max", "min", "mean", "softmax")
BY_MESSAGES = ("softmax",)
WITHOUT, WITH = "without", "with torch-scatter"

# Rounding of float32, or of a maximum that falls on another synapse because of it.
_ALLOWED = 10 * TOLERANCES[torch.float32]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every aggregation both ways, compared and timed in turn."""
    machine = environment.machine()
    rows: list[dict[str, Any]] = []
    for aggr in ("sum", *AGGREGATIONS):
        layer, x, grad = make(aggr, arguments.side, arguments.batch, arguments.loops)
        candidates = {way: _step(way, layer, x, grad) for way in ways(aggr)}
        expected = _oracle(layer, x, grad, arguments.loops)
        errors = {
            way: max(
                assert_equal(f"{aggr} {way}", what, each, right, _ALLOWED)
                for what, each, right in zip(
                    ("output", "weight_grad", "input_grad"), step(), expected, strict=True
                )
            )
            for way, step in candidates.items()
        }
        timings = interleaved(candidates, rounds=arguments.rounds)
        rows += [
            {
                "aggr": aggr,
                "way": way,
                "synapses": layer.structure.num_edges,
                "batch": arguments.batch,
                "loops": arguments.loops,
                "median_ms": timings[way].median,
                "min_ms": timings[way].minimum,
                "times_without": timings[way].median / timings[WITHOUT].median,
                "largest_error": errors[way],
            }
            for way in candidates
        ]
    return {
        "benchmark": "dendrites",
        "parameters": {"batch": arguments.batch, "loops": arguments.loops},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def ways(aggr: str) -> tuple[str, ...]:
    """With torch-scatter and without, if it is installed; our kernels do not use it."""
    both = aggr in BY_MESSAGES and torch_geometric.typing.WITH_TORCH_SCATTER
    return (WITHOUT, WITH) if both else (WITHOUT,)


def make(aggr: str, side: int, batch: int, loops: int) -> tuple[GraphLayer, Tensor, Tensor]:
    """The layer, its input, and the gradient that arrives at its output."""
    torch.manual_seed(0)
    layer = GraphLayer(graphs.grid_local((side, side), 2), loops, activation="tanh", aggr=aggr)
    x, grad = (torch.randn(batch, layer.num_nodes) for _ in range(2))
    return layer, x.requires_grad_(), grad


def _step(way: str, layer: GraphLayer, x: Tensor, grad: Tensor) -> Callable[[], tuple[Tensor, ...]]:
    """A training step, which gives output and gradients."""

    def step() -> tuple[Tensor, ...]:
        installed = torch_geometric.typing.WITH_TORCH_SCATTER
        torch_geometric.typing.WITH_TORCH_SCATTER = way == WITH
        try:
            output = layer(x)
            return (output, *torch.autograd.grad(output, (layer.weight, x), grad))
        finally:
            torch_geometric.typing.WITH_TORCH_SCATTER = installed

    return step


def _oracle(layer: GraphLayer, x: Tensor, grad: Tensor, loops: int) -> tuple[Tensor, ...]:
    """Output and gradients in float64, each neuron's messages side by side in a table."""
    source, target = layer.edge_index
    order = target.argsort(stable=True)
    degree = target.bincount(minlength=layer.num_nodes)
    place = torch.arange(len(order)) - (degree.cumsum(0) - degree)[target[order]]
    there = torch.zeros(layer.num_nodes, int(degree.max()), dtype=torch.bool)
    there[target[order], place] = True
    weight = layer.weight.detach().double().requires_grad_()
    start = x.detach().double().requires_grad_()
    state = start.t()
    for _ in range(loops):
        messages = weight.unsqueeze(1) * state[source]
        table = messages.new_zeros(*there.shape, len(x))
        table = table.index_put((target[order], place), messages[order])
        state = torch.tanh(_JOINS[str(layer.aggr)](table, there.unsqueeze(2)))
    output = state.t()
    return (output.detach(), *torch.autograd.grad(output, (weight, start), grad.double()))


def _softmax(table: Tensor, there: Tensor) -> Tensor:
    return (table.masked_fill(~there, -torch.inf).softmax(1) * table).sum(1)


_JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda table, there: table.sum(1),
    "mean": lambda table, there: table.sum(1) / there.sum(1),
    "max": lambda table, there: table.masked_fill(~there, -torch.inf).amax(1),
    "min": lambda table, there: table.masked_fill(~there, torch.inf).amin(1),
    "softmax": _softmax,
}


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(f"batch {given['batch']}, {given['loops']} loops, float32; all agree with the oracle")
    if not any(row["way"] == WITH for row in found["rows"]):
        print(
            "torch-scatter is not installed: "
            "pip install --no-build-isolation -c constraints.txt torch-scatter"
        )
    rows = [
        [
            row["aggr"],
            row["way"],
            report.digits(row["median_ms"]),
            f"{row['times_without']:.2f}",
            f"{row['largest_error']:.1e}",
        ]
        for row in found["rows"]
    ]
    columns = ("aggregation", "", "ms", "times without", "largest error")
    report.table("forward and backward", columns, rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("dendrites", __doc__, rounds=7)
    parser.add_argument("--side", type=command.positive, default=28, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=128, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=2, metavar="N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
