"""Figure 11: what the graph layer makes of every class of images."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from sparsebrain.experiments.datasets import Images

COLUMNS = ("class", "y", "x", "mean_output")


@torch.no_grad()
def measure(model: nn.Sequential, images: Images) -> Tensor:
    """The mean output [K, *sheet] of the graph layer over the test images of each class.

    Args:
        model: of :func:`sparsebrain.models.classifier`, trained.
        images: the data set that it was trained on.
    """
    model.eval()
    names = [name for name, _ in model.named_children()]
    up_to_the_graph = model[: names.index("graph") + 1]
    output = torch.cat([up_to_the_graph(part) for part in images.test_x.split(1024)])
    means = [output[images.test_y == label].mean(0) for label in range(images.num_classes)]
    return torch.stack(means).unflatten(-1, images.sheet)


def draw(output: Tensor, images: Images, *, title: str) -> Figure:
    """For each class the mean of its images and the mean output, all outputs on one scale."""
    classes, height = len(output), round(images.train_x.size(1) ** 0.5)
    figure = Figure(figsize=(1.1 * classes + 1, 2.9), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2, classes, squeeze=False)
    # A few neurons far above the others would leave these white.
    limit = float(output.abs().quantile(0.995))
    for label in range(classes):
        mean = images.test_x[images.test_y == label].mean(0).unflatten(0, (height, -1))
        axes[0, label].imshow(mean.numpy(), cmap="gray")
        axes[0, label].set_title(str(label), fontsize=9)
        shown = axes[1, label].imshow(output[label].numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("images")
    axes[1, 0].set_ylabel("output")
    figure.colorbar(shown, ax=axes[1].tolist(), fraction=0.04, pad=0.01, extend="both")
    return figure


def table(output: Tensor) -> list[tuple[float, ...]]:
    """Class, row, column and mean output."""
    places = torch.cartesian_prod(*map(torch.arange, output.shape)).tolist()
    return [(*place, value) for place, value in zip(places, output.flatten().tolist(), strict=True)]
