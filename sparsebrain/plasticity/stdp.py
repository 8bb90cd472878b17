"""Spike-timing-dependent plasticity."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from graphs import arguments
from sparsebrain.kernels.plastic_spikes import Pairs
from sparsebrain.plasticity.spike_timing import Coincidence, Pairing, SpikeTimingRule
from sparsebrain.plasticity.updates import add_to_grad
from sparsebrain.spiking import LIF
from sparsebrain.spiking.arguments import in_dtype

Bounds = Literal["hard", "soft"]


class STDP(SpikeTimingRule):
    r"""STDP: a synapse grows if its source spikes before its target, and else it shrinks.

    A pair of spikes with :math:`\Delta t = t_\mathrm{post} - t_\mathrm{pre}` changes the weight by

    .. math:: \Delta w = \begin{cases} A_+ e^{-\Delta t / \tau_+} & \Delta t > 0 \\
        -A_- e^{\Delta t / \tau_-} & \Delta t < 0 \end{cases}

    ``rule(spikes)`` adds minus the change over the sequences, averaged over the samples, to the
    gradient of ``lif.weight``. Every sequence starts without earlier spikes. The times are those at
    which spikes are sent: the delays of synapses do not count. The change is that of the signed
    weight, so potentiation makes a negative weight weaker; with ``dale=True`` no sign flips.

    ``lif.simulate(..., plasticity=rule)`` changes the weights step by step while the network runs.

    With bounds, the weights of every sample start from the present weights, and change step by step
    by the potentiation p and depression d of each step, clipped to [0, w_max]:

    * "hard": :math:`w \leftarrow \mathrm{clip}(w + p - d)`;
    * "soft": :math:`w \leftarrow \mathrm{clip}(w + p (1 - w / w_\mathrm{max}) - d w /
      w_\mathrm{max})`, where the clipping only matters if p + d is above w_max in a step.

    The gradient is then the present weight minus the mean final weight. SGD with a learning rate of
    1 steps to that mean, and one of at most 1 stays in [0, w_max].

    Without bounds time is O(B T (N + E)), with all steps as columns of few products, and memory is
    O(B N + E) besides the spikes and pieces of bounded size. With bounds, memory is O(B E).

    Args:
        lif: The neurons, a :class:`~sparsebrain.spiking.LIF`; its ``dt`` is the time step.
        a_plus: ``A_+``, at least 0, in the unit of the weights.
        a_minus: ``A_-``, likewise.
        tau_plus: The time constant of potentiation in ms.
        tau_minus: The time constant of depression in ms.
        pairing: "all" pairs every spike with all earlier spikes of the other neuron. "nearest"
            pairs a postsynaptic spike with the last presynaptic one, and a presynaptic spike with
            the last postsynaptic one.
        coincidence: "none" excludes pairs within one step. "potentiation" counts them as
            potentiation by ``A_+``; with "nearest" the other neuron's spike in the same step is
            then the last one for potentiation, but not for depression.
        bounds: None, "hard" or "soft".
        w_max: The upper bound of the weights; the lower one is 0. Without bounds it is not used.
        synapses: [E] bool, the synapses that change; all by default.

    Shape:
        ``rule(spikes)``: spikes [B, T, N] of 0 and 1, in the dtype of the weights -> the change of
        the weights [E].

    Raises:
        TypeError: An argument has a wrong type or dtype.
        ValueError: An argument has a wrong shape or value, or with bounds a weight is outside
            [0, w_max].

    Source: S. Song, K. D. Miller, L. F. Abbott, Nature Neuroscience 3 (2000) 919-926, also for hard
    bounds and the default amplitudes; soft bounds and pairings: A. Morrison, M. Diesmann,
    W. Gerstner, Biological Cybernetics 98 (2008) 459-478.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import STDP
        >>> from sparsebrain.spiking import LIF
        >>> from torch_geometric.data import Data
        >>> pair = LIF(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
        >>> spikes = torch.zeros(1, 50, 2)
        >>> spikes[0, 10, 0] = spikes[0, 15, 1] = 1  # The source spikes 5 ms before the target.
        >>> STDP(pair)(spikes)  # 0.01 exp(-5 / 20)
        tensor([0.0078])
    """

    learning_rate = 1.0

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
        bounds: Bounds | None = None,
        w_max: float = 1.0,
        synapses: Tensor | None = None,
    ) -> None:
        super().__init__(
            lif,
            a_plus,
            a_minus,
            tau_plus,
            tau_minus,
            pairing=pairing,
            coincidence=coincidence,
            synapses=synapses,
        )
        self.bounds = arguments.option("bounds", bounds, (None, "hard", "soft"))
        self.w_max = arguments.real("w_max", w_max, positive=True)
        in_dtype("w_max", torch.tensor(self.w_max, dtype=torch.float64), lif.weight)

    @torch.no_grad()
    def forward(self, spikes: Tensor) -> Tensor:
        """Add minus the change to ``.grad``, and return it; the class describes the shapes."""
        self.check_spikes(spikes, "B", "T")
        spikes = spikes.detach()
        if self.bounds is None:
            change = self.sum_of_pairs(spikes) / len(spikes)
        else:
            change = self._bounded(spikes)
        add_to_grad(self.layer, change)
        return change

    def pairs(self) -> Pairs:
        """Return what pairs of spikes do, with the bounds."""
        return super().pairs()._replace(bounds=self.bounds, w_max=self.w_max)

    def pairs_in_simulation(self) -> Pairs:
        """Return what pairs of spikes do; ValueError if a weight is out of bounds."""
        if self.bounds is not None:
            self._check_bounds()
        return self.pairs()

    def _check_bounds(self) -> None:
        """Raise ValueError unless the weights that change are in [0, w_max]."""
        weight, top = self.layer.weight.detach(), self.w_max
        wrong = ~((weight >= 0) & (weight <= top))
        if self.synapses is not None:
            wrong &= self.synapses
        if bool(wrong.any()):
            place = int(wrong.nonzero()[0])
            raise ValueError(
                f"w_max={top:g} with bounds={self.bounds!r} needs weights in [0, {top:g}], got "
                f"{float(weight[place]):g} for synapse {place}; call lif.assign_weight("
                f"lif.weight.clamp(0, {top:g})), or pass a larger w_max or bounds=None"
            )

    def _bounded(self, spikes: Tensor) -> Tensor:
        """Return the change of every weight, [E], with bounds."""
        self._check_bounds()
        start = self.layer.weight.detach()
        self.room_for_samples(len(spikes), copies=6)
        weight = start.repeat(len(spikes), 1)
        traces, pairs = self.no_traces(len(spikes)), self.pairs()
        for now in spikes.unbind(1):
            pre, post, traces = pairs.read(traces, now)
            pairs.change(weight, *self.changes(now, pre, post))
        return weight.mean(0) - start

    def extra_repr(self) -> str:
        """Return the amplitudes, time constants and options."""
        bounds = "" if self.bounds is None else f", bounds={self.bounds!r}, w_max={self.w_max:g}"
        return super().extra_repr() + bounds
