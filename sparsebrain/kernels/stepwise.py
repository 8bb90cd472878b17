"""The loops one by one: the only definition of a loop for everything that is not fused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.checkpointing import starts
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.transforms import in_torch_func

#: A function that computes W x for a state x in the layout of the loops.
Exchange = Callable[[Tensor], Tensor]

#: A function of the loop's number, from 0, that returns what is added to the state after it.
Noise = Callable[[int], Tensor]


def step(
    exchange: Exchange,
    inputs: LoopInputs,
    activation: Callable[[Tensor], Tensor],
    noise: Callable[[], Tensor] | None = None,
    form: str = "rate",
) -> Tensor:
    """Run one loop, (1 - leak) x + leak f(W x + b + drive) + noise, differentiable by autograd.

    With the form "voltage", f acts on what the synapses send, W f(x) + b + drive.

    The state x, ``inputs.state``, is [N, B], or [k N, C] for k copies of the neurons one below
    another, as PyG batches them. Drive and noise have its shape, bias and leak are [N]. Noise is
    drawn last.
    """
    state = inputs.state
    sent = state
    if form == "voltage":
        sent = activation(state)
        check_kept("activation", state, sent)
        activation = _unchanged
    total = exchange(sent)
    check_kept("aggr", state, total)
    if inputs.bias is not None:
        total = total + per_row(inputs.bias, state)
    if inputs.drive is not None:
        total = total + inputs.drive
    leak = None if inputs.leak is None else per_row(inputs.leak, state)
    return respond(state, total, activation, leak, noise)


def respond(
    state: Tensor,
    total: Tensor,
    activation: Callable[[Tensor], Tensor],
    leak: Tensor | None,
    noise: Callable[[], Tensor] | None,
) -> Tensor:
    """Run the second half of a loop, from state and pre-activation to the next state.

    All tensors have one shape, except ``leak``, which is broadcast to it.
    """
    after = activation(total)
    check_kept("activation", total, after)
    if leak is not None:
        after = torch.lerp(state, after, leak)
    return after if noise is None else after + noise()


def _unchanged(total: Tensor) -> Tensor:
    return total


def steps(
    exchange: Exchange,
    inputs: LoopInputs,
    numbers: range,
    activation: Callable[[Tensor], Tensor],
    noise: Noise | None,
    form: str = "rate",
) -> Iterator[Tensor]:
    """Yield the state after each of the loops with these numbers."""
    for number in numbers:
        draw = None if noise is None else partial(noise, number)
        state = step(exchange, inputs, activation, draw, form)
        yield state
        inputs = inputs._replace(state=state)


def run_stepwise(
    exchange: Exchange,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: Callable[[Tensor], Tensor],
    noise: Noise | None,
    keep: bool,
    segment: int,
    form: str = "rate",
) -> list[Tensor]:
    """Return the state after every loop with ``keep``, else the last one alone.

    ``segment`` is 0, or the number of loops between two states that are kept for the backward pass,
    which then recomputes the others. Under ``torch.func`` all states are kept, because it does not
    support torch's checkpoints.
    """

    def run(state: Tensor, first: int, count: int) -> list[Tensor]:
        states: list[Tensor] = []
        numbers = range(first, first + count)
        here = inputs._replace(state=state)
        for after in steps(exchange, here, numbers, activation, noise, form):
            states = [*states, after] if keep else [after]
        return states

    if not segment or in_torch_func():
        return run(inputs.state, 0, loops)
    states: list[Tensor] = []
    state = inputs.state
    for first in starts(loops, segment):
        count = min(segment, loops - first)
        made: list[Tensor] = recompute(run, state, first, count, use_reentrant=False)
        states, state = [*states, *made] if keep else made, made[-1]
    return states


def check_kept(name: str, before: Tensor, after: Any) -> None:
    """Raise unless a function keeps the shape, dtype and device of the state.

    Args:
        name: The argument that the function comes from, "activation" or "aggr".
        before: The state.
        after: What the function returned.
    """
    if (
        isinstance(after, Tensor)
        and after.shape == before.shape
        and after.dtype is before.dtype
        and after.device == before.device
    ):
        return
    kept = "activation=torch.tanh" if name == "activation" else "aggr='max'"
    fix = f"pass one that does, such as {kept}"
    if not isinstance(after, Tensor):
        raise TypeError(f"{name} must return a tensor, got {type(after).__name__}; {fix}")
    if after.shape != before.shape:
        raise ValueError(
            f"{name} must keep the shape of the state, but {list(before.shape)} became "
            f"{list(after.shape)}; {fix}"
        )
    raise TypeError(
        f"{name} must keep the dtype and device of the state, but {before.dtype} on "
        f"{before.device} became {after.dtype} on {after.device}; {fix}"
    )


def per_row(of_neurons: Tensor, state: Tensor) -> Tensor:
    """Return values [N] as a column next to the rows of a state."""
    copies = state.size(0) // max(len(of_neurons), 1)
    return (of_neurons if copies == 1 else of_neurons.repeat(copies)).unsqueeze(1)


def differentiable_backward(
    propagate: Callable[[Tensor, Tensor], Tensor],
    weight: Tensor,
    inputs: LoopInputs,
    needed: Sequence[bool],
    grads: Sequence[Tensor | None],
    *,
    loops: int,
    activation: str,
    keep: bool,
    form: str = "rate",
    noise: CounterNoise | None = None,
) -> list[Tensor | None]:
    """Compute the gradients of a fused loop with autograd, through loops that run again one by one.

    Second derivatives (``create_graph=True``) and vmapped gradients need this.

    Args:
        propagate: A function of weight [E] and state [N, B] that computes W x.
        weight: [E].
        inputs: What the loops ran on.
        needed: Whether the gradient of the weight, and of each of the inputs, is needed.
        grads: The gradient of each returned state, or None.
        loops: The number of loops.
        activation: The name of f.
        keep: Whether every state was returned.
        form: "rate" or "voltage".
        noise: What was added after each loop, or None.

    Returns:
        The gradients of weight, state, drive, bias and leak, or None.
    """
    function = ACTIVATIONS[activation].function

    def run(alias: Tensor, again: LoopInputs) -> list[Tensor]:
        return run_stepwise(
            lambda x: propagate(alias, x),
            again,
            loops=loops,
            activation=function,
            noise=None if noise is None else partial(noise.values, state=inputs.state),
            keep=keep,
            segment=0,
            form=form,
        )

    return recomputed_gradients(run, weight, inputs, needed, grads)


def recomputed_gradients(
    run: Callable[[Tensor, LoopInputs], list[Tensor]],
    weight: Tensor,
    inputs: LoopInputs,
    needed: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Compute gradients with autograd, through a function of weight and inputs that runs again.

    The arguments and results are those of :func:`differentiable_backward`; ``run`` returns the
    states that ``grads`` belong to.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases, so that no derivative passes from one input to another that it is computed from.
        alias, again = weight.view_as(weight), inputs.map(lambda each: each.view_as(each))
        states = run(alias, again)
        reached = [(x, grad) for x, grad in zip(states, grads, strict=False) if grad is not None]
        both = zip((alias, *again), needed, strict=True)
        asked = [x for x, need in both if need and x is not None]
        found: Sequence[Tensor | None] = [None] * len(asked)
        if reached:
            found = torch.autograd.grad(
                [x for x, _ in reached],
                asked,
                [grad for _, grad in reached],
                create_graph=create_graph,
                allow_unused=True,
            )
    gradients = iter(found)
    return [next(gradients) if need else None for need in needed]
