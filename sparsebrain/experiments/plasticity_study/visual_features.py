"""What single neurons respond to after learning without labels, from photographs and digits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.datasets import load
from sparsebrain.experiments.figures import visual_features as figure
from sparsebrain.experiments.plasticity_study.filters import (
    class_selectivity,
    localization,
    orientation,
    selectivity,
)
from sparsebrain.experiments.tables import columns_of, make_folder, write_csv
from sparsebrain.experiments.threads import one_thread
from sparsebrain.plasticity import BCM, Sanger

NEURONS = 64
COMPONENTS = 8
SIDE = 12
PHOTOGRAPHS, DIGITS = "photographs", "digits"
LEARNED, RANDOM = "BCM", "random"

_PATCHES = 20_000
# The whitened dimensions of patches and of digits, without those that are mostly noise.
_KEPT = {PHOTOGRAPHS: 60, DIGITS: 40}
_BATCH = 128
_STEPS = {PHOTOGRAPHS: 8000, DIGITS: 4000}
_RATE, _THETA_RATE = 2e-3, 0.1
_SANGER_STEPS, _SANGER_RATE, _SANGER_PATCHES = 1500, 0.4, 2000


@dataclass(frozen=True)
class Neuron:
    """A neuron after learning, or a random one.

    Attributes:
        seed: The seed.
        data: "photographs" or "digits".
        weights: "BCM" or "random".
        neuron: Its number.
        localization: The share of the pixels over which the square of its field extends.
        orientation: How far the power of its field has one orientation, from 0 to 1.
        selectivity: 1 - mean / maximum of its responses.
        class_selectivity: The mean response to its preferred class minus that to all others, over
            their sum; NaN for photographs.
        preferred_class: The class with the highest mean response; -1 for photographs.
        preferred_sample: The number of the test image or patch with the highest response.
    """

    seed: int
    data: str
    weights: str
    neuron: int
    localization: float
    orientation: float
    selectivity: float
    class_selectivity: float
    preferred_class: int
    preferred_sample: int


@dataclass(frozen=True)
class Component:
    """An output of Sanger's rule.

    Attributes:
        seed: The seed.
        component: Its number, from 0.
        variance: The eigenvalue of the principal component of that number, relative to the first.
        cosine: The absolute cosine between its weights and that component.
        subspace: The sine of the largest angle between the space of all outputs and that of as
            many principal components.
    """

    seed: int
    component: int
    variance: float
    cosine: float
    subspace: float


class Whitened(NamedTuple):
    """Whitened samples, and what a weight on them looks like in pixels.

    Attributes:
        x: The samples [n, kept], float32, with the same contrast.
        to_whitened: [kept, pixels], from centered pixels.
        from_whitened: [pixels, kept], the pixels that a weight stands for.
        mean: The mean of the pixels.
    """

    x: Tensor
    to_whitened: Tensor
    from_whitened: Tensor
    mean: Tensor


class Shown(NamedTuple):
    """What the figure shows of one seed: fields [neurons, pixels], and preferred digits."""

    learned: Tensor
    random: Tensor
    components: Tensor
    exact: Tensor
    digits: Tensor
    preferred: Tensor


def features(
    *,
    seeds: int = 3,
    out: str | os.PathLike[str] = "features",
    console: Console | None = None,
) -> list[Neuron]:
    """Learn receptive fields from photographs and digits without labels, and measure them.

    64 neurons with relu learn by BCM from whitened patches of 12 x 12 pixels of scikit-learn's two
    sample photographs, and from its whitened digits. Beside them are as many neurons with random
    weights. On patches that are not whitened, 8 linear neurons learn by Sanger's rule and are
    compared with the principal components.

    Args:
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        out: The folder for neurons.csv, components.csv and figure.png, which shows the first seed;
            it is made if necessary.
        console: Where the table is printed; None prints nothing.

    Returns:
        One row per seed, data set, kind of weights and neuron.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
        OSError: ``out`` cannot be written.
    """
    seeds = options.seeds("seeds", seeds)
    out = options.out_folder("out", out)
    make_folder(out)
    neurons: list[Neuron] = []
    components: list[Component] = []
    shown = None
    for seed in range(seeds):
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found, more, fields = measure(seed)
        neurons += found
        components += more
        shown = shown or fields
    assert shown is not None
    write_csv(out / "neurons.csv", columns_of(Neuron), map(astuple, neurons))
    write_csv(out / "components.csv", columns_of(Component), map(astuple, components))
    drawn = figure.draw(shown)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(neurons, components, seeds))
        console.print(f"Wrote neurons.csv, components.csv and figure.png into {out}.")
    return neurons


def measure(seed: int) -> tuple[list[Neuron], list[Component], Shown]:
    """Learn from photographs and digits with one seed."""
    patches = draw_patches(_PATCHES, SIDE, seed)
    images = load(DIGITS)
    rows, fields = [], {}
    photographs = whiten(patches, _KEPT[PHOTOGRAPHS])
    digits = whiten(images.train_x.double(), _KEPT[DIGITS])
    tested = _equalize((images.test_x.double() - digits.mean) @ digits.to_whitened.T)
    for data, whitened, x, y in (
        (PHOTOGRAPHS, photographs, photographs.x, None),
        (DIGITS, digits, tested, images.test_y),
    ):
        start = nn.Linear(whitened.x.size(1), NEURONS, bias=False)
        for weights in (RANDOM, LEARNED):
            if weights == LEARNED:
                learn(start, whitened.x, _STEPS[data])
            responses = torch.relu(x @ start.weight.detach().T)
            field = start.weight.detach().double() @ whitened.from_whitened.T
            fields[data, weights] = (field, responses.argmax(0))
            rows += _describe(seed, data, weights, field, responses, y)
    components, learned, exact = compare_components(patches[:_SANGER_PATCHES], seed)
    digit_fields, preferred = fields[DIGITS, LEARNED]
    shown = Shown(
        fields[PHOTOGRAPHS, LEARNED][0],
        fields[PHOTOGRAPHS, RANDOM][0],
        learned,
        exact,
        digit_fields,
        images.test_x[preferred],
    )
    return rows, components, shown


def draw_patches(number: int, side: int, seed: int) -> Tensor:
    """Draw gray patches [number, side * side] float64 of the photographs, each of mean 0."""
    generator = np.random.default_rng(seed)
    pictures = load_sample_images().images
    found = []
    for place, picture in enumerate(pictures):
        gray = picture.astype(np.float64).mean(2) / 255
        windows = np.lib.stride_tricks.sliding_window_view(gray, (side, side))
        count = number // len(pictures) + (place < number % len(pictures))
        rows, columns = (generator.integers(0, size, count) for size in windows.shape[:2])
        found.append(windows[rows, columns].reshape(count, -1))
    patches = torch.from_numpy(np.concatenate(found)[generator.permutation(number)])
    return patches - patches.mean(1, keepdim=True)


def whiten(x: Tensor, kept: int) -> Whitened:
    """Whiten samples [n, pixels] by their first principal components."""
    mean = x.mean(0)
    centered = x - mean
    values, vectors = torch.linalg.eigh(centered.T @ centered / len(x))
    scale, vectors = values.flip(0)[:kept].sqrt(), vectors.flip(1)[:, :kept]
    to_whitened = (vectors / scale).T
    return Whitened(_equalize(centered @ to_whitened.T), to_whitened, vectors / scale, mean)


def learn(layer: nn.Linear, x: Tensor, steps: int) -> None:
    """Let neurons with relu learn by BCM from batches of samples."""
    rule = BCM(layer, theta_rate=_THETA_RATE)
    optimizer = rule.make_optimizer(_RATE)
    for batch in torch.randint(len(x), (steps, _BATCH)):
        optimizer.zero_grad()
        seen = x[batch]
        rule(seen, torch.relu(layer(seen).detach()))
        optimizer.step()


def compare_components(x: Tensor, seed: int) -> tuple[list[Component], Tensor, Tensor]:
    """Learn principal components by Sanger's rule, and compare them with the exact ones.

    Returns:
        The comparison, and learned and exact components [COMPONENTS, pixels].
    """
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    exact, values = vectors.flip(1)[:, :COMPONENTS].T, values.flip(0) / values[-1]
    # The first eigenvalue is then 1, which makes the rate independent of the contrast.
    x = x / (x @ exact[0]).square().mean().sqrt()
    layer = nn.Linear(x.size(1), COMPONENTS, bias=False, dtype=torch.float64)
    rule = Sanger(layer)
    optimizer = rule.make_optimizer(_SANGER_RATE)
    for _ in range(_SANGER_STEPS):
        optimizer.zero_grad()
        rule(x)
        optimizer.step()
    learned = layer.weight.detach()
    basis, _ = torch.linalg.qr(learned.T)
    least = torch.linalg.svdvals(basis.T @ exact.T).min()
    sine = float((1 - least.square()).clamp_min(0).sqrt())
    cosines = (learned * exact).sum(1).abs() / learned.norm(dim=1)
    rows = [
        Component(seed, number, float(values[number]), float(cosine), sine)
        for number, cosine in enumerate(cosines)
    ]
    return rows, learned, exact


def _equalize(x: Tensor) -> Tensor:
    """Limit the contrast of samples, so that a few of them do not dominate the moments."""
    return (x * x.size(1) ** 0.5 / (1 + x.norm(dim=1, keepdim=True))).float()


def _describe(
    seed: int, data: str, weights: str, field: Tensor, responses: Tensor, y: Tensor | None
) -> list[Neuron]:
    measured = zip(
        localization(field).tolist(),
        orientation(field).tolist(),
        selectivity(responses).tolist(),
        strict=True,
    )
    by_class, best = (None, None) if y is None else class_selectivity(responses, y)
    preferred = responses.argmax(0).tolist()
    return [
        Neuron(
            seed,
            data,
            weights,
            number,
            *values,
            float("nan") if by_class is None else float(by_class[number]),
            -1 if best is None else int(best[number]),
            preferred[number],
        )
        for number, values in enumerate(measured)
    ]


def _tabulate(neurons: Sequence[Neuron], components: Sequence[Component], seeds: int) -> Table:
    table = Table(
        title=f"Medians over {NEURONS} neurons, means and spread of {seeds} seeds",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    for column in ("", "weights", "localization", "orientation", "selectivity", "of classes"):
        table.add_column(column)
    names = ("localization", "orientation", "selectivity", "class_selectivity")
    for data in (PHOTOGRAPHS, DIGITS):
        for weights in (LEARNED, RANDOM):
            cells = []
            for name in names:
                medians = torch.tensor(
                    [
                        np.median(
                            [
                                getattr(each, name)
                                for each in neurons
                                if (each.seed, each.data, each.weights) == (seed, data, weights)
                            ]
                        )
                        for seed in range(seeds)
                    ]
                )
                spread = f" ± {float(medians.std()):.3f}" if seeds > 1 else ""
                told = f"{float(medians.mean()):.3f}{spread}"
                cells.append("" if medians.isnan().any() else told)
            table.add_row(data, weights, *cells)
    worst = max(each.subspace for each in components)
    least = min(each.cosine for each in components)
    table.caption = (
        f"Sanger's rule: {COMPONENTS} components with a cosine of at least {least:.6f}; the sine "
        f"of the angle between the subspaces is at most {worst:.1e}"
    )
    return table
