"""The loops of one call of a layer: their description, and the functions that run it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium, FixedPointProblem, Reports, settle
from sparsebrain.equilibrium.solvers import Iterate, Total
from sparsebrain.kernels import Structure, sequences
from sparsebrain.kernels.activations import ACTIVATIONS, fused_name
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.eager import is_plain
from sparsebrain.kernels.functional import run_loop
from sparsebrain.kernels.joined_loops import run_joined
from sparsebrain.kernels.joins import Join
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.stepwise import Exchange, Noise, check_kept, step, steps
from sparsebrain.kernels.transforms import is_transformed
from sparsebrain.nn.messages import Messages
from sparsebrain.nn.renumbering import Renumbering


@dataclass(frozen=True, eq=False, kw_only=True)
class Recurrence:
    r"""Everything that determines what the loops of one call compute.

    .. math:: x(t + 1) = (1 - a) \odot x(t) + a \odot f(W x(t) + b + \mathrm{drive}) + \xi(t)

    or, with the form "voltage",

    .. math:: x(t + 1) = (1 - a) \odot x(t) + a \odot (W f(x(t)) + b + \mathrm{drive}) + \xi(t)

    Start, drive, noise and the states that :func:`run` returns have the shape of the caller's x:
    [..., N], or [B * N, C] with an ``edge_index``. Internally states are columns [N, B], one per
    sample (and channel). Only an ``exchange`` with an ``edge_index`` receives states in the shape
    of x.

    Attributes:
        structure: The synapses.
        weight: The weight of every synapse [E].
        start: x(0).
        loops: The number of loops, or the Equilibrium.
        drive: What is added to the pre-activation at every loop, or None.
        bias: b minus the threshold, [N], or None.
        leak: a, [N]; None is 1. With an Equilibrium it damps the iteration.
        activation: f, by name, or any function of a state in the shape of x.
        form: "rate" or "voltage".
        noise: A function of the loop's number, from 0, that returns what is added after it, or
            None. A :class:`LayerNoise` is fused; other functions run loop by loop.
        keep: Whether to return the state after every loop, and not only the last one.
        checkpoint: Whether to keep few states for the backward pass; with an ``exchange`` all are
            kept.
        state_dtype: ``torch.bfloat16`` to keep states as bfloat16 between the loops, or None.
        backend: The kernel backend.
        edge_index: The edges of a PyG batch, [2, B * E], or None.
        exchange: A function that replaces the kernels and computes W x(t), or with "voltage" W r
            from r = f(x(t)), with its own messages or another backward pass. The loops then run one
            by one. None for the kernels.
        renumbering: An order of the neurons in which fused loops are faster, or None.
        total: A function that adds up sums over neurons over all processes, if each holds the
            states of some neurons; None if all neurons are here.
    """

    structure: Structure
    weight: Tensor
    start: Tensor
    loops: int | Equilibrium
    drive: Tensor | None = None
    bias: Tensor | None = None
    leak: Tensor | None = None
    activation: str | Callable[[Tensor], Tensor] = "none"
    form: str = "rate"
    noise: Noise | None = None
    keep: bool = False
    checkpoint: bool = False
    state_dtype: torch.dtype | None = None
    backend: str = "auto"
    edge_index: Tensor | None = None
    exchange: Exchange | None = None
    renumbering: Renumbering | None = None
    total: Total | None = None

    def to_columns(self, x: Tensor) -> Tensor:
        """Return a tensor in the shape of x as columns [N, B]."""
        return to_columns(x, self.structure.num_nodes, node_first=self.edge_index is not None)

    def from_columns(self, columns: Tensor) -> Tensor:
        """Undo :meth:`to_columns`; always returns a copy."""
        node_first = self.edge_index is not None
        return from_columns(columns, self.start.shape, node_first=node_first)


class LayerNoise:
    """The noise of a layer in the shape of its input, as a function of the loop's number.

    Attributes:
        counter: The same for columns [N, B], which kernels compute themselves.
    """

    def __init__(
        self, counter: CounterNoise, like: Tensor, num_nodes: int, *, node_first: bool
    ) -> None:
        self.counter = counter
        self._like, self._num_nodes, self._node_first = like, num_nodes, node_first

    def __call__(self, number: int) -> Tensor:
        """Return what is added to the state after loop ``number``."""
        columns = to_columns(self._like.detach(), self._num_nodes, node_first=self._node_first)
        drawn = self.counter.values(number, columns)
        return from_columns(drawn, self._like.shape, node_first=self._node_first)


def run(recurrence: Recurrence, reports: Reports | None = None) -> list[Tensor]:
    """Run the loops of a description.

    Args:
        recurrence: The description.
        reports: Where the report of an Equilibrium is stored.

    Returns:
        The state after every loop with ``keep``, otherwise the last state alone, in the shape of x.
    """
    if recurrence.state_dtype is not None:
        _check_narrow(recurrence)
    recurrence = _without_mean(recurrence)
    if isinstance(recurrence.loops, Equilibrium):
        return [_run_equilibrium(recurrence, recurrence.loops, reports or Reports())]
    if recurrence.exchange is None:
        return _run_kernels(recurrence, recurrence.loops)
    return _run_exchange(recurrence, recurrence.loops, recurrence.exchange)


def _check_narrow(recurrence: Recurrence) -> None:
    """Raise ValueError if the loops do not run in a kernel, which keeps states as bfloat16."""
    if isinstance(recurrence.loops, Equilibrium) or recurrence.exchange is not None:
        cause = "an exchange or aggr of its own"
        if isinstance(recurrence.loops, Equilibrium):
            cause = "an Equilibrium"
        raise ValueError(
            f"state_dtype=torch.bfloat16 is for loops that run in one kernel, got {cause}; pass "
            "state_dtype=None to the layer"
        )


def run_steps(recurrence: Recurrence, drive: Tensor) -> tuple[Tensor, Tensor] | None:
    """Run the loops of all time steps of a sequence in one kernel.

    Args:
        recurrence: The description of the first step, with an injected drive.
        drive: The drive of every step, [..., T, N], of which the first is that of ``recurrence``.

    Returns:
        The state after every step [..., T, N] and a copy of the last one, or None if the steps must
        run one by one: with an Equilibrium, an exchange, noise, an activation without a name, or
        under a transform of torch.
    """
    recurrence = _without_mean(recurrence)
    loops, activation = recurrence.loops, recurrence.activation
    inputs = _as_given(recurrence)._replace(drive=drive)
    options: dict[str, Any] = {"checkpoint": recurrence.checkpoint, "backend": recurrence.backend}
    form = recurrence.form
    if (
        isinstance(loops, Equilibrium)
        or not isinstance(activation, str)
        or recurrence.exchange is not None
        or recurrence.noise is not None
        or recurrence.state_dtype is not None
        or not sequences.is_fused(
            recurrence.weight, inputs, loops=loops, activation=activation, **options
        )
    ):
        return None
    structure, renumbering = recurrence.structure, _renumbering(recurrence)
    if renumbering is not None:
        structure, order = renumbering.structure, renumbering.order
        inputs = inputs.map(lambda each: each.index_select(-1, order))
    states = sequences.sequence(
        structure,
        recurrence.weight,
        inputs,
        loops=loops,
        activation=activation,
        form=form,
        **options,
    )
    if renumbering is None:
        return states
    every, last = (state.index_select(-1, renumbering.place) for state in states)
    return every, last


def run_stacked(recurrence: Recurrence, reports: Reports | None = None) -> tuple[Tensor, Tensor]:
    """Run the loops of a description with ``keep``.

    Returns:
        The last state, in the shape of x, and all states [loops + 1, *x.shape], starting with x(0).
    """
    if recurrence.state_dtype is not None:
        _check_narrow(recurrence)
    recurrence = _without_mean(recurrence)
    if (
        recurrence.exchange is None
        and not isinstance(recurrence.loops, Equilibrium)
        and _is_in_rows(recurrence)
    ):
        last, states = _run_rows(recurrence, recurrence.loops, stacked=True)
        return last, states
    each = run(recurrence, reports)
    return each[-1], torch.stack([recurrence.start, *each])


def run_largest(
    pieces: Sequence[Recurrence], *, loops: int, drive: Tensor | None, keep: bool
) -> list[Tensor] | None:
    """Run loops whose next state is the largest of several sums, plus the drive.

    Args:
        pieces: Descriptions of one linear loop each, on the same synapses and from the same state.
        loops: The number of loops.
        drive: What is added after each loop, in the shape of x, or None.
        keep: Whether to return the state after every loop, and not only the last one.

    Returns:
        The states in the shape of x, or None if the loops must run one by one.
    """
    plain = [_without_mean(piece) for piece in pieces]
    first = plain[0]
    biases = [piece.bias for piece in plain if piece.bias is not None]
    if 0 < len(biases) < len(plain) or not all(
        not any((piece.exchange, piece.noise))
        and piece.drive is None
        and piece.leak is None
        and piece.state_dtype is None
        and piece.loops == 1
        and piece.activation == "none"
        and piece.structure is first.structure
        and piece.backend == first.backend
        for piece in plain
    ):
        return None
    weights = [piece.weight for piece in plain]
    # Stacking would hide tensors with a dispatch of their own.
    if not is_plain(*weights, *biases):
        return None
    first = replace(first, drive=drive, bias=torch.stack(biases) if biases else None, keep=keep)
    in_rows = first.edge_index is None
    states = run_joined(
        Join("maxout", len(plain)),
        first.structure,
        torch.stack(weights),
        _as_given(first) if in_rows else _columns(first),
        loops=loops,
        rows=in_rows,
        keep=keep,
        backend=first.backend,
    )
    if states is None or in_rows:
        return states
    return [first.from_columns(state) for state in states]


def _is_in_rows(recurrence: Recurrence) -> bool:
    """Return whether the kernels take states in the shape of x."""
    return recurrence.edge_index is None and _renumbering(recurrence) is None


def _run_rows(recurrence: Recurrence, loops: int, *, stacked: bool) -> list[Tensor]:
    noise = recurrence.noise
    return run_loop(
        recurrence.structure,
        recurrence.weight,
        _as_given(recurrence),
        loops=loops,
        activation=recurrence.activation,
        form=recurrence.form,
        noise=noise.counter if isinstance(noise, LayerNoise) else noise,
        keep=recurrence.keep,
        checkpoint=recurrence.checkpoint,
        state_dtype=recurrence.state_dtype,
        backend=recurrence.backend,
        rows=True,
        stacked=stacked,
    )


def _run_kernels(recurrence: Recurrence, loops: int) -> list[Tensor]:
    """Run all loops in one kernel if the activation has a name and noise is a layer's own."""
    if _is_in_rows(recurrence):
        return _run_rows(recurrence, loops, stacked=False)
    renumbering, noise = _renumbering(recurrence), recurrence.noise
    inputs = _columns(recurrence)
    if renumbering is not None:
        inputs = renumbering.enter(inputs)
    states = kernels.loop(
        recurrence.structure if renumbering is None else renumbering.structure,
        recurrence.weight,
        inputs.state,
        loops=loops,
        drive=inputs.drive,
        bias=inputs.bias,
        leak=inputs.leak,
        activation=_activation_of_columns(recurrence),
        form=recurrence.form,
        noise=noise.counter if isinstance(noise, LayerNoise) else _noise_of_columns(recurrence),
        keep=recurrence.keep,
        checkpoint=recurrence.checkpoint,
        state_dtype=recurrence.state_dtype,
        backend=recurrence.backend,
    )
    if renumbering is not None:
        states = [renumbering.leave(state) for state in states]
    return [recurrence.from_columns(state) for state in states]


