"""Figure 11: the output of the graph layer for single images, and how it separates the classes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor, nn

from sparsebrain.diagnostics.plotting import by_factors, loop_axis
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.figures.curves import COLORS

SAMPLE_COLUMNS = ("class", "image", "loop", "y", "x", "state")
DISTANCE_COLUMNS = ("seed", "loop", "within", "between", "ratio", "untrained_ratio")

_SAMPLES = 2
_CLASSES = 10
_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True, eq=False)
class Distances:
    r"""How far apart the states of two test images are at every loop.

    Each distance is a root mean square over all pairs of different test images,
    :math:`\sqrt{\mathrm{mean}_{i \neq j} \lVert x_i(l) - x_j(l) \rVert^2}`.

    Attributes:
        within: [loops + 1] float64, over pairs of the same class.
        between: [loops + 1] float64, over pairs of different classes.
    """

    within: Tensor
    between: Tensor

    @property
    def ratio(self) -> Tensor:
        """``between / within`` [loops + 1]: 1 where the classes overlap completely."""
        return self.between / self.within


@dataclass(frozen=True, eq=False)
class Samples:
    """The states of single test images.

    Attributes:
        images: [S] int64, their numbers among the test images, grouped by class.
        labels: [S] int64, their classes.
        states: [loops + 1, S, height, width], the states of the graph layer from x(0), its input.
            A lattice of more than two dimensions is shown as slices below each other.
    """

    images: Tensor
    labels: Tensor
    states: Tensor


@torch.no_grad()
def measure_distances(model: nn.Sequential, images: Images) -> Distances:
    """Measure the distances between the states of all test images, within and between classes.

    The mean over pairs follows from sums over images, so that S images of N neurons take O(S N)
    time per loop.

    Args:
        model: A trained model of :func:`sparsebrain.models.classifier`.
        images: The data set that it was trained on.
    """
    labels = images.test_y
    counts = labels.bincount(minlength=images.num_classes).double()
    sums: list[Tensor] = []
    squares: list[Tensor] = []
    for states, part in zip(_states(model, images.test_x), labels.split(1024), strict=True):
        for loop, state in enumerate(states.double()):
            if loop == len(sums):
                sums.append(state.new_zeros(images.num_classes, state.size(1)))
                squares.append(state.new_zeros(images.num_classes))
            sums[loop].index_add_(0, part, state)
            squares[loop].index_add_(0, part, state.square().sum(1))
    same = (counts * (counts - 1)).sum()
    all_pairs = counts.sum() * (counts.sum() - 1)
    within, between = [], []
    for total, square in zip(sums, squares, strict=True):
        # The sum of |a - b|^2 over the ordered pairs of n states is 2 (n sum |a|^2 - |sum a|^2).
        inside = 2 * (counts * square - total.square().sum(1)).sum()
        everything = 2 * (counts.sum() * square.sum() - total.sum(0).square().sum())
        within.append((inside / same).sqrt())
        between.append(((everything - inside) / (all_pairs - same)).sqrt())
    return Distances(torch.stack(within), torch.stack(between))


@torch.no_grad()
def take_samples(model: nn.Sequential, images: Images) -> Samples:
    """Take the states of the first two test images of each of the first ten classes.

    Args:
        model: A trained model of :func:`sparsebrain.models.classifier`.
        images: The data set that it was trained on.
    """
    classes = range(min(images.num_classes, _CLASSES))
    taken = torch.cat([(images.test_y == each).nonzero()[:_SAMPLES, 0] for each in classes])
    (states,) = _states(model, images.test_x[taken])
    plane = math.prod(images.sheet[:-1]), images.sheet[-1]
    return Samples(taken, images.test_y[taken], states.unflatten(-1, plane))


def draw(
    samples: Samples,
    trained: Mapping[int, Distances],
    untrained: Mapping[int, Distances],
    images: Images,
    *,
    title: str,
) -> Figure:
    """Draw single images with the layer's first and last output, and the distances by loop.

    Args:
        samples: The states to show; the outputs of one loop share a color scale.
        trained: The distances of the trained models by seed.
        untrained: The distances of the same models before training.
        images: The data set.
        title: The title of the figure.
    """
    figure = Figure(figsize=(12, 10.5), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(7.2, 3))[:, 0]
    _draw_samples(upper, samples, images)
    apart, ratio = lower.subplots(1, 2)
    for number, each in enumerate(trained.values()):
        # The scale of the states differs between seeds, so that a mean distance says little.
        for values, color, label in (
            (each.between, COLORS[1], "different classes"),
            (each.within, COLORS[0], "same class"),
        ):
            style = _STYLES[number % len(_STYLES)]
            shown = None if number else label
            apart.plot(values, color=color, ls=style, lw=1.2, label=shown)
    by_factors(apart)
    apart.set_ylabel("RMS distance, one line style per seed")
    _draw_band(ratio, [each.ratio for each in trained.values()], COLORS[2], "trained")
    _draw_band(ratio, [each.ratio for each in untrained.values()], COLORS[6], "before training")
    ratio.set_ylabel("ratio of the two distances")
    for ax in (apart, ratio):
        loop_axis(ax, ax.get_ylabel())
        ax.set_xlabel("loop (0: input of the layer)")
        ax.legend(frameon=False, fontsize=9)
    return figure


def sample_table(samples: Samples) -> Iterator[tuple[float, ...]]:
    """List :data:`SAMPLE_COLUMNS` for the first and the last loop."""
    labels, numbers = samples.labels.tolist(), samples.images.tolist()
    for loop in _first_and_last(samples):
        state = samples.states[loop]
        places = torch.cartesian_prod(*map(torch.arange, state.shape)).tolist()
        for (sample, *place), value in zip(places, state.flatten().tolist(), strict=True):
            yield (labels[sample], numbers[sample], loop, *place, value)


def distance_table(
    trained: Mapping[int, Distances], untrained: Mapping[int, Distances]
) -> list[tuple[float, ...]]:
    """List :data:`DISTANCE_COLUMNS`; loop 0 is the input of the layer."""
    columns = {
        seed: torch.stack([each.within, each.between, each.ratio, untrained[seed].ratio], dim=1)
        for seed, each in trained.items()
    }
    return [
        (seed, loop, *row)
        for seed, values in columns.items()
        for loop, row in enumerate(values.tolist())
    ]


def _states(model: nn.Sequential, x: Tensor) -> Iterator[Tensor]:
    """Yield the graph layer's states [loops + 1, b, N] for parts of b <= 1024 samples of x."""
    model.eval()
    place = [name for name, _ in model.named_children()].index("graph")
    for part in x.split(1024):
        _, states = model[place](model[:place](part), return_states=True)
        yield states


