"""The three primitives and the loop, as functions of tensors that check what they are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.autograd import forward_ad

from graphs import arguments
from sparsebrain.kernels import operators
from sparsebrain.kernels.activations import activation_called
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.checkpointing import segment_length
from sparsebrain.kernels.checks import DTYPES, check_place, check_tensor
from sparsebrain.kernels.stepwise import run_stepwise
from sparsebrain.kernels.structure import Structure


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
    _check(structure, weight, x=x)
    return operators.propagate(weight, x, structure.arrays(), False, backend)


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
    _check(structure, weight, grad=grad)
    return operators.propagate(weight, grad, structure.arrays(), True, backend)


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
    _check(structure, None, post=post, pre=pre)
    return operators.correlate(post, pre, structure.arrays(), backend)


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
    loops = arguments.count("loops", loops, at_least=1)
    given = {"state": state} if drive is None else {"state": state, "drive": drive}
    _check(structure, weight, **given)
    for name, each in {"bias": bias, "leak": leak}.items():
        if each is not None:
            check_tensor(name, each, (structure.num_nodes,), state, whole=False)
    arguments.flag("checkpoint", checkpoint)
    inputs = LoopInputs(state, drive, bias, leak)
    segment = segment_length(loops) if checkpoint else 0
    fused = not callable(activation) and activation_called(activation).number is not None
    if callable(activation) or not fused or noise is not None:
        return run_stepwise(
            partial(_exchange, weight, structure.arrays(), backend),
            inputs,
            loops=loops,
            activation=activation
            if callable(activation)
            else activation_called(activation).function,
            noise=None if noise is None else partial(_checked_noise, noise, state),
            keep=keep,
            segment=segment,
        )
    tensors = [tensor for tensor in (weight, *inputs) if tensor is not None]
    learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
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
    return operators.propagate(weight, state, arrays, False, backend)


def _checked_noise(noise: Callable[[int], Tensor], state: Tensor, number: int) -> Tensor:
    drawn = noise(number)
    check_tensor("noise", drawn, tuple(state.shape), state, whole=False)
    return drawn


def _check(structure: Structure, weight: Tensor | None, **states: Tensor) -> None:
    """Raise unless a call makes sense, in the words of the functions above.

    Operators check again all that memory is safe by, since they can be called without us; here is
    what only a user of tensors can get wrong. ``states`` [N, B] are named as the caller's arguments
    are; the first of them says what shape and dtype the others, and ``weight`` [E], must have.
    """
    if not isinstance(structure, Structure):
        raise TypeError(
            f"expected a Structure, got {type(structure).__name__}; "
            "pass Structure(edge_index, num_nodes)."
        )
    first = next(iter(states.values()))
    for name, state in states.items():
        if state.dim() != 2 or state.size(0) != structure.num_nodes:
            raise ValueError(
                f"{name} must have shape [{structure.num_nodes}, B], one column a sample, "
                f"got {list(state.shape)}."
            )
        if state is not first and state.shape != first.shape:
            raise ValueError(
                f"{' and '.join(states)} must have one shape, "
                f"got {list(first.shape)} and {list(state.shape)}."
            )
    tensors = states
    if weight is not None:
        if weight.shape != (structure.num_edges,):
            raise ValueError(
                f"weight must have shape [{structure.num_edges}], one for each synapse, "
                f"got {list(weight.shape)}."
            )
        tensors = {"weight": weight, **states}
    _check_no_tangents(tensors)
    _check_dtypes(tensors)
    for name, tensor in tensors.items():
        if tensor.device != structure.device:
            _raise_misplaced(name, tensor, structure)


def _check_no_tangents(tensors: dict[str, Tensor]) -> None:
    """NotImplementedError in forward mode: an operator of torch.library drops tangents silently."""
    if forward_ad._current_level >= 0 and any(
        forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors.values()
    ):
        raise NotImplementedError(
            "forward-mode derivatives (torch.func.jvp) are not implemented; "
            "use reverse mode, such as torch.func.vjp or backward()."
        )


def _check_dtypes(tensors: dict[str, Tensor]) -> None:
    """TypeError unless all are float32, or all float64."""
    dtypes = {tensor.dtype for tensor in tensors.values()}
    if len(dtypes) > 1 or not dtypes.issubset(DTYPES):
        told = ", ".join(f"{name} {tensor.dtype}" for name, tensor in tensors.items())
        raise TypeError(
            f"expected float32 or float64, the same for all, got {told}; call .float() first."
        )


def _raise_misplaced(name: str, tensor: Tensor, structure: Structure) -> None:
    """ValueError that says which of both should move: the structure, or a tensor without values."""
    if tensor.is_meta:
        check_place(name, tensor, structure.device)
    raise ValueError(
        f"{name} is on {tensor.device}, the structure on {structure.device}; "
        f"call structure.to('{tensor.device}')."
    )