def _run_exchange(recurrence: Recurrence, loops: int, exchange: Exchange) -> list[Tensor]:
    """Run the loops one by one, with an exchange that replaces the kernels, unless it is fused."""
    fused = _run_joined(recurrence, loops, exchange)
    if fused is not None:
        return fused
    in_columns = recurrence.edge_index is None
    if in_columns:
        inputs, noise = _columns(recurrence), _noise_of_columns(recurrence)
        activation = _activation_of_columns(recurrence)
    else:
        inputs, noise = _as_given(recurrence), recurrence.noise
        activation = recurrence.activation
    states: list[Tensor] = []
    function = _function(activation)
    for state in steps(exchange, inputs, range(loops), function, noise, recurrence.form):
        seen = recurrence.from_columns(state) if in_columns else state
        states = [*states, seen] if recurrence.keep else [seen]
    return states


def _run_joined(recurrence: Recurrence, loops: int, exchange: Exchange) -> list[Tensor] | None:
    """Run all loops in one kernel if the messages of a layer are joined as the kernels can."""
    noise, kind = recurrence.noise, getattr(exchange, "join", None)
    if kind is None or not (noise is None or isinstance(noise, LayerNoise)):
        return None
    in_rows = recurrence.edge_index is None
    states = run_joined(
        kind,
        recurrence.structure,
        recurrence.weight,
        _as_given(recurrence) if in_rows else _columns(recurrence),
        loops=loops,
        rows=in_rows,
        activation=recurrence.activation,
        form=recurrence.form,
        noise=None if noise is None else noise.counter,
        keep=recurrence.keep,
        checkpoint=recurrence.checkpoint,
        backend=recurrence.backend,
    )
    if states is None or in_rows:
        return states
    return [recurrence.from_columns(state) for state in states]


