"""Detection of torch's transforms, under which PyTorch's own operations replace the operators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_transformed() -> bool:
    """Return whether torch transforms or traces the running call in a way that operators lack.

    These are the transforms of ``torch.func`` (``vmap``, ``grad``, ``jvp``, ...), forward-mode
    derivatives, ``torch.jit.trace`` and ``torch.onnx.export``. The functions of
    :mod:`sparsebrain.kernels.reference` then compute the result, with operations that torch can
    transform.
    """
    if torch.compiler.is_compiling():
        return torch.onnx.is_in_onnx_export()
    return in_torch_func() or forward_ad._current_level >= 0 or torch._C._is_tracing()


def in_torch_func() -> bool:
    """Return whether a transform of ``torch.func`` runs the call."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@contextmanager
def untraced() -> Iterator[None]:
    """Keep ``torch.jit.trace`` from recording, so that what is computed here is a constant."""
    state = torch._C._get_tracing_state()
    if state is None:
        yield
        return
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]


def refuse_old_export() -> None:
    """Raise NotImplementedError within ``torch.onnx.export(..., dynamo=False)``.

    That exporter cannot add up the messages of several synapses to one neuron.
    """
    if torch.onnx.is_in_onnx_export() and not torch.compiler.is_compiling():
        raise NotImplementedError(
            "torch.onnx.export with dynamo=False cannot export sums over synapses; use "
            "torch.onnx.export(model, (x,), dynamo=True)"
        )


def refuse_batched(*grads: Tensor | None) -> None:
    """Raise NotImplementedError for gradients batched by ``is_grads_batched`` or ``vectorize``."""
    for grad in grads:
        if grad is not None and torch._C._functorch.is_legacy_batchedtensor(grad):
            raise NotImplementedError(
                "gradients cannot be batched by is_grads_batched=True or vectorize=True; use "
                "torch.func.jacrev or torch.func.vmap"
            )
