"""Calls with noise, with returned states and with an activation given as a function.

The problem is layer Y: 28 x 28 neurons, distance 2, tanh, 20 loops, batch 128, float32. Every
option is first compared with single loops of the reference backend in float64, noise included,
which has the same key. Then all options are timed in turn, and divided by the time of a plain call
with the same passes. The backward pass gives the gradients of weights and input.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer

PLAIN = "plain"
GOAL = 2.0
"""How many times a plain call an option may take."""

_NOISE = 0.1
# Twenty loops amplify the rounding of a state.
_ALLOWED = 10 * TOLERANCES[torch.float32]


class Option(NamedTuple):
    """A call of the layer.

    Attributes:
        activation: tanh, by name or as a function.
        noise: The standard deviation of the noise.
        states: Whether all states are returned.
        differentiated: Whether the gradient reaches every state, not only the last one.
    """

    activation: Any = "tanh"
    noise: float = 0.0
    states: bool = False
    differentiated: bool = False


OPTIONS = {
    PLAIN: Option(),
    "noise": Option(noise=_NOISE),
    "return_states": Option(states=True),
    "return_states, differentiated": Option(states=True, differentiated=True),
    "activation=torch.tanh": Option(torch.tanh),
    "activation=lambda": Option(lambda u: u.tanh()),
}


class Made(NamedTuple):
    """A layer, its input, and the gradient that arrives at the output or at all states."""

    option: Option
    layer: GraphLayer
    x: Tensor
    grad: Tensor


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every option, compared and then timed in turn with the others."""
    machine = environment.machine()
    sizes = (arguments.side, arguments.distance, arguments.loops, arguments.batch)
    made = {name: make(option, *sizes) for name, option in OPTIONS.items()}
    errors = {name: _compare(name, each) for name, each in made.items()}
    passes: dict[str, dict[str, Callable[[], object]]] = {
        "forward": {name: _forward(each) for name, each in made.items()},
        "forward + backward": {name: _training(each) for name, each in made.items()},
    }
    rows: list[dict[str, Any]] = []
    for what, candidates in passes.items():
        timings = interleaved(candidates, rounds=arguments.rounds)
        rows += [
            {
                "option": name,
                "pass": what,
                "neurons": made[name].layer.num_nodes,
                "synapses": made[name].layer.structure.num_edges,
                "loops": arguments.loops,
                "batch": arguments.batch,
                "median_ms": timings[name].median,
                "min_ms": timings[name].minimum,
                "times_plain": timings[name].median / timings[PLAIN].median,
                "largest_error": errors[name],
            }
            for name in candidates
        ]
    return {
        "benchmark": "options",
        "parameters": {name: getattr(arguments, name) for name in ("loops", "batch", "rounds")},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def make(option: Option, side: int, distance: int, loops: int, batch: int) -> Made:
    """The same weights, input and gradient for every option."""
    torch.manual_seed(0)
    connectome = graphs.grid_local((side, side), distance)
    layer = GraphLayer(connectome, loops, activation=option.activation, noise=option.noise)
    x = torch.randn(batch, layer.num_nodes)
    grads = torch.randn(loops + 1, batch, layer.num_nodes)
    return Made(option, layer, x.requires_grad_(), grads if option.differentiated else grads[-1])


def _call(made: Made) -> Tensor:
    """Return what the gradient arrives at."""
    if not made.option.states:
        output = made.layer(made.x)
        assert isinstance(output, Tensor)
        return output
    last, states = made.layer(made.x, return_states=True)
    return states if made.option.differentiated else last


def _forward(made: Made) -> Callable[[], object]:
    @torch.no_grad()
    def run() -> Tensor:
        return _call(made)

    return run


def _training(made: Made) -> Callable[[], tuple[Tensor, ...]]:
    def run() -> tuple[Tensor, ...]:
        found = _call(made)
        return (found, *torch.autograd.grad(found, (made.layer.weight, made.x), made.grad))

    return run


def _compare(name: str, made: Made) -> float:
    """The largest error of output and gradients, against single loops in float64."""
    torch.manual_seed(1)
    found = _training(made)()
    layer, x = made.layer, made.x.detach().double().requires_grad_()
    connectome = Data(edge_index=layer.edge_index, num_nodes=layer.num_nodes)
    exact = GraphLayer(connectome, activation="tanh", backend="reference", dtype=torch.float64)
    with torch.no_grad():
        exact.weight.copy_(layer.weight)
    torch.manual_seed(1)
    noise = layer.describe(x.detach().float()).noise
    states = [x]
    assert isinstance(layer.loops, int)
    for number in range(layer.loops):
        state = exact(states[-1])
        states.append(state if noise is None else state + noise(number))
    wanted = torch.stack(states) if made.option.differentiated else states[-1]
    grads = torch.autograd.grad(wanted, (exact.weight, x), made.grad.double())
    named = zip(("output", "weight_grad", "input_grad"), found, (wanted, *grads), strict=True)
    return max(
        assert_equal(name, what, one, other.detach(), _ALLOWED) for what, one, other in named
    )


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"batch {given['batch']}, {given['loops']} loops, tanh, float32; all agree with single "
        "loops of the reference in float64"
    )
    rows = [
        [
            row["option"],
            row["pass"],
            report.digits(row["median_ms"]),
            f"{row['times_plain']:.2f}",
            f"{row['largest_error']:.1e}",
        ]
        for row in found["rows"]
    ]
    columns = ("option", "", "ms", "times plain", "largest error")
    report.table(f"median of {given['rounds']} rounds", columns, rows)
    for row in found["rows"]:
        if row["times_plain"] > GOAL:
            print(f"{row['option']}, {row['pass']}: more than {GOAL:g} times a plain call")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("options", __doc__, rounds=15)
    parser.add_argument("--side", type=command.positive, default=28, metavar="N")
    parser.add_argument("--distance", type=command.not_negative, default=2, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=128, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=20, metavar="N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
