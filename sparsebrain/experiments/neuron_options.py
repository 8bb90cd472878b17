"""The neurons of a comparison: rate neurons, or spiking ones with their options as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain.experiments import texts
from sparsebrain.models.spiking_classifier import MOST_STEPS, Readout, spiking_classifier

RATE = "rate"
"""Neurons with an activation, which exchange numbers."""

_LIF = "lif"


@dataclass(frozen=True)
class SpikingOptions:
    """Options of spiking neurons, see :func:`~sparsebrain.models.spiking_classifier`.

    Attributes:
        steps: Time steps of a sample, each 1 ms long.
        readout: "rate" or "membrane".
        tau: Membrane time constant in ms.
        tau_synapse: Synaptic time constant in ms; None lets spikes add to v.
        refractory: Refractory time in ms.
        delay: Delay of all synapses in ms.
        surrogate: Name in :data:`~sparsebrain.spiking.SURROGATES`.
    """

    steps: int = 20
    readout: Readout = "rate"
    tau: float = 10.0
    tau_synapse: float | None = None
    refractory: float = 0.0
    delay: float = 0.0
    surrogate: str = "fast_sigmoid"

    def __post_init__(self) -> None:
        arguments.count("steps", self.steps, at_least=1, at_most=MOST_STEPS)
        # A longer time has no end within a sample.
        arguments.real("refractory", self.refractory, at_most=MOST_STEPS)
        arguments.real("delay", self.delay, at_most=MOST_STEPS)
        # The smallest network checks all other options.
        self.make_model(_without_synapses(1), 1, 1)

    def make_model(self, data: Data, in_features: int, num_classes: int) -> nn.Sequential:
        """Return a classifier with these neurons."""
        return spiking_classifier(data, num_classes, in_features=in_features, **asdict(self))


_READERS = texts.readers_of(SpikingOptions)


class NeuronsOption(NamedTuple):
    """The neurons of a model.

    Attributes:
        spec: The text that result tables contain.
        spiking: The options of spiking neurons; None for rate neurons.
    """

    spec: str
    spiking: SpikingOptions | None


def parse_neurons(given: str, name: str = "neurons") -> NeuronsOption:
    """Parse ``rate``, or ``lif:option=value,option=value``.

    Args:
        given: The text; the options are the fields of :class:`SpikingOptions`.
        name: Name of the argument, for messages.

    Returns:
        The neurons.

    Raises:
        ValueError: The text, an option or a value is unknown or out of range.

    Example:
        >>> from sparsebrain.experiments.neuron_options import parse_neurons
        >>> parse_neurons("rate")
        NeuronsOption(spec='rate', spiking=None)
        >>> parse_neurons("lif:tau=5,steps=30").spec
        'lif:steps=30,tau=5'
    """
    kind, colon, rest = given.strip().partition(":")
    if kind == RATE and not colon:
        return NeuronsOption(RATE, None)
    if kind != _LIF:
        raise ValueError(
            f"{name} must be {RATE} or {_LIF}, got {given!r:.200}; pass for example "
            f"{name}={_LIF} or {name}={_LIF}:steps=30"
        )
    try:
        told, options = texts.read_options(kind, rest, _READERS)
        spiking = SpikingOptions(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={given!r:.200}: {error}") from None
    return NeuronsOption(f"{kind}:{told}" if told else kind, spiking)


def draw_spiking(
    spiking: SpikingOptions, data: Data | None, in_features: int, num_classes: int, *, hidden: int
) -> nn.Sequential:
    """Make the model of a run; without a graph its ``hidden`` neurons have no synapses."""
    connectome = _without_synapses(hidden) if data is None else data
    return spiking.make_model(connectome, in_features, num_classes)


def _without_synapses(num_nodes: int) -> Data:
    return Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=num_nodes)
