"""Spiking neurons: leaky integrate-and-fire networks on any connectome."""

from sparsebrain.spiking.surrogate import SURROGATES, Surrogate

__all__ = ["SURROGATES", "Surrogate"]
