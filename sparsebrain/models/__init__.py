"""Whole models around the graph layer."""

from sparsebrain.models.classifier import ACTIVATIONS, classifier, perceptron
from sparsebrain.models.ejima import MODELS, READINGS, paper

__all__ = ["ACTIVATIONS", "MODELS", "READINGS", "classifier", "paper", "perceptron"]
