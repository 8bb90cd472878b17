<<<<<<< HEAD
"""Spiking neurons: leaky integrate-and-fire networks, their inputs and their recordings."""

from sparsebrain.spiking.lif import LIF
from sparsebrain.spiking.surrogate import SURROGATES, Surrogate

__all__ = ["LIF", "SURROGATES", "Surrogate"]
=======
"""Spiking neurons: leaky integrate-and-fire networks on any connectome."""

from sparsebrain.spiking.surrogate import SURROGATES, Surrogate

__all__ = ["SURROGATES", "Surrogate"]
>>>>>>> spiketrain
