"""The three primitives and the loop, as functions of tensors that check their arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.kernels import eager
from sparsebrain.kernels.activations import (
    ACTIVATIONS,
    check_activation,
    fused_name,
)
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.checkpointing import segment_length
from sparsebrain.kernels.checks import DTYPES, MOST_LOOPS, check_leak, check_structure
from sparsebrain.kernels.forms import FORMS, check_form
from sparsebrain.kernels.narrow import check_call, check_state_dtype
from sparsebrain.kernels.noise import CounterNoise, check_key
from sparsebrain.kernels.rows import run as run_rows
from sparsebrain.kernels.select import check_backend, resolve
from sparsebrain.kernels.stepwise import Noise, run_stepwise
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed


def propagate(structure: Structure, weight: Tensor, x: Tensor, *, backend: str = "auto") -> Tensor:
    r"""Exchange values along all synapses once: a product with a sparse matrix.

    .. math:: y_t = \sum_{s \to t} w_{s \to t} \, x_s

    Args:
        structure: The synapses.
        weight: [E], float32 or float64, in the order of ``structure.edge_index``.
        x: [N, B], one column per sample, in the dtype of ``weight``.
        backend: "auto", "native", "triton", "torch", "dense" or "reference".

    Returns:
        y [N, B]. It can be differentiated any number of times. O(E B) time, O(N B) memory.

    Raises:
        TypeError: If an argument has the wrong type, or dtypes differ.
        ValueError: If a shape does not fit ``structure``, or a tensor is on another device.
        RuntimeError: If the backend cannot run on the device of ``x``.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, propagate
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> propagate(structure, torch.tensor([2.0, 3.0]), torch.ones(3, 1)).flatten()
        tensor([0., 2., 3.])
    """
    _check(structure, (weight,), backend, x=x)
    return eager.propagate(structure, weight, x, transpose=False, backend=backend)


def backpropagate(
    structure: Structure, weight: Tensor, grad: Tensor, *, backend: str = "auto"
) -> Tensor:
    r"""Exchange values against the direction of the synapses, as backpropagation does.

    .. math:: h_s = \sum_{s \to t} w_{s \to t} \, g_t

    With weights other than those of the forward pass this is feedback alignment.

    Args:
        structure: The synapses.
        weight: [E], float32 or float64, in the order of ``structure.edge_index``.
        grad: g [N, B], one column per sample, in the dtype of ``weight``.
        backend: "auto", "native", "triton", "torch", "dense" or "reference".

    Returns:
        h [N, B]. It can be differentiated any number of times.

    Raises:
        TypeError: As :func:`propagate`.
        ValueError: As :func:`propagate`.
        RuntimeError: As :func:`propagate`.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, backpropagate
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> backpropagate(structure, torch.tensor([2.0, 3.0]), torch.ones(3, 1)).flatten()
        tensor([2., 3., 0.])
    """
    _check(structure, (weight,), backend, grad=grad)
    return eager.propagate(structure, weight, grad, transpose=True, backend=backend)


def correlate(structure: Structure, post: Tensor, pre: Tensor, *, backend: str = "auto") -> Tensor:
    r"""Multiply the values at both ends of every synapse and sum over the batch.

    .. math:: c_{s \to t} = \sum_b \mathrm{post}_{tb} \, \mathrm{pre}_{sb}

    This is a sampled dense product (SDDMM). The gradient of the weights is
    ``correlate(structure, gradient, state)``, Hebb's product ``correlate(structure, y, x)``.

    Args:
        structure: The synapses.
        post: [N, B], float32 or float64, read at targets.
        pre: [N, B], in the same dtype, read at sources.
        backend: "auto", "native", "triton", "torch", "dense" or "reference".

    Returns:
        c [E], in the order of ``structure.edge_index``. It can be differentiated any number of
        times.

    Raises:
        TypeError: As :func:`propagate`.
        ValueError: As :func:`propagate`.
        RuntimeError: As :func:`propagate`.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, correlate
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> x = torch.tensor([[1.0], [2.0], [3.0]])
        >>> correlate(structure, x, x)
        tensor([2., 6.])
    """
    _check(structure, (), backend, post=post, pre=pre)
    return eager.correlate(structure, post, pre, backend=backend)


def loop(
    structure: Structure,
    weight: Tensor,
    state: Tensor,
    *,
    loops: int,
    drive: Tensor | None = None,
    bias: Tensor | None = None,
    leak: Tensor | None = None,
    activation: str | Callable[[Tensor], Tensor] = "none",
    form: str = "rate",
    noise: Callable[[int], Tensor] | CounterNoise | None = None,
    keep: bool = False,
    checkpoint: bool = False,
    state_dtype: torch.dtype | None = None,
    backend: str = "auto",
) -> list[Tensor]:
    r"""Run all loops of a layer in one call.

    .. math:: x(t + 1) = (1 - \lambda) \odot x(t) + \lambda \odot f(W x(t) + b + \mathrm{drive})

    With ``form="voltage"`` the state is a membrane potential, and synapses carry the rate f(x):

    .. math:: x(t + 1) = (1 - \lambda) \odot x(t) + \lambda \odot (W f(x(t)) + b + \mathrm{drive})

    Args:
        structure: The synapses.
        weight: [E], float32 or float64, tied over the loops.
        state: x(0), [N, B].
        loops: The number of loops, from 1 to a million.
        drive: [N, B], added to the pre-activation at every loop.
        bias: b, [N].
        leak: lambda [N], from 0 to 1 and 1 by default: the share of the new value in the next
            state, which is a step of Euler's method over a neuron's time constant.
        activation: "none", "tanh", "sigmoid", "relu", "leaky_relu" (slope 0.01), "gelu" (by the
            error function), "silu", "softplus" (the identity above 20) or "hardtanh", which are
            fused, or any function of a tensor, which runs loop by loop.
        form: "rate" or "voltage".
        noise: A :class:`~sparsebrain.kernels.noise.CounterNoise`, which is fused, or a function of
            the loop's number, from 0, that returns what is added to the state after this loop,
            [N, B]. The loops then run one by one, and with ``checkpoint`` the function is called
            again and must return the same values.
        keep: Whether to return every state and not only the last one.
        checkpoint: For the backward pass, keep a state every sqrt(loops) loops and recompute the
            others, one segment at a time.
        state_dtype: ``torch.bfloat16`` to round the state to bfloat16 before the first and after
            each loop, as :mod:`sparsebrain.kernels.narrow` defines, which halves the memory that a
            synapse reads; None for no rounding. States, weights and results remain float32 tensors.
            For form="rate" and a named activation, without second derivatives, and not with the
            backend "triton".
        backend: "auto", "native", "triton", "torch", "dense" or "reference".

    Returns:
        [x(1), ..., x(loops)] with ``keep``, otherwise [x(loops)]; each [N, B].

    Raises:
        TypeError: If an argument has the wrong type, dtypes differ, or a function returns something
            other than a tensor like the state.
        ValueError: If a shape does not fit, an option is unknown, a leak is out of range, or the
            states do not fit into memory.
        RuntimeError: If the backend cannot run on the device of ``state``.

    Note:
        Memory is O(loops N B) if a gradient is needed, because backpropagation needs every state,
        O(sqrt(loops) N B) with ``checkpoint``, and O(N B) without a gradient. The loop can be
        differentiated any number of times; derivatives of the gradient recompute the loops one by
        one. ``torch.func``, forward-mode derivatives, ``torch.jit.trace`` and ONNX export run on
        PyTorch's own operations, with O(E B) memory per loop.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, loop
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> (last,) = loop(structure, torch.tensor([2.0, 3.0]), torch.ones(3, 1), loops=2)
        >>> last.flatten()
        tensor([0., 0., 6.])
    """
    return run_loop(
        structure,
        weight,
        LoopInputs(state, drive, bias, leak),
        loops=loops,
        activation=activation,
        form=form,
        noise=noise,
        keep=keep,
        checkpoint=checkpoint,
        state_dtype=state_dtype,
        backend=backend,
        rows=False,
    )


def run_loop(
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: str | Callable[[Tensor], Tensor],
    form: str,
    noise: Noise | CounterNoise | None,
    keep: bool,
    checkpoint: bool,
    backend: str,
    rows: bool,
    stacked: bool = False,
    state_dtype: torch.dtype | None = None,
) -> list[Tensor]:
    """Run :func:`loop`; with ``rows`` for state and drive [..., N].

    Returned states then have their shape, and are copies that the caller may overwrite: with
    ``stacked`` the last state and one tensor [loops + 1, ..., N] of all from the initial one on.
    Functions receive and return this shape.
    """
    _check_options(loops, activation, form, noise, keep, checkpoint)
    usual = _is_usual(structure, weight, inputs, rows=rows)
    if not usual:
        _check_loop(structure, weight, inputs, rows=rows)
    check_backend(backend)
    state, _, _, leak = inputs
    if isinstance(noise, CounterNoise):
        check_key("noise.key", noise.key, state)
        arguments.real("noise.std", noise.std, positive=True)
    activation = fused_name(activation)
    narrow = state_dtype is not None and check_state_dtype(state_dtype)
    if narrow:
        # A compiled model comes to the operator, which checks the backend that it resolves.
        chosen = "" if torch.compiler.is_compiling() else resolve(backend, state.device).name
        index = structure.by_target.pointer
        drawn_by = None if isinstance(noise, CounterNoise) else noise
        check_call(form, activation, drawn_by, state, index, chosen)
    keep = keep or stacked
    watched = eager.is_watched()
    transformed, compiling = watched and is_transformed(), torch.compiler.is_compiling()
    if leak is not None and not transformed and not compiling:
        check_leak(leak)
    learns = torch.is_grad_enabled() and (
        weight.requires_grad or any(each is not None and each.requires_grad for each in inputs)
    )
    segment = segment_length(loops) if checkpoint else 0
    if not compiling:
        check_room(state, loops, segment, every=keep, learns=learns)
    fused = isinstance(activation, str) and ACTIVATIONS[activation].number is not None
    drawn = noise is None or isinstance(noise, CounterNoise)
    if isinstance(activation, str) and fused and drawn and not transformed:
        return eager.loop(
            structure,
            weight,
            inputs,
            loops=loops,
            activation=activation,
            form=form,
            keep=keep,
            learns=learns,
            segment=segment,
            backend=backend,
            rows=rows,
            plain=usual and not watched,
            noise=noise if isinstance(noise, CounterNoise) else None,
            stacked=stacked,
            narrow=narrow,
        )
    function = ACTIVATIONS[activation].function if isinstance(activation, str) else activation
    if callable(noise):
        noise = partial(_checked_noise, noise, state)
    if rows:
        states = run_rows(
            structure,
            weight,
            inputs,
            loops=loops,
            activation=function,
            form=form,
            noise=noise,
            keep=keep,
            segment=segment,
            backend=backend,
        )
        return eager.stack(state, states) if stacked else states
    return run_stepwise(
        partial(eager.propagate, structure, weight, transpose=False, backend=backend),
        inputs,
        loops=loops,
        activation=function,
        form=form,
        noise=partial(noise.values, state=state) if isinstance(noise, CounterNoise) else noise,
        keep=keep,
        segment=segment,
    )


def check_room(state: Tensor, loops: int, segment: int, *, every: bool, learns: bool) -> None:
    """Raise ValueError unless the states that a call of loops keeps fit into memory."""
    kept = loops + 1 if every or learns else 1
    kept = 2 * segment if segment and not every else kept
    tensors.room(
        f"loops={loops}",
        kept * state.nbytes,
        "pass fewer loops, a smaller batch, or checkpoint=True if keep is not needed",
    )


def _is_usual(structure: Any, weight: Any, inputs: LoopInputs, *, rows: bool) -> bool:
    """Return whether ordinary tensors fit each other; quick, as every call of a layer asks.

    False is no fault: the checks that describe faults follow.
    """
    state, drive, bias, leak = inputs
    if type(structure) is not Structure or type(state) not in eager.PLAIN or state.is_nested:
        return False
    shape, dtype, device = state.shape, state.dtype, structure.device
    nodes = structure.num_nodes
    return (
        dtype in DTYPES
        and (shape[-1] == nodes if rows and shape else len(shape) == 2 and shape[0] == nodes)
        and not state.is_meta
        and eager.is_like(state, shape, dtype, device)
        and eager.is_like(weight, (structure.num_edges,), dtype, device)
        and (drive is None or drive is state or eager.is_like(drive, shape, dtype, device))
        and (bias is None or eager.is_like(bias, (nodes,), dtype, device))
        and (leak is None or eager.is_like(leak, (nodes,), dtype, device))
    )


def _check_loop(structure: Structure, weight: Tensor, inputs: LoopInputs, *, rows: bool) -> None:
    """Raise TypeError or ValueError if tensors do not fit each other, else return."""
    columns = eager.turned(inputs, structure) if rows else inputs
    state, drive, bias, leak = columns
    given = {"state": state} if drive is None else {"state": state, "drive": drive}
    _check(structure, (weight,), "auto", **given)
    for name, each in {"bias": bias, "leak": leak}.items():
        if each is not None:
            size, dtypes = (structure.num_nodes,), (state.dtype,)
            tensors.tensor(name, each, size, dtypes=dtypes, device=state.device, like="state")


def _checked_noise(noise: Callable[[int], Tensor], state: Tensor, number: int) -> Tensor:
    return tensors.tensor(
        "noise(number)",
        noise(number),
        tuple(state.shape),
        dtypes=(state.dtype,),
        device=state.device,
    )


def _check_options(
    loops: Any, activation: Any, form: Any, noise: Any, keep: Any, checkpoint: Any
) -> None:
    # Every call of a layer passes such options.
    if (
        type(loops) is int
        and 1 <= loops <= MOST_LOOPS
        and type(activation) is str
        and activation in ACTIVATIONS
        and type(form) is str
        and form in FORMS
        and noise is None
        and type(keep) is type(checkpoint) is bool
    ):
        return
    arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)
    check_activation(activation, ACTIVATIONS)
    check_form(form)
    if isinstance(noise, CounterNoise):
        noise = None
    if noise is not None and (not callable(noise) or isinstance(noise, type | nn.Module)):
        raise TypeError(
            f"noise must be a function of the loop's number, got {type(noise).__name__}; pass "
            "noise=lambda number: std * torch.randn_like(state)"
        )
    arguments.flag("keep", keep)
    arguments.flag("checkpoint", checkpoint)


def _check(
    structure: Structure, weights: tuple[Tensor, ...], backend: str, **states: Tensor
) -> None:
    """Check the tensors of a call, and name them as the arguments of the functions above.

    Operators check again everything that memory safety depends on, since they can be called
    directly.

    Args:
        structure: The synapses.
        weights: The argument ``weight`` [E], of those functions that have it.
        backend: The name of a backend.
        states: States [N, B] by the name of their argument. The first one determines the shape and
            dtype of the others and the dtype of ``weight``.
    """
    check_structure(structure)
    check_backend(backend)
    device = structure.device
    dtypes: tuple[torch.dtype, ...] = DTYPES
    shape: tuple[int | str, ...] = (structure.num_nodes, "B")
    first, fix = next(iter(states)), None
    for name, state in states.items():
        tensors.tensor(name, state, shape, dtypes=dtypes, device=device, like=first, fix=fix)
        fix = f"pass {' and '.join(states)} of the same shape"
        shape, dtypes = tuple(state.shape), (state.dtype,)
    for weight in weights:
        size = (structure.num_edges,)
        tensors.tensor("weight", weight, size, dtypes=dtypes, device=device, like=first)
