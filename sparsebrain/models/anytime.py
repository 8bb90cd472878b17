"""Anytime prediction: an answer after every loop, and early exits."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.selection import Neurons, find_neurons
from sparsebrain.models.inputs import check_encoded, check_layer, check_module, check_samples
from sparsebrain.models.labels import check_labels
from sparsebrain.models.neurons import ReadNeurons
from sparsebrain.nn.graph_layer import GraphLayer


class Prediction(NamedTuple):
    """The result of :meth:`AnytimeClassifier.predict` for B samples.

    Attributes:
        classes: The predicted classes, [B] int64.
        loops: The number of loops of each sample, [B] int64.
        confidence: The softmax probability of the predicted class, [B].
    """

    classes: Tensor
    loops: Tensor
    confidence: Tensor


class AnytimeClassifier(nn.Module):
    """A graph layer with a readout after every loop: anytime prediction with early exits.

    Each loop has its own linear readout, and all readouts are trained together, so that there is an
    answer after every loop. :meth:`predict` stops each sample once its answer is confident enough.
    S. Teerapittayanon, B. McDanel, H. T. Kung, "BranchyNet: Fast inference via early exiting from
    deep neural networks", ICPR (2016).

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with a number of loops. With ``inject=True`` every
            loop receives the input again.
        num_classes: The width of the output.
        encode: A module [..., F] -> [..., N] for N neurons, such as ``nn.Linear(F, N)``. By default
            x itself has one value for each neuron.
        outputs: The neurons that are read, as numbers or a mask [N] bool; all by default.

    Attributes:
        readouts: One ``nn.Linear`` per loop.

    Shape:
        x [..., F] -> class scores [loops, ..., num_classes], those of the first loop first.

    Raises:
        TypeError: If ``layer`` is not a GraphLayer, ``encode`` not a module, or a count not an int.
        ValueError: If the layer has no number of loops, a count is less than 1, or a neuron does
            not exist.

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
        """Return the class scores after every loop."""
        _, states = self.layer(self._encoded(x, (..., "F")), return_states=True)
        read = zip(self.readouts, self.read(states[1:]), strict=True)
        return torch.stack([readout(state) for readout, state in read])

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the cross-entropy, averaged over samples and loops.

        Args:
            x: Samples [B, F].
            y: Labels [B] int64.

        Raises:
            TypeError: If ``x`` or ``y`` is not a tensor of the right dtype.
            ValueError: If ``y`` is not [B], or a label is not a class.
        """
        scores = self(x)
        check_labels(scores[0], y)
        return functional.cross_entropy(scores.flatten(0, 1), y.repeat(len(scores)))

    @torch.no_grad()
    def predict(self, x: Tensor, confidence: float = 0.9) -> Prediction:
        """Predict the classes of samples, with as few loops as each sample needs.

        A sample stops after the first loop in which the softmax probability of its best class
        exceeds ``confidence``; only the others continue. With 0 all samples stop after the first
        loop; with 1 all run every loop, since no probability exceeds 1. If ``encode`` contains
        batch normalization, call ``model.eval()`` first.

        Args:
            x: Samples [B, F].
            confidence: The probability at which a sample stops, from 0 to 1.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If x is not [B, F], or ``confidence`` is not from 0 to 1.
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
