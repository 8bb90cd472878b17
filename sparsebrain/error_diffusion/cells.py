"""The typed cells of an error-diffusion network and their roles."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, tensors
from graphs.selection import Neurons, find_neurons
from sparsebrain.kernels import Structure
from sparsebrain.kernels.structure import MOST_NEURONS
from sparsebrain.nn.connectome import read_structure

TYPES = ("alternating", "random")


class Cells(NamedTuple):
    """A connectome surrounded by bias, input and output cells: arguments of the network."""

    connectome: Data
    types: Tensor
    inputs: range
    output: int
    bias: range


class Roles(NamedTuple):
    """The type of every cell, and whether it is held at a given value or computed."""

    types: Tensor
    """The types [N], -1 or +1."""
    row: Tensor
    """The row [N] of the held values that a cell reads; -1 for computed cells. With a bias, row 0
    holds its value.
    """
    bias: bool

    @property
    def num_rows(self) -> int:
        """The number of held values."""
        return int(self.row.max()) + 1

    @property
    def in_features(self) -> int:
        """The number of held values that are features."""
        return self.num_rows - int(self.bias)


def alternating(number: int) -> Tensor:
    """Return the alternating types of I. Kaneko's hidden cells: -1, +1, -1, ...

    Args:
        number: The number of cells, 0 or more.

    Returns:
        The types [number], float32.

    Raises:
        TypeError: ``number`` is not an integer.
        ValueError: ``number`` is negative or too large.

    Example:
        >>> from sparsebrain.error_diffusion import alternating
        >>> alternating(3)
        tensor([-1.,  1., -1.])
    """
    number = arguments.count("number", number, at_most=MOST_NEURONS)
    tensors.room(f"number={number}", 8 * number, "pass a smaller number")
    return 2.0 * (torch.arange(number) % 2) - 1


def surround(
    connectome: Data,
    in_features: int,
    *,
    inputs: Neurons | None,
    outputs: Neurons | None,
    types: str | Tensor,
    paired: bool,
    density: float,
    generator: torch.Generator | None,
) -> Cells:
    """Add a bias pair, inputs and an output to a connectome, whose neurons become hidden cells.

    Cells are numbered as in Kaneko's program: 0 and 1 are the bias, followed by the inputs, the
    output and the hidden cells. ``ErrorDiffusionNetwork.around`` describes the arguments.
    """
    structure = read_structure(connectome).to("cpu")
    hidden, every = structure.num_nodes, torch.arange(structure.num_nodes)
    receiving = every if inputs is None else find_neurons(connectome, inputs, "inputs")
    read = every if outputs is None else find_neurons(connectome, outputs, "outputs")
    in_features = arguments.count("in_features", in_features, at_least=1)
    density = arguments.real("density", density, positive=True, at_most=1)
    generator = tensors.generator("generator", generator, torch.device("cpu"))
    given = in_features * (2 if paired else 1)
    output, base = 2 + given, 2 + given + 1
    # int64 pairs, and a copy while they are concatenated.
    tensors.room(f"in_features={in_features}", 32 * given * len(receiving), "pass a smaller number")
    from_inputs = _all_pairs(torch.arange(2, output), receiving + base)
    if density < 1:
        kept = torch.randperm(from_inputs.size(1), generator=generator)
        from_inputs = from_inputs[:, kept[: max(1, round(density * len(kept)))].sort().values]
    wiring = [
        _all_pairs(torch.arange(2), torch.arange(output, base + hidden)),
        from_inputs,
        structure.edge_index + base,
        _all_pairs(read + base, torch.tensor([output])),
    ]
    drawn_inputs = not paired and isinstance(types, str) and types == "random"
    of_inputs = _draw(given, generator) if drawn_inputs else -alternating(given)
    signs = [torch.tensor([1.0, -1.0]), of_inputs, torch.ones(1), _types(types, hidden, generator)]
    around = Data(edge_index=torch.cat(wiring, 1), num_nodes=base + hidden)
    return Cells(around, torch.cat(signs), range(2, output), output, range(2))


def all_to_all(in_features: int, hidden: int, *, self_loops: bool) -> Cells:
    """Return Kaneko's cells with every possible synapse to the output and to the hidden cells."""
    in_features, hidden = (
        arguments.count("in_features", in_features, at_least=1),
        arguments.count("hidden", hidden, at_least=1),
    )
    arguments.flag("self_loops", self_loops)
    output = 2 + 2 * in_features
    size = output + 1 + hidden
    tensors.room(
        f"in_features={in_features} and hidden={hidden}",
        32 * size * (hidden + 1),
        "pass smaller numbers",
    )
    edges = _all_pairs(torch.arange(size), torch.arange(output, size))
    if not self_loops:
        edges = edges[:, edges[0] != edges[1]]
    types = torch.cat([-alternating(output), torch.ones(1), alternating(hidden)])
    return Cells(Data(edge_index=edges, num_nodes=size), types, range(2, output), output, range(2))


