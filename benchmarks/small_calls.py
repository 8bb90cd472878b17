"""The time of one call on small graphs, where the work around the kernels dominates.

x <- W x, 5 loops, float32, about 10 synapses for each of 50 to 1000 neurons, with the synapses
sorted by target and, as PyG sorts them, by source. The backward pass gives the gradient of the
weights. The layer stands beside chains of ``torch.sparse.mm`` (CSR, without gradients), of a dense
``linear`` and of PyG's MessagePassing. Times are CPU time.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import Data

from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.peers import WeightedConv
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer

NEURONS = (50, 100, 200, 1000)
BATCHES = (1, 8)
LOOPS = 5
OURS = "layer"
COLUMNS = ("torch.sparse.mm", "PyG MessagePassing")
"""The candidates whose states are [N, B]; those of the others are [B, N]."""
FEW = 100
"""Up to so many neurons the goal for the forward pass is a ratio of 1.3, and above of 1."""

Chain = Callable[[], Tensor]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lines)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every size and every batch; everything that is known afterwards."""
    return {
        "benchmark": "small-calls",
        "parameters": {"rounds": arguments.rounds, "loops": LOOPS, "dtype": "float32"},
        "machine": environment.machine(),
        "versions": environment.versions(),
        "cases": [
            _case(neurons, batch, arguments.rounds)
            for neurons in arguments.neurons or NEURONS
            for batch in arguments.batch or BATCHES
        ],
    }


def _case(neurons: int, batch: int, rounds: int) -> dict[str, Any]:
    by_target = _draw(neurons)
    source, target = by_target
    by_source = by_target[:, torch.argsort(source * neurons + target)]
    x = torch.randn(batch, neurons, generator=torch.Generator().manual_seed(1))
    grid = torch.arange(1, neurons * neurons + 1, dtype=torch.float32).reshape(neurons, neurons)
    # One weight for each pair of neurons, whatever the order of the synapses.
    dense = torch.zeros(neurons, neurons)
    dense[target, source] = grid[target, source].sin() / 3
    parameter = dense.clone().requires_grad_()
    chains: dict[str, tuple[Chain, Tensor | None]] = {
        OURS: _layer(by_target, dense, x),
        "layer, edges of PyG": _layer(by_source, dense, x),
        "torch.sparse.mm": (_sparse(dense, x), None),
        "dense": (_repeat(lambda y: functional.linear(y, parameter), x), parameter),
        "PyG MessagePassing": _pyg(by_target, dense, x),
    }
    errors = _compare(chains, (by_target, by_source), dense, x)
    passes = {
        "forward": {name: _without_gradient(run) for name, (run, _) in chains.items()},
        "forward_backward": {
            name: _with_gradient(run, weight)
            for name, (run, weight) in chains.items()
            if weight is not None
        },
    }
    return {
        "neurons": neurons,
        "synapses": by_target.size(1),
        "batch": batch,
        "errors": errors,
        **{
            name: {
                peer: report.entry(timing)
                for peer, timing in interleaved(
                    candidates, rounds=rounds, clock=time.thread_time
                ).items()
            }
            for name, candidates in passes.items()
        },
    }


