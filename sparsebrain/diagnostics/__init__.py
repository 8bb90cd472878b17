"""Diagnostics of a graph layer: the effect of its loops on states and gradients."""

from sparsebrain.diagnostics.gradients import LoopGradients, loop_gradients
from sparsebrain.diagnostics.loop_spectrum import Spectrum, spectrum
from sparsebrain.diagnostics.receptive_fields import Reach, ReceptiveField, reach, receptive_field
from sparsebrain.diagnostics.saturated_neurons import Saturation, saturation
from sparsebrain.diagnostics.state_similarity import Similarity, similarity, similarity_of

__all__ = [
    "LoopGradients",
    "Reach",
    "ReceptiveField",
    "Saturation",
    "Similarity",
    "Spectrum",
    "loop_gradients",
    "reach",
    "receptive_field",
    "saturation",
    "similarity",
    "similarity_of",
    "spectrum",
]
