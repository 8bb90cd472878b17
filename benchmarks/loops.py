"""Memory and time of a training step by its loops: unrolled, checkpointed, and to an equilibrium.

Linear loops x <- W x + input on a random graph, by themselves and inside a classifier. W is scaled
for each number of loops, so that as many bring the residual below the tolerance: all ways then
compute the same, and are compared before anything is measured, a layer with an oracle of SciPy that
knows the equilibrium and its gradients, a model with itself unrolled in float64. Peaks are those of
the resident set (VmHWM) beyond what is there before the step, each taken in a fresh process;
float32.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

import graphs
from benchmarks import command, environment, report, resident
from benchmarks.equality import assert_equal
from benchmarks.timing import interleaved
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.equilibrium.norms import spectral_radius
from sparsebrain.models import classifier

WAYS = ("unrolled", "checkpoint", "implicit", "implicit, Anderson")
WHAT = ("layer", "model")
LOOPS = (10, 100, 1000)
NEIGHBORS = 20
TOL = 1e-6

_FEATURES, _CLASSES = 64, 10
_MIB = 1 << 20


class Step(NamedTuple):
    """One training step of a layer or a model, and in which way its loops are taken."""

    way: str
    loops: int
    neurons: int
    batch: int
    what: str = "layer"

    @property
    def rate(self) -> float:
        """The factor by which a loop shortens the way that is left, in the long run."""
        # W is not normal: on the way there it may grow a few times first.
        return (TOL / 10) ** (1 / self.loops)


class Made(NamedTuple):
    """A module with its layer and input, by what is differentiated, and the gradient that comes."""

    module: nn.Module
    layer: GraphLayer
    x: Tensor
    by: dict[str, Tensor]
    grad: Tensor


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All ways, for each number of loops compared, timed in turn, and their peaks taken."""
    machine = environment.machine()
    rows: list[dict[str, Any]] = []
    for what, loops in itertools.product(arguments.of or WHAT, arguments.loops or LOOPS):
        steps = {way: Step(way, loops, arguments.neurons, arguments.batch, what) for way in WAYS}
        made = {way: make(step) for way, step in steps.items()}
        errors = {way: _compare(steps[way], made[way]) for way in WAYS}
        timings = interleaved(
            {way: _training_step(made[way]) for way in WAYS}, rounds=arguments.rounds, warmups=1
        )
        for way in WAYS:
            told = made[way].layer.report
            rows.append(
                {
                    "of": what,
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


def make(step: Step) -> Made:
    """What takes the step: the same numbers for all ways."""
    connectome = graphs.small_world(step.neurons, neighbors=NEIGHBORS, rewire=1.0, seed=0)
    loops: int | Equilibrium = step.loops
    if step.way.startswith("implicit"):
        solver: Literal["anderson", "fixed-point"] = (
            "anderson" if step.way.endswith("Anderson") else "fixed-point"
        )
        loops = Equilibrium(tol=TOL, max_loops=10 * step.loops, solver=solver)
    options: dict[str, Any] = {"inject": True, "checkpoint": step.way == "checkpoint"}
    generator = torch.Generator().manual_seed(0)
    module: nn.Module
    if step.what == "layer":
        layer = module = GraphLayer(connectome, loops, **options)
        sizes = (step.batch, step.neurons), (step.batch, step.neurons)
    else:
        torch.manual_seed(0)
        # Smooth: at the edge of a ReLU the smallest error turns a whole gradient on or off.
        options |= {"activation": "tanh", "in_features": _FEATURES}
        module = classifier(connectome, _CLASSES, loops=loops, **options)
        graph = module.graph
        assert isinstance(graph, GraphLayer)
        layer = graph
        sizes = (step.batch, _FEATURES), (step.batch, _CLASSES)
    weight = torch.randn(layer.weight.shape, generator=generator)
    weight *= step.rate / spectral_radius(layer.structure, weight)
    with torch.no_grad():
        layer.weight.copy_(weight)
    x, grad = (torch.randn(size, generator=generator) for size in sizes)
    by = dict(module.named_parameters())
    if step.what == "layer":
        by["input"] = x.requires_grad_()
    else:
        # Batch normalization takes it away: its gradient is rounding.
        del by["encode.bias"]
    return Made(module, layer, x, by, grad)


def peak(step: Step) -> int:
    """Bytes that two steps take at most, in a process that has nothing else to do."""
    run = _training_step(make(step))
    before = resident.now()
    resident.reset()
    # Two: what the first leaves behind must not add up.
    for _ in range(2):
        run()
    return resident.peak() - before


def _training_step(made: Made) -> Callable[[], object]:
    return lambda: torch.autograd.grad(made.module(made.x), list(made.by.values()), made.grad)


def _compare(step: Step, made: Made) -> float:
    """The largest error of output and gradients, all of which agree with the oracle's."""
    if step.what == "layer":
        wanted = _oracle(made.layer, made.x, made.grad)
    else:
        exact = make(step._replace(way="unrolled"))
        exact.module.double()
        wanted = _solution(exact._replace(x=exact.x.double(), grad=exact.grad.double()))
    # What the tolerance and the loops that are missing leave is passed on by all that would follow.
    allowed = 10 * TOL / (1 - step.rate)
    return max(
        assert_equal(step.way, name, each, wanted[name], allowed)
        for name, each in _solution(made).items()
    )


def _solution(made: Made) -> dict[str, Tensor]:
    output = made.module(made.x)
    grads = torch.autograd.grad(output, list(made.by.values()), made.grad)
    named = zip(made.by, grads, strict=True)
    return {"output": output.detach()} | {f"{name}_grad": each for name, each in named}


def _oracle(layer: GraphLayer, x: Tensor, grad: Tensor) -> dict[str, Tensor]:
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
    found = {"output": state.T, "weight_grad": weight_grad, "input_grad": slope.T}
    return {name: torch.from_numpy(values) for name, values in found.items()}


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
            f"{row['of']}, {row['way']}",
            str(row["loops"]),
            str(row["loops_made"]),
            f"{row['peak_mib']:.1f}",
            report.digits(row["median_ms"]),
            f"{row['largest_error']:.1e}",
        ]
        for row in found["rows"]
    ]
    columns = ("of", "loops", "made", "MiB at most", "ms", "largest error")
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
    parser.add_argument(
        "--of",
        choices=WHAT,
        action="append",
        help="may be given several times (default: both)",
    )
    arguments = parser.parse_args(argv)
    resident.require(parser)
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
