"""The three primitives and the loop, as functions of tensors that check what they are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.kernels import operators
from sparsebrain.kernels.activations import ACTIVATIONS, activation_called, check_activation
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.checkpointing import segment_length
from sparsebrain.kernels.checks import DTYPES, MOST_LOOPS, check_leak, check_structure
from sparsebrain.kernels.select import check_backend
from sparsebrain.kernels.stepwise import run_stepwise
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed


def propagate(structure: Structure, weight: Tensor, x: Tensor, *, backend: str = "auto") -> Tensor:
    r"""One exchange along all synapses, a sparse matrix product.

    .. math:: y_t = \sum_{s \to t} w_{s \to t} \, x_s

    Args:
        structure: the synapses.
        weight: [E], float32 or float64, in the order of ``structure.edge_index``.
        x: [N, B], one column a sample, the dtype of ``weight``.
        backend: "auto", "native", "triton", "torch" or "reference".

    Returns:
        y [N, B]. Differentiable to any order; O(E B) time, O(N B) memory.

    Raises:
        ValueError: a shape does not fit ``structure``.
        TypeError: a dtype is not float32 or float64, or the two differ.
        RuntimeError: the backend asked for cannot run on the device of ``x``.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, propagate
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> propagate(structure, torch.tensor([2.0, 3.0]), torch.ones(3, 1)).flatten()
        tensor([0., 2., 3.])
    """
    _check(structure, weight, backend, x=x)
    return operators.any_propagate(weight, x, structure.arrays(), False, backend)


def backpropagate(
    structure: Structure, weight: Tensor, grad: Tensor, *, backend: str = "auto"
) -> Tensor:
    r"""The same exchange against the direction of the synapses: credit flowing back.

    .. math:: h_s = \sum_{s \to t} w_{s \to t} \, g_t

    With weights other than those of the forward pass this is feedback alignment. Arguments, result
    and errors are those of :func:`propagate`.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, backpropagate
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> backpropagate(structure, torch.tensor([2.0, 3.0]), torch.ones(3, 1)).flatten()
        tensor([2., 3., 0.])
    """
    _check(structure, weight, backend, grad=grad)
    return operators.any_propagate(weight, grad, structure.arrays(), True, backend)


def correlate(structure: Structure, post: Tensor, pre: Tensor, *, backend: str = "auto") -> Tensor:
    r"""The product of both ends of every synapse, summed over the batch: a sampled dense product.

    .. math:: c_{s \to t} = \sum_b \mathrm{post}_{tb} \, \mathrm{pre}_{sb}

    The gradient of a weight is ``correlate(structure, gradient, state)``, Hebb's product
    ``correlate(structure, y, x)``.

    Args:
        structure: the synapses.
        post: [N, B], float32 or float64, read at targets.
        pre: [N, B], the same dtype, read at sources.
        backend: "auto", "native", "triton", "torch" or "reference".

    Returns:
        c [E], in the order of ``structure.edge_index``; differentiable to any order.

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`propagate`.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, correlate
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> x = torch.tensor([[1.0], [2.0], [3.0]])
        >>> correlate(structure, x, x)
        tensor([2., 6.])
    """
    _check(structure, None, backend, post=post, pre=pre)
    return operators.any_correlate(post, pre, structure.arrays(), backend)


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
    noise: Callable[[int], Tensor] | None = None,
    keep: bool = False,
    checkpoint: bool = False,
    backend: str = "auto",
) -> list[Tensor]:
    r"""All loops of a layer at once, with backpropagation through every one of them.

    .. math:: x(t + 1) = (1 - \lambda) \odot x(t) + \lambda \odot f(W x(t) + b + \mathrm{drive})

    Args:
        structure: the synapses.
        weight: [E], float32 or float64, tied over the loops.
        state: x(0), [N, B].
        loops: how often, at least 1.
        drive: [N, B], added at every loop.
        bias: [N].
        leak: lambda [N], 1 where it is not given: the share of the new value in the next state, a
            step of Euler's method over a neuron's time constant.
        activation: "none", "tanh", "sigmoid", "relu", "leaky_relu" (slope 0.01), "gelu" (by the
            error function), "silu", "softplus" (itself above 20) or "hardtanh", which are fused, or
            any function of a tensor, which autograd passes step by step.
        noise: what is added to the state after a loop, [N, B] by the loop's number from 0; the
            loops are then passed step by step. With ``checkpoint`` it is asked again, and has to
            answer the same.
        keep: return every state and not only the last.
        checkpoint: for the backward pass keep a state every sqrt(loops) loops and compute the
            others again, one segment at a time.
        backend: "auto", "native", "triton", "torch" or "reference".

    Returns:
        [x(1), ..., x(loops)] with ``keep``, else [x(loops)]; each [N, B].

    Raises:
        ValueError, TypeError, RuntimeError: as :func:`propagate`.

    Memory is O(loops N B) where a gradient is asked for, as backpropagation needs every state,
    O(sqrt(loops) N B) with ``checkpoint``, and O(N B) without a gradient. A fused loop can be
    differentiated once, in reverse mode; through a callable activation any number of times.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, loop
        >>> structure = Structure(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> (last,) = loop(structure, torch.tensor([2.0, 3.0]), torch.ones(3, 1), loops=2)
        >>> last.flatten()
        tensor([0., 0., 6.])
    """
    _check_options(loops, activation, noise, keep, checkpoint)
    given = {"state": state} if drive is None else {"state": state, "drive": drive}
    _check(structure, weight, backend, **given)
    for name, each in {"bias": bias, "leak": leak}.items():
        if each is not None:
            size, dtypes = (structure.num_nodes,), (state.dtype,)
            tensors.tensor(name, each, size, dtypes=dtypes, device=state.device, like="state")
    transformed = is_transformed()
    if leak is not None and not transformed and not torch.compiler.is_compiling():
        check_leak(leak)
    inputs = LoopInputs(state, drive, bias, leak)
    learns = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (weight, *inputs)
    )
    kept = loops + 1 if keep or learns else 1
    segment = segment_length(loops) if checkpoint else 0
    if segment and not keep:
        kept = 2 * segment
    if not torch.compiler.is_compiling():
        tensors.room(
            f"loops={loops}",
            kept * state.nbytes,
            "pass fewer loops, a smaller batch, or checkpoint=True if keep is not needed",
        )
    function = activation if callable(activation) else activation_called(activation).function
    fused = not callable(activation) and activation_called(activation).number is not None
    if not fused or noise is not None or transformed:
        return run_stepwise(
            partial(_exchange, weight, structure.arrays(), backend),
            inputs,
            loops=loops,
            activation=function,
            noise=None if noise is None else partial(_checked_noise, noise, state),
            keep=keep,
            segment=segment,
        )
    states = operators.loop(
        weight,
        *inputs,
        structure.arrays(),
        loops,
        activation,
        keep,
        learns,
        segment,
        backend,
    )
    return states[: loops if keep else 1]


def _exchange(weight: Tensor, arrays: list[Tensor], backend: str, state: Tensor) -> Tensor:
    return operators.any_propagate(weight, state, arrays, False, backend)


def _checked_noise(noise: Callable[[int], Tensor], state: Tensor, number: int) -> Tensor:
    return tensors.tensor(
        "noise(number)",
        noise(number),
        tuple(state.shape),
        dtypes=(state.dtype,),
        device=state.device,
    )


def _check_options(loops: Any, activation: Any, noise: Any, keep: Any, checkpoint: Any) -> None:
    arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)
    check_activation(activation, ACTIVATIONS)
    if noise is not None and (not callable(noise) or isinstance(noise, type | nn.Module)):
        raise TypeError(
            f"noise must be a function of the loop's number, got {type(noise).__name__}; pass "
            "noise=lambda number: std * torch.randn_like(state)"
        )
    arguments.flag("keep", keep)
    arguments.flag("checkpoint", checkpoint)


def _check(structure: Structure, weight: Tensor | None, backend: str, **states: Tensor) -> None:
    """Raise unless a call makes sense, in the words of the functions above.

    Operators check again everything that memory safety depends on, since they can be called
    directly. ``states`` [N, B] are named as the caller's arguments are; the first of them says what
    shape and dtype the others, and ``weight`` [E], must have.
    """
    check_structure(structure)
    check_backend(backend)
    device = structure.device
    dtypes: tuple[torch.dtype, ...] = DTYPES
    shape: tuple[int | str, ...] = (structure.num_nodes, "B")
    first = next(iter(states))
    for name, state in states.items():
        tensors.tensor(name, state, shape, dtypes=dtypes, device=device, like=first)
        shape, dtypes = tuple(state.shape), (state.dtype,)
    if weight is not None:
        size = (structure.num_edges,)
        tensors.tensor("weight", weight, size, dtypes=dtypes, device=device, like=first)
