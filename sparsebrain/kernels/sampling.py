"""Gibbs sampling along synapses, with checks of all arguments."""

from __future__ import annotations

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain.kernels.checks import check_index, check_matrix, check_memory
from sparsebrain.kernels.coloring import Colors
from sparsebrain.kernels.select import check_backend, resolve
from sparsebrain.kernels.structure import Structure

MOST_SWEEPS = 10**9
"""The largest number of sweeps of a call."""


def gibbs(
    structure: Structure,
    weight: Tensor,
    bias: Tensor,
    state: Tensor,
    colors: Colors,
    sweeps: int,
    seed: int,
    offset: int = 0,
    clamped: Tensor | None = None,
    *,
    backend: str = "auto",
) -> Tensor:
    r"""Draw neurons that are 0 or 1, again and again, from their laws given all others.

    .. math:: P(x_t = 1 \mid \text{rest}) = \sigma\Bigl(b_t + \sum_{s \to t} w_{s \to t} x_s\Bigr)

    One sweep updates every neuron once. Neurons of one color are updated at once, one color after
    the other. If every synapse has a partner of equal weight in the opposite direction, the law
    that a sweep leaves unchanged is that of a Boltzmann machine [1]_.

    Args:
        structure: The synapses. Self-loops are not allowed.
        weight: [E], float32 or float64, in the order of ``structure.edge_index``.
        bias: [N], in the dtype of ``weight``.
        state: [N, B] uint8 of 0 and 1, one column per chain.
        colors: ``structure.colors()``, or another coloring.
        sweeps: The number of sweeps, at least 0.
        seed: The seed of the random numbers, of which the last 64 bits count.
        offset: The number of sweeps that were made before with this seed. Two calls with ``m`` and
            ``n`` sweeps, the second with ``offset=m``, equal one call with ``m + n``.
        clamped: [N] bool, neurons that keep their state; None for no neuron.
        backend: "auto", "native", "triton", "torch", "dense" or "reference".

    Returns:
        [N, B] uint8, the chains after the last sweep. O(E B) time per sweep. The result is
        independent of the number of threads. Backends use the same random numbers
        (:mod:`sparsebrain.kernels.counter`) and differ only where one lies within rounding of the
        probability.

    Raises:
        TypeError: If an argument has the wrong type or dtype.
        ValueError: If a shape does not fit ``structure``, a value is not finite, a state is neither
            0 nor 1, or two neurons of one color share a synapse.
        RuntimeError: If the backend cannot run on the device of ``weight``.

    References:
        .. [1] D. H. Ackley, G. E. Hinton, T. J. Sejnowski, "A learning algorithm for Boltzmann
           machines", Cognitive Science 9 (1985) 147-169.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure, gibbs
        >>> pair = Structure(torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
        >>> weight, bias = torch.full((2,), 3.0), torch.full((2,), -1.5)
        >>> state = torch.zeros(2, 1000, dtype=torch.uint8)
        >>> state = gibbs(pair, weight, bias, state, pair.colors(), sweeps=50, seed=0)
        >>> bool((state[0] == state[1]).float().mean() > 0.7)
        True
    """
    check_matrix(structure, weight, finite=True)
    nodes, device = structure.num_nodes, structure.device
    tensors.tensor(
        "bias", bias, (nodes,), dtypes=(weight.dtype,), device=device, finite=True, like="weight"
    )
    tensors.tensor("state", state, (nodes, "B"), dtypes=(torch.uint8,), device=device)
    if clamped is not None:
        tensors.tensor("clamped", clamped, (nodes,), dtypes=(torch.bool,), device=device)
    for name, each in {"weight": weight, "bias": bias, "state": state, "clamped": clamped}.items():
        if each is not None:
            check_memory(name, each)
    check_binary("state", state)
    _check_colors(structure, colors)
    sweeps = arguments.count("sweeps", sweeps, at_most=MOST_SWEEPS)
    seed = arguments.count("seed", seed, at_least=-(2**63), at_most=2**64 - 1)
    offset = arguments.count("offset", offset)
    chosen = resolve(check_backend(backend), device)
    check_index(structure)
    if not sweeps or not state.numel():
        return state.clone()
    return chosen.gibbs(
        structure,
        weight.detach(),
        bias.detach(),
        state,
        colors,
        sweeps=sweeps,
        seed=seed,
        offset=offset,
        clamped=clamped,
    )


def check_binary(name: str, values: Tensor) -> None:
    """Raise ValueError unless all values are 0 or 1."""
    wrong = (values != 0) & (values != 1)
    if bool(wrong.any()):
        place = wrong.nonzero()[0]
        raise ValueError(
            f"{name} must be 0 or 1, got {values[tuple(place)].item()} at position "
            f"{place.tolist()}; pass ({name} > 0.5).to({name}.dtype)"
        )


def _check_colors(structure: Structure, colors: Colors) -> None:
    if not isinstance(colors, Colors):
        raise TypeError(
            f"colors must be a Colors, got {arguments.described(colors)}; pass structure.colors()"
        )
    for name, each in zip(Colors._fields, colors, strict=True):
        tensors.tensor(
            f"colors.{name}", each, ("n",), dtypes=(torch.int32,), device=structure.device
        )
        check_memory(f"colors.{name}", each)
    neurons, start = colors.neurons.long(), colors.start.long()
    nodes = structure.num_nodes
    whole = neurons.numel() == nodes and torch.equal(
        neurons.sort().values, torch.arange(nodes, device=neurons.device)
    )
    rising = start.numel() > 0 and int(start[0]) == 0 and int(start[-1]) == nodes
    if not (whole and rising and bool((start.diff() >= 0).all())):
        raise ValueError(
            f"colors must hold each of the {nodes} neurons once, from start[0] = 0 to start[-1] = "
            f"{nodes}; pass structure.colors()"
        )
    color = torch.empty(nodes, dtype=torch.int64, device=neurons.device)
    color[neurons] = torch.repeat_interleave(
        torch.arange(start.numel() - 1, device=neurons.device), start.diff()
    )
    source, target = structure.edge_index
    same = (color[source] == color[target]).nonzero()
    if same.numel():
        one, other = structure.edge_index[:, int(same[0])].tolist()
        raise ValueError(
            f"structure has the self-loop {one} -> {one}, which would be a bias; drop it and add "
            "its weight to the bias"
            if one == other
            else f"colors must differ where neurons share a synapse, and {one} -> {other} have the "
            "same; pass structure.colors()"
        )
