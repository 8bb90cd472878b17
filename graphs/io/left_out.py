"""Warnings of data that a connectome has no field for, and of numbers that float32 cannot hold."""

import sys
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_TOLD = 12


class LeftOutWarning(UserWarning):
    """A loader has left out data, or the signs of transmitters are not known."""


def tell(left_out: Iterable[str], advice: str) -> None:
    """Issue one warning about all omitted data, at the line of the first caller outside graphs."""
    names = list(dict.fromkeys(left_out))
    if not names:
        return
    some = ", ".join(names[:_MOST_TOLD])
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    warn(
        f"read without {some}{more}: a connectome has no field of that name, see graphs.contract; "
        f"{advice}"
    )


def warn(message: str) -> None:
    """Issue a `LeftOutWarning` at the line of the first caller outside graphs."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].split(".")[0] == "graphs":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, LeftOutWarning, stacklevel=level)


def to_float32(name: str, values: NDArray[Any]) -> NDArray[np.float32]:
    """Return weights as float32; some may become infinite.

    Raises:
        ValueError: A weight other than 0 would become 0.
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = values.astype(np.float32)
    lost = np.flatnonzero((rounded == 0) & (values != 0))
    if lost.size:
        raise ValueError(
            f"{name} must be 0 or at least 1e-45 in float32, got {values[lost[0]]} at position "
            f"{lost[0]}; multiply all of them by one number, or pass 0 for such small ones"
        )
    return rounded
