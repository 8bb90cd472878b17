"""Time of a sequence: all steps in one kernel, the layer step by step, and torch's nn.RNN.

``Recurrent`` with one loop of tanh on a random graph, with an ``nn.Linear`` as its encoder. The
nn.RNN has the same weights, with zeros where there are no synapses, so that all compute the same
outputs and gradients. They are compared with the nn.RNN in float64 before anything is timed.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.timing import interleaved
from sparsebrain import GraphLayer
from sparsebrain.models import Recurrent

PEERS = ("sparsebrain", "step by step", "nn.RNN")
PASSES = ("forward", "forward_backward")
CASES = ((200, 8), (200, 1), (1000, 8))
NEIGHBORS = 20


class Case(NamedTuple):
    """A sequence, and modules that compute the same on it."""

    neurons: int
    batch: int
    steps: int
    x: Tensor
    ours: Recurrent
    rnn: nn.RNN


class StepByStep(nn.Module):
    """The steps of a Recurrent as single calls of its layer."""

    def __init__(self, model: Recurrent) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the state after every step, and the last one."""
        driven = self.model.encode(x)
        state, states = torch.zeros_like(driven[:, 0]), []
        for drive in driven.unbind(1):
            output, state = self.model.layer(drive, state=state)
            states.append(output)
        return torch.stack(states, 1), state


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the peers of every case, then time them in turn."""
    machine = environment.machine()
    rows: list[dict[str, Any]] = []
    for neurons, batch in arguments.case or CASES:
        case = make(neurons, batch, arguments.steps)
        peers: dict[str, nn.Module] = dict(
            zip(PEERS, (case.ours, StepByStep(case.ours), case.rnn), strict=True)
        )
        exact = _solution(copy.deepcopy(case.rnn).double(), case.x.double(), case)
        errors = {name: _compare(name, peer, case, exact) for name, peer in peers.items()}
        for one in PASSES:
            calls = {name: _call(peer, case.x, one) for name, peer in peers.items()}
            timings = interleaved(calls, rounds=arguments.rounds, warmups=1)
            rows += [
                {
                    "neurons": neurons,
                    "synapses": case.ours.layer.structure.num_edges,
                    "batch": batch,
                    "steps": case.steps,
                    "peer": name,
                    "pass": one,
                    "rounds": arguments.rounds,
                    "median_ms": timings[name].median,
                    "min_ms": timings[name].minimum,
                    "us_per_step": 1000 * timings[name].median / case.steps,
                    "times_rnn": timings[name].median / timings["nn.RNN"].median,
                    "largest_error": errors[name],
                }
                for name in peers
            ]
    return {
        "benchmark": "sequences",
        "parameters": {"steps": arguments.steps, "neighbors": NEIGHBORS},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def make(neurons: int, batch: int, steps: int) -> Case:
    """Make a case with the same numbers at every call."""
    connectome = graphs.small_world(
        neurons, neighbors=min(NEIGHBORS, neurons - 1) // 2 * 2, rewire=1.0, seed=0
    )
    torch.manual_seed(0)
    layer = GraphLayer(connectome, activation="tanh", inject=True)
    encode = nn.Linear(neurons, neurons)
    ours = Recurrent(layer, encode=encode)
    rnn = nn.RNN(neurons, neurons, batch_first=True)
    of_rnn = dict(rnn.named_parameters())
    source, target = layer.edge_index
    with torch.no_grad():
        # Small enough that errors of rounding do not grow over the steps.
        layer.weight.normal_(0, 0.5 / NEIGHBORS**0.5)
        of_rnn["weight_hh_l0"].zero_()[target, source] = layer.weight
        of_rnn["weight_ih_l0"].copy_(encode.weight)
        of_rnn["bias_ih_l0"].copy_(encode.bias)
        of_rnn["bias_hh_l0"].zero_()
    return Case(neurons, batch, steps, torch.randn(batch, steps, neurons), ours, rnn)


def _call(peer: nn.Module, x: Tensor, one: str) -> Callable[[], object]:
    if one == "forward":
        return lambda: _without_gradient(peer, x)
    return lambda: torch.autograd.grad(peer(x)[0].sum(), list(peer.parameters()))


@torch.no_grad()
def _without_gradient(peer: nn.Module, x: Tensor) -> Tensor:
    outputs: Tensor = peer(x)[0]
    return outputs


def _compare(name: str, peer: nn.Module, case: Case, exact: dict[str, Tensor]) -> float:
    """Return the largest error of outputs and gradients, all of which agree with ``exact``."""
    tolerance = TOLERANCES[torch.float32]
    found = _solution(peer, case.x, case)
    found["output without gradients"] = _without_gradient(peer, case.x)
    return max(
        assert_equal(name, what, each, exact[what], tolerance) for what, each in found.items()
    )


def _solution(peer: nn.Module, x: Tensor, case: Case) -> dict[str, Tensor]:
    """Return the outputs, and the gradients of input and parameters under the names of nn.RNN."""
    x = x.clone().requires_grad_()
    outputs = peer(x)[0]
    found = {"output": outputs.detach(), "output without gradients": outputs.detach()}
    leaves = {"x": x, **dict(peer.named_parameters())}
    grads = torch.autograd.grad(outputs.cos().sum(), list(leaves.values()))
    return found | dict(_named(dict(zip(leaves, grads, strict=True)), case))


def _named(grads: dict[str, Tensor], case: Case) -> Iterator[tuple[str, Tensor]]:
    source, target = case.ours.layer.edge_index
    for name, grad in grads.items():
        if name == "weight_hh_l0":
            yield "gradient of the weight", grad[target, source]
        elif name.endswith("layer.weight"):
            yield "gradient of the weight", grad
        elif name == "x":
            yield "gradient of x", grad
        elif name == "weight_ih_l0" or name.endswith("encode.weight"):
            yield "gradient of the encoder", grad


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"{given['steps']} steps, {given['neighbors']} synapses a neuron, tanh, float32; outputs "
        f"and gradients equal nn.RNN in float64 within {TOLERANCES[torch.float32]:.0e} of the "
        "largest value"
    )
    rows = [
        [
            row["peer"],
            str(row["neurons"]),
            str(row["batch"]),
            row["pass"].replace("_", " + "),
            report.cell(row),
            report.digits(row["us_per_step"]),
            report.digits(row["times_rnn"]),
        ]
        for row in found["rows"]
    ]
    columns = ("peer", "neurons", "batch", "pass", "ms", "us per step", "times nn.RNN")
    rounds = found["rows"][0]["rounds"]
    report.table(f"ms: median (minimum) of {rounds} rounds", columns, rows)


def _case(text: str) -> tuple[int, int]:
    neurons, batch = (command.positive(part) for part in text.split("x"))
    return max(neurons, 3), batch


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("sequences", __doc__, rounds=7)
    parser.add_argument("--steps", type=command.positive, default=1000, metavar="N")
    parser.add_argument(
        "--case",
        type=_case,
        action="append",
        metavar="NEURONSxBATCH",
        help="may be given several times (default: 200x8, 200x1 and 1000x8)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
