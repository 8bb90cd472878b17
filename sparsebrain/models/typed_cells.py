"""Where the typed cells of error diffusion come from: wiring and types around a connectome."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from sparsebrain.options import check_choice, check_count

TYPES = ("alternating", "random")


class Cells(NamedTuple):
    """A connectome with cells around it, as ErrorDiffusionNetwork takes them."""

    connectome: Data
    types: Tensor
    inputs: range
    output: int
    bias: range


def alternating(number: int) -> Tensor:
    """Types [number] as I. Kaneko's hidden cells have them: -1, +1, -1, ...

    Example:
        >>> from sparsebrain.models import alternating
        >>> alternating(3)
        tensor([-1.,  1., -1.])
    """
    return 2.0 * (torch.arange(number) % 2) - 1


def surround(
    edges: Tensor,
    hidden: int,
    in_features: int,
    *,
    receiving: Tensor,
    read: Tensor,
    types: str | Tensor,
    paired: bool,
    density: float,
    generator: torch.Generator | None,
) -> Cells:
    """Put a bias pair, inputs and an output around hidden cells, in Kaneko's numbers.

    0 and 1 are the bias, then come the inputs, the output, and the hidden cells. The bias sends to
    all that are computed.

    Args:
        edges: [2, E], among the hidden cells.
        hidden: how many there are.
        in_features: F.
        receiving: the hidden cells that inputs send to.
        read: the hidden cells that send to the output.
        types: of the hidden cells, out of TYPES or [hidden]; with "random" unpaired inputs have
            random types as well.
        paired: two inputs for each feature.
        density: the share of the synapses from inputs that exist.
        generator: draws types and synapses.
    """
    in_features = check_count("in_features", in_features)
    if not 0 < density <= 1:
        raise ValueError(f"density must be over 0 and at most 1, got {density}.")
    given = in_features * (2 if paired else 1)
    inputs = range(2, 2 + given)
    output, base = inputs.stop, inputs.stop + 1
    received = _all_pairs(torch.arange(2, output), receiving + base)
    if density < 1:
        kept = torch.randperm(received.size(1), generator=generator)
        received = received[:, kept[: max(1, round(density * len(kept)))].sort().values]
    computed = torch.arange(output, base + hidden)
    wiring = [
        _all_pairs(torch.arange(2), computed),
        received,
        edges + base,
        _all_pairs(read + base, torch.tensor([output])),
    ]
    drawn_inputs = not paired and isinstance(types, str) and types == "random"
    of_inputs = _draw(given, generator) if drawn_inputs else -alternating(given)
    signs = [torch.tensor([1.0, -1.0]), of_inputs, torch.ones(1), _types(types, hidden, generator)]
    return Cells(
        Data(edge_index=torch.cat(wiring, 1), num_nodes=base + hidden),
        torch.cat(signs),
        inputs,
        output,
        range(2),
    )


def all_to_all(in_features: int, hidden: int, *, self_loops: bool) -> Cells:
    """Kaneko's cells with every synapse there can be to the output and to the hidden cells."""
    in_features, hidden = check_count("in_features", in_features), check_count("hidden", hidden)
    output = 2 + 2 * in_features
    size = output + 1 + hidden
    edges = _all_pairs(torch.arange(size), torch.arange(output, size))
    if not self_loops:
        edges = edges[:, edges[0] != edges[1]]
    types = torch.cat([-alternating(output), torch.ones(1), alternating(hidden)])
    return Cells(Data(edge_index=edges, num_nodes=size), types, range(2, output), output, range(2))


def _all_pairs(sources: Tensor, targets: Tensor) -> Tensor:
    return torch.stack([sources.repeat(len(targets)), targets.repeat_interleave(len(sources))])


def _types(types: str | Tensor, number: int, generator: torch.Generator | None) -> Tensor:
    if isinstance(types, Tensor):
        if types.shape != (number,):
            raise ValueError(
                f"types must have shape [{number}], one for each neuron of the connectome, got "
                f"{list(types.shape)}."
            )
        return types.float()
    check_choice("types", types, TYPES)
    return alternating(number) if types == "alternating" else _draw(number, generator)


def _draw(number: int, generator: torch.Generator | None) -> Tensor:
    return 2.0 * torch.randint(2, (number,), generator=generator) - 1
