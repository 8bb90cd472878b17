"""Models that contain a graph layer."""

from sparsebrain.models.anytime import AnytimeClassifier, Prediction
from sparsebrain.models.ejima import EJIMA_MODELS, EJIMA_VARIANTS, ejima_model
from sparsebrain.models.fly_eye import FlyEye
from sparsebrain.models.graph_classifier import ACTIVATIONS, classifier, perceptron
from sparsebrain.models.motion import DirectionTuning, direction_tuning, moving_edge
from sparsebrain.models.neuron_classifier import NeuronClassifier, decay_weights
from sparsebrain.models.recurrent import Recurrent, truncated_backward
from sparsebrain.models.spiking_classifier import spiking_classifier

__all__ = [
    "ACTIVATIONS",
    "EJIMA_MODELS",
    "EJIMA_VARIANTS",
    "AnytimeClassifier",
    "DirectionTuning",
    "FlyEye",
    "NeuronClassifier",
    "Prediction",
    "Recurrent",
    "classifier",
    "decay_weights",
    "direction_tuning",
    "ejima_model",
    "moving_edge",
    "perceptron",
    "spiking_classifier",
    "truncated_backward",
]
