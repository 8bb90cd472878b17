"""A mini-batch of error diffusion in plain lists, by NumPy's matrix products, and by ours."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsebrain.error_diffusion import ErrorDiffusionNetwork
from sparsebrain.learning import Rule


class Layers:
    """Cells layer by layer, and between two layers synapses as arrays in one order for all."""

    def __init__(self, network: ErrorDiffusionNetwork, depth: int) -> None:
        types, self.last = network.types.numpy(), depth
        first = network.output + 1
        hidden = np.split(np.arange(first, network.num_nodes), depth)
        layers = [np.arange(2, network.output), *hidden, np.array([network.output])]
        source, target = network.edge_index.numpy()
        weight = network.weight.detach().numpy()[0]
        self.types = [types[layer] for layer in layers[1:]]
        self.source_types, self.weights, self.present, self.places = [], [], [], []
        for before, after in pairwise(layers):
            # The bias is in front of the cells of every layer, as a source.
            columns, rows = np.full((2, network.num_nodes), -1)
            columns[[0, 1, *before]] = np.arange(2 + len(before))
            rows[after] = np.arange(len(after))
            place = (rows[target] >= 0) & (columns[source] >= 0)
            at = rows[target[place]], columns[source[place]]
            matrix = np.zeros((len(after), 2 + len(before)), np.float32)
            present = np.zeros_like(matrix)
            matrix[at], present[at] = weight[place], 1
            self.source_types.append(types[[0, 1, *before]])
            self.weights.append(matrix)
            self.present.append(present)
            self.places.append((place.nonzero()[0], at))
        self.synapses = len(source)

    def flat(self, updates: Sequence[NDArray[Any]]) -> Tensor:
        """Updates of the weights in matrices as those of the synapses, in their order."""
        found = torch.empty(self.synapses, dtype=torch.float64)
        for update, (place, at) in zip(updates, self.places, strict=True):
            found[place] = torch.from_numpy(update[at].astype(np.float64))
        return found


class Peer(ABC):
    """One way to take the step; ``rate`` multiplies the sum over the batch."""

    def __init__(self, layers: Layers, x: Tensor, y: Tensor, rate: float) -> None:
        self.layers, self.rate = layers, rate
        self.x, self.y = x.numpy(), y.numpy().astype(np.float32)
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Bring weights and samples into a form of its own."""

    @abstractmethod
    def step(self) -> None:
        """Run the batch and change the weights."""

    @abstractmethod
    def update(self) -> Tensor:
        """What the first step changes [E], divided by the rate."""


class Lists(Peer):
    """Sample by sample, cell by cell, synapse by synapse."""

    def prepare(self) -> None:
        """Lists of the synapses that are there."""
        found = self.layers
        self.samples = list(zip(self.x.tolist(), self.y.tolist(), strict=True))
        self.sources = [[row.nonzero()[0].tolist() for row in each] for each in found.present]
        self.weights = [
            [row[here].tolist() for row, here in zip(matrix, sources, strict=True)]
            for matrix, sources in zip(found.weights, self.sources, strict=True)
        ]
        self.types = [each.tolist() for each in found.types]
        self.source_types = [each.tolist() for each in found.source_types]

    def sums(self) -> list[list[list[float]]]:
        """The batch's sum of updates of every weight."""
        total = [[[0.0] * len(row) for row in layer] for layer in self.weights]
        for x, wanted in self.samples:
            states = self.run(x)
            e = wanted - states[-1][0]
            plus, minus = max(e, 0.0), max(-e, 0.0)
            for layer, sources in enumerate(self.sources):
                state, after = states[layer], states[layer + 1]
                after = after if layer == self.layers.last else after[2:]
                sent = [
                    s * o * (plus if s > 0 else minus)
                    for s, o in zip(self.source_types[layer], state, strict=True)
                ]
                for k, (o, s) in enumerate(zip(after, self.types[layer], strict=True)):
                    gain, row = o * (1 - o) * s, total[layer][k]
                    for place, m in enumerate(sources[k]):
                        row[place] += gain * sent[m]
        return total

    def run(self, x: list[float]) -> list[list[float]]:
        """The states of all layers, with the bias in front of all but the last."""
        state = [0.8, 0.8, *(value for value in x for _ in range(2))]
        states = [state]
        for layer, sources in enumerate(self.sources):
            fired = [
                1 / (1 + math.exp(-sum(w * state[m] for w, m in zip(row, here, strict=True))))
                for row, here in zip(self.weights[layer], sources, strict=True)
            ]
            state = fired if layer == self.layers.last else [0.8, 0.8, *fired]
            states.append(state)
        return states

    def step(self) -> None:
        """Run the batch and change the weights."""
        for weights, changes in zip(self.weights, self.sums(), strict=True):
            for row, change in zip(weights, changes, strict=True):
                for place, value in enumerate(change):
                    row[place] += self.rate * value

    def update(self) -> Tensor:
        """What the first step changes [E], divided by the rate."""
        matrices = [np.zeros(each.shape) for each in self.layers.weights]
        for matrix, sources, sums in zip(matrices, self.sources, self.sums(), strict=True):
            for row, here, values in zip(matrix, sources, sums, strict=True):
                row[here] = values
        return self.layers.flat(matrices)


