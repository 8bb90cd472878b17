"""The models of A. Ejima, "Neurons regarded as Graph"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from torch import nn

from graphs import arguments
from sparsebrain.models.classifier import classifier, perceptron


class Window(NamedTuple):
    """How far a neuron of the graph layer sends, in pixels each way, and how often."""

    distance: int
    loops: int


class Reading(NamedTuple):
    """Options of :func:`~sparsebrain.models.classifier`."""

    activation: str | None = "relu"
    loop_activation: str | None = None
    init: str | None = None


MODELS: Mapping[str, Window | None] = MappingProxyType(
    {
        "MLP": None,
        "alpha": Window(1, 5),
        "beta": Window(1, 20),
        "X": Window(2, 5),
        "Y": Window(2, 20),
    }
)
"""The graph layer of every model by its name; the MLP has none."""

READINGS: Mapping[str, Reading] = MappingProxyType(
    {
        "relu": Reading(),
        "relu-in-loop": Reading(loop_activation="relu"),
        "tanh-in-loop": Reading(loop_activation="tanh"),
        "identity": Reading(init="identity"),
        "linear": Reading(activation=None),
    }
)
"""What the text leaves open, settled in several ways."""


def paper(
    name: str,
    num_classes: int = 10,
    shape: Sequence[int] = (28, 28),
    *,
    reading: str = "relu",
) -> nn.Sequential:
    """Make a model of A. Ejima, "Neurons regarded as Graph", for images of ``shape``.

    Linear - BatchNorm - ReLU - GraphLayer - BatchNorm - ReLU - Linear, with a neuron a pixel. Each
    sends to its window of 2 d + 1 pixels each way, itself included, with weights of its own:

    ======= ======= ====== ===================
    name    d       loops  synapses at 28x28
    ======= ======= ====== ===================
    MLP     no graph layer
    alpha   1       5      6,724
    beta    1       20     6,724
    X       2       5      17,956
    Y       2       20     17,956
    ======= ======= ====== ===================

    The text names fully connected layers and batch normalisation, and says neither where
    activations stand nor how weights start, so that several models are readings of it.

    Args:
        name: "MLP", "alpha", "beta", "X" or "Y".
        num_classes: the width of the output.
        shape: of the image, and of the lattice of neurons.
        reading: "relu" has a ReLU after each batch normalisation; "relu-in-loop" and "tanh-in-loop"
            have a further activation inside the loops; "identity" starts the layer near the
            identity; "linear" has no activation anywhere, which makes a linear classifier.

    Shapes:
        x [B, pixels] float -> class scores [B, num_classes]. The text trains with Adam at a
        learning rate of 1e-3 on cross-entropy.

    Raises:
        ValueError: an unknown name or reading, or a side or ``num_classes`` below 1.
        TypeError: a count is no int.

    Example:
        >>> import torch
        >>> from sparsebrain.models import paper
        >>> model = paper("Y")
        >>> model.graph
        GraphLayer(784 neurons, 17956 synapses, loops=20)
        >>> model(torch.randn(32, 784)).shape
        torch.Size([32, 10])
    """
    # The one place of the models where the two packages meet, and only when it is called.
    import graphs  # noqa: PLC0415

    arguments.option("name", name, MODELS)
    arguments.option("reading", reading, READINGS)
    sides = [arguments.count("each side of shape", side, at_least=1) for side in shape]
    options, window = READINGS[reading], MODELS[name]
    if window is None:
        width = math.prod(sides)
        return perceptron(width, width, num_classes, activation=options.activation)
    grid = graphs.grid_local(sides, window.distance)
    return classifier(grid, num_classes, loops=window.loops, **options._asdict())
