"""A second look: an answer after every loop, and no more loops than an answer needs."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.models.inputs import check_encoded, check_layer, check_module, check_samples
from sparsebrain.models.labels import check_labels
from sparsebrain.models.neurons import Neurons, ReadNeurons, find_neurons
from sparsebrain.nn.graph_layer import GraphLayer


class Prediction(NamedTuple):
    """What was answered, after how many loops, and how surely.

    ``classes`` and ``loops`` are [B] int64, ``confidence`` [B] is the softmax of the answer.
    """

    classes: Tensor
    loops: Tensor
    confidence: Tensor


class AnytimeClassifier(nn.Module):
    """A graph layer with a readout at every loop: anytime prediction, with early exits.

    Each loop has a linear readout of its own, and all of them learn together, so that there is an
    answer at any time. :meth:`predict` lets each sample go on looking only until its answer is sure
    enough. S. Teerapittayanon, B. McDanel, H. T. Kung, "BranchyNet: Fast inference via early
    exiting from deep neural networks", ICPR (2016).

    Args:
        layer: a :class:`~sparsebrain.GraphLayer` with a number of loops; with ``inject=True`` the
            input is looked at again in every one.
        num_classes: the width of the output.
        encode: any module [..., F] -> [..., N] of N neurons, such as ``nn.Linear(F, N)``; by
            default x itself has a value for each neuron.
        outputs: the neurons that are read, by their numbers or a mask [N] bool; all by default.

    Attributes:
        readouts: a ``nn.Linear`` for each loop.

    Shapes:
        x [..., F] -> class scores [loops, ..., num_classes], those of the first loop first.

    Raises:
        TypeError: ``layer`` is no GraphLayer, or a count no int. ValueError: it has no number of
            loops, a count is less than 1, or a neuron is not there.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.models import AnytimeClassifier
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> model = AnytimeClassifier(GraphLayer(ring, 3, activation="tanh", inject=True), 2)
        >>> x, y = torch.randn(8, 4), torch.randint(2, (8,))
        >>> model.loss(x, y).backward()
        >>> (model(x).argmax(-1) == y).float().mean(1).shape  # accuracy by loop
        torch.Size([3])
        >>> classes, loops, confidence = model.predict(x, confidence=0.9)
    """

    def __init__(
        self,
        layer: GraphLayer,
        num_classes: int,
        *,
        encode: nn.Module | None = None,
        outputs: Neurons | None = None,
    ) -> None:
        super().__init__()
        num_classes = arguments.count("num_classes", num_classes, at_least=1)
        loops = check_layer(layer)
        self.encode = check_module("encode", encode)
        self.layer = layer
        self.read: nn.Module = nn.Identity()
        width = layer.num_nodes
        if outputs is not None:
            neurons = find_neurons(Data(num_nodes=layer.num_nodes), outputs, "outputs")
            self.read, width = ReadNeurons(neurons), len(neurons)
        weights = 4 * loops * width * num_classes
        tensors.room(f"num_classes={num_classes}", weights, "pass fewer classes or loops")
        self.readouts = nn.ModuleList(nn.Linear(width, num_classes) for _ in range(loops))

    def forward(self, x: Tensor) -> Tensor:
        """The class scores after every loop."""
        _, states = self.layer(self._encoded(x, (..., "F")), return_states=True)
        read = zip(self.readouts, self.read(states[1:]), strict=True)
        return torch.stack([readout(state) for readout, state in read])

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The cross-entropy of samples x [B, F] with labels y [B], mean over samples and loops.

        Raises:
            TypeError: y holds no integers. ValueError: it is not [B], or names no class.
        """
        scores = self(x)
        check_labels(scores[0], y)
        return functional.cross_entropy(scores.flatten(0, 1), y.repeat(len(scores)))

    @torch.no_grad()
    def predict(self, x: Tensor, confidence: float = 0.9) -> Prediction:
        """Look at samples x [B, F] until each answer is sure enough, or there is no loop left.

        A sample stops after the first loop in which the softmax of its best class is more than
        ``confidence``; only the others are looped on. So 0 is the first loop for all, and 1 is all
        loops, as no answer is certain. Batch normalisation in ``encode`` wants ``model.eval()``.

        Raises:
            ValueError: x is not [B, F], or ``confidence`` not between 0 and 1.
        """
        confidence = arguments.real("confidence", confidence, at_most=1)
        drive = self._encoded(x, ("B", "F"))
        once = copy.copy(self.layer)
        once.loops = 1
        state = torch.zeros_like(drive) if once.inject else drive
        unsure = torch.arange(len(x), device=x.device)
        found = Prediction(
            torch.empty_like(unsure), torch.empty_like(unsure), drive.new_empty(len(x))
        )
        for number, readout in enumerate(self.readouts, start=1):
            state = once(drive, state=state)[0] if once.inject else once(state)
            surest, label = readout(self.read(state)).softmax(-1).max(-1)
            done = surest > confidence
            if number == len(self.readouts):
                done = torch.ones_like(done)
            stopped = unsure[done]
            found.classes[stopped] = label[done]
            found.loops[stopped] = number
            found.confidence[stopped] = surest[done]
            unsure, state, drive = unsure[~done], state[~done], drive[~done]
            if not len(unsure):
                break
        return found

    def _encoded(self, x: Tensor, shape: tensors.Shape) -> Tensor:
        check_samples(x, shape, self.encode)
        return check_encoded(self.encode, x, self.layer.num_nodes)
