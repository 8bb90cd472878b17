"""Homeostasis: what keeps the activity of neurons and the sum of their weights stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.kernels import plastic_spikes
from sparsebrain.kernels.reference import ReferenceBackend
from sparsebrain.kernels.structure import Structure
from sparsebrain.spiking.arguments import in_dtype, number, steps, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebrain.spiking.lif import LIF


def chosen_synapses(name: str, value: Tensor | None, lif: LIF) -> Tensor | None:
    """Return a mask of synapses [E] bool on the device of the weights, or None.

    Raises:
        TypeError: If it is not a tensor of bools.
        ValueError: If its shape is wrong.
    """
    if value is None:
        return None
    fix = "pass one bool for each synapse of lif.edge_index"
    shape = (len(lif.weight),)
    mask = tensors.tensor(name, value, shape, dtypes=(torch.bool,), fix=fix)
    return mask.detach().to(lif.weight.device, copy=True)


class AdaptiveThreshold(nn.Module):
    r"""Thresholds that rise with every spike of their neuron, and decay in between.

    .. math:: v_i > \mathrm{threshold}_i + \theta_i, \qquad
        \theta_i \leftarrow \theta_i e^{-dt / \tau} + \mathrm{increment}_i s_i

    at the end of every step, where s is 1 if the neuron spiked in it. A neuron that spikes often
    becomes less excitable, so that all neurons come to spike. Pass the object to
    :meth:`LIF.simulate`, which changes ``theta`` in place; the next simulation continues from it.

    Args:
        lif: The neurons, a :class:`LIF`.
        increment: By how much a spike raises the threshold, a number or a tensor [N], at least 0.
        tau: The time constant of the decay in ms, a number or a tensor [N].

    Attributes:
        theta: [N], in the dtype of the weights; zero at first, and part of the ``state_dict``.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an argument has the wrong shape or value.

    Source: P. U. Diehl, M. Cook, "Unsupervised learning of digit recognition using
    spike-timing-dependent plasticity", Frontiers in Computational Neuroscience 9 (2015) 99.

    Example:
        >>> import torch
        >>> from sparsebrain.spiking import LIF, AdaptiveThreshold
        >>> from torch_geometric.data import Data
        >>> neuron = LIF(Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=1))
        >>> adaptation = AdaptiveThreshold(neuron, 0.2, tau=1e6)
        >>> neuron.simulate(100, current=1.5, adaptation=adaptation).step.tolist()
        [21, 55]
        >>> adaptation.theta
        tensor([0.4000])
    """

    theta: Tensor

    def __init__(
        self, lif: LIF, increment: float | Tensor = 0.05, tau: float | Tensor = 1e7
    ) -> None:
        super().__init__()
        check_lif(lif)
        size = lif.num_nodes
        self._size = size
        self._increment = values("increment", increment, size, "not negative")
        self._tau = values("tau", tau, size, "positive")
        in_dtype("increment", self._increment, lif.weight)
        self.register_buffer(
            "theta", torch.zeros(size, dtype=lif.weight.dtype).to(lif.weight.device)
        )

    def coefficients(self, dt: float) -> plastic_spikes.Adaptation:
        """Return the coefficients of a step of dt ms, in the dtype and on the device of theta."""
        keep = torch.exp(-dt / self._tau)
        return plastic_spikes.Adaptation(
            self._increment.to(self.theta).expand(self._size).contiguous(),
            keep.to(self.theta).expand(self._size).contiguous(),
        )

    def extra_repr(self) -> str:
        """Describe the increment and the time constant, if all neurons share them."""
        shared = {"increment": self._increment, "tau": self._tau}
        return ", ".join(
            f"{name}={float(value):g}" for name, value in shared.items() if not value.dim()
        )


class Normalization:
    """Incoming weights of every neuron, scaled to a given sum of their absolute values.

    Neurons whose weights sum to 0 keep them. Calling the object scales the weights of the network
    in place. :meth:`LIF.simulate` does so once in every ``every`` ms, and then clips weights to the
    bounds of a rule such as ``STDP(lif, bounds="hard")``, so that sums may be smaller. Takes O(E)
    time.

    Args:
        lif: The network, a :class:`LIF` without ``dale``.
        total: The sum, > 0.
        every: The time between two normalizations in a simulation in ms, rounded to a multiple of
            ``lif.dt`` that is at least one step.
        synapses: [E] bool, the synapses that are summed and scaled; all by default.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If an argument has the wrong shape or value, or the network has ``dale``.

    Example:
        >>> import torch
        >>> from sparsebrain.spiking import LIF, Normalization
        >>> from torch_geometric.data import Data
        >>> two = Data(edge_index=torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
        >>> two.edge_weight = torch.tensor([1.0, 3.0])
        >>> lif = LIF(two)
        >>> Normalization(lif, 2.0, every=100.0)()
        >>> lif.weight.tolist()
        [0.5, 1.5]
    """

    def __init__(
        self, lif: LIF, total: float, every: float, *, synapses: Tensor | None = None
    ) -> None:
        check_lif(lif)
        refuse_dale("Normalization", lif)
        self.lif = lif
        self.total = arguments.real("total", total, positive=True)
        in_dtype("total", torch.tensor(self.total, dtype=torch.float64), lif.weight)
        self._every = torch.tensor(number("every", every, "positive"), dtype=torch.float64)
        self.every = self._steps() * lif.dt
        self._synapses = chosen_synapses("synapses", synapses, lif)

    @torch.no_grad()
    def __call__(self) -> None:
        """Scale the weights of the network in place."""
        weight = self.lif.weight.detach().clone()
        self.coefficients().apply(self.lif.structure, weight, _operator)
        self.lif.assign_weight(weight)

    def coefficients(self) -> plastic_spikes.Normalization:
        """Return what a simulation needs to know, on the device of the weights."""
        chosen = self._synapses
        if chosen is not None:
            chosen = chosen.to(self.lif.weight.device)
        return plastic_spikes.Normalization(self.total, self._steps(), chosen)

    def _steps(self) -> int:
        return max(1, int(steps("every", self._every, self.lif.dt)))

    def __repr__(self) -> str:
        return f"Normalization(total={self.total:g}, every={self.every:g})"


def _operator(structure: Structure, weight: Tensor) -> Callable[[Tensor], Tensor]:
    return ReferenceBackend().operator(structure, weight, transpose=False)


def check_lif(value: object) -> None:
    """Raise TypeError unless ``value`` is a LIF."""
    from sparsebrain.spiking.lif import LIF  # noqa: PLC0415

    if not isinstance(value, LIF):
        raise TypeError(
            f"lif must be a LIF, got {arguments.described(value)}; pass "
            "sparsebrain.spiking.LIF(connectome)"
        )


def refuse_dale(name: str, lif: LIF) -> None:
    """Raise ValueError if a parametrization computes the weights of a network."""
    if nn.utils.parametrize.is_parametrized(lif, "weight"):
        raise ValueError(
            f"{name} changes the weights directly, which dale=True computes from free parameters; "
            "pass LIF(connectome, dale=False), and STDP(lif, bounds='hard') to keep weights "
            "positive"
        )
