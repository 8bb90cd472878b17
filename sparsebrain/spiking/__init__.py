"""Spiking neurons: leaky integrate-and-fire networks, their inputs and their recordings."""

from sparsebrain.spiking.dynamics import State
from sparsebrain.spiking.events import SpikeTrains
from sparsebrain.spiking.fly_model import FlyBrain, Responses
from sparsebrain.spiking.homeostasis import AdaptiveThreshold, Normalization
from sparsebrain.spiking.lif import LIF
from sparsebrain.spiking.recording import Recording, Trace
from sparsebrain.spiking.surrogate import SURROGATES, Surrogate

__all__ = [
    "LIF",
    "SURROGATES",
    "AdaptiveThreshold",
    "FlyBrain",
    "Normalization",
    "Recording",
    "Responses",
    "SpikeTrains",
    "State",
    "Surrogate",
    "Trace",
]
