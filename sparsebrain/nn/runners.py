"""How a layer's loops are run: so many of them, or until nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.equilibrium import Loops, Reports, settle
from sparsebrain.equilibrium.solvers import SomeLoops
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.functional import check_shape_kept
from sparsebrain.nn.batching import from_columns, to_columns
from sparsebrain.nn.messages import Exchange, message_step
from sparsebrain.nn.renumbering import Renumbering


def run_fused(
    layer: Any,
    weight: Tensor,
    start: Tensor,
    drive: Tensor | None,
    noise: Callable[[int], Tensor] | None,
    *,
    node_first: bool,
    keep: bool,
) -> list[Tensor]:
    """The state after every loop of a GraphLayer with ``keep``, else the last, shaped as given.

    ``noise`` gives what is added after a loop, in that shape too.
    """
    inputs = _columns(layer, weight, start, drive, node_first=node_first)
    near = _renumbering(layer) if noise is None else None
    if near is not None:
        inputs = near.enter(inputs)

    def noise_of_columns(number: int) -> Tensor:
        assert noise is not None
        return to_columns(noise(number), layer.num_nodes, node_first=node_first)

    states = kernels.loop(
        layer.structure if near is None else near.structure,
        weight,
        inputs.state,
        loops=layer.loops,
        drive=inputs.drive,
        bias=inputs.bias,
        leak=inputs.leak,
        activation=activation_of_columns(layer, start.shape, node_first=node_first),
        noise=None if noise is None else noise_of_columns,
        keep=keep,
        checkpoint=layer.checkpoint,
        backend=layer.backend,
    )
    if near is not None:
        states = [near.leave(state) for state in states]
    return [from_columns(columns, start.shape, node_first=node_first) for columns in states]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def run_equilibrium(
    layer: Any,
    exchange: Exchange,
    weight: Tensor,
    start: Tensor,
    drive: Tensor,
    edge_index: Tensor | None,
    reports: Reports,
    *,
    plain: bool,
) -> Tensor:
    """The equilibrium of a GraphLayer, shaped as given; ``reports`` is given the report of it.

    ``plain`` says that nobody asks for single messages; ``exchange`` is as in ``run_messages``.
    """
    node_first, shape = edge_index is not None, start.shape
    inputs = _columns(layer, weight, start, drive, node_first=node_first)
    near = _renumbering(layer) if plain else None
    if near is not None:
        inputs = near.enter(inputs)
    structure = layer.structure if near is None else near.structure
    if not plain:
        loops = _stepwise_loops(_step_of_messages(layer, exchange, weight, drive, edge_index))
    elif isinstance(layer.activation, str):
        loops = _fused_loops(layer, structure, weight, inputs)
    else:
        step = _step_of_function(layer, weight, inputs, shape, node_first=node_first)
        loops = _stepwise_loops(step)
    samples = shape[:-1]
    if node_first:
        samples = torch.Size((shape[0] // max(layer.num_nodes, 1), shape[1]))

    # It moves no equilibrium, and so learns nothing from one.
    damping = None if inputs.leak is None else inputs.leak.detach().unsqueeze(1)
    z = settle(layer.loops, loops, inputs.state, damping, samples, reports)
    if near is not None:
        z = near.leave(z)
    return from_columns(z, shape, node_first=node_first)


def activation_of_columns(
    layer: Any, shape: torch.Size, *, node_first: bool
) -> str | Callable[[Tensor], Tensor]:
    """The activation for columns [N, B], given to a function in the shape of the input."""
    function = layer.activation
    if isinstance(function, str):
        return function

    def apply(columns: Tensor) -> Tensor:
        state = from_columns(columns, shape, node_first=node_first)
        after = function(state)
        check_shape_kept(state, after)
        return to_columns(after, layer.num_nodes, node_first=node_first)

    return apply


def _columns(
    layer: Any, weight: Tensor, start: Tensor, drive: Tensor | None, *, node_first: bool
) -> LoopInputs:
    given = LoopInputs(start, drive, None, None)
    inputs = given.map(lambda x: to_columns(x, layer.num_nodes, node_first=node_first))
    leak = layer._leak_per_neuron(weight)
    return inputs._replace(bias=layer._offset(weight), leak=leak)


def _renumbering(layer: Any) -> Renumbering | None:
    # A function of the whole state has to meet the neurons in their order.
    return layer._renumbering if isinstance(layer.activation, str) else None


def _fused_loops(
    layer: Any, structure: kernels.Structure, weight: Tensor, inputs: LoopInputs
) -> Loops:
    def exchange(state: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
        (state,) = kernels.loop(
            structure,
            weight,
            state,
            loops=loops,
            drive=given[0],
            bias=inputs.bias,
            activation=layer.activation,
            backend=layer.backend,
        )
        return state

    activation, fixed = ACTIVATIONS[layer.activation], weight.detach()

    def step_back(v: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
        grad, known = given
        for _ in range(loops):
            local = activation.backward(v, known)
            v = kernels.backpropagate(structure, fixed, local, backend=layer.backend).add_(grad)
        return v

    def way_back(state: Tensor, z: Tensor) -> tuple[SomeLoops, tuple[Tensor, ...]]:
        return step_back, (argument(state) if activation.of_argument else z,)

    @torch.no_grad()
    def argument(state: Tensor) -> Tensor:
        (total,) = kernels.loop(
            structure,
            fixed,
            state,
            loops=1,
            drive=inputs.drive,
            bias=inputs.bias,
            backend=layer.backend,
        )
        return total

    assert inputs.drive is not None
    return Loops(exchange, way_back, (inputs.drive,), whole=False)


def _stepwise_loops(step: Callable[[Tensor], Tensor]) -> Loops:
    """Loops of any step on [N, B], whose way back is left to autograd."""

    def exchange(state: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
        for _ in range(loops):
            state = step(state)
        return state

    def way_back(state: Tensor, z: Tensor) -> tuple[SomeLoops, tuple[Tensor, ...]]:
        leaf = state.detach().requires_grad_()
        with torch.enable_grad():
            after = step(leaf)

        def step_back(v: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
            for _ in range(loops):
                (back,) = torch.autograd.grad(after, leaf, v, retain_graph=True, allow_unused=True)
                v = given[0] if back is None else given[0] + back
            return v

        return step_back, ()

    return Loops(exchange, way_back, (), whole=True)


def _step_of_function(
    layer: Any, weight: Tensor, inputs: LoopInputs, shape: torch.Size, *, node_first: bool
) -> Callable[[Tensor], Tensor]:
    function = activation_of_columns(layer, shape, node_first=node_first)

    def step(state: Tensor) -> Tensor:
        (after,) = kernels.loop(
            layer.structure,
            weight,
            state,
            loops=1,
            drive=inputs.drive,
            bias=inputs.bias,
            activation=function,
            backend=layer.backend,
        )
        return after

    return step


def _step_of_messages(
    layer: Any,
    exchange: Exchange,
    weight: Tensor,
    drive: Tensor,
    edge_index: Tensor | None,
) -> Callable[[Tensor], Tensor]:
    shape = drive.shape
    if edge_index is None:
        columns = to_columns(drive, layer.num_nodes, node_first=False)
        function = activation_of_columns(layer, shape, node_first=False)
        return message_step(layer, exchange, weight, columns, None, function)
    step = message_step(layer, exchange, weight, drive, edge_index, layer.activation)

    def on_columns(state: Tensor) -> Tensor:
        after = step(from_columns(state, shape, node_first=True))
        return to_columns(after, layer.num_nodes, node_first=True)

    return on_columns
