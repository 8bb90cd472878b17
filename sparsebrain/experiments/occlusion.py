"""Images of which a part is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphs import arguments


class Occluded(NamedTuple):
    """Images ``x`` [B, pixels], and ``hidden`` [B, pixels] bool: which pixels were set to 0."""

    x: Tensor
    hidden: Tensor

    def share(self, whole: Tensor, pixels: Tensor) -> Tensor:
        """How much [B] of the ink that ``whole`` has in these pixels is hidden, 0 to 1.

        Where there is no ink nothing is hidden.
        """
        ink = whole[:, pixels]
        return (ink * self.hidden[:, pixels]).sum(1) / ink.sum(1).clamp(min=1e-9)


def occlude(
    x: Tensor, shape: Sequence[int], size: int, *, generator: torch.Generator | None = None
) -> Occluded:
    """Hide a square at a random place in each image, inside of it.

    Args:
        x: images [B, pixels], row by row.
        shape: their height and width.
        size: side of the square in pixels, at most the shorter side of the images.
        generator: torch's own by default.

    Raises:
        ValueError: the pixels are not those of the shape, or the square does not fit.

    Example:
        >>> import torch
        >>> from sparsebrain.experiments.occlusion import occlude
        >>> x, hidden = occlude(torch.ones(2, 12), (3, 4), 2)
        >>> x.sum(1).tolist(), hidden.sum(1).tolist()
        ([8.0, 8.0], [4, 4])
    """
    height, width = shape
    size = arguments.count("size", size, at_least=1)
    if x.dim() != 2 or x.size(1) != height * width:
        raise ValueError(
            f"x must have shape [B, {height * width}] for images of {height}x{width}, got "
            f"{list(x.shape)}."
        )
    if size > min(height, width):
        raise ValueError(f"size must be at most {min(height, width)}, got {size}.")
    covered = []
    for side in (height, width):
        first = torch.randint(side - size + 1, (len(x), 1), generator=generator)
        pixel = torch.arange(side)
        covered.append((pixel >= first) & (pixel < first + size))
    rows, columns = covered
    hidden = (rows.unsqueeze(2) & columns.unsqueeze(1)).flatten(1).to(x.device)
    return Occluded(x.masked_fill(hidden, 0), hidden)
