"""One time step of leaky integrate-and-fire neurons: its coefficients and its only definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels import Structure


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


def decays(
    tau: Tensor, tau_synapse: Tensor | None, dt: float, step: str
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    r"""Return a, c, k and b of :class:`Coefficients`, in float64.

    With step "exact" and a time step t, :math:`a = e^{-t / \tau}`, :math:`b = e^{-t / \tau_s}`,
    :math:`c = 1 - a`, and the response of v to g after t is

    .. math:: k = \frac{t}{\tau} e^{-t / \tau} \frac{e^x - 1}{x}, \qquad
        x = \frac{t}{\tau} - \frac{t}{\tau_s}

    whose limit is :math:`t / \tau \, e^{-t / \tau}` where both time constants are equal. With step
    "euler", a = 1 - t / tau, c = k = t / tau and b = 1 - t / tau_s.

    Example:
        >>> import torch
        >>> tau = torch.tensor(20.0, dtype=torch.float64)
        >>> a, c, k, b = decays(tau, tau, 1.0, "exact")
        >>> round(float(a), 6), round(float(k), 6)
        (0.951229, 0.047561)
    """
    rate = dt / tau
    if step == "euler":
        if tau_synapse is None:
            return 1 - rate, rate, None, None
        synapse_decay = 1 - dt / tau_synapse
        shape = torch.broadcast_shapes(rate.shape, synapse_decay.shape)
        return 1 - rate, rate, rate.expand(shape), synapse_decay
    decay, drive = torch.exp(-rate), -torch.expm1(-rate)
    if tau_synapse is None:
        return decay, drive, None, None
    x = rate - dt / tau_synapse
    near = x.abs() < 1e-300
    ratio = torch.where(near, torch.ones_like(x), torch.expm1(x) / torch.where(near, 1.0, x))
    return decay, drive, rate * decay * ratio, torch.exp(-dt / tau_synapse)


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
