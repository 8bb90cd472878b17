"""Calls with noise, returned states, other aggregations, Maxout and other options.

The problem is layer Y: 28 x 28 neurons, distance 2, tanh, 20 loops, batch 128, float32. Every
option is first compared with single loops of the reference backend in float64, noise included,
which has the same key. Maxima are compared in float64, because rounding would move the largest to
another synapse. Then all options are timed in turn, and divided by the time of a plain call with
the same passes. The backward pass gives the gradients of weights and input.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer, Maxout

PLAIN = "plain"

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
        checkpoint: Whether most states are computed again.
        aggr: The aggregation of messages.
        pieces: The weights per synapse of a Maxout, which has no activation; 0 for a GraphLayer.
        goal: How many times a plain call it may take.
    """

    activation: Any = "tanh"
    noise: float = 0.0
    states: bool = False
    differentiated: bool = False
    checkpoint: bool = False
    aggr: str = "sum"
    pieces: int = 0
    goal: float = 2.0

    @property
    def of_maxima(self) -> bool:
        """Whether rounding can move a gradient to another synapse."""
        return self.pieces > 0 or self.aggr in ("max", "min")


OPTIONS = {
    PLAIN: Option(),
    "noise": Option(noise=_NOISE),
    "return_states": Option(states=True),
    "return_states, differentiated": Option(states=True, differentiated=True),
    "activation=torch.tanh": Option(torch.tanh),
    "activation=lambda": Option(lambda u: u.tanh()),
    "checkpoint": Option(checkpoint=True, goal=4 / 3),
    "aggr=mean": Option(aggr="mean", goal=5.0),
    "aggr=max": Option(aggr="max", goal=5.0),
    "aggr=min": Option(aggr="min", goal=5.0),
    "Maxout": Option(pieces=2, goal=3.0),
}


class Made(NamedTuple):
    """A layer, its input, and the gradient that arrives at the output or at all states."""

    option: Option
    layer: GraphLayer | Maxout
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
                "neurons": made[name].x.size(1),
                "synapses": first_layer(made[name].layer).structure.num_edges,
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
    layer: GraphLayer | Maxout
    if option.pieces:
        layer = Maxout(connectome, loops, pieces=option.pieces, bias=False)
    else:
        layer = GraphLayer(
            connectome,
            loops,
            activation=option.activation,
            noise=option.noise,
            aggr=option.aggr,
            checkpoint=option.checkpoint,
        )
    x = torch.randn(batch, connectome.num_nodes)
    grads = torch.randn(loops + 1, batch, connectome.num_nodes)
    return Made(option, layer, x.requires_grad_(), grads if option.differentiated else grads[-1])


def first_layer(layer: GraphLayer | Maxout) -> GraphLayer:
    """The layer itself, or the first piece of a Maxout."""
    found = layer if isinstance(layer, GraphLayer) else layer.pieces[0]
    assert isinstance(found, GraphLayer)
    return found


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
        return (found, *torch.autograd.grad(found, _differentiated(made.layer, made.x), made.grad))

    return run


def _compare(name: str, made: Made) -> float:
    """The largest error of output and gradients, against single loops in float64."""
    layer, x = made.layer, made.x.detach().double().requires_grad_()
    if made.option.of_maxima:
        grad, made = made.grad.double(), made._replace(layer=copy.deepcopy(layer).double())
        made = made._replace(x=x.detach().requires_grad_(), grad=grad)
    torch.manual_seed(1)
    found = _training(made)()
    exact = _exact(made.option, layer)
    torch.manual_seed(1)
    noise = first_layer(layer).describe(x.detach().float()).noise
    states = [x]
    assert isinstance(layer.loops, int)
    for number in range(layer.loops):
        state = exact(states[-1])
        states.append(state if noise is None else state + noise(number))
    wanted = torch.stack(states) if made.option.differentiated else states[-1]
    grads = torch.autograd.grad(wanted, _differentiated(exact, x), made.grad.double())
    names = ("output", *["weight_grad"] * (len(grads) - 1), "input_grad")
    named = zip(names, found, (wanted, *grads), strict=True)
    return max(
        assert_equal(name, what, one, other.detach(), _ALLOWED) for what, one, other in named
    )


def _differentiated(layer: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    return (*layer.parameters(), x)


def _exact(option: Option, layer: GraphLayer | Maxout) -> GraphLayer | Maxout:
    """A single loop in float64 by the reference backend, with the same weights."""
    first = first_layer(layer)
    connectome = Data(edge_index=first.edge_index, num_nodes=first.num_nodes)
    options: dict[str, Any] = {"backend": "reference", "dtype": torch.float64}
    exact: GraphLayer | Maxout
    if option.pieces:
        exact = Maxout(connectome, pieces=option.pieces, bias=False, **options)
    else:
        exact = GraphLayer(connectome, activation="tanh", aggr=option.aggr, **options)
    with torch.no_grad():
        for mine, given in zip(exact.parameters(), layer.parameters(), strict=True):
            mine.copy_(given)
    return exact


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"batch {given['batch']}, {given['loops']} loops, tanh (none for Maxout), float32; all "
        "agree with single loops of the reference in float64"
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
        goal = OPTIONS[row["option"]].goal
        if row["times_plain"] > goal:
            print(f"{row['option']}, {row['pass']}: more than {goal:.3g} times a plain call")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("options", __doc__, rounds=15)
    parser.add_argument("--side", type=command.positive, default=28, metavar="N")
    parser.add_argument("--distance", type=command.not_negative, default=2, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=128, metavar="N")
    parser.add_argument("--loops", type=command.positive, default=20, metavar="N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