def _draw(neurons: int) -> Tensor:
    """About ten synapses for each neuron, sorted by target."""
    draw = torch.Generator().manual_seed(0)
    key = torch.randint(neurons * neurons, (10 * neurons,), generator=draw).unique()
    return torch.stack([key % neurons, key // neurons])


def _layer(edge_index: Tensor, dense: Tensor, x: Tensor) -> tuple[Chain, Tensor]:
    layer = GraphLayer(Data(edge_index=edge_index, num_nodes=len(dense)), LOOPS)
    source, target = edge_index
    layer.assign_weight(dense[target, source])
    return lambda: layer(x), layer.weight


def _sparse(dense: Tensor, x: Tensor) -> Chain:
    with warnings.catch_warnings():
        # CSR tensors are in beta.
        warnings.simplefilter("ignore")
        matrix = dense.to_sparse_csr()
    columns = x.t().contiguous()
    return _repeat(lambda y: torch.sparse.mm(matrix, y), columns)


def _pyg(edge_index: Tensor, dense: Tensor, x: Tensor) -> tuple[Chain, Tensor]:
    conv, (source, target) = WeightedConv(), edge_index
    weight = dense[target, source].clone().requires_grad_()
    return _repeat(lambda y: conv(y, edge_index, weight), x.t().contiguous()), weight


def _repeat(step: Callable[[Tensor], Tensor], x: Tensor) -> Chain:
    def run() -> Tensor:
        y = x
        for _ in range(LOOPS):
            y = step(y)
        return y

    return run


def _without_gradient(run: Chain) -> Callable[[], object]:
    def call() -> Tensor:
        with torch.no_grad():
            return run()

    return call


def _with_gradient(run: Chain, weight: Tensor) -> Callable[[], object]:
    def call() -> None:
        weight.grad = None
        run().sum().backward()

    return call


def _compare(
    chains: dict[str, tuple[Chain, Tensor | None]],
    orders: tuple[Tensor, Tensor],
    dense: Tensor,
    x: Tensor,
) -> dict[str, float]:
    """The largest error of each output and gradient against float64; WrongResultError if large."""
    exact, tolerance = dense.double().requires_grad_(), TOLERANCES[torch.float32]
    expected = _repeat(lambda y: y @ exact.t(), x.double())()
    expected.sum().backward()
    gradient = exact.grad
    assert gradient is not None
    (source, target), by_source = orders
    of_target, of_source = gradient[target, source], gradient[by_source[1], by_source[0]]
    wanted = {"dense": gradient, "layer, edges of PyG": of_source}
    errors = {}
    for name, (run, weight) in chains.items():
        y = run().detach()
        y = y.t() if name in COLUMNS else y
        errors[name] = assert_equal(name, "output", y, expected.detach(), tolerance)
        if weight is not None:
            _with_gradient(run, weight)()
            assert weight.grad is not None
            right = wanted.get(name, of_target)
            errors[name] = max(
                errors[name], assert_equal(name, "gradient", weight.grad, right, tolerance)
            )
    return errors


def lines(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the CSV."""
    return [
        {
            **{name: case[name] for name in ("neurons", "synapses", "batch")},
            "loops": LOOPS,
            "pass": one,
            "peer": peer,
            "median_us": 1000 * times["median_ms"],
            "min_us": 1000 * times["min_ms"],
            "times_ours": times["median_ms"] / case[one][OURS]["median_ms"],
            "largest_error": case["errors"][peer],
        }
        for case in found["cases"]
        for one in ("forward", "forward_backward")
        for peer, times in case[one].items()
    ]


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    columns = ("pass", "neurons", "synapses", "batch", "peer", "CPU us", "x ours")
    report.table(
        f"microseconds of CPU time: median of {found['parameters']['rounds']} rounds",
        columns,
        [
            [
                row["pass"].replace("_", " + "),
                *(str(row[name]) for name in ("neurons", "synapses", "batch", "peer")),
                report.digits(row["median_us"]),
                f"{row['times_ours']:.2f}",
            ]
            for row in lines(found)
        ],
    )
    for case in found["cases"]:
        for told, one, peer, most in (
            ("forward", "forward", "torch.sparse.mm", 1.3 if case["neurons"] <= FEW else 1.0),
            ("forward + backward", "forward_backward", "dense", 1.2),
        ):
            ratio = case[one][OURS]["median_ms"] / case[one][peer]["median_ms"]
            print(
                f"{case['neurons']} neurons, batch {case['batch']}: goal, {told}: at most "
                f"{most:g} times the time of {peer}: {ratio:.2f}, "
                f"{'reached' if ratio <= most else 'NOT reached'}"
            )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("small_calls", __doc__, rounds=30)
    for name, default in (("neurons", NEURONS), ("batch", BATCHES)):
        parser.add_argument(
            f"--{name}",
            type=command.positive,
            action="append",
            metavar="N",
            help=f"may be given several times (default {', '.join(map(str, default))})",
        )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
