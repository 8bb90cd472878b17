"""Spike-timing-dependent plasticity that a later reward turns into a change of the weights."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain.kernels.plastic_spikes import Pairs, Traces
from sparsebrain.plasticity.spike_timing import Coincidence, Pairing, SpikeTimingRule
from sparsebrain.plasticity.updates import add_to_grad, check_activity
from sparsebrain.spiking import LIF


class _Online(NamedTuple):
    """What :meth:`DopamineSTDP.step` keeps: spike traces, eligibility [B, E], dopamine [B]."""

    traces: Traces
    eligibility: Tensor
    dopamine: Tensor


class DopamineSTDP(SpikeTimingRule):
    r"""STDP that changes the weights only where dopamine meets a synapse's eligibility trace.

    The pairs of :class:`STDP` add to the eligibility trace c of a synapse, and the dopamine that is
    released adds to its concentration d. Both decay, and their product moves the weight:

    .. math:: \dot c = -c / \tau_c + \mathrm{STDP}, \qquad \dot d = -d / \tau_d + \mathrm{DA},
        \qquad \dot w = c d

    Times are in ms, so the weight changes by the integral of c d over ms. Pairs and dopamine of a
    step act at its start; c d is integrated exactly over the step. A pair of size A, followed after
    T by dopamine D, changes the weight in total by
    :math:`A D e^{-T / \tau_c} \tau_c \tau_d / (\tau_c + \tau_d)`; if the dopamine comes before the
    pair, :math:`e^{-T / \tau_d}` takes the place of the first factor.

    ``rule(spikes, dopamine)`` adds minus the change over the sequences, averaged over the samples,
    to the gradient of ``lif.weight``, and starts from rest. It sums c d over time without storing
    c: time is O(B T (N + E)), and memory O(B N + E) besides the spikes. :meth:`step` does one step
    at a time and keeps c for every sample: O(B E) time and memory. The changes of all steps sum to
    that of the whole sequence. ``state_dict`` includes what it keeps.

    Args:
        lif: The neurons, as for :class:`STDP`.
        a_plus: ``A_+``, as for STDP.
        a_minus: ``A_-``, as for STDP.
        tau_plus: The time constant of potentiation in ms.
        tau_minus: The time constant of depression in ms.
        pairing: "all" or "nearest", as for STDP.
        coincidence: "none" or "potentiation", as for STDP.
        tau_c: The time constant of the eligibility traces in ms.
        tau_d: The time constant of the dopamine concentration in ms.

    Shape:
        ``rule(spikes, dopamine)``: spikes [B, T, N] of 0 and 1, dopamine [B, T] of any sign, both
        in the dtype of the weights -> the change of the weights [E].

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: An argument has a wrong shape or value.

    Source: E. M. Izhikevich, "Solving the distal reward problem through linkage of STDP and
    dopamine signaling", Cerebral Cortex 17 (2007) 2443-2452.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import DopamineSTDP
        >>> from sparsebrain.spiking import LIF
        >>> from torch_geometric.data import Data
        >>> pair = LIF(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
        >>> rule = DopamineSTDP(pair, a_plus=1.0)
        >>> spikes, dopamine = torch.zeros(1, 2000, 2), torch.zeros(1, 2000)
        >>> spikes[0, 10, 0] = spikes[0, 11, 1] = 1
        >>> rule(spikes, dopamine)  # No dopamine, no change.
        tensor([0.])
        >>> dopamine[0, 300] = 0.5
        >>> rule(spikes, dopamine)
        tensor([59.3713])
    """

    # Makes the integral one over seconds.
    learning_rate = 1e-3

    def __init__(
        self,
        lif: LIF,
        a_plus: float = 0.01,
        a_minus: float = 0.0105,
        tau_plus: float = 20.0,
        tau_minus: float = 20.0,
        *,
        pairing: Pairing = "all",
        coincidence: Coincidence = "none",
        tau_c: float = 1000.0,
        tau_d: float = 200.0,
    ) -> None:
        super().__init__(
            lif, a_plus, a_minus, tau_plus, tau_minus, pairing=pairing, coincidence=coincidence
        )
        self.tau_c = arguments.real("tau_c", tau_c, positive=True)
        self.tau_d = arguments.real("tau_d", tau_d, positive=True)
        self._online: _Online | None = None

    def pairs_in_simulation(self) -> Pairs:
        """Raise ValueError: the dopamine of a simulation is not known before it ends."""
        raise ValueError(
            "plasticity=DopamineSTDP needs the dopamine of every step, which simulate does not "
            "take; run the network by spikes, state = lif(current, state) and call "
            "rule.step(spikes[:, t], dopamine) for each step, or pass plasticity=STDP(lif)"
        )

    def _coefficients(self) -> tuple[float, float, float]:
        """Return the decays of c and d in a step, and the integral of their product over it."""
        dt, rate = self.layer.dt, 1 / self.tau_c + 1 / self.tau_d
        over_step = -math.expm1(-dt * rate) / rate
        return math.exp(-dt / self.tau_c), math.exp(-dt / self.tau_d), over_step

    @torch.no_grad()
    def forward(self, spikes: Tensor, dopamine: Tensor) -> Tensor:
        """Add minus the change to ``.grad``, and return it; the class describes the shapes."""
        self.check_spikes(spikes, "B", "T")
        check_activity("dopamine", dopamine, tuple(spikes.shape[:2]), self.layer)
        keeps_c, keeps_d, over_step = self._coefficients()
        # What a pair at each step will have changed by the end, per unit of its size. Rounding adds
        # up over thousands of steps, hence float64.
        worth = dopamine.detach().t().to(torch.float64, copy=True)
        for before, now in itertools.pairwise(worth):
            now.add_(before, alpha=keeps_d)
        worth *= over_step
        for number in range(len(worth) - 2, -1, -1):
            worth[number].add_(worth[number + 1], alpha=keeps_c)
        change = self.sum_of_pairs(spikes.detach(), worth.t().to(dopamine)) / len(spikes)
        add_to_grad(self.layer, change)
        return change

    @torch.no_grad()
    def step(self, spikes: Tensor, dopamine: Tensor) -> Tensor:
        """Add minus the change of one step to ``.grad``, continuing from the step before.

        Args:
            spikes: [B, N] of 0 and 1.
            dopamine: [B], the dopamine that is released at this step.

        Returns:
            The change of the weights [E], averaged over the samples.

        Raises:
            TypeError: An argument has a wrong type or dtype.
            ValueError: An argument has a wrong shape or value.

        Example:
            >>> import torch
            >>> from sparsebrain.plasticity import DopamineSTDP
            >>> from sparsebrain.spiking import LIF
            >>> from torch_geometric.data import Data
            >>> pair = LIF(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
            >>> rule = DopamineSTDP(pair)
            >>> _ = rule.step(torch.tensor([[1.0, 0.0]]), torch.zeros(1))
            >>> rule.step(torch.tensor([[0.0, 1.0]]), torch.ones(1))
            tensor([0.0095])
        """
        self.check_spikes(spikes, "B")
        batch, weight = len(spikes), self.layer.weight
        check_activity("dopamine", dopamine, (batch,), self.layer)
        online = self._online
        if online is None:
            self.room_for_samples(batch, copies=4)
            zero = weight.new_zeros(batch, len(weight))
            online = _Online(self.no_traces(batch), zero, weight.new_zeros(batch))
        kept = online.eligibility
        if len(kept) != batch or kept.dtype != weight.dtype or kept.device != weight.device:
            raise ValueError(
                f"spikes must continue the {len(kept)} samples of the last step, {kept.dtype} on "
                f"{kept.device}, got {batch}, {weight.dtype} on {weight.device}; call rule.reset() "
                "to start anew"
            )
        keeps_c, keeps_d, over_step = self._coefficients()
        pre, post, traces = self.pairs().read(online.traces, spikes.detach())
        grows, shrinks = self.changes(spikes.detach(), pre, post)
        eligibility = grows.sub_(shrinks).add_(kept, alpha=keeps_c)
        concentration = dopamine.detach().add(online.dopamine, alpha=keeps_d)
        self._online = _Online(traces, eligibility, concentration)
        change = concentration @ eligibility * (over_step / batch)
        add_to_grad(self.layer, change)
        return change

    def reset(self) -> None:
        """Return to rest: :meth:`step` forgets spikes, eligibility traces and dopamine."""
        self._online = None

    def get_extra_state(self) -> dict[str, Tensor]:
        """Return what :meth:`step` keeps, for ``state_dict``; empty at rest."""
        if self._online is None:
            return {}
        traces, eligibility, dopamine = self._online
        return {**traces._asdict(), "eligibility": eligibility, "dopamine": dopamine}

    def set_extra_state(self, state: Any) -> None:
        """Take what :meth:`get_extra_state` returned, so that :meth:`step` continues the run.

        Raises:
            TypeError: If it is not a dictionary of tensors of the dtype of the weights.
            ValueError: If a tensor is missing, or its shape does not fit the network.
        """
        names = ("pre", "post", "eligibility", "dopamine")
        if not isinstance(state, dict) or set(state) not in (set(), set(names)):
            raise TypeError(
                f"state must be the dictionary of another DopamineSTDP, got "
                f"{arguments.described(state)}; pass rule.state_dict() of a rule of this network"
            )
        if not state:
            self._online = None
            return
        weight = self.layer.weight
        neurons, synapses = self.layer.num_nodes, len(weight)
        tensors.tensor("dopamine", state["dopamine"], ("B",), dtypes=(weight.dtype,))
        batch = len(state["dopamine"])
        for name, width in (("pre", neurons), ("post", neurons), ("eligibility", synapses)):
            tensors.tensor(name, state[name], (batch, width), dtypes=(weight.dtype,))
        pre, post, eligibility, dopamine = (
            state[name].detach().to(weight.device, copy=True) for name in names
        )
        self._online = _Online(Traces(pre, post), eligibility, dopamine)

    def extra_repr(self) -> str:
        """Return the amplitudes, time constants and options."""
        return f"{super().extra_repr()}, tau_c={self.tau_c:g}, tau_d={self.tau_d:g}"
