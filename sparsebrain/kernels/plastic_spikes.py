"""Spiking neurons whose synapses and thresholds change, step by step: the reference of kernels.

A step first runs as in :mod:`sparsebrain.kernels.spikes`, with the weights and thresholds that the
steps before have left. Then the pairs of spikes that it completes change the weights, and its
spikes raise the thresholds. A spike carries the weight that its synapse has when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.spikes import (
    Network,
    Running,
    Span,
    Spiked,
    State,
    Train,
    begins,
    in_order,
    step,
)
from sparsebrain.kernels.structure import Structure

Operator = Callable[[Structure, Tensor], Callable[[Tensor], Tensor]]
Correlate = Callable[[Structure, Tensor, Tensor], Tensor]


class Traces(NamedTuple):
    """The spike traces of presynaptic and postsynaptic neurons, each [B, N]."""

    pre: Tensor
    post: Tensor


class Pairs(NamedTuple):
    """What pairs of spikes do to a synapse; :class:`sparsebrain.plasticity.STDP` defines it.

    Attributes:
        a_plus: The amplitude of potentiation.
        a_minus: The amplitude of depression.
        keep_plus: The factor by which presynaptic traces decay in a step.
        keep_minus: The same for postsynaptic traces.
        nearest: Whether a spike pairs only with the last spike of the other neuron.
        coincidence: Whether spikes of the same step count as potentiation.
        bounds: None, "hard" or "soft".
        w_max: The upper bound.
        plastic: [E] bool, the synapses that change; None for all.
    """

    a_plus: float
    a_minus: float
    keep_plus: float
    keep_minus: float
    nearest: bool
    coincidence: bool
    bounds: str | None
    w_max: float
    plastic: Tensor | None

    def read(self, traces: Traces, spikes: Tensor) -> tuple[Tensor, Tensor, Traces]:
        """Return what a step reads, and the traces of the next step.

        Args:
            traces: The traces before the spikes of this step.
            spikes: [B, N], those of this step.

        Returns:
            The presynaptic traces that postsynaptic spikes read [B, N], the postsynaptic traces
            that presynaptic spikes read [B, N], and the traces of the next step.
        """
        add = torch.maximum if self.nearest else torch.add
        pre, post = add(traces.pre, spikes), add(traces.post, spikes)
        after = Traces(pre * self.keep_plus, post * self.keep_minus)
        return pre if self.coincidence else traces.pre, traces.post, after

    def change(
        self, weight: Tensor, grows: Tensor, shrinks: Tensor, reached: Tensor | None = None
    ) -> None:
        """Change weights [..., E] in place by potentiation and depression of the same shape.

        ``grows`` and ``shrinks`` may be overwritten.

        Args:
            weight: The weights.
            grows: Their potentiation without bounds.
            shrinks: Their depression without bounds.
            reached: [E] bool, the synapses whose source or target spikes, which alone are clipped
                to the bounds; None for all.
        """
        if self.bounds == "soft":
            grows *= 1 - weight / self.w_max
            shrinks *= weight / self.w_max
        if self.plastic is not None:
            grows, shrinks = grows * self.plastic, shrinks * self.plastic
        weight.add_(grows).sub_(shrinks)
        self.clip(weight, reached)

    def clip(self, weight: Tensor, chosen: Tensor | None) -> None:
        """Clip weights [..., E] in place to the bounds, if there are any.

        Args:
            weight: The weights.
            chosen: [E] bool, the synapses that are clipped if they change; None for all.
        """
        if self.bounds is None:
            return
        masks = [each for each in (self.plastic, chosen) if each is not None]
        clipped = weight.clamp(0, self.w_max)
        for mask in masks:
            clipped = torch.where(mask, clipped, weight)
        weight.copy_(clipped)


class Adaptation(NamedTuple):
    """Thresholds that rise with every spike of their neuron and decay in between.

    Attributes:
        increment: [N], by which a spike raises theta.
        keep: [N], the factor by which theta decays in a step.
    """

    increment: Tensor
    keep: Tensor


class Normalization(NamedTuple):
    """Incoming weights of every neuron that are scaled to a sum.

    Attributes:
        total: The sum of their absolute values.
        every: The steps between two normalizations, which happen at the end of a step.
        chosen: [E] bool, the synapses that are summed and scaled; None for all.
    """

    total: float
    every: int
    chosen: Tensor | None

    def apply(self, structure: Structure, weight: Tensor, operator: Operator) -> None:
        """Scale weights [E] in place; those of neurons whose weights sum to 0 stay."""
        size = weight.abs() if self.chosen is None else weight.abs() * self.chosen
        ones = weight.new_ones(structure.num_nodes, 1)
        found = operator(*in_order(structure, size))(ones).squeeze(1)
        factor = torch.where(found > 0, self.total / found, 1.0)
        factor = structure.by_target.per_synapse(factor)
        weight.mul_(factor if self.chosen is None else torch.where(self.chosen, factor, 1.0))


class Plasticity(NamedTuple):
    """Everything that changes in a network besides the state of its neurons.

    Attributes:
        pairs: What pairs of spikes do, or None.
        adaptation: How thresholds change, or None.
        normalization: How weights are scaled, or None.
    """

    pairs: Pairs | None
    adaptation: Adaptation | None
    normalization: Normalization | None


class Changing(NamedTuple):
    """What a span changes besides the state of the neurons; every tensor is changed in place.

    Attributes:
        weight: [E], in the order of the synapses.
        pre: [N], the presynaptic traces.
        post: [N], the postsynaptic traces.
        theta: [N], what is added to the thresholds.
        pending: [D + 1, N], the weights that are on their way, where D is the longest delay: row
            n % (D + 1) arrives in step n.
        steps: [] int64, the number of steps before.
    """

    weight: Tensor
    pre: Tensor
    post: Tensor
    theta: Tensor
    pending: Tensor
    steps: Tensor


def at_rest(network: Network, theta: Tensor | None) -> Changing:
    """Return the start of a simulation, which changes the weights of the network in place."""
    like, size = network.weight, network.structure.num_nodes
    zero = like.new_zeros(size)
    return Changing(
        like,
        zero,
        zero.clone(),
        zero.clone() if theta is None else theta,
        like.new_zeros((network.longest + 1, size)),
        torch.zeros((), dtype=torch.int64),
    )


class _Sending:
    """The synapses by their delay, and how spikes travel along them."""

    def __init__(self, network: Network, operator: Operator) -> None:
        structure, delay, order = (
            network.structure,
            network.delay,
            network.structure.by_target.order,
        )
        every = torch.arange(structure.num_edges) if order is None else order.cpu().long()
        every = every.to(structure.device)
        self._operator = operator
        self._parts: list[tuple[int, Tensor, Structure]] = []
        for number in delay.unique(sorted=True).tolist() if delay.numel() else []:
            chosen = every if not delay.dim() else every[delay[every] == number]
            part = Structure(structure.edge_index[:, chosen], structure.num_nodes)
            self._parts.append((number, chosen, part))

    def send(self, weight: Tensor, spikes: Tensor, pending: Tensor, now: int) -> None:
        """Add what the spikes [N, 1] of step ``now`` carry to what is pending."""
        for delay, chosen, part in self._parts:
            carried = self._operator(part, weight[chosen])(spikes)
            pending[(now + delay) % len(pending)] += carried.squeeze(1)


def run_plastic_steps(
    network: Network,
    plasticity: Plasticity,
    running: Running,
    changing: Changing,
    span: Span,
    operator: Operator,
    correlate: Correlate,
) -> Spiked:
    """Run the steps of a span one by one, of one sample.

    Args:
        network: The network; ``changing`` has its present weights.
        plasticity: What changes.
        running: The state of the neurons; spikes on their way are in ``changing.pending``.
        changing: What is changed in place.
        span: The input.
        operator: Returns the function x -> W x of a structure and its weights.
        correlate: The primitive of that name.
    """
    pairs, adaptation, normalization = plasticity
    structure, weight = network.structure, changing.weight
    base = network.coefficients
    if network.silent is not None:
        never = torch.full_like(base.threshold, torch.inf)
        base = base._replace(threshold=torch.where(network.silent, never, base.threshold))
    sending, first = _Sending(network, operator), int(changing.steps)
    state = State(running.u, running.g, running.wait, running.u.new_zeros(0))
    found, states = [], [list[Tensor]() for _ in span.probes]
    for n in range(span.steps):
        now = first + n
        for probe, kept in zip(span.probes, states, strict=True):
            if n >= probe.first and (n - probe.first) % probe.every == 0:
                values = state.g if probe.current else state.u
                assert values is not None
                kept.append(values.index_select(1, probe.neurons))
        chosen = span.events.step == n
        jump = torch.zeros_like(state.u)
        jump[0, span.events.neuron[chosen]] = span.jump[chosen]

        def arrivals(spikes: Tensor, now: int = now) -> Tensor:
            sending.send(weight, spikes.t().contiguous(), changing.pending, now)
            return changing.pending[now % len(changing.pending)].unsqueeze(0)

        c = base if adaptation is None else base._replace(threshold=base.threshold + changing.theta)
        spikes, state = step(c, state, _fire, arrivals, drive=network.input, jump=jump)
        changing.pending[now % len(changing.pending)] = 0
        if pairs is not None:
            _learn(pairs, structure, changing, spikes, correlate)
        if adaptation is not None:
            changing.theta.mul_(adaptation.keep).add_(adaptation.increment * spikes[0])
        if normalization is not None and (now + 1) % normalization.every == 0:
            normalization.apply(structure, weight, operator)
            if pairs is not None:
                pairs.clip(weight, normalization.chosen)
        neuron = spikes[0].nonzero().squeeze(1)
        found.append(torch.stack([torch.full_like(neuron, n), neuron]))
    changing.steps.add_(span.steps)
    at, neuron = torch.cat([running.u.new_zeros((2, 0)).long(), *found], 1)
    recorded = [
        torch.stack(kept, 1) if kept else running.u.new_zeros((1, 0, len(probe.neurons)))
        for probe, kept in zip(span.probes, states, strict=True)
    ]
    train = Train(begins(torch.zeros_like(at), 1), at, neuron)
    return Spiked(running._replace(u=state.u, g=state.g, wait=state.wait), train, recorded)


def _fire(x: Tensor) -> Tensor:
    return (x > 0).to(x)


def _learn(
    pairs: Pairs, structure: Structure, changing: Changing, spikes: Tensor, correlate: Correlate
) -> None:
    """Change the weights by the pairs that the spikes [1, N] of a step complete."""
    before = Traces(changing.pre.unsqueeze(0), changing.post.unsqueeze(0))
    pre, post, after = pairs.read(before, spikes)
    grows = correlate(structure, spikes.t(), pre.t()).mul_(pairs.a_plus)
    shrinks = correlate(structure, post.t(), spikes.t()).mul_(pairs.a_minus)
    reached = (spikes[0][structure.edge_index] > 0).any(0)
    pairs.change(changing.weight, grows, shrinks, reached)
    changing.pre.copy_(after.pre[0])
    changing.post.copy_(after.post[0])
