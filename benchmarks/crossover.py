"""Density above which a dense product is faster than the sparse kernels.

Random graphs, x <- tanh(W x), float32. The ``native`` and the ``dense`` backend compute the same
outputs and gradients, compared with float64 before anything is timed. Times are the CPU time of one
thread, without and with a backward pass; the dense time includes the scattering of the weights into
the matrix at each call. The rule of ``auto`` (sparsebrain/kernels/dense.py) comes from this table,
in which ``auto`` is the backend that it chooses.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.timing import Timing, interleaved
from sparsebrain.kernels import Structure, loop
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.select import for_loops

DENSITIES = (0.5, 0.6, 0.8, 1.0)
NEURONS = (300, 1000)
BATCHES = (1, 16, 128)
LOOPS = (1, 4, 16)
PASSES = ("forward", "forward_backward")
NAMES = ("native", "dense")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every density, size, batch and number of loops."""
    rows = []
    for neurons, density in itertools.product(
        arguments.neurons or NEURONS, arguments.density or DENSITIES
    ):
        structure = draw(neurons, density)
        for batch, loops in itertools.product(arguments.batch or BATCHES, arguments.loops or LOOPS):
            rows += _rows(structure, density, batch, loops, arguments.rounds)
    return {
        "benchmark": "crossover",
        "parameters": {"rounds": arguments.rounds, "activation": "tanh", "dtype": "float32"},
        "machine": environment.machine(),
        "versions": environment.versions(),
        "rows": rows,
    }


def draw(neurons: int, density: float) -> Structure:
    """Draw each of the N^2 synapses with the probability ``density``, sorted by target."""
    generator = torch.Generator().manual_seed(0)
    present = torch.rand(neurons, neurons, generator=generator) < density
    return Structure(present.nonzero().t().flip(0), neurons)


def _rows(
    structure: Structure, density: float, batch: int, loops: int, rounds: int
) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    neurons = structure.num_nodes
    weight = torch.randn(structure.num_edges, generator=generator) / (density * neurons) ** 0.5
    state, grad = torch.randn(2, neurons, batch, generator=generator)
    error = _compare(structure, (weight, state, grad), loops)
    rows = []
    for one in PASSES:
        timings = interleaved(
            {name: _call(structure, (weight, state, grad), loops, name, one) for name in NAMES},
            rounds=rounds,
            clock=time.thread_time,
        )
        rows.append(
            {
                "neurons": neurons,
                "density": density,
                "batch": batch,
                "loops": loops,
                "pass": one,
                **_columns(timings),
                "auto": for_loops(
                    "auto", structure, LoopInputs(state, None, None, None), loops=loops
                ).name,
                "largest_error": error,
            }
        )
    return rows


def _columns(timings: dict[str, Timing]) -> dict[str, float]:
    medians = {f"{name}_ms": timing.median for name, timing in timings.items()}
    return {**medians, "native_over_dense": medians["native_ms"] / medians["dense_ms"]}


def _call(
    structure: Structure, given: tuple[Tensor, Tensor, Tensor], loops: int, name: str, one: str
) -> Callable[[], object]:
    weight, state, grad = given

    def forward() -> Tensor:
        with torch.no_grad():
            return loop(structure, weight, state, loops=loops, activation="tanh", backend=name)[0]

    if one == PASSES[0]:
        return forward
    return lambda: _solution(structure, weight, state, grad, loops, name)


def _solution(
    structure: Structure, weight: Tensor, state: Tensor, grad: Tensor, loops: int, name: str
) -> tuple[Tensor, ...]:
    weight, state = (each.detach().requires_grad_() for each in (weight, state))
    (y,) = loop(structure, weight, state, loops=loops, activation="tanh", backend=name)
    return y.detach(), *torch.autograd.grad(y, (weight, state), grad)


def _compare(structure: Structure, given: tuple[Tensor, Tensor, Tensor], loops: int) -> float:
    """Return the largest error against float64; WrongResultError if it is not rounding."""
    weight, state, grad = given
    exact = _solution(structure, weight.double(), state.double(), grad.double(), loops, "native")
    tolerance = TOLERANCES[torch.float32]
    return max(
        assert_equal(name, what, found, wanted, tolerance)
        for name in NAMES
        for what, found, wanted in zip(
            ("output", "gradient of the weights", "gradient of the state"),
            _solution(structure, weight, state, grad, loops, name),
            exact,
            strict=True,
        )
    )


def show(found: dict[str, Any]) -> None:
    """Print what was measured, and how often the rule of ``auto`` is wrong."""
    print(environment.describe(found["machine"], found["versions"]))
    columns = ("neurons", "density", "batch", "loops", "pass", "native ms", "dense ms")
    report.table(
        f"milliseconds of CPU time: median of {found['parameters']['rounds']} rounds",
        (*columns, "native / dense", "auto"),
        [
            [
                *(str(row[name]) for name in ("neurons", "density", "batch", "loops")),
                row["pass"].replace("_", " + "),
                report.digits(row["native_ms"]),
                report.digits(row["dense_ms"]),
                f"{row['native_over_dense']:.2f}",
                row["auto"],
            ]
            for row in found["rows"]
        ],
    )
    losses = [_loss(row) for row in found["rows"]]
    print(
        f"auto takes at most {max(losses):.2f} times the CPU time of the faster backend; it takes "
        f"more than 1.1 times in {sum(loss > 1.1 for loss in losses)} of {len(losses)} rows"
    )


def _loss(row: dict[str, Any]) -> float:
    times = {name: row[f"{name}_ms"] for name in NAMES}
    return float(times.get(row["auto"], min(times.values())) / min(times.values()))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("crossover", __doc__, rounds=5)
    for name, default, kind in (
        ("density", DENSITIES, _share),
        ("neurons", NEURONS, command.positive),
        ("batch", BATCHES, command.positive),
        ("loops", LOOPS, command.positive),
    ):
        parser.add_argument(
            f"--{name}",
            type=kind,
            action="append",
            metavar="P" if name == "density" else "N",
            help=f"may be given several times (default {', '.join(map(str, default))})",
        )
    return parser.parse_args(argv)


def _share(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    raise SystemExit(main())
