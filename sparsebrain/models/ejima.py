"""The image classifiers of A. Ejima, "Neurons regarded as Graph"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from torch import nn

import graphs
from graphs import arguments, tensors
from sparsebrain.models.graph_classifier import classifier, perceptron

EjimaName = Literal["MLP", "alpha", "beta", "X", "Y"]
EjimaVariant = Literal["relu", "relu-in-loop", "tanh-in-loop", "identity", "linear"]


class Window(NamedTuple):
    """The graph layer of a model.

    Attributes:
        distance: The distance d, in pixels along each axis, up to which a neuron sends.
        loops: The number of loops.
    """

    distance: int
    loops: int


class Variant(NamedTuple):
    """Options of :func:`~sparsebrain.models.classifier` that define a variant.

    Attributes:
        activation: The activation after each batch normalization; None for none.
        loop_activation: The activation inside the loops; None for none.
        init: The initialization of the graph layer; None for its default.
    """

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
"""The graph layer of each of the article's models by name; None for the MLP, which has none."""

EJIMA_VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "relu": Variant(),
        "relu-in-loop": Variant(loop_activation="relu"),
        "tanh-in-loop": Variant(loop_activation="tanh"),
        "identity": Variant(init="identity"),
        "linear": Variant(activation=None),
    }
)
"""Variants of the models by name: the article does not specify activations and initial weights."""


def ejima_model(
    name: EjimaName,
    num_classes: int = 10,
    shape: Sequence[int] = (28, 28),
    *,
    variant: EjimaVariant = "relu",
) -> nn.Sequential:
    """Make one of the image classifiers of A. Ejima, "Neurons regarded as Graph".

    The model is Linear - BatchNorm - ReLU - GraphLayer - BatchNorm - ReLU - Linear, with one neuron
    per pixel. Each neuron sends to all neurons up to d pixels away along each axis, itself
    included, and every synapse has its own weight:

    ======= ======= ====== ===================
    name    d       loops  synapses at 28x28
    ======= ======= ====== ===================
    MLP     none    none   none
    alpha   1       5      6,724
    beta    1       20     6,724
    X       2       5      17,956
    Y       2       20     17,956
    ======= ======= ====== ===================

    The article names fully connected layers and batch normalization but says neither where the
    activations are nor how weights are initialized, so several variants agree with it.

    Args:
        name: "MLP", "alpha", "beta", "X" or "Y".
        num_classes: The width of the output.
        shape: The shape of the image, and of the lattice of neurons.
        variant: "relu" has a ReLU after each batch normalization; "relu-in-loop" and "tanh-in-loop"
            have another activation inside the loops; "identity" initializes the layer near the
            identity; "linear" has no activation, which makes a linear classifier.

    Returns:
        A model that maps x [B, pixels] to class scores [B, num_classes]. The article trains it with
        Adam at a learning rate of 1e-3 on the cross-entropy.

    Raises:
        ValueError: ``name`` or ``variant`` is unknown, or a side or ``num_classes`` is below 1.
        TypeError: A side or ``num_classes`` is not an int.

    Example:
        >>> import torch
        >>> from sparsebrain.models import ejima_model
        >>> model = ejima_model("Y")
        >>> model.graph
        GraphLayer(784 neurons, 17956 synapses, loops=20)
        >>> model(torch.randn(32, 784)).shape
        torch.Size([32, 10])
    """
    arguments.option("name", name, EJIMA_MODELS)
    arguments.option("variant", variant, EJIMA_VARIANTS)
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise TypeError(
            f"shape must be the sides of an image, got {shape!r:.60}; pass shape=(28, 28)"
        )
    sides = [arguments.count(f"shape[{at}]", side, at_least=1) for at, side in enumerate(shape)]
    if not sides:
        raise ValueError("shape must have one side or more, got none; pass shape=(28, 28)")
    # Every pixel has a weight to every neuron.
    pixels = math.prod(sides)
    tensors.room(f"shape={tuple(sides)}", 4 * pixels**2, "pass a smaller image")
    options, window = EJIMA_VARIANTS[variant], EJIMA_MODELS[name]
    if window is None:
        return perceptron(pixels, pixels, num_classes, activation=options.activation)
    grid = graphs.grid_local(sides, window.distance)
    return classifier(grid, num_classes, loops=window.loops, **options._asdict())
