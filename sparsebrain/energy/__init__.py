"""Networks with an energy: Boltzmann machines, Ising models and Hopfield networks on any graph."""

from sparsebrain.energy.machine import BoltzmannMachine
from sparsebrain.energy.models import hopfield, ising

__all__ = ["BoltzmannMachine", "hopfield", "ising"]
