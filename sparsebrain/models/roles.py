"""What the cells of an error-diffusion network are for, checked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from sparsebrain.kernels import Structure
from sparsebrain.models.neurons import Neurons, find_neurons
from sparsebrain.options import check_count


@dataclass(frozen=True)
class Roles:
    """Types of all cells, which of them are held, and at what."""

    types: Tensor
    """[N] of -1 and +1."""
    feature: Tensor
    """[N], the row of the input that a cell is held at, -1 of those that are computed; where there
    is a bias, it is row 0."""
    bias: bool
    networks: int


def assign(
    connectome: Data,
    types: Tensor,
    *,
    inputs: Neurons,
    bias: Neurons | None,
    paired: bool,
    networks: int,
) -> Roles:
    """Roles of all cells; TypeError or ValueError where they do not go together."""
    num_nodes = int(connectome.num_nodes)
    if not isinstance(types, Tensor) or types.shape != (num_nodes,):
        raise ValueError(
            f"types must be a tensor [{num_nodes}] of -1 and +1, got {types!r}; "
            f"sparsebrain.models.alternating({num_nodes}) makes one."
        )
    if not bool((types.abs() == 1).all()):
        raise ValueError("types must hold -1 and +1 only; use torch.where(x > 0, 1, -1).")
    types = types.detach().cpu().float()
    given = find_neurons(connectome, inputs, "inputs")
    feature = torch.full((num_nodes,), -1)
    if paired:
        if len(given) % 2 or not bool((types[given[::2]] == -types[given[1::2]]).all()):
            raise ValueError(
                "inputs must be pairs of a + and a - cell, both for one feature; pass "
                "paired=False to give each cell a feature of its own."
            )
        feature[given] = torch.arange(len(given)) // 2 + int(bias is not None)
    else:
        feature[given] = torch.arange(len(given)) + int(bias is not None)
    if bias is not None:
        pair = find_neurons(connectome, bias, "bias")
        if len(pair) != 2 or bool(types[pair].sum() != 0) or bool((feature[pair] >= 0).any()):
            raise ValueError(
                f"bias must be a + and a - cell that are no inputs, got {pair.tolist()}; without "
                "one pass bias=None."
            )
        feature[pair] = 0
    held = (feature >= 0)[torch.as_tensor(connectome.edge_index[1]).cpu()]
    if bool(held.any()):
        raise ValueError(
            f"{int(held.sum())} synapses lead to cells that are held, inputs or bias, and would "
            "never act; leave them out, or put inputs in front with ErrorDiffusionNetwork.around."
        )
    return Roles(types, feature, bias is not None, check_count("networks", networks))


def check_output(
    structure: Structure, roles: Roles, output: int, loops: int, *, linear: bool
) -> None:
    """ValueError if the output cannot be read, or nothing that is put in reaches it."""
    source, target = structure.edge_index
    if roles.feature[output] >= 0 or roles.types[output] < 0:
        raise ValueError(f"output must be a + cell that is not held, cell {output} is not.")
    if linear and bool((source == output).any()):
        raise ValueError(
            "a linear output may be negative and must not send to other cells; use linear=False."
        )
    reached = roles.feature >= int(roles.bias)
    for _ in range(loops):
        after = reached.clone()
        after[target[reached[source]]] = True
        if torch.equal(after, reached):
            break
        reached = after
    if not bool(reached[output]):
        raise ValueError(
            f"no input reaches the output in {loops} sweeps; pass more loops or other cells."
        )
