"""igraph, an optional library that computes some measures."""

import contextlib
import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from graphs.contract import Index


def directed_graph(needed_by: str, edges: Index, neurons: int) -> Any:
    """Return an ``igraph.Graph`` with edges in the given order.

    Args:
        needed_by: What needs it, for the message of the error.
        edges: Sources and targets [2, E].
        neurons: Number of neurons.

    Raises:
        ModuleNotFoundError: igraph is not installed.
    """
    return _igraph(needed_by).Graph(neurons, np.ascontiguousarray(edges.T), directed=True)


@contextlib.contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Let igraph draw from a generator of its own, seeded by `rng`, within the block."""
    igraph = _igraph("randomness")
    igraph.set_random_number_generator(random.Random(int(rng.integers(2**63))))
    try:
        yield
    finally:
        # Its default.
        igraph.set_random_number_generator(random)


def _igraph(needed_by: str) -> ModuleType:
    try:
        import igraph  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{needed_by} needs igraph; call pip install 'sparsebrain[communities]' or pip install "
            "igraph"
        ) from None
    return igraph
