"""Loops that keep few states and recompute the others for the backward pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.structure import Structure


def segment_length(loops: int) -> int:
    """Return the number of loops between two kept states: about the square root of all loops."""
    return math.isqrt(loops - 1) + 1


def starts(loops: int, segment: int) -> range:
    """Return the numbers of the loops before which a state is kept, starting with 0."""
    return range(0, loops, segment)


def run(
    backend: Backend,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    segment: int,
    activation: str,
    keep: bool,
    learns: bool,
    form: str = "rate",
    narrow: bool = False,
    noise: CounterNoise | None = None,
    out: Sequence[Tensor] = (),
) -> Looped:
    """Run the loops with :func:`loop` if ``segment`` asks for few states, else with the backend."""
    if learns and segment:
        return loop(
            backend,
            structure,
            weight,
            inputs,
            loops=loops,
            segment=segment,
            activation=activation,
            keep=keep,
            form=form,
            narrow=narrow,
            noise=noise,
            out=out,
        )
    return backend.loop(
        structure,
        weight,
        inputs,
        loops=loops,
        activation=activation,
        keep=keep,
        learns=learns,
        form=form,
        narrow=narrow,
        noise=noise,
        out=out,
    )


def run_backward(
    backend: Backend,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    kept: list[Tensor],
    grads: list[Tensor | None],
    *,
    segment: int,
    activation: str,
    need_weight: bool,
    form: str = "rate",
    narrow: bool = False,
    noise: CounterNoise | None = None,
) -> LoopGradients:
    """Compute the gradients of :func:`run` from what :func:`kept_states` returned."""
    if segment:
        return loop_backward(
            backend,
            structure,
            weight,
            inputs,
            kept,
            grads,
            segment=segment,
            activation=activation,
            need_weight=need_weight,
            form=form,
            narrow=narrow,
            noise=noise,
        )
    return backend.loop_backward(
        structure,
        weight,
        inputs,
        kept,
        grads,
        activation=activation,
        need_weight=need_weight,
        form=form,
        narrow=narrow,
        noisy=noise is not None,
    )


def kept_states(
    backend: Backend,
    state: Tensor,
    looped: Looped,
    *,
    loops: int,
    segment: int,
    keep: bool,
) -> list[Tensor]:
    """Return the states of a forward pass that :func:`run_backward` needs."""
    states, tape = looped
    if segment:
        before = [states[first - 1] for first in starts(loops, segment)[1:]] if keep else tape
        return [state, *before]
    return tape if backend.tape_suffices else [state, *tape, *states]


def loop(
    backend: Backend,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    segment: int,
    activation: str,
    keep: bool,
    form: str = "rate",
    narrow: bool = False,
    noise: CounterNoise | None = None,
    out: Sequence[Tensor] = (),
) -> Looped:
    """Run the loops as :meth:`Backend.loop`, with the states between the segments as the tape.

    With ``keep`` there is no tape, since the states themselves are returned.
    """
    states: list[Tensor] = []
    tape: list[Tensor] = []
    for first in starts(loops, segment):
        looped = backend.loop(
            structure,
            weight,
            inputs,
            loops=min(segment, loops - first),
            activation=activation,
            keep=keep,
            learns=False,
            form=form,
            narrow=narrow,
            noise=None if noise is None else noise.after(first),
            out=out[first : first + segment],
        )
        if first and not keep:
            tape.append(inputs.state)
        states = [*states, *looped.states] if keep else looped.states
        inputs = inputs._replace(state=looped.states[-1])
    return Looped(states, tape)


def loop_backward(
    backend: Backend,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    kept: list[Tensor],
    grads: list[Tensor | None],
    *,
    segment: int,
    activation: str,
    need_weight: bool,
    form: str = "rate",
    narrow: bool = False,
    noise: CounterNoise | None = None,
) -> LoopGradients:
    """Compute the gradients as :meth:`Backend.loop_backward`.

    ``kept`` are the states before the segments.
    """
    total = backend.segments_backward(
        structure,
        weight,
        inputs,
        kept,
        grads,
        segment=segment,
        activation=activation,
        need_weight=need_weight,
        form=form,
        narrow=narrow,
        noise=noise,
    )
    if total is not None:
        return total
    for first, start in reversed(list(zip(starts(len(grads), segment), kept, strict=True))):
        here = grads[first : first + segment]
        if total is not None:
            outside = here[-1]
            later = total.inputs.state
            here[-1] = later if outside is None else later + outside
        inside = inputs._replace(state=start)
        looped = backend.loop(
            structure,
            weight,
            inside,
            loops=len(here),
            activation=activation,
            keep=False,
            learns=True,
            form=form,
            narrow=narrow,
            noise=None if noise is None else noise.after(first),
        )
        states = looped.tape
        if not backend.tape_suffices:
            states = [start, *looped.tape, *looped.states]
        found = backend.loop_backward(
            structure,
            weight,
            inside,
            states,
            here,
            activation=activation,
            need_weight=need_weight,
            form=form,
            narrow=narrow,
            noisy=noise is not None,
        )
        total = found if total is None else total.plus(found)
        # Free them before the next segment is computed.
        del looped, states
    assert total is not None
    return total
