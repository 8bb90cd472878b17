"""Memory and time of a training step by its loops: unrolled, checkpointed, and to an equilibrium.

Linear loops x <- W x + input on a random graph, for which an oracle of SciPy knows the equilibrium
and its gradients. W is scaled for each number of loops, so that as many bring the residual below
the tolerance: all ways then compute the same, and are compared with the oracle before anything is
measured. Peaks are those of the resident set (VmHWM) beyond what is there before the step, each
taken in a fresh process; float32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

import graphs
from benchmarks import command, environment, report, resident
from benchmarks.equality import assert_equal
from benchmarks.timing import interleaved
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.spectrum import spectral_radius

WAYS = ("unrolled", "checkpoint", "implicit", "implicit, Anderson")
LOOPS = (10, 100, 1000)
NEIGHBORS = 20
TOL = 1e-5

_MIB = 1 << 20


class Step(NamedTuple):
    """One training step, and in which way its loops are taken."""

    way: str
    loops: int
    neurons: int
    batch: int

    @property
    def rate(self) -> float:
        """The factor by which a loop shortens the way that is left, in the long run."""
        # W is not normal: on the way there it may grow a few times first.
        return (TOL / 10) ** (1 / self.loops)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All ways, for each number of loops compared, timed in turn, and their peaks taken."""
    machine = environment.machine()
    rows: list[dict[str, Any]] = []
    for loops in arguments.loops or LOOPS:
        steps = {way: Step(way, loops, arguments.neurons, arguments.batch) for way in WAYS}
        made = {way: make(step) for way, step in steps.items()}
        errors = {way: _compare(steps[way], *made[way]) for way in WAYS}
        timings = interleaved(
            {way: _training_step(*made[way]) for way in WAYS}, rounds=arguments.rounds, warmups=1
        )
        for way in WAYS:
            told = made[way][0].report
            rows.append(
                {
                    "way": way,
                    "loops": loops,
                    "neurons": arguments.neurons,
                    "batch": arguments.batch,
                    "loops_made": loops if told is None else int(told.loops.max()),
                    "peak_mib": resident.in_fresh_process(peak, steps[way]) / _MIB,
                    "median_ms": timings[way].median,
                    "min_ms": timings[way].minimum,
                    "largest_error": errors[way],
                }
            )
    return {
        "benchmark": "loops",
        "parameters": {"neurons": arguments.neurons, "batch": arguments.batch, "tol": TOL},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def make(step: Step) -> tuple[GraphLayer, Tensor, Tensor]:
    """The layer, its input, and the gradient that arrives at its output, the same for all ways."""
    connectome = graphs.small_world(step.neurons, neighbors=NEIGHBORS, rewire=1.0, seed=0)
    loops: int | Equilibrium = step.loops
    if step.way.startswith("implicit"):
        solver = "anderson" if step.way.endswith("Anderson") else "fixed-point"
        loops = Equilibrium(tol=TOL, max_loops=10 * step.loops, solver=solver)
    layer = GraphLayer(connectome, loops, inject=True, checkpoint=step.way == "checkpoint")
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(layer.weight.shape, generator=generator)
    weight *= step.rate / spectral_radius(layer.structure, weight)
    with torch.no_grad():
        layer.weight.copy_(weight)
    x, grad = (torch.randn(step.batch, step.neurons, generator=generator) for _ in range(2))
    return layer, x.requires_grad_(), grad


def peak(step: Step) -> int:
    """Bytes that two steps take at most, in a process that has nothing else to do."""
    layer, x, grad = make(step)
    run = _training_step(layer, x, grad)
    before = resident.now()
    resident.reset()
    # Two: what the first leaves behind must not add up.
    for _ in range(2):
        run()
    return resident.peak() - before


def _training_step(layer: GraphLayer, x: Tensor, grad: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(layer(x), (layer.weight, x), grad)


def _compare(step: Step, layer: GraphLayer, x: Tensor, grad: Tensor) -> float:
    """The largest error of output and gradients, all of which agree with the oracle's."""
    output = layer(x)
    actual = (output, *torch.autograd.grad(output, (layer.weight, x), grad))
    # What the tolerance and the loops that are missing leave is passed on by all that would follow.
    allowed = 10 * TOL / (1 - step.rate)
    return max(
        assert_equal(step.way, what, each, expected, allowed)
        for what, each, expected in zip(
            ("output", "weight_grad", "input_grad"), actual, _oracle(layer, x, grad), strict=True
        )
    )


def _oracle(layer: GraphLayer, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Output and gradients of weight and input: (I - W)^-1 as a series, in float64 by SciPy."""
    source, target = layer.edge_index.numpy()
    entries = (layer.weight.detach().double().numpy(), (target, source))
    forth = csr_array(entries, shape=(layer.num_nodes, layer.num_nodes))
    back = forth.T.tocsr()
    sums = []
    for matrix, first in ((forth, x), (back, grad)):
        term = first.detach().double().numpy().T
        total = term.copy()
        while np.abs(term).max() > 1e-12 * np.abs(total).max():
            term = matrix @ term
            total += term
        sums.append(total)
    state, slope = sums
    weight_grad = np.einsum("eb,eb->e", slope[target], state[source])
    return (
        torch.from_numpy(state.T),
        torch.from_numpy(weight_grad),
        torch.from_numpy(slope.T),
    )


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"{given['neurons']} neurons, {NEIGHBORS} synapses each, batch {given['batch']}, float32, "
        f"tolerance {given['tol']:g}; all agree with the oracle"
    )
    rows = [
        [
            row["way"],
            str(row["loops"]),
            str(row["loops_made"]),
            f"{row['peak_mib']:.1f}",
            report.digits(row["median_ms"]),
            f"{row['largest_error']:.1e}",
        ]
        for row in found["rows"]
    ]
    columns = ("way", "loops", "made", "MiB at most", "ms", "largest error")
    report.table("forward and backward", columns, rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("loops", __doc__, rounds=3)
    parser.add_argument("--neurons", type=command.positive, default=2000, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=64, metavar="N")
    parser.add_argument(
        "--loops",
        type=command.positive,
        action="append",
        metavar="N",
        help="may be given several times (default: 10, 100 and 1000)",
    )
    arguments = parser.parse_args(argv)
    obstacle = resident.obstacle()
    if obstacle is not None:
        parser.error(obstacle)
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
