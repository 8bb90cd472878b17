"""Looking into a graph layer: what its loops do to states and gradients."""

from sparsebrain.diagnostics.gradients import LoopGradients, loop_gradients
from sparsebrain.diagnostics.receptive_field import Reach, ReceptiveField, reach, receptive_field
from sparsebrain.diagnostics.saturation import Saturation, saturation
from sparsebrain.diagnostics.similarity import Similarity, similarity, similarity_of
from sparsebrain.diagnostics.spectrum import Spectrum, spectrum

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
