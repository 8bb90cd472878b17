"""A classifier with spiking neurons in the middle."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain.models.graph_classifier import encoder, linear
from sparsebrain.spiking import LIF

Readout = Literal["rate", "membrane"]

READOUTS: tuple[Readout, ...] = ("rate", "membrane")
"""The ways to read spikes; see :func:`spiking_classifier`."""

MOST_STEPS = 100_000
"""The most time steps of a sample."""


class SpikingNeurons(nn.Module):
    r"""Spiking neurons that receive a constant input current, and whose spikes are averaged.

    .. math:: y = \sum_{t = 1}^{T} a_t s_t, \qquad
        a_t = \frac1T \quad\text{or}\quad a_t = (1 - e^{-1 / \tau}) e^{-(T - t) / \tau}

    with :math:`\tau = T / 3` steps for the readout "membrane".

    Args:
        lif: The neurons.
        steps: T.
        readout: "rate" weighs all steps alike. "membrane" is the potential, at the end, of a leaky
            neuron that receives the spikes, so that later spikes count more.

    Shape:
        I [B, N] -> y [B, N], from 0 to 1.
    """

    def __init__(self, lif: LIF, steps: int, readout: Readout = "rate") -> None:
        super().__init__()
        self.lif = lif
        self.steps = arguments.count("steps", steps, at_least=1, at_most=MOST_STEPS)
        self.readout = arguments.option("readout", readout, READOUTS)

    def forward(self, current: Tensor) -> Tensor:
        """Return the average of the spikes."""
        spikes, _ = self.lif(current.unsqueeze(1).expand(-1, self.steps, -1))
        if self.readout == "rate":
            # Unlike that of a mean, the gradient of a sum takes no memory for each step.
            return spikes.sum(1) / self.steps
        keep = math.exp(-3 / self.steps)
        ages = torch.arange(self.steps - 1, -1, -1, device=spikes.device)
        return torch.einsum("btn,t->bn", spikes, (1 - keep) * keep ** ages.to(spikes.dtype))

    def extra_repr(self) -> str:
        """Return the steps and the readout, for ``__repr__``."""
        return f"steps={self.steps}, readout={self.readout!r}"


def spiking_classifier(
    connectome: Data,
    num_classes: int,
    *,
    steps: int = 20,
    readout: Readout = "rate",
    in_features: int | None = None,
    tau: float | Tensor = 10.0,
    refractory: float | Tensor = 0.0,
    **neurons: Any,
) -> nn.Sequential:
    """Make a classifier with spiking neurons on a connectome.

    The model is Linear - BatchNorm - :class:`sparsebrain.spiking.LIF` - BatchNorm - Linear, as
    :func:`~sparsebrain.models.classifier` with spiking neurons in place of the loops. The first two
    layers make an input current for each neuron, which is constant over all steps. The neurons
    start at rest; the last two layers read the average of their spikes. Surrogate gradients train
    all weights. ``model.spiking.lif`` are the neurons.

    Args:
        connectome: As for :class:`~sparsebrain.spiking.LIF`; N neurons.
        num_classes: The width of the output.
        steps: The time steps of a sample, from 1 to 100,000.
        readout: "rate" reads the mean number of spikes per step. "membrane" reads the potential, at
            the end, of a leaky neuron with a time constant of ``steps`` / 3 that receives the
            spikes.
        in_features: The width of the input; N by default.
        tau: The membrane time constant in ms.
        refractory: The refractory time in ms.
        neurons: Further options of the neurons, such as ``tau_synapse=5.0``, ``delay=1.0``,
            ``surrogate="arctan"`` or ``dale=True``.

    Returns:
        A model that maps x [B, in_features] to class scores [B, num_classes]. While it is training,
        batch normalization needs B > 1.

    Raises:
        TypeError: If a count is not an int, or neither this function nor the neurons have an
            option.
        ValueError: If a number is out of range, or an option is unknown.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from sparsebrain.models import spiking_classifier
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> model = spiking_classifier(ring, num_classes=2, steps=10, in_features=3)
        >>> model(torch.randn(8, 3)).shape
        torch.Size([8, 2])
    """
    num_classes = arguments.count("num_classes", num_classes, at_least=1)
    lif = LIF(connectome, tau=tau, refractory=refractory, **neurons)
    spiking = SpikingNeurons(lif, steps, readout)
    parts = encoder(lif.num_nodes if in_features is None else in_features, lif.num_nodes, None)
    del parts["encode_activation"]
    # Currents around the threshold, of which about half of the neurons spike.
    rest, threshold = torch.as_tensor(lif.rest), torch.as_tensor(lif.threshold)
    norm = parts["encode_norm"]
    assert isinstance(norm, nn.BatchNorm1d)
    with torch.no_grad():
        norm.bias.copy_(threshold - rest)
        norm.weight.copy_(2 * (threshold - rest).abs())
    parts["spiking"] = spiking
    parts["spiking_norm"] = nn.BatchNorm1d(lif.num_nodes)
    parts["decode"] = linear("num_classes", lif.num_nodes, num_classes)
    return nn.Sequential(parts)
