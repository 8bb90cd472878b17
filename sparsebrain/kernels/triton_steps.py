"""The launches of loops by the ``triton`` backend, forward and backward."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopGradients, LoopInputs
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.triton_launch import Tile, launch
from sparsebrain.kernels.triton_matrix import Matrix

Noise = tuple[Tensor | None, float]
"""The key of a loop, or those of all loops, and the standard deviation; no key is no noise."""
NO_NOISE: Noise = (None, 0.0)
MOST_KEPT = 2**28
"""The most bytes of gradients of several loops that wait for one correlation."""


def step(
    out: Tensor,
    matrix: Matrix,
    inputs: LoopInputs,
    activation: str,
    noise: Noise = NO_NOISE,
    old: Tensor | None = None,
) -> Tensor:
    """Run one loop.

    Args:
        out: Where the state after the loop is written, [N, B].
        matrix: W.
        inputs: The inputs of the loop, contiguous.
        activation: The name of f.
        noise: The key of this loop and the standard deviation.
        old: The state that a leak mixes with the new value; that of ``inputs`` by default.

    Returns:
        ``out``.
    """
    state, drive, bias, leak = inputs
    neurons, batch = state.shape
    tile = matrix.tile(batch)
    launch(
        "step",
        neurons * tile.blocks(batch),
        tile,
        state.device,
        matrix=matrix.with_segments(state),
        x=state,
        inputs=(bias, drive, leak),
        old=state if old is None else old,
        noise=noise,
        out=out,
        neurons=neurons,
        batch=batch,
        ACTIVATION=activation,
    )
    return out


def run(
    states: Tensor,
    matrix: Matrix,
    inputs: LoopInputs,
    activation: str,
    noise: Noise,
    loops: int,
) -> None:
    """Run all loops in one kernel.

    Args:
        states: [slots, N, B], the first one at the start. The state after t loops is written at t
            modulo the number of slots.
        matrix: W.
        inputs: The inputs of the loops, contiguous.
        activation: The name of f.
        noise: The keys of the loops and the standard deviation.
        loops: The number of loops.
    """
    _, drive, bias, leak = inputs
    slots, neurons, batch = states.shape
    tile = Tile.of_all_rows(neurons, batch, states.device)
    launch(
        "run",
        tile.blocks(batch),
        tile,
        states.device,
        matrix=matrix.plain(),
        states=states,
        inputs=(bias, drive, leak),
        noise=noise,
        neurons=neurons,
        batch=batch,
        loops=loops,
        slots=slots,
        ACTIVATION=activation,
    )


def correlate(structure: Structure, post: Tensor, pre: Tensor, out: Tensor, *, add: bool) -> None:
    """Sum post[target] * pre[source] over loops and batch, in the order of ``by_target``.

    Args:
        structure: The synapses.
        post: [loops, N, B], contiguous.
        pre: [loops, N, B], contiguous.
        out: [E], where the sums are written.
        add: Whether to add them to what is there.
    """
    loops, neurons, batch = post.shape
    synapses = structure.num_edges
    pointer, source, _ = structure.by_target
    numbers = torch.arange(neurons, dtype=source.dtype, device=source.device)
    target = torch.repeat_interleave(numbers, pointer.diff(), output_size=synapses)
    tile = Tile.of_row(batch, synapses / max(1, neurons), post.device)
    launch(
        "correlate",
        -(-synapses // tile.synapses),
        tile,
        post.device,
        source_neuron=source,
        target_neuron=target,
        post=post,
        pre=pre,
        out=out,
        synapses=synapses,
        neurons=neurons,
        batch=batch,
        loops=loops,
        ADD=add,
    )


class BackwardPass:
    """The backward pass of all loops of a call.

    Args:
        structure: The synapses.
        weight: [E].
        inputs: The inputs of the forward pass, contiguous.
        states: [loops + 1, N, B], all states.
        activation: The name of f.
        noisy: Whether noise was added to the states.
        need_weight: Whether the gradient of the weights is needed.
    """

    def __init__(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        states: Tensor,
        *,
        activation: str,
        noisy: bool,
        need_weight: bool,
    ) -> None:
        self._structure, self._inputs, self._states = structure, inputs, states
        self._matrix, self._back = (
            Matrix.of(structure, weight, transpose=each) for each in (False, True)
        )
        of_argument = ACTIVATIONS[activation].of_argument
        self._options = {"ACTIVATION": activation, "OF_ARGUMENT": of_argument, "NOISY": noisy}
        self._again = inputs.leak is not None or of_argument or noisy
        self._of_weight = weight.new_zeros(structure.num_edges) if need_weight else None

    def run(self, grads: list[Tensor | None]) -> LoopGradients:
        """Return the gradients.

        Args:
            grads: For the state after each loop the gradient that reaches it from outside,
                contiguous, or None.
        """
        batch = self._inputs.state.size(1)
        loops = max((at + 1 for at, grad in enumerate(grads) if grad is not None), default=0)
        *others, last = grads[:loops] or [None]
        only_last = last is not None and all(grad is None for grad in others)
        small = self._matrix.is_small(batch) and self._back.is_small(batch)
        if last is not None and only_last and small and loops > 1:
            pair, totals = self._run_all(last, loops)
        else:
            pair, totals = self._run_each(grads[:loops])
        local, rest = pair
        of_state = torch.zeros_like(self._inputs.state)
        if local is not None:
            step(of_state, self._back, LoopInputs(local, rest, None, None), "none")
        of_drive, of_bias, of_leak = totals
        of_weight = self._of_weight
        return LoopGradients(
            None if of_weight is None else self._structure.by_target.restore(of_weight),
            LoopInputs(
                of_state,
                of_drive,
                None if of_bias is None else of_bias.sum(1),
                None if of_leak is None else of_leak.sum(1),
            ),
        )

    def _run_all(self, last: Tensor, loops: int) -> tuple[_Pair, _Totals]:
        """Run the loops in one kernel, for a gradient of the last state alone."""
        state, drive, bias, leak = self._inputs
        neurons, batch = state.shape
        tile = Tile.of_all_rows(neurons, batch, state.device)
        totals = self._totals(tile)
        local = state.new_empty(loops, neurons, batch)
        rest = None if leak is None else torch.empty_like(local)
        launch(
            "run_back",
            tile.blocks(batch),
            tile,
            state.device,
            outside=last,
            back=self._back.plain(),
            states=self._states,
            matrix=self._matrix.plain(),
            inputs=(bias, drive, leak),
            found=(local, rest),
            totals=totals,
            neurons=neurons,
            batch=batch,
            loops=loops,
            **self._options,
        )
        self._correlate(local, 0)
        return (local[0], None if rest is None else rest[0]), totals

    def _run_each(self, grads: list[Tensor | None]) -> tuple[_Pair, _Totals]:
        """Run one loop after another, and correlate as many at a time as fit into memory."""
        state, _, _, leak = self._inputs
        tile = self._matrix.tile(state.size(1))
        totals = self._totals(tile)
        pair: _Pair = (None, None)
        span = max(1, min(len(grads), MOST_KEPT // max(1, state.nbytes)))
        for first in reversed(range(0, len(grads), span)):
            here = grads[first : first + span]
            locals_ = state.new_empty(len(here), *state.shape)
            for at in reversed(range(len(here))):
                rest = None if leak is None else torch.empty_like(state)
                self._run_one(here[at], first + at, pair, (locals_[at], rest), totals, tile)
                pair = (locals_[at], rest)
            self._correlate(locals_, first)
        return pair, totals

    def _run_one(
        self,
        outside: Tensor | None,
        number: int,
        later: _Pair,
        found: _Pair,
        totals: _Totals,
        tile: Tile,
    ) -> None:
        state, drive, bias, leak = self._inputs
        neurons, batch = state.shape
        before, after = self._states[number], self._states[number + 1]
        back, matrix = self._back, self._matrix
        launch(
            "step_back",
            neurons * tile.blocks(batch),
            tile,
            state.device,
            later=later,
            outside=outside,
            back=back.plain() if later[0] is None else back.with_segments(later[0]),
            states=(before, after),
            matrix=matrix.with_segments(before) if self._again else matrix.plain(),
            inputs=(bias, drive, leak),
            found=found,
            totals=totals,
            neurons=neurons,
            batch=batch,
            **self._options,
        )

    def _correlate(self, local: Tensor, first: int) -> None:
        if self._of_weight is not None:
            sent = self._states[first : first + len(local)]
            correlate(self._structure, local, sent, self._of_weight, add=True)

    def _totals(self, tile: Tile) -> _Totals:
        """Return zeros for the gradients of drive, bias and leak, or None."""
        state, drive, bias, leak = self._inputs
        neurons, batch = state.shape
        of_bias, of_leak = (
            None if each is None else state.new_zeros(neurons, tile.blocks(batch))
            for each in (bias, leak)
        )
        return None if drive is None else torch.zeros_like(state), of_bias, of_leak


_Pair = tuple[Tensor | None, Tensor | None]
"""The gradient of the argument of f, and what the leak passed around f, or None."""
_Totals = tuple[Tensor | None, Tensor | None, Tensor | None]
"""The sums for drive [N, B], bias and leak [N, blocks], or None."""
