"""Networks with an energy: Boltzmann machines, Ising models and Hopfield networks on any graph."""

from sparsebrain.energy.classifier import BoltzmannClassifier
from sparsebrain.energy.divergence import ContrastiveDivergence
from sparsebrain.energy.dynamic import DynamicBoltzmannMachine
from sparsebrain.energy.machine import BoltzmannMachine
from sparsebrain.energy.models import hopfield, ising

__all__ = [
    "BoltzmannClassifier",
    "BoltzmannMachine",
    "ContrastiveDivergence",
    "DynamicBoltzmannMachine",
    "hopfield",
    "ising",
]
