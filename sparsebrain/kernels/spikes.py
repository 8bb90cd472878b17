"""Spiking neurons step by step: the only definition of a time step, and the reference of kernels.

A simulation runs in spans of many steps. What a span needs of the network is a :class:`Network`, of
the samples a :class:`Running`, and of its input a :class:`Span`; it returns a :class:`Spiked`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.structure import Structure


class Coefficients(NamedTuple):
    r"""The coefficients of one step, per neuron.

    Potentials are relative to the resting potential, :math:`u = v - v_0`, because float32 resolves
    small differences from rest better than v itself. With the synaptic current g and a constant
    input current I (a voltage, R = 1), a neuron that is not refractory integrates

    .. math:: u \leftarrow a u + (k g + c I), \qquad g \leftarrow b g

    All tensors are [N], on the device and in the dtype of the weights. A value that all neurons
    share is expanded, with stride 0.

    Attributes:
        decay: a.
        drive: c, by which the input current is multiplied before the simulation.
        transfer: k; None if spikes add to v.
        synapse_decay: b; None if spikes add to v.
        threshold: The threshold, relative to rest.
        reset: The potential after a spike, relative to rest.
        refractory: [N] int32, the steps in which a neuron is refractory, with that of its spike.
        holds_all: Whether g is frozen too while a neuron is refractory, and zero after a spike.
    """

    decay: Tensor
    drive: Tensor
    transfer: Tensor | None
    synapse_decay: Tensor | None
    threshold: Tensor
    reset: Tensor
    refractory: Tensor
    holds_all: bool


class State(NamedTuple):
    """The state of neurons between two steps, with any leading batch dimensions.

    Attributes:
        u: [..., N], the membrane potential relative to rest, v - rest.
        g: [..., N], the synaptic current; None if spikes add to v.
        wait: [..., N] int32, the steps for which a neuron is still refractory.
        spikes: [..., D, N], the spikes of the last D steps, the oldest first, where D is the
            longest delay.
    """

    u: Tensor
    g: Tensor | None
    wait: Tensor
    spikes: Tensor


class Wiring(NamedTuple):
    """The synapses of a network whose spikes arrive after a delay.

    A step sums the spikes that arrive at a neuron from the longest delay to the shortest, and for
    each delay over the sources in ascending order. To :func:`sparsebrain.kernels.propagate` this is
    one sum: in ``structure`` neuron s is represented once for each distinct delay, by node
    d * N + s for the d-th of ``delays``.

    Attributes:
        structure: The synapses, in the order of the connectome.
        delays: The distinct delays in steps, the longest first; (0,) without synapses.
        num_nodes: N, the number of neurons.
    """

    structure: Structure
    delays: tuple[int, ...]
    num_nodes: int

    def arrivals(
        self, propagate: Callable[[Tensor], Tensor], history: Tensor, spikes: Tensor
    ) -> Tensor:
        """Return the sum of the weights of all spikes that arrive in a step, [N, B].

        Args:
            propagate: The function x -> W x on states [nodes, B] of ``structure``.
            history: [D, N, B], the spikes of the last D steps, the oldest first, where D is the
                longest delay.
            spikes: [N, B], the spikes of this step, which arrive at once where the delay is 0.
        """
        longest = self.delays[0]
        parts = [spikes if delay == 0 else history[longest - delay] for delay in self.delays]
        return propagate(torch.cat(parts) if len(parts) > 1 else parts[0])[: self.num_nodes]


def wire(structure: Structure, delay: Tensor) -> Wiring:
    """Return the synapses of a structure with their delays, [] or [E] int64, in steps."""
    distinct = delay.unique()
    if len(distinct) <= 1:
        only = int(distinct[0]) if len(distinct) else 0
        return Wiring(structure, (only,), structure.num_nodes)
    source, target = structure.edge_index
    place = len(distinct) - 1 - torch.searchsorted(distinct, delay)
    represented = place.to(source) * structure.num_nodes + source
    repeated = Structure(torch.stack([represented, target]), structure.num_nodes * len(distinct))
    return Wiring(repeated, tuple(distinct.flip(0).tolist()), structure.num_nodes)


def integrate(c: Coefficients, state: State, drive: Tensor | None = None) -> State:
    """Integrate u and g over one step, except where a neuron is refractory.

    Args:
        c: The coefficients.
        state: The state.
        drive: c I, broadcast to u; None without an input current.
    """
    active = state.wait == 0
    u, g = c.decay * state.u, state.g
    if g is not None:
        assert c.transfer is not None
        assert c.synapse_decay is not None
        received = c.transfer * g
        u = u + (received if drive is None else received + drive)
        decayed = c.synapse_decay * g
        g = torch.where(active, decayed, g) if c.holds_all else decayed
    elif drive is not None:
        u = u + drive
    return state._replace(u=torch.where(active, u, state.u), g=g)


def step(
    c: Coefficients,
    state: State,
    fire: Callable[[Tensor], Tensor],
    arrivals: Callable[[Tensor], Tensor],
    *,
    drive: Tensor | None = None,
    jump: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Run one time step, differentiable by autograd.

    The order is: integrate; find the spikes, where v is above the threshold and the neuron is not
    refractory; add the input and the spikes that arrive; reset the neurons that spiked. What
    arrives at a refractory neuron is lost where it would change a frozen variable, and so is what
    arrives in the step of its spike if the reset overwrites it.

    Args:
        c: The coefficients.
        state: The state before the step, [..., N]. Its ``spikes`` are not used.
        fire: The spikes, 1 where u is above the threshold and 0 elsewhere, as a function of u minus
            the threshold. A surrogate gradient belongs here.
        arrivals: The sum of the weights of the spikes that arrive in this step, as a function of
            the spikes of this step.
        drive: c I, broadcast to u.
        jump: Added to u as an input, broadcast to u.

    Returns:
        The spikes [..., N], and the state, with the ``spikes`` of the state before.
    """
    u, g, wait, history = integrate(c, state, drive)
    active = wait == 0
    spikes = torch.where(active, fire(u - c.threshold), 0.0)
    arriving = arrivals(spikes)
    after = u if jump is None else u + jump
    if g is None:
        after = after + arriving
    elif c.holds_all:
        g = torch.where(active, g + arriving, g)
    else:
        g = g + arriving
    spiked = spikes.detach() > 0
    u = torch.where(spiked, c.reset, torch.where(active, after, u))
    if g is not None and c.holds_all:
        g = torch.where(spiked, 0.0, g)
    wait = torch.where(spiked, c.refractory - 1, wait - 1).clamp_min(0)
    return spikes, State(u, g, wait, history)


