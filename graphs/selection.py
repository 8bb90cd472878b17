"""Subsets of a connectome's neurons, and how a caller specifies them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, tensors

Neurons = str | Sequence[int] | Sequence[str] | NDArray[Any] | Tensor


def find_neurons(connectome: Data, neurons: Neurons, option: str) -> Tensor:
    """Return the numbers [K] int64 of the neurons that a caller specifies.

    Args:
        connectome: The connectome.
        neurons: Neuron numbers, a mask [N] bool, names, or the name of a population.
        option: The name of the argument, for messages.

    Raises:
        TypeError: If ``neurons`` is a tensor of another dtype.
        ValueError: If a neuron or name does not exist, occurs twice, or there is none.
    """
    num_nodes = int(connectome.num_nodes)
    if isinstance(neurons, str):
        given = _find_population(connectome, neurons, option)
    else:
        given = _as_array(neurons, option)
    if given.dtype.kind == "U" and given.ndim == 1:
        given = _find_names(connectome, given.tolist(), option)
    elif given.dtype == bool and given.shape == (num_nodes,):
        given = given.nonzero()[0]
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(
            f"{option} must be neuron numbers [K], a mask [{num_nodes}] of bool, names or a "
            f"population, got {neurons!r:.60}; pass {option}=[0, 1]"
        )
    if not given.size:
        raise ValueError(f"{option} must name at least one neuron, got none; pass {option}=[0, 1]")
    arguments.node_numbers(option, given, num_nodes)
    if len(np.unique(given)) < len(given):
        raise ValueError(
            f"{option} names a neuron twice; pass each once, as in sorted(set({option}))"
        )
    return torch.from_numpy(given.astype(np.int64))


def _as_array(neurons: Any, option: str) -> NDArray[Any]:
    if isinstance(neurons, Tensor):
        kinds = (*tensors.INTEGERS, torch.bool)
        return tensors.tensor(option, neurons, ("K",), dtypes=kinds).cpu().numpy()
    if not arguments.is_list(neurons):
        return np.zeros((), object)
    try:
        # NumPy gives an empty list the dtype float64.
        return np.asarray(neurons) if np.size(neurons) else np.zeros(0, np.int64)
    except ValueError:  # Rows of different lengths.
        return np.zeros((), object)


def _find_population(connectome: Data, name: str, option: str) -> NDArray[np.int64]:
    populations = getattr(connectome, "node_type_names", None)
    if populations is None or getattr(connectome, "node_type", None) is None:
        raise ValueError(
            f"{option}={name!r} names a population, but the connectome has no node_type and "
            f"node_type_names; pass a list of neurons, as in {option}=[0, 1]"
        )
    arguments.option(option, name, populations)
    of_population = connectome.node_type == list(populations).index(name)
    return np.flatnonzero(of_population.cpu().numpy())


def _find_names(connectome: Data, wanted: list[str], option: str) -> NDArray[np.int64]:
    names = getattr(connectome, "names", None)
    if names is None:
        raise ValueError(
            f"{option} holds names, but the connectome has none; set connectome.names, or pass "
            "neuron numbers"
        )
    number = {name: place for place, name in enumerate(names)}
    repeated = Counter(names) if len(number) < len(names) else Counter()
    for name in wanted:
        if repeated[name] > 1:
            raise ValueError(
                f"{option} names {name!r}, which is the name of {repeated[name]} neurons; pass "
                f"neuron numbers, as in {option}=[{names.index(name)}]"
            )
        if name not in number:
            raise ValueError(
                f"{option} names {name!r}, which is not in connectome.names; pass some of "
                f"{', '.join(map(repr, names[:3]))}, ..."
            )
    return np.array([number[name] for name in wanted])