def _without_mean(recurrence: Recurrence) -> Recurrence:
    """Return the description with a sum of smaller weights where messages are averaged."""
    exchange = recurrence.exchange
    if not isinstance(exchange, Messages) or not exchange.averages:
        return recurrence
    weight = averaged(recurrence.structure, recurrence.weight)
    return replace(recurrence, weight=weight, exchange=None)


def averaged(structure: Structure, weight: Tensor) -> Tensor:
    """Return weights [E] divided by the number of synapses into their target."""
    degree = structure.by_target.pointer.diff().to(weight.dtype)
    return weight / degree.index_select(0, structure.edge_index[1])


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _run_equilibrium(recurrence: Recurrence, options: Equilibrium, reports: Reports) -> Tensor:
    """Return the state that one more loop does not change."""
    if is_transformed():
        raise NotImplementedError(
            "an Equilibrium looks at its states, which torch.func, forward-mode derivatives, "
            "torch.jit.trace and torch.onnx.export do not allow; use torch.autograd.grad or "
            "backward(), or make the layer with a number of loops"
        )
    inputs, renumbering = _columns(recurrence), _renumbering(recurrence)
    if renumbering is not None:
        inputs = renumbering.enter(inputs)
    # The leak does not change the fixed point, so it receives no gradient.
    damping = None if inputs.leak is None else inputs.leak.detach().unsqueeze(1)
    undamped = inputs._replace(leak=None)
    if recurrence.exchange is None and isinstance(recurrence.activation, str):
        structure = recurrence.structure if renumbering is None else renumbering.structure
        problem = _fused_problem(recurrence, recurrence.activation, structure, undamped)
    else:
        problem = _stepwise_problem(_step_of_columns(recurrence, undamped))
    shape = recurrence.start.shape
    samples = shape[:-1]
    if recurrence.edge_index is not None:
        samples = torch.Size((shape[0] // max(recurrence.structure.num_nodes, 1), shape[1]))
    z = settle(options, problem, inputs.state, damping, samples, reports, recurrence.total)
    return recurrence.from_columns(z if renumbering is None else renumbering.leave(z))


def _fused_problem(
    recurrence: Recurrence, activation: str, structure: Structure, inputs: LoopInputs
) -> FixedPointProblem:
    """Describe the fixed point of fused loops; the backward pass uses the transposed exchange."""
    weight, backend = recurrence.weight, recurrence.backend

    def iterate(state: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
        (state,) = kernels.loop(
            structure,
            weight,
            state,
            loops=loops,
            drive=given[0],
            bias=inputs.bias,
            activation=activation,
            form=recurrence.form,
            backend=backend,
        )
        return state

    entry, fixed = ACTIVATIONS[activation], weight.detach()
    voltage = recurrence.form == "voltage"

    def step_back(v: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
        grad, known = given
        for _ in range(loops):
            local = v if voltage else entry.backward(v, known)
            v = kernels.backpropagate(structure, fixed, local, backend=backend)
            v = (entry.backward(v, known) if voltage else v).add_(grad)
        return v

    def way_back(state: Tensor, z: Tensor) -> tuple[Iterate, tuple[Tensor, ...]]:
        # The slope of some activations follows from their argument, that of others from the value.
        if voltage:
            return step_back, (state if entry.of_argument else entry.function(state),)
        return step_back, (pre_activation(state) if entry.of_argument else z,)

    @torch.no_grad()
    def pre_activation(state: Tensor) -> Tensor:
        (total,) = kernels.loop(
            structure,
            fixed,
            state,
            loops=1,
            drive=inputs.drive,
            bias=inputs.bias,
            backend=backend,
        )
        return total

    assert inputs.drive is not None
    return FixedPointProblem(iterate, way_back, (inputs.drive,), whole=False)


def _stepwise_problem(one_loop: Callable[[Tensor], Tensor]) -> FixedPointProblem:
    """Describe the fixed point of any loop on [N, B]; autograd computes the backward pass."""

    def iterate(state: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
        for _ in range(loops):
            state = one_loop(state)
        return state

    def way_back(state: Tensor, z: Tensor) -> tuple[Iterate, tuple[Tensor, ...]]:
        leaf = state.detach().requires_grad_()
        with torch.enable_grad():
            after = one_loop(leaf)

        def step_back(v: Tensor, given: tuple[Tensor, ...], loops: int) -> Tensor:
            for _ in range(loops):
                (back,) = torch.autograd.grad(after, leaf, v, retain_graph=True, allow_unused=True)
                v = given[0] if back is None else given[0] + back
            return v

        return step_back, ()

    return FixedPointProblem(iterate, way_back, (), whole=True)


def _step_of_columns(recurrence: Recurrence, inputs: LoopInputs) -> Callable[[Tensor], Tensor]:
    """Return one loop as a function from columns [N, B] to columns."""
    exchange = recurrence.exchange
    if exchange is not None and recurrence.edge_index is not None:
        given = _as_given(recurrence)._replace(leak=None)
        function = _function(recurrence.activation)

        def through_rows(columns: Tensor) -> Tensor:
            state = recurrence.from_columns(columns)
            after = step(exchange, given._replace(state=state), function, form=recurrence.form)
            return recurrence.to_columns(after)

        return through_rows
    along_synapses = exchange or partial(
        kernels.propagate, recurrence.structure, recurrence.weight, backend=recurrence.backend
    )
    of_columns = _function(_activation_of_columns(recurrence))
    return lambda columns: step(
        along_synapses, inputs._replace(state=columns), of_columns, form=recurrence.form
    )


def _as_given(recurrence: Recurrence) -> LoopInputs:
    """Return the inputs of the loops in the shape of the caller's x."""
    return LoopInputs(recurrence.start, recurrence.drive, recurrence.bias, recurrence.leak)


def _columns(recurrence: Recurrence) -> LoopInputs:
    """Return the inputs of the loops as columns."""
    drive = None if recurrence.drive is None else recurrence.to_columns(recurrence.drive)
    start = recurrence.to_columns(recurrence.start)
    return LoopInputs(start, drive, recurrence.bias, recurrence.leak)


def _activation_of_columns(recurrence: Recurrence) -> str | Callable[[Tensor], Tensor]:
    """Return the activation for columns; a function still receives the shape of the caller's x."""
    function = fused_name(recurrence.activation)
    if isinstance(function, str):
        return function

    def apply(columns: Tensor) -> Tensor:
        state = recurrence.from_columns(columns)
        after = function(state)
        check_kept("activation", state, after)
        return recurrence.to_columns(after)

    return apply


def _function(activation: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return ACTIVATIONS[activation].function if isinstance(activation, str) else activation


def _noise_of_columns(recurrence: Recurrence) -> Noise | None:
    noise = recurrence.noise
    return None if noise is None else lambda number: recurrence.to_columns(noise(number))


def _renumbering(recurrence: Recurrence) -> Renumbering | None:
    if recurrence.renumbering is None:
        return None
    # Functions, noise and exchanges of the caller need the neurons in the original order.
    own = recurrence.exchange is None and recurrence.noise is None
    return recurrence.renumbering if own and isinstance(recurrence.activation, str) else None


def to_columns(x: Tensor, num_nodes: int, *, node_first: bool) -> Tensor:
    """Reshape [..., N] to [N, B], or with ``node_first`` [B * N, C] to [N, B * C]."""
    if node_first:
        blocks = x.reshape(x.size(0) // max(num_nodes, 1), num_nodes, x.size(1))
        return blocks.transpose(0, 1).reshape(num_nodes, blocks.size(0) * blocks.size(2))
    return x.reshape(math.prod(x.shape[:-1]), num_nodes).t()


def from_columns(columns: Tensor, shape: torch.Size, *, node_first: bool) -> Tensor:
    """Undo :func:`to_columns` for an x of that shape.

    Always a copy, contiguous as the output of ``nn.Linear``: backpropagation needs the columns, and
    the caller may write to the result.
    """
    rows = columns.t()
    if node_first:
        copies = shape[0] // max(columns.size(0), 1)
        rows = columns.reshape(columns.size(0), copies, shape[1]).transpose(0, 1)
    return rows.clone(memory_format=torch.contiguous_format).view(shape)
