"""A training step of spiking neurons, compared with other ways to run them in PyTorch.

Leaky integrate-and-fire neurons on the grid of a layer of 16x16 neurons (5,476 synapses) receive an
input current for some steps. The layer is compared with the same definition operation by operation,
with synapses as a sparse and as a dense matrix, whose spikes and gradients must agree. Where they
are installed, snnTorch and SpikingJelly run the closest network that they have, with a dense matrix
and a reset to zero.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import assert_equal
from benchmarks.timing import interleaved
from sparsebrain import kernels
from sparsebrain.spiking import LIF, SURROGATES

OURS = "LIF"
_TAU, _ALLOWED = 10.0, 1e-9

Step = Callable[[], tuple[Tensor, ...]]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every way, compared in float64 and timed in float32."""
    machine = environment.machine()
    given = arguments.side, arguments.batch, arguments.steps
    lif, current, grad = make(*given, torch.float64)
    expected = _layer(lif, current, grad)()
    for name, way in WAYS.items():
        found = way(lif, current, grad)()
        for what, each, right in zip(
            ("spikes", "input_grad", "weight_grad"), found, expected, strict=True
        ):
            assert_equal(name, what, each, right, _ALLOWED)
    lif, current, grad = make(*given, torch.float32)
    candidates = {name: way(lif, current, grad) for name, way in WAYS.items()}
    missing = []
    for name, peer in PEERS.items():
        try:
            candidates[name] = peer(lif, current, grad)
        except ImportError:
            missing.append(name)
    timings = interleaved(candidates, rounds=arguments.rounds)
    rows = [
        {
            "way": name,
            "synapses": len(lif.weight),
            "batch": arguments.batch,
            "steps": arguments.steps,
            "rate": float(step()[0].mean()),
            "median_ms": timings[name].median,
            "min_ms": timings[name].minimum,
            "times_ours": timings[name].median / timings[OURS].median,
        }
        for name, step in candidates.items()
    ]
    return {
        "benchmark": "spiking layer",
        "parameters": {"batch": arguments.batch, "steps": arguments.steps},
        "machine": machine,
        "versions": environment.versions(),
        "missing": missing,
        "rows": rows,
    }


def make(side: int, batch: int, steps: int, dtype: torch.dtype) -> tuple[LIF, Tensor, Tensor]:
    """The layer, its input current, and the gradient that arrives at its spikes."""
    torch.manual_seed(0)
    lif = LIF(graphs.grid_local((side, side), 2), tau=_TAU, refractory=0.0, dtype=torch.float64)
    current = 3 * torch.rand(batch, steps, lif.num_nodes, dtype=torch.float64)
    grad = torch.randn_like(current)
    return lif.to(dtype), current.to(dtype).requires_grad_(), grad.to(dtype)


def _layer(lif: LIF, current: Tensor, grad: Tensor) -> Step:
    def step() -> tuple[Tensor, ...]:
        spikes, _ = lif(current)
        return (spikes.detach(), *torch.autograd.grad(spikes, (current, lif.weight), grad))

    return step


class Spike(torch.autograd.Function):
    """The step function with the derivative of the fast sigmoid."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return 1 above the threshold and 0 elsewhere."""
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient of the surrogate."""
        (x,) = ctx.saved_tensors
        surrogate = SURROGATES["fast_sigmoid"]
        return grad * surrogate.slope(x / surrogate.width)


def _one_by_one(
    lif: LIF, current: Tensor, grad: Tensor, exchange: Callable[[Tensor], Tensor]
) -> tuple[Tensor, ...]:
    """The definition in PyTorch's operations: rest and reset at 0, threshold 1, no delay."""
    decay = torch.exp(torch.tensor(-1 / _TAU, dtype=torch.float64)).item()
    drive = -torch.expm1(torch.tensor(-1 / _TAU, dtype=torch.float64)).item()
    u = torch.zeros_like(current[:, 0])
    spikes = []
    for now in current.unbind(1):
        u = decay * u + drive * now
        spike = Spike.apply(u - 1.0)
        spikes.append(spike)
        u = (u + exchange(spike)) * (1 - spike.detach())
    result = torch.stack(spikes, 1)
    return (result.detach(), *torch.autograd.grad(result, (current, lif.weight), grad))