class Network(NamedTuple):
    """A network of spiking neurons, as kernels simulate it.

    Attributes:
        structure: The synapses.
        weight: [E], in their order.
        delay: [] or [E] int64, in steps.
        coefficients: The coefficients of a step.
        input: c I [N], the same in every step; None without an input current.
        silent: [N] bool, the neurons that never spike; None without any.
    """

    structure: Structure
    weight: Tensor
    delay: Tensor
    coefficients: Coefficients
    input: Tensor | None
    silent: Tensor | None

    @property
    def longest(self) -> int:
        """The longest delay of a synapse, in steps."""
        return int(self.delay.max()) if self.delay.numel() else 0


class Train(NamedTuple):
    """Events of several samples, sorted by sample, step and neuron.

    Attributes:
        begin: [S + 1] int64; the events of sample s are those from begin[s] to begin[s + 1].
        step: [K] int64.
        neuron: [K] int64.
    """

    begin: Tensor
    step: Tensor
    neuron: Tensor

    def sample(self) -> Tensor:
        """Return the sample of each event, [K] int64."""
        return torch.repeat_interleave(self.begin.diff())


class Running(NamedTuple):
    """The state of several samples between two spans.

    Attributes:
        u: [S, N], the membrane potential relative to rest.
        g: [S, N], the synaptic current; None if spikes add to v.
        wait: [S, N] int32, the steps for which a neuron is still refractory.
        recent: The spikes of the last steps, as many as the longest delay has; their steps are
            negative, -1 for the last one.
    """

    u: Tensor
    g: Tensor | None
    wait: Tensor
    recent: Train