def assign_roles(
    connectome: Data, types: Tensor, *, inputs: Neurons, bias: Neurons | None, paired: bool
) -> Roles:
    """Return the roles of all cells.

    Raises:
        ValueError: The types, inputs and bias are inconsistent with each other or with the
            synapses.
    """
    num_nodes = int(connectome.num_nodes)
    types = _check_types(types, num_nodes)
    row = torch.full((num_nodes,), -1)
    given = find_neurons(connectome, inputs, "inputs")
    if paired and (len(given) % 2 or bool((types[given[::2]] == types[given[1::2]]).any())):
        raise ValueError(
            "inputs must be pairs of a + and a - cell, both for one feature; pass "
            "paired=False to give each cell a feature of its own."
        )
    row[given] = torch.arange(len(given)) // (2 if paired else 1) + int(bias is not None)
    if bias is not None:
        pair = find_neurons(connectome, bias, "bias")
        if len(pair) != 2 or bool(types[pair].sum() != 0) or bool((row[pair] >= 0).any()):
            raise ValueError(
                f"bias must be a + and a - cell that are not inputs, got {pair.tolist()}; without "
                "one pass bias=None."
            )
        row[pair] = 0
    held = (row >= 0)[torch.as_tensor(connectome.edge_index[1]).cpu()]
    if bool(held.any()):
        raise ValueError(
            f"{int(held.sum())} synapses lead to cells that are held, inputs or bias, and would "
            "never act; leave them out, or put inputs in front with ErrorDiffusionNetwork.around."
        )
    return Roles(types, row, bias is not None)


def find_pairs(edge_index: Tensor, row: Tensor, types: Tensor) -> Tensor:
    """Return the numbers [2, P] of synapses from both cells of a pair to the same cell, + first.

    Args:
        edge_index: The synapses [2, E].
        row: The row of the held values that each cell reads, as in :class:`Roles`.
        types: The types [N].
    """
    source, target = edge_index.cpu()
    found = []
    for sign in (1, -1):
        numbers = ((row[source] >= 0) & (types[source] == sign)).nonzero().flatten()
        key = row[source[numbers]] * len(row) + target[numbers]
        order = key.argsort()
        found.append((key[order], numbers[order]))
    (key, plus), (other, minus) = found
    if not len(other):
        return torch.empty(2, 0, dtype=torch.int64)
    place = torch.searchsorted(other, key).clamp_max(len(other) - 1)
    paired = other[place] == key
    return torch.stack([plus[paired], minus[place[paired]]])


def check_output(
    structure: Structure, roles: Roles, output: int, loops: int, *, linear: bool
) -> None:
    """Raise ValueError if the output cannot be read or no input reaches it."""
    source, target = structure.edge_index
    if roles.row[output] >= 0 or roles.types[output] < 0:
        raise ValueError(
            f"output must be a + cell that is not held, and cell {output} is not; pass another, "
            "with types[output] = 1."
        )
    if linear and bool((source == output).any()):
        raise ValueError(
            "a linear output may be negative and must not send to other cells; use linear=False."
        )
    reached = roles.row >= int(roles.bias)
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


def _all_pairs(sources: Tensor, targets: Tensor) -> Tensor:
    return torch.stack([sources.repeat(len(targets)), targets.repeat_interleave(len(sources))])


def _types(types: str | Tensor, number: int, generator: torch.Generator | None) -> Tensor:
    if not isinstance(types, str):
        return _check_types(types, number)
    arguments.option("types", types, TYPES)
    return alternating(number) if types == "alternating" else _draw(number, generator)


def _check_types(types: Tensor, number: int) -> Tensor:
    """Return the types of cells as float32 on the CPU."""
    fix = f"pass types=sparsebrain.error_diffusion.alternating({number})"
    dtypes = (*tensors.FLOATS, torch.int64)
    types = tensors.tensor("types", types, (number,), dtypes=dtypes, fix=fix).detach().cpu().float()
    if not bool((types.abs() == 1).all()):
        raise ValueError("types must hold -1 and +1 only; pass torch.where(types > 0, 1.0, -1.0).")
    return types


def _draw(number: int, generator: torch.Generator | None) -> Tensor:
    return 2.0 * torch.randint(2, (number,), generator=generator) - 1
