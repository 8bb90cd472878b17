"""Memories that store features of letters, seen once or a few times, and score others by them.

Each is a function of the features [L, examples, D] of the examples of L letters and of queries
[n, D], all of length 1, and returns letter scores [n, L]. Scores are comparable with cosines.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

import graphs
from sparsebrain.kernels import Structure, propagate
from sparsebrain.plasticity import FastWeights

Memory = Callable[[Tensor, Tensor], Tensor]

_SHARPNESS = 16.0
# The mushroom body: copies of its wiring, and the share of active Kenyon cells.
_COPIES = 25
_ACTIVE = 0.05
_PROJECTION, _KENYON = "P", "K"


def nearest(examples: Tensor, queries: Tensor) -> Tensor:
    """Return the largest cosine with an example of each letter."""
    return torch.einsum("nd,led->nle", queries, examples).amax(2)


def hopfield(examples: Tensor, queries: Tensor) -> Tensor:
    """Return log-sums of exponentials of cosines, the read-out of a modern Hopfield network.

    The softmax of 16 times the result is the attention that each letter receives: H. Ramsauer et
    al., "Hopfield networks is all you need", ICLR (2021).
    """
    cosines = torch.einsum("nd,led->nle", queries, examples)
    return torch.logsumexp(_SHARPNESS * cosines, 2) / _SHARPNESS


def hebb(examples: Tensor, queries: Tensor) -> Tensor:
    """Return what fast weights recall that stored all examples by Hebb's rule."""
    return recall(stored(examples, "hebb"), examples.size(2), queries)


def delta(examples: Tensor, queries: Tensor) -> Tensor:
    """Return what fast weights recall that stored all examples by the delta rule."""
    return recall(stored(examples, "delta"), examples.size(2), queries)


def average(examples: Tensor, queries: Tensor) -> Tensor:
    """Return the same as :func:`hebb`, for features that are too many to read one by one."""
    return queries @ functional.normalize(examples.mean(1), dim=1).T


def stored(examples: Tensor, write: str) -> FastWeights:
    """Return fast weights from D features to as many letters as there are examples [L, e, D]."""
    letters, number, width = examples.shape
    rate = 1 / number if write == "hebb" else 1.0
    memory = FastWeights(graphs.layered([width, letters]), rate, write=write)  # type: ignore[arg-type]
    for example in examples.unbind(1):
        for letter, key in enumerate(example):
            value = torch.zeros(width + letters)
            value[width + letter] = 1
            memory.write(functional.pad(key, (0, letters)), value)
    return memory


def recall(memory: FastWeights, width: int, queries: Tensor) -> Tensor:
    """Return what the letter neurons [n, letters] receive from queries [n, width].

    The synapses of each letter neuron are scaled to length 1, as neurons scale theirs. Many queries
    are read from few pairs, so the weights are read once, with one key per feature.
    """
    letters = memory.num_nodes - width
    weight = memory.read(functional.pad(torch.eye(width), (0, letters)))[:, width:]
    return queries @ functional.normalize(weight, dim=0)


class MushroomBody:
    """A sparse expansion of features by the wiring of a fly larva's mushroom body.

    Each of 25 copies connects 58 projection neurons, which read randomly chosen features, with the
    83 Kenyon cells that receive synapses from them. The 5 % of all Kenyon cells with the largest
    input are active.

    Args:
        features: The number of features.
        generator: The source of the choice.
    """

    def __init__(self, features: int, generator: torch.Generator) -> None:
        data = graphs.larva_mushroom_body()
        source, target = data.edge_index
        kinds = [data.node_type_names.index(each) for each in (_PROJECTION, _KENYON)]
        wired = (data.node_type[source] == kinds[0]) & (data.node_type[target] == kinds[1])
        sources, source = source[wired].unique(return_inverse=True)
        targets, target = target[wired].unique(return_inverse=True)
        chosen = torch.randint(features, (_COPIES, len(sources)), generator=generator)
        copies = torch.arange(_COPIES).unsqueeze(1)
        self.features, self.cells = features, _COPIES * len(targets)
        pairs = torch.stack(
            [chosen[:, source].flatten(), (features + copies * len(targets) + target).flatten()]
        )
        # A feature can reach a cell through several projection neurons.
        pairs, self.weight = pairs.unique(dim=1, return_counts=True)
        self.structure = Structure(pairs, features + self.cells)
        self.active = round(_ACTIVE * self.cells)

    def __call__(self, features: Tensor) -> Tensor:
        """Return codes [..., 2075] of length 1 of features [..., D]."""
        flat = features.reshape(-1, self.features)
        sent = functional.pad(flat - flat.mean(1, keepdim=True), (0, self.cells))
        weight = self.weight.to(flat.dtype)
        heard = propagate(self.structure, weight, sent.T.contiguous()).T[:, self.features :]
        winners = heard.topk(self.active, dim=1).indices
        code = torch.zeros_like(heard).scatter_(1, winners, self.active**-0.5)
        return code.view(*features.shape[:-1], self.cells)