class NumPy(Peer):
    """The batch as matrix products."""

    def prepare(self) -> None:
        """Full matrices, and signs that are 0 where no synapse is."""
        found = self.layers
        self.weights = [each.copy() for each in found.weights]
        self.signs = [
            (np.outer(after, before) * present).astype(np.float32)
            for after, before, present in zip(
                found.types, found.source_types, found.present, strict=True
            )
        ]
        # Every layer's + and - cells alternate behind the pair of the bias, or come as they come.
        self.plus = [(each > 0).nonzero()[0] for each in found.source_types]
        self.minus = [(each < 0).nonzero()[0] for each in found.source_types]

    def sums(self) -> list[NDArray[np.float32]]:
        """The batch's sum of updates of every weight, before signs."""
        batch = len(self.x)
        state = np.empty((2 + 2 * self.x.shape[1], batch), np.float32)
        state[:2] = 0.8
        state[2::2] = state[3::2] = self.x.T
        states = [state]
        for layer, weight in enumerate(self.weights):
            fired = 1 / (1 + np.exp(-(weight @ state)))
            if layer < self.layers.last:
                state = np.empty((2 + len(fired), batch), np.float32)
                state[:2], state[2:] = 0.8, fired
            else:
                state = fired
            states.append(state)
        e = self.y - states[-1]
        plus, minus = np.maximum(e, 0), np.maximum(-e, 0)
        sums = []
        for layer, weight in enumerate(self.weights):
            after = states[layer + 1] if layer == self.layers.last else states[layer + 1][2:]
            slope = after * (1 - after)
            change = np.empty_like(weight)
            for amine, cells in ((plus, self.plus[layer]), (minus, self.minus[layer])):
                change[:, cells] = (slope * amine) @ states[layer][cells].T
            change *= self.signs[layer]
            sums.append(change)
        return sums

    def step(self) -> None:
        """Run the batch and change the weights."""
        for weight, change in zip(self.weights, self.sums(), strict=True):
            np.multiply(change, self.rate, out=change)
            np.add(weight, change, out=weight)

    def update(self) -> Tensor:
        """What the first step changes [E], divided by the rate."""
        return self.layers.flat(self.sums())


class Ours:
    """The rule and torch's SGD, as a user calls them."""

    def __init__(self, rule: Rule, x: Tensor, y: Tensor, rate: float) -> None:
        self.rule, self.x, self.y = rule, x, y
        self.optimizer = torch.optim.SGD(rule.parameters(), lr=rate)

    def step(self) -> None:
        """Run the batch and change the weights."""
        self.optimizer.zero_grad()
        self.rule(self.x, self.y)
        self.optimizer.step()

    def update(self) -> Tensor:
        """What the first step changes [E], divided by the rate."""
        network = self.rule.model
        assert isinstance(network, ErrorDiffusionNetwork)
        self.optimizer.zero_grad()
        self.rule(self.x, self.y)
        assert network.strength.grad is not None
        return (-network.strength.grad[network.places[0]] * network.sign).double()
