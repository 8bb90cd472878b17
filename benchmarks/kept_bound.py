"""Inference at equilibrium with the kept bound of the weights, beside computing it at every call.

A layer with ``Equilibrium(constraint="norm")`` divides its weights by a bound of their norm, which
it keeps until a weight changes. "kept" calls a layer whose weights stay the same; "recomputed" adds
to one weight, and takes off again, before each call, as an optimizer step changes weights; "no
constraint" has the scaled weights and needs no bound. Outputs are first compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import graphs
from benchmarks import cases, command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.timing import interleaved
from sparsebrain import Equilibrium, GraphLayer

BATCHES = (1, 8, 32, 128)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare and time every batch."""
    data = graphs.grid_local((arguments.side, arguments.side), 2)
    torch.manual_seed(0)
    layer = GraphLayer(data, Equilibrium(constraint="norm"), activation="tanh")
    free = layer.parametrizations.weight.original
    plain = GraphLayer(data, Equilibrium(), activation="tanh")
    with torch.no_grad():
        # Larger than the constraint allows, as learned weights are.
        free.mul_(3)
        plain.assign_weight(layer.weight.detach().clone())
    rows = []
    for batch in arguments.batch or BATCHES:
        x = torch.randn(batch, data.num_nodes, generator=torch.Generator().manual_seed(0))
        rows += _case(layer, plain, free, x, arguments.rounds)
    return {**cases.header("kept bound", arguments), "rows": rows}


@torch.no_grad()
def _case(
    layer: GraphLayer, plain: GraphLayer, free: Tensor, x: Tensor, rounds: int
) -> list[dict[str, Any]]:
    """Return the rows of one batch."""
    step = [1e-3]

    def recomputed() -> Tensor:
        free.data[0] += step[0]
        step[0] = -step[0]
        output: Tensor = layer(x)
        return output

    calls: dict[str, Callable[[], Tensor]] = {
        "kept": lambda: layer(x),
        "recomputed": recomputed,
        "no constraint": lambda: plain(x),
    }
    expected = layer(x)
    recomputed()
    # The tolerance of the equilibria, relative to the largest state.
    errors = {
        name: assert_equal(name, "output", call(), expected, 50 * TOLERANCES[torch.float32])
        for name, call in calls.items()
    }
    timings = interleaved(calls, rounds=rounds)
    return [
        {
            "neurons": layer.num_nodes,
            "synapses": layer.structure.num_edges,
            "batch": len(x),
            "threads": torch.get_num_threads(),
            "way": name,
            "rounds": rounds,
            "median_ms": timing.median,
            "min_ms": timing.minimum,
            "times_kept": timing.median / timings["kept"].median,
            "largest_error": errors[name],
        }
        for name, timing in timings.items()
    ]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    named = ("neurons", "synapses", "batch", "threads", "way")
    report.table(
        "inference: medians (minima); times: as long as with the kept bound",
        (*named, "ms", "times"),
        [
            [*(str(row[name]) for name in named), report.cell(row), f"{row['times_kept']:.2f}"]
            for row in found["rows"]
        ],
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("kept_bound", __doc__, rounds=9)
    parser.add_argument("--side", type=command.positive, default=28, metavar="N")
    parser.add_argument(
        "--batch",
        type=command.positive,
        action="append",
        metavar="N",
        help="may be given several times (default 1, 8, 32, 128)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
