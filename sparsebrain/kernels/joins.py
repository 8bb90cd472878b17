"""Other ways than a sum in which neurons join what their synapses carry.

"max" and "min" keep the largest or smallest message weight times x, and 0 without synapses. The
gradient is divided evenly among equal messages, and the messages of a neuron whose result is 0
share theirs with one more, as in PyG, whose results start at zero. "maxout" keeps the largest of
several sums W_k x + b_k, with the gradient of ``torch.maximum``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.reference import exchange
from sparsebrain.kernels.stepwise import recomputed_gradients, run_stepwise
from sparsebrain.kernels.structure import Structure

#: The numbers of the joins, which the compiled kernels know.
JOINS = {"max": 0, "min": 1, "maxout": 2}


class Join(NamedTuple):
    """A way to join, and what it needs.

    Attributes:
        name: One of :data:`JOINS`.
        pieces: K, the number of weights per synapse, which is 1 except for "maxout". Weights are
            then [K, E] instead of [E], and a bias is [K, N].
    """

    name: str
    pieces: int = 1


def join(
    kind: Join, structure: Structure, weight: Tensor, x: Tensor, bias: Tensor | None
) -> Tensor:
    """Join what the synapses carry for a state [N, B], with operations of torch.

    Args:
        kind: The join.
        structure: The synapses.
        weight: [E], or [K, E] for "maxout".
        x: The state, [N, B].
        bias: [K, N] for "maxout", otherwise None.
    """
    if kind.name == "maxout":
        sums = [exchange(structure.edge_index, each, x, transpose=False) for each in weight]
        if bias is not None:
            sums = [each + b.unsqueeze(1) for each, b in zip(sums, bias, strict=True)]
        return reduce(torch.maximum, sums)
    source, target = structure.edge_index
    messages = weight.unsqueeze(1) * x.index_select(0, source)
    index = target.unsqueeze(1).expand_as(messages)
    return torch.zeros_like(x).scatter_reduce(
        0, index, messages, f"a{kind.name}", include_self=False
    )


def backend_of(chosen: Backend, kind: Join) -> Backend:
    """Return a backend whose loops have this join, fused if ``chosen`` fuses it."""
    return chosen.joined(kind) or JoinedByTorch(chosen, kind)


class JoinedByTorch(Backend):
    """Loops with a join on any backend, by operations of torch, with O(E B) memory."""

    def __init__(self, chosen: Backend, kind: Join) -> None:
        self.name = chosen.name  # type: ignore[misc]
        self._chosen, self._kind = chosen, kind

    def obstacle(self, device: torch.device) -> str | None:
        return self._chosen.obstacle(device)

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        return self._chosen.operator(structure, weight, transpose=transpose)

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        return self._chosen.correlate(structure, post, pre)

    @torch.no_grad()
    def loop(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        *,
        loops: int,
        activation: str,
        keep: bool,
        learns: bool,
        form: str = "rate",
        narrow: bool = False,
        noise: CounterNoise | None = None,
        out: Sequence[Tensor] = (),
    ) -> Looped:
        assert not narrow
        inputs = inputs._replace(state=inputs.state.contiguous())
        states = steps(
            self._kind,
            structure,
            weight,
            inputs,
            loops=loops,
            activation=activation,
            keep=keep or learns,
            form=form,
            noise=noise,
        )
        for to, made in zip(out, states, strict=False):
            to.copy_(made)
        return Looped(states, []) if keep else Looped(states[-1:], states[:-1])

    def loop_backward(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        states: list[Tensor],
        grads: list[Tensor | None],
        *,
        activation: str,
        need_weight: bool,
        form: str = "rate",
        narrow: bool = False,
        noisy: bool = False,
    ) -> LoopGradients:
        assert not narrow
        needed = [need_weight, *(each is not None for each in inputs)]
        run = partial(
            steps, self._kind, structure, loops=1, activation=activation, keep=False, form=form
        )
        given = (weight, *inputs)
        total = [
            torch.zeros_like(each) if need and each is not None else None
            for each, need in zip(given, needed, strict=True)
        ]
        grad: Tensor | None = None
        for number in range(len(grads) - 1, -1, -1):
            outside = grads[number]
            if outside is not None:
                grad = outside if grad is None else grad + outside
            if grad is None:
                continue
            leaf = inputs._replace(state=states[number]).map(_leaf)
            found = recomputed_gradients(run, _leaf(weight), leaf, needed, [grad])
            grad = found[1]
            for all_loops, here in zip(total, found, strict=True):
                if all_loops is not None and here is not None:
                    all_loops.add_(here)
        of_weight, of_state, *others = total
        assert of_state is not None
        return LoopGradients(of_weight, LoopInputs(of_state if grad is None else grad, *others))


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()


def steps(
    kind: Join,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: str,
    keep: bool,
    form: str = "rate",
    noise: CounterNoise | None = None,
) -> list[Tensor]:
    """Run loops with a join on columns [N, B], one by one, by operations that torch differentiates.

    Returns:
        The state after every loop with ``keep``, otherwise the last one alone.
    """
    of_pieces = None
    if kind.name == "maxout":
        of_pieces, inputs = inputs.bias, inputs._replace(bias=None)
    return run_stepwise(
        lambda x: join(kind, structure, weight, x, of_pieces),
        inputs,
        loops=loops,
        activation=ACTIVATIONS[activation].function,
        noise=None if noise is None else partial(noise.values, state=inputs.state),
        keep=keep,
        segment=0,
        form=form,
    )


def differentiable_backward(
    kind: Join,
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    needed: Sequence[bool],
    grads: Sequence[Tensor | None],
    **options: Any,
) -> list[Tensor | None]:
    """Compute gradients that can be differentiated again.

    As :func:`.stepwise.recomputed_gradients`; ``options`` are those of :func:`steps`.
    """
    return recomputed_gradients(
        partial(steps, kind, structure, **options), weight, inputs, needed, grads
    )
