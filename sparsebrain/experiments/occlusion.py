"""Images that are partly hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphs import arguments


class Occluded(NamedTuple):
    """Images of which a part is hidden.

    Attributes:
        x: Images [B, pixels].
        hidden: Whether each pixel was set to 0, [B, pixels] bool.
    """

    x: Tensor
    hidden: Tensor

    def share(self, whole: Tensor, pixels: Tensor) -> Tensor:
        """Return the hidden share of the ink that some pixels have, 0 without ink.

        Args:
            whole: The images before occlusion, [B, pixels].
            pixels: Indices, or a mask, of the pixels.

        Returns:
            Shares [B] in [0, 1].
        """
        ink = whole[:, pixels]
        return (ink * self.hidden[:, pixels]).sum(1) / ink.sum(1).clamp(min=1e-9)


def occlude(
    x: Tensor, shape: Sequence[int], size: int, *, generator: torch.Generator | None = None
) -> Occluded:
    """Set a square at a random position within each image to 0.

    Args:
        x: Images [B, pixels], row by row.
        shape: Height and width of the images.
        size: Side of the square in pixels, at most the shorter side of the images.
        generator: Random generator; None uses torch's default.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: ``x`` does not have the shape, or the square does not fit.

    Example:
        >>> import torch
        >>> from sparsebrain.experiments.occlusion import occlude
        >>> x, hidden = occlude(torch.ones(2, 12), (3, 4), 2)
        >>> x.sum(1).tolist(), hidden.sum(1).tolist()
        ([8.0, 8.0], [4, 4])
    """
    height, width = _sides(shape)
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a tensor, got {type(x).__name__}; pass torch.as_tensor(x)")
    size = arguments.count("size", size, at_least=1)
    if x.dim() != 2 or x.size(1) != height * width:
        raise ValueError(
            f"x must have shape [B, {height * width}] for images of {height}x{width}, got "
            f"{list(x.shape)}; pass x.flatten(1)"
        )
    if size > min(height, width):
        raise ValueError(
            f"size must be at most {min(height, width)}, the shorter side of the images, got "
            f"{size}; pass a smaller one"
        )
    covered = []
    for side in (height, width):
        first = torch.randint(side - size + 1, (len(x), 1), generator=generator)
        pixel = torch.arange(side)
        covered.append((pixel >= first) & (pixel < first + size))
    rows, columns = covered
    hidden = (rows.unsqueeze(2) & columns.unsqueeze(1)).flatten(1).to(x.device)
    return Occluded(x.masked_fill(hidden, 0), hidden)


def _sides(shape: Sequence[int]) -> tuple[int, int]:
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) != 2:
        raise TypeError(f"shape must be height and width, got {shape!r:.80}; pass shape=(28, 28)")
    height, width = (
        arguments.count(f"shape[{at}]", side, at_least=1) for at, side in enumerate(shape)
    )
    return height, width
