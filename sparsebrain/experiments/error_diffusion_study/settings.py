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
}
"""The cases of each study by name."""

XOR = "xor"
"""The study that repeats Kaneko's table."""

ALL_STUDIES = (*STUDIES, XOR)
