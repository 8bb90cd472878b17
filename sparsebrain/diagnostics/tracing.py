"""One call of a layer, watched from inside while the model around it runs."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.nn.batching import to_columns
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.maxout import Maxout
from sparsebrain.nn.messages import as_rows

Call = Tensor | tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a layer of N neurons computed in one call, each tensor in the shape of that call.

    Attributes:
        layer: which was watched.
        function: its activation f.
        given: what the layer was called with.
        before: the argument of f at every loop, ``loops`` of them.
        states: x(0), ..., x(loops).
        output: what the model returned.
        node_first: whether the call was ``layer(x, edge_index)``.
    """

    layer: GraphLayer
    function: Callable[[Tensor], Tensor]
    given: Tensor
    before: list[Tensor]
    states: list[Tensor]
    output: Any
    node_first: bool

    def rows(self, values: Tensor) -> Tensor:
        """Values in the shape of the call as [S, N], one row a sample, outside of autograd."""
        columns = to_columns(values.detach(), self.layer.num_nodes, node_first=self.node_first)
        return columns.t()


def find_layer(model: nn.Module, layer: GraphLayer | None = None) -> GraphLayer:
    """The graph layer of a model, or the one named among several.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: there is none, more than one to choose from, or not this one.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module with a GraphLayer, got {type(model).__name__}.")
    layers = [module for module in model.modules() if isinstance(module, GraphLayer)]
    if layer is not None:
        if not any(layer is each for each in layers):
            raise ValueError("layer= is not in the model; pass one of its GraphLayers.")
        return layer
    if any(isinstance(module, Maxout) for module in model.modules()):
        raise ValueError(
            "a Maxout is no GraphLayer: its pieces are, and none of them sees the loops; pass a "
            "model with a GraphLayer, or the one beside the Maxout, layer=..."
        )
    if len(layers) != 1:
        raise ValueError(
            f"the model has {len(layers)} GraphLayers; "
            + ("pass the one to look into, layer=..." if layers else "pass a model with one.")
        )
    return layers[0]


def trace(model: nn.Module, x: Call, layer: GraphLayer | None, *, learns: bool = False) -> Trace:
    """Run a model and watch its layer.

    The model stays as it was: its mode, its buffers, which batch normalisation would change, and
    its gradients.

    Args:
        model: a GraphLayer or any model that calls one once.
        x: what the model is called with, a tuple for more arguments than one.
        layer: which, if the model has several.
        learns: let autograd see it. What the layer is given and its x(0) are then leaves, so that
            every tensor of the trace can be differentiated by.

    Raises:
        ValueError: the layer is not called, or more than once.
    """
    layer = find_layer(model, layer)
    watch = _Watch(layer, learns)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    arguments = x if isinstance(x, tuple) else (x,)
    with torch.set_grad_enabled(learns), watch.attached():
        output = torch.func.functional_call(model, buffers, arguments)
    if watch.given is None:
        raise ValueError("the model ran without calling its GraphLayer; nothing was seen.")
    if len(watch.before) != layer.loops:
        raise ValueError(
            f"expected a number of loops that run one by one, got loops={layer.loops!r} and saw "
            f"{len(watch.before)}; make the layer with loops=N to see N of them."
        )
    return Trace(
        layer,
        watch.function,
        watch.given,
        watch.before,
        watch.states,
        output,
        watch.node_first,
    )


class _Watch:
    """Stands in for a layer's activation, which sees every loop on every way through the layer."""

    def __init__(self, layer: GraphLayer, learns: bool) -> None:
        self.layer, self.learns = layer, learns
        self.thread = threading.get_ident()
        self.noise = layer.noise
        self.generator: torch.Generator | None = None
        function = layer.activation
        self.function = ACTIVATIONS[function].function if isinstance(function, str) else function
        self.given: Tensor | None = None
        self.before: list[Tensor] = []
        self.states: list[Tensor] = []
        self.node_first = False
        self._unwrap = False

    @contextmanager
    def attached(self) -> Iterator[None]:
        # Whoever differentiates needs all states; computed again, they would be seen twice. What
        # comes after the activation is done in its stead.
        stand_in = {
            "activation": self._activate,
            "checkpoint": False,
            "_leak_per_neuron": lambda like: None,
            "noise": 0.0,
        }
        own = self.layer.__dict__
        if "_leak_per_neuron" in own:
            raise RuntimeError(
                "the layer is watched already, by a diagnostic in another thread or around this "
                "one; wait until it is done, or give this one copy.deepcopy(model)."
            )
        kept = {name: own[name] for name in stand_in if name in own}
        hooks = (
            self.layer.register_forward_pre_hook(self._enter, with_kwargs=True),
            self.layer.register_forward_hook(self._leave, prepend=True),
        )
        own.update(stand_in)
        try:
            yield
        finally:
            for name in stand_in:
                del own[name]
            own.update(kept)
            for hook in hooks:
                hook.remove()

    def _activate(self, total: Tensor) -> Tensor:
        after = self.function(total)
        leak = GraphLayer._leak_per_neuron(self.layer, total)
        if leak is not None:
            leak = as_rows(leak, total) if self.node_first else leak
            after = torch.lerp(self.states[-1], after, leak)
        if self.layer.training and self.noise:
            drawn = torch.randn(
                after.shape, generator=self.generator, device=after.device, dtype=after.dtype
            )
            after = after + self.noise * drawn
        self.before.append(total)
        self.states.append(after)
        return after

    def _enter(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if threading.get_ident() != self.thread:
            raise RuntimeError(
                "the layer is called while another thread watches it, which would take one call "
                "for the other; wait until the diagnostic is done, or give it "
                "copy.deepcopy(model)."
            )
        if self.given is not None:
            raise ValueError(
                "the model calls its GraphLayer more than once; pass the layer itself with one of "
                "its inputs."
            )
        call = inspect.signature(self.layer.forward).bind(*args, **kwargs)
        values = call.arguments
        if self.noise:
            # The layer, which has no noise meanwhile, would refuse it.
            self.generator = values.pop("generator", None)
        self.node_first = values.get("edge_index") is not None
        self.given = values["x"] = self._leaf(values["x"])
        start = self.given
        if self.layer.inject:
            state = values.get("state")
            start = self._leaf(torch.zeros_like(start) if state is None else state)
            values["state"] = start
            self._unwrap = state is None and not values.get("return_states", False)
        self.states.append(start)
        return call.args, call.kwargs

    def _leave(self, layer: nn.Module, args: Any, output: Any) -> Any:
        return output[0] if self._unwrap else output

    def _leaf(self, value: Tensor) -> Tensor:
        return value.detach().requires_grad_(self.learns)
