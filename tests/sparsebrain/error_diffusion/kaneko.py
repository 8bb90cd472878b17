"""Error diffusion in plain lists, cell by cell, as Kaneko's program goes: the oracle."""

import math


class Lists:
    """The networks of an ErrorDiffusionNetwork, taught online, one sample at a time."""

    def __init__(self, network, features, *, loss, alpha):
        self.types = network.types.tolist()
        self.edges = list(zip(*network.edge_index.tolist(), strict=True))
        self.weights = network.weight.tolist()
        self.features = features
        self.network, self.loss, self.alpha = network, loss, alpha

    def states(self, weights, x, nudged=None, by=0.0):
        """The activities of all cells after the last sweep, and the sum at the output."""
        held = {
            cell: x[feature] if feature >= 0 else self.network.bias_value
            for cell, feature in self.features.items()
        }
        o = [held.get(cell, 0.0) for cell in range(len(self.types))]
        for _ in range(self.network.loops):
            sums = [0.0] * len(o)
            for (m, k), w in zip(self.edges, weights, strict=True):
                sums[k] += w * o[m]
            o = [
                held[cell] if cell in held else 1 / (1 + math.exp(-2 * u / self.network.u0))
                for cell, u in enumerate(sums)
            ]
            if nudged is not None:
                o[nudged] += by
        if self.network.linear:
            o[self.network.output] = sums[self.network.output]
        return o

    def teach(self, x, label):
        """One step on one sample."""
        states = [self.states(weights, x) for weights in self.weights]
        scores = [o[self.network.output] for o in states]
        wanted = [float(label == k) for k in range(len(scores))] if len(scores) > 1 else [label]
        if self.loss == "cross-entropy":
            total = sum(math.exp(score) for score in scores)
            scores = [math.exp(score) / total for score in scores]
        for weights, o, t, score in zip(self.weights, states, wanted, scores, strict=True):
            e = t - score
            plus, minus = max(e, 0.0), max(-e, 0.0)
            for place, (m, k) in enumerate(self.edges):
                linear = self.network.linear and k == self.network.output
                slope = 1.0 if linear else o[k] * (1 - o[k])
                amine = plus if self.types[m] > 0 else minus
                signs = self.types[m] * self.types[k]
                weights[place] += self.alpha * o[m] * slope * signs * amine
