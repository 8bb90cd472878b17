"""Spiking neurons step by step, differentiable: backpropagation through time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphs import tensors
from sparsebrain import kernels
from sparsebrain.kernels.transforms import is_transformed
from sparsebrain.spiking.dynamics import State, step
from sparsebrain.spiking.surrogate import SURROGATES
from sparsebrain.spiking.through_time import (
    Network,
    Tape,
    distance_to_threshold,
    from_steps,
    make_operator,
    run_back,
    run_steps,
    to_steps,
    turned,
)

if TYPE_CHECKING:
    from sparsebrain.spiking.lif import LIF


@torch.compiler.disable  # type: ignore[untyped-decorator]
def run(lif: LIF, current: Tensor, state: State | None) -> tuple[Tensor, State]:
    """Run one step for each input current, see :meth:`sparsebrain.spiking.LIF.forward`."""
    current = _check_current(lif, current)
    batch, steps, _ = current.shape
    state = lif.rest_state(batch) if state is None else _check_state(lif, state, current)
    tensors.room(
        f"current of {steps} steps",
        # Potentials, spikes, refractory neurons, and in the backward pass three gradients.
        (6 if torch.is_grad_enabled() else 3) * current.nbytes,
        "pass fewer steps or a smaller batch, and continue from the state",
    )
    network = Network(lif.coefficients(), lif.wiring, SURROGATES[lif.surrogate])
    if is_transformed():
        spikes, after = _run_stepwise(network, current, lif.weight, state)
    else:
        given = (state.u, state.g, state.spikes, state.wait)
        spikes, u, g, wait = _Unrolled.apply(current, lif.weight, *given, network)
        after = State(u, g, wait, state.spikes)
    return spikes, after._replace(spikes=_latest(state.spikes, spikes))


def _check_current(lif: LIF, current: Tensor) -> Tensor:
    dtypes: tuple[torch.dtype, ...] = (lif.weight.dtype,)
    if isinstance(current, Tensor) and torch.is_autocast_enabled(lif.weight.device.type):
        dtypes = (*dtypes, torch.float16, torch.bfloat16)
    shape, device = ("B", "T", lif.num_nodes), lif.weight.device
    tensors.tensor("current", current, shape, dtypes=dtypes, device=device)
    # A sum is the fastest test, and finite values whose sum is not are tested one by one.
    # A transform has no values to look at.
    looks = not torch.compiler.is_compiling() and not is_transformed()
    if looks and not bool(current.sum().isfinite()):
        tensors.tensor("current", current, shape, dtypes=dtypes, finite=True)
    return current.to(lif.weight.dtype)


def _check_state(lif: LIF, state: State, current: Tensor) -> State:
    """Raise TypeError or ValueError unless a state fits the neurons and the current."""
    if not isinstance(state, State):
        raise TypeError(
            f"state must be the State of an earlier call or None, got {type(state).__name__}; "
            "pass the second result of an earlier call, or lif.rest_state(B)"
        )
    shape = (len(current), lif.num_nodes)
    past = (len(current), lif.longest_delay, lif.num_nodes)
    fix = f"pass state=lif.rest_state({len(current)}), or a state of this network and batch"
    if (state.g is None) is not (lif.tau_synapse is None):
        raise ValueError(f"state.g must be a tensor if and only if tau_synapse is given; {fix}")
    floats = {"state.u": (state.u, shape), "state.g": (state.g, shape)}
    for name, (values, size) in (floats | {"state.spikes": (state.spikes, past)}).items():
        if values is not None or name != "state.g":
            dtypes, device = (current.dtype,), current.device
            tensors.tensor(name, values, size, dtypes=dtypes, device=device, finite=True, fix=fix)
    tensors.tensor(
        "state.wait", state.wait, shape, dtypes=(torch.int32,), device=current.device, fix=fix
    )
    if bool((state.wait < 0).any()):
        raise ValueError(f"state.wait must not be negative, got {int(state.wait.min())}; {fix}")
    if bool(((state.spikes != 0) & (state.spikes != 1)).any()):
        raise ValueError(f"state.spikes must be 0 or 1; {fix}")
    return state


def _latest(past: Tensor, spikes: Tensor) -> Tensor:
    """Return the last D of the spikes [B, D, N] and [B, T, N]."""
    longest, steps = past.size(1), spikes.size(1)
    if steps >= longest:
        return spikes[:, steps - longest :].clone()
    return torch.cat((past[:, steps:], spikes), 1)


def _run_stepwise(
    network: Network, current: Tensor, weight: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run the steps by operations that PyTorch can differentiate any number of times."""
    c, wiring, surrogate = network
    gap = distance_to_threshold(c)
    propagate = partial(kernels.propagate, wiring.structure, weight)

    def fire(x: Tensor) -> Tensor:
        # The difference is zero, and only its derivative counts.
        smooth = surrogate.smooth(x / (gap * surrogate.width)) * surrogate.width
        return (x > 0).to(x) + (smooth - smooth.detach())

    spikes = []
    for drive in (c.drive * current).unbind(1):
        history = state.spikes.permute(1, 2, 0)

        def arrivals(now: Tensor, history: Tensor = history) -> Tensor:
            return wiring.arrivals(propagate, history, now.t()).t()

        now, after = step(c, state, fire, arrivals, drive=drive)
        spikes.append(now)
        state = after._replace(spikes=_latest(state.spikes, now.unsqueeze(1)))
    return torch.stack(spikes, 1) if spikes else torch.zeros_like(current), state


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        weight: Tensor,
        u: Tensor,
        g: Tensor | None,
        past: Tensor,
        wait: Tensor,
        network: Network,
    ) -> tuple[Any, ...]:
        learns = any(ctx.needs_input_grad)
        operator = make_operator(network.wiring, weight, transpose=False)
        state = State(turned(u), None if g is None else turned(g), turned(wait), past)
        tape, after = run_steps(network, operator, to_steps(current), state, learns=learns)
        ctx.network = network
        ctx.set_materialize_grads(False)
        if learns:
            ctx.save_for_backward(current, weight, u, g, past, wait, *tape)
        left = after.wait.t().contiguous()
        ctx.mark_non_differentiable(left)
        spikes = from_steps(tape.spikes[past.size(1) :])
        return spikes, turned(after.u), None if after.g is None else turned(after.g), left

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        current, weight, u, g, past, wait, *tape = ctx.saved_tensors
        network, needs = ctx.network, ctx.needs_input_grad[:5]
        if torch.is_grad_enabled():
            spikes, after = _run_stepwise(network, current, weight, State(u, g, wait, past))
            pairs = zip((spikes, after.u, after.g), grads, strict=False)
            reached = [(each, grad) for each, grad in pairs if grad is not None]
            inputs = (current, weight, u, g, past)
            wanted = [each for each, need in zip(inputs, needs, strict=True) if need]
            outputs, given = zip(*reached, strict=True)
            found = iter(
                torch.autograd.grad(outputs, wanted, given, create_graph=True, allow_unused=True)
            )
            return (*(next(found) if need else None for need in needs), None, None)
        return (*run_back(network, weight, Tape(*tape), grads, needs), None, None)
