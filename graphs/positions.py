"""Arguments that choose some of the neurons or synapses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphs import arguments


def positions(name: str, chosen: Any, size: int) -> NDArray[np.int64]:
    """Return distinct positions in [0, size) from positions or from a mask.

    Args:
        name: Name of the argument.
        chosen: Positions as a sequence, array or tensor, or a mask of ``size`` bool.
        size: Number of neurons or synapses.

    Returns:
        The positions in the given order.

    Raises:
        TypeError: `chosen` is neither positions nor a mask.
        ValueError: A position is out of range or occurs twice, or the mask has another length.

    Example:
        >>> positions("neurons", [True, False, True], 3)
        array([0, 2])
    """
    expected = f"{name} must be positions in [0, {size}), each once, or a mask of {size} bool"
    # NumPy would also make arrays of graphs, from the numbers of their nodes.
    if not arguments.is_list(chosen) and not hasattr(chosen, "dtype"):
        raise TypeError(f"{expected}, got {arguments.described(chosen)}; pass {name}=[0, 1]")
    values = arguments.array(expected, chosen, f"pass {name}=[0, 1]")
    if values.shape == (0,) and values.dtype.kind != "b":
        return np.empty(0, np.int64)
    if values.ndim != 1 or values.dtype.kind not in "iub":
        raise TypeError(f"{expected}, got {arguments.described(chosen)}; pass {name}=[0, 1]")
    if values.dtype.kind == "b":
        if len(values) != size:
            raise ValueError(f"{expected}, got a mask of {len(values)}; pass {name}=[0, 1]")
        return np.flatnonzero(values)
    outside = values[(values < 0) | (values >= size)]
    if outside.size:
        raise ValueError(f"{expected}, got {outside[0]}; pass {name} without it")
    ordered = np.sort(values)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if again.size:
        raise ValueError(
            f"{expected}, got {again[0]} more than once; pass {name}=numpy.unique(...)"
        )
    return values.astype(np.int64)
