"""The base class of the rules that compare the times of spikes."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain import kernels
from sparsebrain.kernels.plastic_spikes import Pairs, Traces
from sparsebrain.plasticity.plasticity_rule import PlasticityRule
from sparsebrain.plasticity.updates import check_activity
from sparsebrain.spiking import LIF
from sparsebrain.spiking.arguments import in_dtype
from sparsebrain.spiking.changing import SimulatedRule
from sparsebrain.spiking.homeostasis import check_lif, chosen_synapses

Pairing = Literal["all", "nearest"]
Coincidence = Literal["none", "potentiation"]

# A sequence is processed in pieces of about this many spikes, which bounds the memory of traces.
_PIECE = 2**21


class SpikeTimingRule(PlasticityRule, SimulatedRule):
    """A rule on pairs of spikes, for the synapses of a :class:`~sparsebrain.spiking.LIF`.

    :class:`STDP` defines the pairs and the arguments.
    """

    layer: LIF

    def __init__(
        self,
        lif: LIF,
        a_plus: float,
        a_minus: float,
        tau_plus: float,
        tau_minus: float,
        *,
        pairing: Pairing,
        coincidence: Coincidence,
        synapses: Tensor | None = None,
    ) -> None:
        check_lif(lif)
        super().__init__(lif)
        self.a_plus = arguments.real("a_plus", a_plus)
        self.a_minus = arguments.real("a_minus", a_minus)
        for name, amplitude in (("a_plus", self.a_plus), ("a_minus", self.a_minus)):
            in_dtype(name, torch.tensor(amplitude, dtype=torch.float64), lif.weight)
        self.tau_plus = arguments.real("tau_plus", tau_plus, positive=True)
        self.tau_minus = arguments.real("tau_minus", tau_minus, positive=True)
        self.pairing = arguments.option("pairing", pairing, ("all", "nearest"))
        self.coincidence = arguments.option("coincidence", coincidence, ("none", "potentiation"))
        self._synapses = chosen_synapses("synapses", synapses, lif)

    @property
    def synapses(self) -> Tensor | None:
        """The synapses that change, [E] bool on the device of the weights; None for all."""
        mask = self._synapses
        return None if mask is None else mask.to(self.layer.weight.device)

    def pairs(self) -> Pairs:
        """Return what pairs of spikes do, without bounds, for the present time step."""
        dt = self.layer.dt
        return Pairs(
            self.a_plus,
            self.a_minus,
            math.exp(-dt / self.tau_plus),
            math.exp(-dt / self.tau_minus),
            self.pairing == "nearest",
            self.coincidence == "potentiation",
            None,
            1.0,
            self.synapses,
        )

    def check_spikes(self, spikes: Tensor, *sizes: str) -> None:
        """Raise TypeError or ValueError unless spikes [..., N] are 0 or 1, and not empty."""
        check_activity("spikes", spikes, (*sizes, self.layer.num_nodes), self.layer)
        if 0 in spikes.shape[: len(sizes)]:
            raise ValueError(
                f"spikes must hold at least one sample and one step, got {list(spikes.shape)}; "
                "pass a batch of one"
            )
        wrong = (spikes != 0) & (spikes != 1)
        if bool(wrong.any()):
            place = tuple(wrong.nonzero()[0].tolist())
            raise ValueError(
                f"spikes must be 0 or 1, got {float(spikes[place]):g} at position {list(place)}; "
                "pass (spikes > 0).to(spikes)"
            )

    def no_traces(self, batch: int) -> Traces:
        """Return the traces before the first spike."""
        zero = self.layer.weight.new_zeros(batch, self.layer.num_nodes)
        return Traces(zero, zero)

    def changes(self, spikes: Tensor, pre: Tensor, post: Tensor) -> tuple[Tensor, Tensor]:
        """Return potentiation and depression of every synapse in one step, each [B, E]."""
        source, target = self.layer.structure.edge_index
        grows = spikes[:, target].mul_(pre[:, source]).mul_(self.a_plus)
        return grows, post[:, target].mul_(spikes[:, source]).mul_(self.a_minus)

    def sum_of_pairs(self, spikes: Tensor, factor: Tensor | None = None) -> Tensor:
        """Return the change of every synapse [E], summed over samples and steps.

        The samples and steps are the columns of a ``correlate``, in pieces of bounded memory.

        Args:
            spikes: [B, T, N].
            factor: [B, T], by which the changes of a step are multiplied; 1 if None.
        """
        structure = self.layer.structure
        batch, steps, neurons = spikes.shape
        traces, pairs = self.no_traces(batch), self.pairs()
        total = torch.zeros_like(self.layer.weight)
        length = max(_PIECE // max(batch * neurons, 1), 1)
        for first in range(0, steps, length):
            piece = spikes[:, first : first + length].transpose(0, 1).contiguous()
            pre, post = torch.empty_like(piece), torch.empty_like(piece)
            for number, now in enumerate(piece):
                pre[number], post[number], traces = pairs.read(traces, now)
            scaled = piece
            if factor is not None:
                scale = factor[:, first : first + length].t().unsqueeze(2)
                scaled = piece * scale
                post *= scale
            for amplitude, at_target, at_source in (
                (self.a_plus, scaled, pre),
                (-self.a_minus, post, piece),
            ):
                columns = (each.view(-1, neurons).t() for each in (at_target, at_source))
                total.add_(kernels.correlate(structure, *columns), alpha=amplitude)
        return total if self.synapses is None else total * self.synapses

    def room_for_samples(self, batch: int, copies: int) -> None:
        """Raise ValueError unless some copies of one value per sample and synapse fit in memory."""
        weight = self.layer.weight
        tensors.room(
            f"one value per synapse for every sample, spikes of {batch} samples,",
            copies * batch * weight.nbytes,
            "pass a smaller batch",
        )

    def extra_repr(self) -> str:
        """Return the amplitudes, time constants and options."""
        return (
            f"a_plus={self.a_plus:g}, a_minus={self.a_minus:g}, tau_plus={self.tau_plus:g}, "
            f"tau_minus={self.tau_minus:g}, pairing={self.pairing!r}, "
            f"coincidence={self.coincidence!r}"
        )
