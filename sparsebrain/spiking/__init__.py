"""Spiking neurons: leaky integrate-and-fire networks, their inputs and their recordings."""

from sparsebrain.spiking.dynamics import State
from sparsebrain.spiking.lif import LIF
from sparsebrain.spiking.surrogate import SURROGATES, Surrogate

__all__ = ["LIF", "SURROGATES", "State", "Surrogate"]
