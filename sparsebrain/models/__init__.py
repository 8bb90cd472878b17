"""Whole models around the graph layer."""

from sparsebrain.models.classifier import ACTIVATIONS, classifier, perceptron
from sparsebrain.models.ejima import MODELS, READINGS, paper
from sparsebrain.models.neuron_classifier import NeuronClassifier, forget

__all__ = [
    "ACTIVATIONS",
    "MODELS",
    "READINGS",
    "NeuronClassifier",
    "classifier",
    "forget",
    "paper",
    "perceptron",
]
