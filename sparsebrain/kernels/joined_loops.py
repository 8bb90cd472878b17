"""Fused loops whose neurons join messages otherwise than by one sum."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsebrain.kernels import eager
from sparsebrain.kernels.activations import ACTIVATIONS, fused_name
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.checkpointing import segment_length
from sparsebrain.kernels.functional import check_room
from sparsebrain.kernels.joins import Join
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.structure import Structure


def run_joined(
    kind: Join,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    rows: bool,
    activation: object = "none",
    form: str = "rate",
    noise: CounterNoise | None = None,
    keep: bool = False,
    checkpoint: bool = False,
    backend: str = "auto",
) -> list[Tensor] | None:
    """Run all loops in one call, or return None if they must run one by one.

    That is so for an activation without a kernel, and while torch traces or transforms the call.
    Arguments are those of :func:`.functional.run_loop`, which the caller has checked; for "maxout"
    ``weight`` is [K, E] and the bias [K, N].

    Returns:
        The state after every loop with ``keep``, otherwise the last one alone, in the shape of the
        given state.
    """
    name = fused_name(activation) if callable(activation) else activation
    if not isinstance(name, str) or ACTIVATIONS[name].number is None:
        return None
    if not eager.is_plain(weight, *inputs):
        return None
    weight = weight.contiguous()
    learns = torch.is_grad_enabled() and any(
        each is not None and each.requires_grad for each in (weight, *inputs)
    )
    segment = segment_length(loops) if checkpoint else 0
    check_room(inputs.state, loops, segment, every=keep, learns=learns)
    return eager.loop(
        structure,
        weight,
        inputs,
        loops=loops,
        activation=name,
        form=form,
        keep=keep,
        learns=learns,
        segment=segment,
        backend=backend,
        rows=rows,
        plain=True,
        noise=noise,
        join=kind,
    )