def _sparse(lif: LIF, current: Tensor, grad: Tensor) -> Step:
    structure = lif.structure

    def exchange(spike: Tensor) -> Tensor:
        return kernels.propagate(structure, lif.weight, spike.t()).t()

    return lambda: _one_by_one(lif, current, grad, exchange)


def _dense(lif: LIF, current: Tensor, grad: Tensor) -> Step:
    source, target = lif.edge_index

    def step() -> tuple[Tensor, ...]:
        empty = lif.weight.new_zeros(lif.num_nodes, lif.num_nodes)
        matrix = empty.index_put((target, source), lif.weight)
        return _one_by_one(lif, current, grad, lambda spike: spike @ matrix.t())

    return step


def _snntorch(lif: LIF, current: Tensor, grad: Tensor) -> Step:
    import snntorch  # type: ignore[import-not-found]  # noqa: PLC0415

    decay = torch.exp(torch.tensor(-1 / _TAU)).item()
    spike_grad = snntorch.surrogate.fast_sigmoid(slope=10)
    neurons = snntorch.RLeaky(
        decay, linear_features=lif.num_nodes, spike_grad=spike_grad, reset_mechanism="zero"
    )
    _copy_weights(lif, neurons.recurrent)

    def step() -> tuple[Tensor, ...]:
        spike, u = neurons.init_rleaky()
        spikes = []
        for now in current.unbind(1):
            spike, u = neurons((1 - decay) * now, spike, u)
            spikes.append(spike)
        return _gradients(torch.stack(spikes, 1), current, neurons.recurrent.weight, grad)

    return step


def _spikingjelly(lif: LIF, current: Tensor, grad: Tensor) -> Step:
    from spikingjelly.activation_based import (  # type: ignore[import-not-found]  # noqa: PLC0415
        functional,
        neuron,
        surrogate,
    )

    neurons = neuron.LIFNode(
        tau=_TAU, surrogate_function=surrogate.Sigmoid(), detach_reset=True, v_reset=0.0
    )
    recurrent = nn.Linear(lif.num_nodes, lif.num_nodes, bias=False)
    _copy_weights(lif, recurrent)

    def step() -> tuple[Tensor, ...]:
        functional.reset_net(neurons)
        spike, spikes = torch.zeros_like(current[:, 0]), []
        for now in current.unbind(1):
            spike = neurons(now + _TAU * recurrent(spike))
            spikes.append(spike)
        return _gradients(torch.stack(spikes, 1), current, recurrent.weight, grad)

    return step


def _copy_weights(lif: LIF, linear: nn.Linear) -> None:
    source, target = lif.edge_index
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[target, source] = lif.weight
        if linear.bias is not None:
            linear.bias.zero_()


def _gradients(spikes: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
    *inputs, grad = given
    return (spikes.detach(), *torch.autograd.grad(spikes, inputs, grad))


Way = Callable[[LIF, Tensor, Tensor], Step]

WAYS: dict[str, Way] = {OURS: _layer, "op by op, sparse": _sparse, "op by op, dense": _dense}
"""The same network."""

PEERS: dict[str, Way] = {"snnTorch": _snntorch, "SpikingJelly": _spikingjelly}
"""The closest networks of other libraries."""


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"batch {given['batch']}, {given['steps']} steps, float32; the first three agree in float64"
    )
    if found["missing"]:
        print(f"not installed: {', '.join(found['missing'])}")
    rows = [
        [
            row["way"],
            f"{row['rate']:.3f}",
            report.digits(row["median_ms"]),
            f"{row['times_ours']:.2f}",
        ]
        for row in found["rows"]
    ]
    report.table("forward and backward", ("", "spikes per step", "ms", f"times {OURS}"), rows)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("spiking_layer", __doc__, rounds=7)
    parser.add_argument("--side", type=command.positive, default=16, metavar="N")
    parser.add_argument("--batch", type=command.positive, default=64, metavar="N")
    parser.add_argument("--steps", type=command.positive, default=50, metavar="N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
