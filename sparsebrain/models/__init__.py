"""Whole models around the graph layer."""

from sparsebrain.models.anytime import AnytimeClassifier, Prediction
from sparsebrain.models.classifier import ACTIVATIONS, classifier, perceptron
from sparsebrain.models.ejima import MODELS, READINGS, paper
from sparsebrain.models.neuron_classifier import NeuronClassifier, forget
from sparsebrain.models.recurrent import Recurrent, truncated_backward

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "READINGS",
    "AnytimeClassifier",
    "NeuronClassifier",
    "Prediction",
    "Recurrent",
    "classifier",
    "forget",
    "paper",
    "perceptron",
    "truncated_backward",
]
