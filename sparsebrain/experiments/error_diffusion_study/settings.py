"""The settings of the study, which vary one option of the articles' setting at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Everything that determines a training. The defaults are the articles' setting.

    Attributes:
        rule: "error-diffusion" or "backprop".
        activation: "sigmoid", or "relu" for backpropagation.
        units: Hidden units per layer.
        layers: Number of hidden layers.
        batch_size: Samples per step.
        rate: Learning rate. In error diffusion it is divided by (units + layers) and multiplies
            the sum over the batch; in backpropagation it multiplies the mean.
        types: "alternating" or "random" cell types.
        inputs: "paired" for an excitatory and an inhibitory input per pixel, or "single".
        density: Share of synapses that exist.
        initial: "signed" for initial weights with the signs of the cell types, or "free".
        largest: Largest magnitude of initial weights; 0 for 1 / units.
        epochs: Number of epochs.
        seed: Random seed.
        task: "4 and 9", two digits of MNIST with one output, or "digits" or "mnist", ten classes
            with an output each, softmax and cross-entropy. The rate then multiplies the mean over
            the batch for both rules.
        imbalance: Training images of a 4 for each of a 9; 1 for all images, which are balanced.
        remedy: What is done about unbalanced classes: "none"; "loss weights", which give both
            classes the same weight in the loss; "resampling", which draws batches with both classes
            equally likely; or "threshold", which counts a score as a 9 from the share of nines in
            the training images on, instead of 1/2.
        weights: "full"; "ternary" for -1, 0 and 1 times one scale per matrix; or "ternary, pairs
            cancelled", with which error diffusion also subtracts after each step what the synapses
            from both cells of an input pair have in common.
        images_checksum: Checksum of the images; empty if unknown.
        code_checksum: Checksum of the code; empty if unknown.
    """

    rule: str = "error-diffusion"
    activation: str = "sigmoid"
    units: int = 16
    layers: int = 3
    batch_size: int = 64
    rate: float = 0.01
    types: str = "alternating"
    inputs: str = "paired"
    density: float = 1.0
    initial: str = "signed"
    largest: float = 0.0
    epochs: int = 10
    seed: int = 0
    task: str = "4 and 9"
    imbalance: int = 1
    remedy: str = "none"
    weights: str = "full"
    images_checksum: str = ""
    code_checksum: str = ""


@dataclass(frozen=True)
class Case:
    """One point of a study.

    Attributes:
        line: Label of the line in the figure.
        x: Position on the horizontal axis.
        setting: Setting of the trainings.
    """

    line: str
    x: float | str
    setting: Setting


CHECKSUMS = ("images_checksum", "code_checksum")
LATER = frozenset({"task", "imbalance", "remedy", "weights", *CHECKSUMS})
"""Fields that older tables lack."""

BASE = Setting()
"""The articles' setting."""

_BACKPROP = {
    f"backprop, {activation}, rate {rate:g}": replace(
        BASE, rule="backprop", activation=activation, rate=rate
    )
    for activation in ("sigmoid", "relu")
    for rate in (0.1, 1.0)
}
_RULES = {"error diffusion": BASE, **_BACKPROP}
_QUESTIONS: dict[str, dict[str, Any]] = {
    "as in the article": {},
    "random types": {"types": "random"},
    "one input a pixel": {"inputs": "single"},
    "one, random types": {"inputs": "single", "types": "random"},
    "half of the synapses": {"density": 0.5},
    "a tenth": {"density": 0.1},
    "a twentieth": {"density": 0.05},
    "weights U(0, 1)": {"largest": 1.0},
    "U(-1/units, 1/units)": {"initial": "free"},
    "U(-1, 1)": {"initial": "free", "largest": 1.0},
}
_SIGMOID, _RELU = (
    _BACKPROP[f"backprop, {activation}, rate 1"] for activation in ("sigmoid", "relu")
)
_UNBALANCED = {
    "error diffusion": BASE,
    "error diffusion, rate 0.1": replace(BASE, rate=0.1),
    "backprop, sigmoid": _SIGMOID,
    "backprop, ReLU": _RELU,
}
_MENDED = {
    f"{name}, {remedy}": replace(setting, remedy=remedy)
    for name, setting, remedies in (
        ("error diffusion", BASE, ("loss weights", "resampling", "threshold")),
        ("backprop, ReLU", _RELU, ("loss weights", "resampling")),
    )
    for remedy in remedies
}
_IMBALANCES = (1, 3, 9, 30, 100)

_PRECISIONS = {
    "error diffusion": BASE,
    "error diffusion, ternary": replace(BASE, weights="ternary"),
    "error diffusion, ternary, pairs cancelled": replace(BASE, weights="ternary, pairs cancelled"),
    "backprop, ReLU": _RELU,
    "backprop, ReLU, ternary": replace(_RELU, weights="ternary"),
}

STUDIES: dict[str, list[Case]] = {
    "units": [
        Case(line, units, replace(setting, units=units))
        for line, setting in _RULES.items()
        for units in (1, 2, 4, 8, 16, 32, 64)
    ],
    "layers": [
        Case(line, layers, replace(setting, units=4, layers=layers))
        for line, setting in _RULES.items()
        for layers in (1, 2, 4, 8, 12, 16)
    ],
    "rate": [
        Case("error diffusion", rate, replace(BASE, rate=rate))
        for rate in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
    ],
    "batch size": [
        Case("error diffusion", size, replace(BASE, batch_size=size))
        for size in (8, 16, 32, 64, 128, 256, 512)
    ],
    "open questions": [
        Case("error diffusion", label, replace(BASE, **options))
        for label, options in _QUESTIONS.items()
    ],
    "imbalance": [
        Case(line, imbalance, replace(setting, imbalance=imbalance))
        for line, setting in _UNBALANCED.items()
        for imbalance in _IMBALANCES
    ],
    "imbalance, mended": [
        Case(line, imbalance, replace(setting, imbalance=imbalance))
        for line, setting in _MENDED.items()
        for imbalance in _IMBALANCES
    ],
    "ternary": [
        Case(line, rate, replace(setting, task="digits", units=64, layers=1, rate=rate))
        for line, setting in _PRECISIONS.items()
        for rate in (0.01, 0.03, 0.1, 0.3, 1.0)
    ],
    "ternary, deep": [
        Case(line, layers, replace(setting, layers=layers, rate=rate))
        for line, setting in _PRECISIONS.items()
        for rate in ([0.1] if setting.rule == "error-diffusion" else [setting.rate])
        for layers in (1, 2, 4, 8)
    ],
    "ternary, mnist": [
        Case("", line, replace(setting, task="mnist", units=32, layers=1, rate=rate))
        for line, setting in _PRECISIONS.items()
        for rate in ([0.1] if setting.rule == "error-diffusion" else [0.3])
    ],
}
"""The cases of each study by name."""

XOR = "xor"
"""The study that repeats Kaneko's table."""

ALL_STUDIES = (*STUDIES, XOR)