class Probe(NamedTuple):
    """States to record.

    Attributes:
        current: Whether to record g, and not u.
        neurons: [K] int64.
        first: The first step to record, counted from the start of the span.
        every: The steps between two records.
    """

    current: bool
    neurons: Tensor
    first: int
    every: int

    def times(self, steps: int) -> int:
        """Return how many of the first ``steps`` steps are recorded."""
        return max(0, -(-(steps - self.first) // self.every))


class Span(NamedTuple):
    """The input of a span of steps.

    Attributes:
        steps: The number of steps.
        events: The input events, at most one for each sample, step and neuron. Steps count from the
            start of the span.
        jump: [K], what each event adds to u.
        probes: The states to record, at the start of a step.
    """

    steps: int
    events: Train
    jump: Tensor
    probes: list[Probe]


class Spiked(NamedTuple):
    """The result of a span.

    Attributes:
        running: The state after it.
        spikes: The spikes; steps count from its start.
        states: For each probe the recorded states [S, times, K].
    """

    running: Running
    spikes: Train
    states: list[Tensor]


def recent_spikes(before: Train, spikes: Train, steps: int, longest: int) -> Train:
    """Return the spikes that may still arrive after a span: those of the last ``longest`` steps.

    Args:
        before: The recent spikes before the span.
        spikes: The spikes of the span.
        steps: The number of steps of the span.
        longest: The longest delay in steps.
    """
    sample = torch.cat([before.sample(), spikes.sample()])
    step = torch.cat([before.step, spikes.step]) - steps
    neuron = torch.cat([before.neuron, spikes.neuron])
    kept = step >= -longest
    # Stable: within a sample the earlier spikes stay first.
    sample, order = sample[kept].sort(stable=True)
    return Train(begins(sample, len(before.begin) - 1), step[kept][order], neuron[kept][order])


def begins(sample: Tensor, samples: int) -> Tensor:
    """Return where the events of each sample begin, [S + 1], for sorted samples [K]."""
    begin = torch.zeros(samples + 1, dtype=torch.int64, device=sample.device)
    torch.cumsum(torch.bincount(sample, minlength=samples), 0, out=begin[1:])
    return begin


def _fire(x: Tensor) -> Tensor:
    return (x > 0).to(x)


def _arrive(
    wiring: Wiring, propagate: Callable[[Tensor], Tensor], history: Tensor, spikes: Tensor
) -> Tensor:
    """Return what arrives [S, N], for a history [D, S, N] and spikes [S, N]."""
    return wiring.arrivals(propagate, history.transpose(1, 2), spikes.t().contiguous()).t()


def in_order(structure: Structure, weight: Tensor) -> tuple[Structure, Tensor]:
    """Return the same synapses sorted by target and source, so that all sums run in this order."""
    order = structure.by_target.order
    if order is None:
        return structure, weight
    edges = structure.edge_index.index_select(1, order)
    return Structure(edges, structure.num_nodes), weight.index_select(0, order)


def run_steps(
    network: Network,
    running: Running,
    span: Span,
    operator: Callable[[Structure, Tensor], Callable[[Tensor], Tensor]],
    complete: Callable[[Tensor], Tensor] | None = None,
) -> Spiked:
    """Run the steps of a span one by one.

    Args:
        network: The network.
        running: The state of the samples.
        span: The input.
        operator: Returns the function x -> W x of a structure and its weights.
        complete: Adds the spikes of neurons that another process computes to those of a step,
            [S, N], before any arrives; the result has the spikes of both.
    """
    c = network.coefficients
    if network.silent is not None:
        never = torch.full_like(c.threshold, torch.inf)
        c = c._replace(threshold=torch.where(network.silent, never, c.threshold))
    wiring = wire(network.structure, network.delay)
    ordered, weight = in_order(wiring.structure, network.weight)
    propagate = operator(ordered, weight)
    samples, longest = len(running.u), wiring.delays[0]
    # Steps first, so that a ring of the last steps is a view.
    history = running.u.new_zeros((longest, *running.u.shape))
    recent = running.recent
    history[recent.step + longest, recent.sample(), recent.neuron] = 1
    sample_of_event = span.events.sample()
    found: list[Tensor] = []
    states: list[list[Tensor]] = [[] for _ in span.probes]
    state = State(running.u, running.g, running.wait, running.u.new_zeros(0))
    for n in range(span.steps):
        for probe, kept in zip(span.probes, states, strict=True):
            if n >= probe.first and (n - probe.first) % probe.every == 0:
                values = state.g if probe.current else state.u
                assert values is not None
                kept.append(values.index_select(1, probe.neurons))
        now = span.events.step == n
        jump = torch.zeros_like(state.u)
        jump[sample_of_event[now], span.events.neuron[now]] = span.jump[now]
        every: list[Tensor] = []

        def arrive(own: Tensor, past: Tensor = history, every: list[Tensor] = every) -> Tensor:
            every.append(own if complete is None else complete(own))
            return _arrive(wiring, propagate, past, every[0])

        _, state = step(c, state, _fire, arrive, drive=network.input, jump=jump)
        (spikes,) = every
        sample, neuron = spikes.nonzero(as_tuple=True)
        found.append(torch.stack([sample, torch.full_like(sample, n), neuron]))
        if longest:
            history = torch.cat([history[1:], spikes.unsqueeze(0)])
    sample, at, neuron = torch.cat([running.u.new_zeros((3, 0)).long(), *found], 1)
    sample, order = sample.sort(stable=True)
    train = Train(begins(sample, samples), at[order], neuron[order])
    kept_recent = recent_spikes(recent, train, span.steps, longest)
    recorded = [
        torch.stack(kept, 1) if kept else running.u.new_zeros((samples, 0, len(probe.neurons)))
        for probe, kept in zip(span.probes, states, strict=True)
    ]
    return Spiked(Running(state.u, state.g, state.wait, kept_recent), train, recorded)