def _first_and_last(samples: Samples) -> tuple[int, int]:
    """Return the numbers of the first and the last loop."""
    return 1, len(samples.states) - 1


def _draw_samples(figure: SubFigure, samples: Samples, images: Images) -> None:
    """Draw for each class its images, their states after the first loop, and after the last."""
    classes = samples.labels.unique().tolist()
    pixels = images.test_x.size(1)
    height = math.isqrt(pixels) if math.isqrt(pixels) ** 2 == pixels else 1
    axes = figure.subplots(3 * _SAMPLES, len(classes), squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    for row, loop in enumerate((None, *_first_and_last(samples))):
        # The few largest states would leave the others white.
        limit = 1.0 if loop is None else float(samples.states[loop].abs().quantile(0.995))
        shown = None
        for column, label in enumerate(classes):
            of_class = (samples.labels == label).nonzero()[:, 0].tolist()
            for number, sample in enumerate(of_class):
                ax = axes[_SAMPLES * row + number, column]
                if loop is None:
                    image = images.test_x[samples.images[sample]].unflatten(0, (height, -1))
                    ax.imshow(image.numpy(), cmap="gray")
                else:
                    state = samples.states[loop, sample].numpy()
                    shown = ax.imshow(state, cmap="RdBu_r", vmin=-limit, vmax=limit)
            if loop is None:
                axes[0, column].set_title(str(label), fontsize=9)
        axes[_SAMPLES * row, 0].set_ylabel("image" if loop is None else f"loop {loop}")
        if shown is not None:
            beside = axes[_SAMPLES * row : _SAMPLES * (row + 1)].ravel().tolist()
            figure.colorbar(shown, ax=beside, fraction=0.04, pad=0.01, extend="both")


def _draw_band(ax: Axes, lines: list[Tensor], color: str, label: str) -> None:
    """Draw the mean of lines over the loops with a band of one standard deviation."""
    by_loop = torch.stack(lines, dim=1).tolist()
    means = [statistics.fmean(values) for values in by_loop]
    spreads = [statistics.stdev(values) if len(values) > 1 else 0 for values in by_loop]
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    ax.plot(means, color=color, label=label)
    ax.fill_between(range(len(means)), low, high, color=color, alpha=0.15, linewidth=0)
