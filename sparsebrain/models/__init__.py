"""Whole models around the graph layer."""

from sparsebrain.models.anytime import AnytimeClassifier, Prediction
from sparsebrain.models.classifier import ACTIVATIONS, classifier, perceptron
from sparsebrain.models.ejima import MODELS, READINGS, paper
from sparsebrain.models.error_diffusion import ErrorDiffusionNetwork
from sparsebrain.models.neuron_classifier import NeuronClassifier, forget
from sparsebrain.models.recurrent import Recurrent, truncated_backward
from sparsebrain.models.typed_cells import alternating

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "READINGS",
    "AnytimeClassifier",
    "ErrorDiffusionNetwork",
    "NeuronClassifier",
    "Prediction",
    "Recurrent",
    "alternating",
    "classifier",
    "forget",
    "paper",
    "perceptron",
    "truncated_backward",
]
