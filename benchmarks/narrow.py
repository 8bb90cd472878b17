"""States in bfloat16 (``state_dtype=torch.bfloat16``) beside float32, on a graph of a fly's size.

The problem is that of ``python -m benchmarks.layer fly``: x <- tanh(W x) on 139,255 neurons and 15
million synapses, batch 32. Errors are the norm of the difference from float32, divided by the norm
in float32, of the output and of the gradient of the weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from benchmarks import cases, command, environment, report
from benchmarks.equality import WrongResultError
from benchmarks.power_law import power_law
from benchmarks.race import PASSES
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer

MOST = 0.02
"""The largest error that rounding states to eight bits explains."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare both dtypes, then time them."""
    edge_index = power_law(arguments.neurons, arguments.synapses)
    data = Data(edge_index=edge_index, num_nodes=arguments.neurons)
    layers = {}
    for name, dtype in (("float32", None), ("bfloat16", torch.bfloat16)):
        torch.manual_seed(0)
        layers[name] = GraphLayer(data, arguments.loops, activation="tanh", state_dtype=dtype)
    draw = torch.Generator().manual_seed(0)
    x, of_output = torch.randn(2, arguments.batch, arguments.neurons, generator=draw)
    errors = _errors(layers, x, of_output)
    rows = []
    for name in PASSES:
        calls = {dtype: _call(layer, x, of_output, name) for dtype, layer in layers.items()}
        timings = interleaved(calls, rounds=arguments.rounds)
        rows += [
            {
                "neurons": arguments.neurons,
                "synapses": edge_index.size(1),
                "batch": arguments.batch,
                "loops": arguments.loops,
                "dtype": dtype,
                "pass": name,
                "rounds": arguments.rounds,
                "median_ms": timing.median,
                "min_ms": timing.minimum,
                "times_faster": timings["float32"].median / timing.median,
                **{f"error_{what}": error for what, error in errors[dtype].items()},
            }
            for dtype, timing in timings.items()
        ]
    return {**cases.header("narrow", arguments), "rows": rows}


def _errors(
    layers: dict[str, GraphLayer], x: Tensor, of_output: Tensor
) -> dict[str, dict[str, float]]:
    """Return the errors of both layers; WrongResultError if they are no rounding."""
    found = {}
    for name, layer in layers.items():
        output = layer(x)
        (grad,) = torch.autograd.grad(output, layer.weight, of_output)
        found[name] = {"output": output.detach(), "weight_gradient": grad}
    exact = found["float32"]
    errors = {
        name: {
            what: float((value - exact[what]).norm() / exact[what].norm())
            for what, value in each.items()
        }
        for name, each in found.items()
    }
    for what, error in errors["bfloat16"].items():
        if not error < MOST:
            raise WrongResultError(f"bfloat16, {what}: off by {error:.2e}, more than {MOST:g}")
    return errors


def _call(layer: GraphLayer, x: Tensor, of_output: Tensor, name: str) -> Callable[[], object]:
    if name == "forward":
        return torch.no_grad()(lambda: layer(x))
    return lambda: torch.autograd.grad(layer(x), layer.weight, of_output)


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    report.table(
        "medians (minima); times faster than float32; errors relative to it",
        ("states", "pass", "ms", "times faster", "output", "gradient of weights"),
        [
            [
                row["dtype"],
                row["pass"],
                report.cell(row),
                f"{row['times_faster']:.2f}",
                f"{row['error_output']:.2%}",
                f"{row['error_weight_gradient']:.2%}",
            ]
            for row in found["rows"]
        ],
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("narrow", __doc__, rounds=5)
    parser.add_argument("--neurons", type=command.positive, default=139_255, metavar="N")
    parser.add_argument("--synapses", type=command.positive, default=15_000_000, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=32, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=3, metavar="N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
