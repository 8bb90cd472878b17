"""A graph layer that processes sequences, and its training on long sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.models.inputs import check_encoded, check_layer, check_module, check_samples
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.recurrence import run_steps


class Recurrent(nn.Module):
    r"""A graph layer that processes a sequence and keeps its state from step to step.

    At every time step the layer runs all of its loops on the input of that step, starting from the
    state after the previous step:

    .. math:: h_t = \mathrm{layer}(\mathrm{encode}(x_t),\, \mathrm{state}=h_{t - 1}), \qquad
        y_t = \mathrm{decode}(h_t)

    With one loop, a tanh and all synapses this is ``torch.nn.RNN(batch_first=True)``, with the bias
    and input weights in the encoder.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with ``inject=True`` and a number of loops.
        encode: A module [..., F] -> [..., N] for N neurons, such as ``nn.Linear(F, N)``. By default
            x itself has N values per step.
        decode: A module [..., N] -> [..., C]. By default the states are the outputs.

    Shape:
        x [B, T, F] (batch first, then time), or [T, F] for one sequence, and a state [B, N] or [N],
        which is zero by default -> outputs [B, T, C] and the last state, from which the next call
        continues.

    Raises:
        TypeError: If ``layer`` is not a GraphLayer, or ``encode`` or ``decode`` is not a module.
        ValueError: If the layer has no state to start from, or x is not a sequence.

    Note:
        All steps run in one compiled call, forward and back through time. The layer is called once
        per step instead, with the same result, where single steps matter: with noise, a function as
        the activation, messages or an aggregation other than the default, hooks, overridden methods
        or parametrizations of the caller's own, and under ``torch.compile``, ``torch.func`` or
        autocast. Training keeps the state after every loop of every step, or about
        2 sqrt(T loops) of them if the layer has ``checkpoint=True`` and no more loops than there
        are steps.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.models import Recurrent
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> layer = GraphLayer(ring, activation="tanh", inject=True)
        >>> model = Recurrent(layer, encode=torch.nn.Linear(3, 4), decode=torch.nn.Linear(4, 2))
        >>> outputs, state = model(torch.randn(8, 20, 3))
        >>> outputs.shape, state.shape
        (torch.Size([8, 20, 2]), torch.Size([8, 4]))
    """

    def __init__(
        self, layer: GraphLayer, *, encode: nn.Module | None = None, decode: nn.Module | None = None
    ) -> None:
        super().__init__()
        check_layer(layer)
        if not layer.inject:
            raise ValueError(
                "layer must add its input to a state; pass GraphLayer(connectome, inject=True)"
            )
        self.encode = check_module("encode", encode)
        self.layer = layer
        self.decode = check_module("decode", decode)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the outputs of all steps, and the last state."""
        check_samples(x, (..., "T", "F"), self.encode)
        if not x.size(-2):
            raise ValueError(
                f"x must be a sequence [B, T, F] or [T, F] of at least one step, got "
                f"{list(x.shape)}; pass one step or more"
            )
        driven = check_encoded(self.encode, x, self.layer.num_nodes)
        states, last = self._states(driven, state)
        return self.decode(states), last

    def _states(self, driven: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the state after every step [..., T, N], and the last one."""
        if not torch.compiler.is_compiling() and self.layer.has_plain_calls:
            found = run_steps(self.layer.describe(driven.select(-2, 0), state=state), driven)
            if found is not None:
                return found
        state = torch.zeros_like(driven.select(-2, 0)) if state is None else state
        states = []
        for drive in driven.unbind(-2):
            output, state = self.layer(drive, state=state)
            states.append(output)
        return torch.stack(states, -2), state


def _pair(returned: Any) -> tuple[Tensor, Tensor]:
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Tensor):
        return returned
    raise TypeError(
        f"model must return (outputs, state), got {type(returned).__name__}; pass a Recurrent"
    )


def _loss_of(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, y: Tensor) -> Tensor:
    try:
        value = loss(outputs, y)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"loss failed on outputs {list(outputs.shape)} and y {list(y.shape)}: {error}; pass a "
            "loss of two arguments, and y that fits the outputs"
        ) from error
    return tensors.tensor("loss(outputs, y)", value, (), fix="pass the sum of its values")


def truncated_backward(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    every: int,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Backpropagate through time in chunks of a given number of steps.

    Each chunk starts from the state after the previous one, and its gradient is taken with that
    state held fixed,

    .. math:: \sum_c \left. \frac{\partial L_c}{\partial \theta} \right|_{h_{c - 1}\ \text{fixed}}

    so that memory grows with the length of a chunk and not with T. The state carries information
    from before a chunk, but no gradient reaches further back than its start. If ``every`` is at
    least T, this is the full gradient. R. J. Williams, J. Peng, "An efficient gradient-based
    algorithm for on-line training of recurrent network trajectories", Neural Computation 2 (1990).

    Gradients are added to ``.grad``, as ``loss.backward()`` does. For an optimizer step after each
    chunk, call this function once per chunk with the state that the previous call returned.

    Args:
        model: A :class:`Recurrent`, or any module with the same call and results, such as
            ``nn.RNN(batch_first=True)``.
        x: [B, T, F] or [T, F].
        y: [B, T, ...] or [T, ...], the target at each step.
        loss: A function of the outputs and y of a chunk. It must return a sum over steps and not a
            mean, so that the losses of all chunks add up to that of the sequence.
        every: The number of steps of a chunk, at least 1; the last chunk may be shorter.
        state: The initial state, zero by default.

    Returns:
        The loss of the sequence, and the last state, both without a graph.

    Raises:
        TypeError: If an argument has the wrong type, or the model does not return outputs and
            state.
        ValueError: If x is not a sequence, y has other steps, or ``every`` is less than 1.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.models import Recurrent, truncated_backward
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> model = Recurrent(GraphLayer(ring, activation="tanh", inject=True))
        >>> x, y = torch.randn(2, 8, 100, 4)
        >>> def loss(outputs, wanted):
        ...     return (outputs - wanted).square().sum()
        >>> total, state = truncated_backward(model, x, y, loss, every=20)
        >>> model.layer.weight.grad.shape
        torch.Size([4])
    """
    every = arguments.count("every", every, at_least=1)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {model!r:.60}; pass a Recurrent")
    if not arguments.is_function(loss):
        raise TypeError(
            f"loss must be a function of outputs and y, got {loss!r:.60}; pass "
            "torch.nn.MSELoss(reduction='sum')"
        )
    tensors.tensor("x", x, (..., "T", "F"), dtypes=tensors.REAL)
    tensors.tensor("y", y, dtypes=tensors.REAL)
    time = x.dim() - 2
    if y.shape[: time + 1] != x.shape[:-1]:
        raise ValueError(
            f"y must have one entry for each step of x {list(x.shape)}, "
            f"{tensors.text((*x.shape[:-1], '...'))}, got {list(y.shape)}; pass y.unsqueeze(-1) or "
            "another that fits"
        )
    total = torch.zeros((), device=x.device)
    for chunk, wanted in zip(x.split(every, time), y.split(every, time), strict=True):
        outputs, left = _pair(model(chunk, state))
        part = _loss_of(loss, outputs, wanted)
        part.backward()
        total = total + part.detach()
        state = left.detach()
    assert state is not None
    return total, state
