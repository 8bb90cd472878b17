"""Recording of one call of a layer while the surrounding model runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.stepwise import check_kept, per_row, respond
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.maxout import Maxout
from sparsebrain.nn.misfits import explain
from sparsebrain.nn.recurrence import Recurrence, to_columns

Call = Tensor | tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """The computation of a layer of N neurons in one call; all tensors have the shape of that call.

    Attributes:
        layer: The layer that was recorded.
        function: Its activation f.
        given: The input of the layer.
        before: The arguments of f, one tensor per loop; with ``form="voltage"`` the states before
            the loops.
        states: The states x(0), ..., x(loops).
        output: The output of the model.
        node_first: Whether the call was ``layer(x, edge_index)``.
    """

    layer: GraphLayer
    function: Callable[[Tensor], Tensor]
    given: Tensor
    before: list[Tensor]
    states: list[Tensor]
    output: Any
    node_first: bool

    def rows(self, values: Tensor) -> Tensor:
        """Return values in the shape of the call as detached [S, N], one row per sample."""
        columns = to_columns(values.detach(), self.layer.num_nodes, node_first=self.node_first)
        return columns.t()


def find_layer(model: nn.Module, layer: GraphLayer | None = None) -> GraphLayer:
    """Return the only graph layer of a model, or check the one given.

    Raises:
        TypeError: ``model`` is not a module, or ``layer`` is not a GraphLayer.
        ValueError: The model has no graph layer, several to choose from, or not the given one.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a module, got {arguments.described(model)}; pass a GraphLayer, or a "
            "model with one."
        )
    layers = [module for module in model.modules() if isinstance(module, GraphLayer)]
    if layer is not None:
        if not isinstance(layer, GraphLayer):
            raise TypeError(
                f"layer must be a GraphLayer, got {arguments.described(layer)}; pass one of the "
                "model's GraphLayers."
            )
        if not any(layer is each for each in layers):
            raise ValueError("layer is not in the model; pass one of its GraphLayers.")
        return layer
    if any(isinstance(module, Maxout) for module in model.modules()):
        raise ValueError(
            "model has a Maxout, whose loops cannot be recorded; pass a model without one, or "
            "another GraphLayer of the model, layer=..."
        )
    if len(layers) != 1:
        raise ValueError(
            f"model has {len(layers)} GraphLayers; "
            + ("pass the one to analyze, layer=..." if layers else "pass a model with one.")
        )
    return layers[0]


def trace(model: nn.Module, x: Call, layer: GraphLayer | None, *, learns: bool = False) -> Trace:
    """Run a model and record its layer.

    The mode, the gradients and the buffers of the model, such as the statistics of batch
    normalization, do not change.

    Args:
        model: A GraphLayer, or any model that calls one once.
        x: The input of the model; a tuple if the model takes several arguments.
        layer: The layer to record, if the model has several.
        learns: Record with autograd. The input of the layer and its x(0) are then leaves, so that
            derivatives with respect to every tensor of the trace exist.

    Raises:
        ValueError: The layer is not called, or called more than once.
    """
    layer = find_layer(model, layer)
    given = x if isinstance(x, tuple) else (x,)
    if not given:
        raise ValueError("x must hold at least one argument of the model, got (); pass a tensor.")
    for place, each in enumerate(given):
        name = f"x[{place}]" if isinstance(x, tuple) else "x"
        if isinstance(each, Tensor):
            tensors.tensor(name, each, dtypes=(each.dtype,), finite=True)
        elif not isinstance(x, tuple):
            tensors.tensor(name, each)
    watch = _Watch(learns)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.set_grad_enabled(learns), layer.hooked(watch):
            output = torch.func.functional_call(model, buffers, given)
    except Exception as error:
        explain(model, error)
        raise
    if watch.loops is None:
        raise ValueError(
            "model ran without calling its GraphLayer, so that nothing was recorded; pass a model "
            "that calls it, or the layer itself."
        )
    before = watch.loops.start if watch.loops.drive is None else watch.loops.drive
    node_first = watch.loops.edge_index is not None
    return Trace(layer, watch.function, before, watch.before, watch.states, output, node_first)


class _Watch:
    """A hook that records the argument of the activation at every loop and the next state.

    Every implementation of the loops calls a custom activation, in the shape of the call. This one
    also applies the leak and the noise that follow the activation, so that each recorded state is
    on autograd's path from the input to the output. With ``form="voltage"`` the custom exchange
    applies f, and the custom activation the leak and the noise alone.
    """

    loops: Recurrence | None = None
    function: Callable[[Tensor], Tensor]

    def __init__(self, learns: bool) -> None:
        self.learns = learns
        self.thread = threading.get_ident()
        self.before: list[Tensor] = []
        self.states: list[Tensor] = []

    def __call__(self, loops: Recurrence) -> Recurrence:
        if threading.get_ident() != self.thread:
            raise RuntimeError(
                "the layer is called while a diagnostic in another thread records it, which would "
                "mix up the calls; wait until the diagnostic has returned, or pass "
                "copy.deepcopy(model) to it."
            )
        if self.loops is not None:
            raise ValueError(
                "model calls its GraphLayer more than once, or the layer runs its loops more than "
                "once; pass the layer itself with one of its inputs as x."
            )
        if isinstance(loops.loops, Equilibrium):
            raise ValueError(
                f"model must run a number of loops one by one, got loops={loops.loops!r}; make the "
                "layer with loops=N to record N of them."
            )
        f = loops.activation
        self.function = ACTIVATIONS[f].function if isinstance(f, str) else f
        drive = None if loops.drive is None else self._leaf(loops.drive)
        self.loops = loops = replace(loops, start=self._leaf(loops.start), drive=drive)
        self.states.append(loops.start)
        # A checkpoint would compute, and record, the loops twice.
        watched = replace(loops, activation=self._activate, leak=None, noise=None, checkpoint=False)
        if loops.form == "rate":
            return watched
        return replace(watched, form="rate", exchange=self._send)

    def _send(self, state: Tensor) -> Tensor:
        """Return W f(x), in the layout that the loops give to an exchange."""
        loops = self.loops
        assert loops is not None
        in_columns = loops.edge_index is None
        before = loops.from_columns(state) if in_columns else state
        sent = self.function(before)
        check_kept("activation", before, sent)
        self.before.append(before)
        if loops.exchange is not None:
            return loops.exchange(loops.to_columns(sent) if in_columns else sent)
        columns = loops.to_columns(sent)
        total = kernels.propagate(loops.structure, loops.weight, columns, backend=loops.backend)
        return total if in_columns else loops.from_columns(total)

    def _activate(self, total: Tensor) -> Tensor:
        loops = self.loops
        assert loops is not None
        leak, noise = loops.leak, loops.noise
        if leak is not None and loops.edge_index is not None:
            leak = per_row(leak, total)
        draw = None if noise is None else partial(noise, len(self.states) - 1)
        function = self.function
        if loops.form == "rate":
            self.before.append(total)
        else:
            function = ACTIVATIONS["none"].function
        after = respond(self.states[-1], total, function, leak, draw)
        self.states.append(after)
        return after

    def _leaf(self, value: Tensor) -> Tensor:
        return value.detach().requires_grad_(self.learns)
