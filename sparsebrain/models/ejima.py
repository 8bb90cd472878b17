"""The models of A. Ejima, "Neurons regarded as Graph"."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from torch import nn

import graphs
from graphs import arguments, tensors
from sparsebrain.models.classifier import classifier, perceptron

EjimaName = Literal["MLP", "alpha", "beta", "X", "Y"]
EjimaVariant = Literal["relu", "relu-in-loop", "tanh-in-loop", "identity", "linear"]


class Window(NamedTuple):
    """How far a neuron of the graph layer sends, in pixels each way, and how often."""

    distance: int
    loops: int


class Variant(NamedTuple):
    """Options of :func:`~sparsebrain.models.classifier`."""

    activation: str | None = "relu"
    loop_activation: str | None = None
    init: str | None = None


EJIMA_MODELS: Mapping[str, Window | None] = MappingProxyType(
    {
        "MLP": None,
        "alpha": Window(1, 5),
        "beta": Window(1, 20),
        "X": Window(2, 5),
        "Y": Window(2, 20),
    }
)
"""The models of Ejima's article by name: the graph layer of each; the MLP has none."""

EJIMA_VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "relu": Variant(),
        "relu-in-loop": Variant(loop_activation="relu"),
        "tanh-in-loop": Variant(loop_activation="tanh"),
        "identity": Variant(init="identity"),
        "linear": Variant(activation=None),
    }
)
"""Variants of these models: the article leaves activations and initial weights open."""


def ejima_model(
    name: EjimaName,
    num_classes: int = 10,
    shape: Sequence[int] = (28, 28),
    *,
    variant: EjimaVariant = "relu",
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
    activations stand nor how weights start, so that several variants agree with it.

    Args:
        name: "MLP", "alpha", "beta", "X" or "Y".
        num_classes: the width of the output.
        shape: of the image, and of the lattice of neurons.
        variant: "relu" has a ReLU after each batch normalisation; "relu-in-loop" and "tanh-in-loop"
            have a further activation inside the loops; "identity" starts the layer near the
            identity; "linear" has no activation anywhere, which makes a linear classifier.

    Shapes:
        x [B, pixels] float -> class scores [B, num_classes]. The text trains with Adam at a
        learning rate of 1e-3 on cross-entropy.

    Raises:
        ValueError: an unknown name or variant, or a side or ``num_classes`` below 1.
        TypeError: a count is no int.

    Example:
        >>> import torch
        >>> from sparsebrain.models import ejima_model
        >>> model = ejima_model("Y")
        >>> model.graph
        GraphLayer(784 neurons, 17956 synapses, loops=20)
        >>> model(torch.randn(32, 784)).shape
        torch.Size([32, 10])
    """
    # The one place of the models where the two packages meet, and only when it is called.
    arguments.option("name", name, EJIMA_MODELS)
    arguments.option("variant", variant, EJIMA_VARIANTS)
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise TypeError(
            f"shape must be the sides of an image, got {shape!r:.60}; pass shape=(28, 28)"
        )
    sides = [arguments.count(f"shape[{at}]", side, at_least=1) for at, side in enumerate(shape)]
    if not sides:
        raise ValueError("shape must have one side or more, got none; pass shape=(28, 28)")
    # The number of neurons, and of the weights from each pixel to each of them.
    pixels = math.prod(sides)
    tensors.room(f"shape={tuple(sides)}", 4 * pixels**2, "pass a smaller image")
    options, window = EJIMA_VARIANTS[variant], EJIMA_MODELS[name]
    if window is None:
        return perceptron(pixels, pixels, num_classes, activation=options.activation)
    grid = graphs.grid_local(sides, window.distance)
    return classifier(grid, num_classes, loops=window.loops, **options._asdict())
