"""Synapses that a file or a graph contains more than once."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from graphs.contract import Index
from graphs.ordering import canonical_order

Duplicates = Literal["error", "sum"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)


def combine(
    num_nodes: int,
    source: Index,
    target: Index,
    *,
    duplicates: Duplicates,
    edge_weight: NDArray[np.float32] | None = None,
    edge_type: Index | None = None,
    edge_sign: NDArray[np.float32] | None = None,
    names: Sequence[str] | None = None,
    fix: str = "give them different edge_type, or pass duplicates='sum' to add up their weights",
    sign_fix: str = "give them different edge_type, or leave edge_sign out",
) -> dict[str, Any]:
    """Return synapses as arguments of `contract.build`, each once and in canonical order.

    Args:
        num_nodes: The number of neurons N.
        source: The source of each synapse [E].
        target: The target of each synapse [E].
        duplicates: "error" refuses synapses that repeat; "sum" adds up their weights in float64 (1
            each if there are none).
        edge_weight: Weights [E].
        edge_type: Types [E].
        edge_sign: Signs [E].
        names: The names of neurons, for messages.
        fix: What to do if a synapse repeats.
        sign_fix: What to do if synapses of both signs would be added up. An unknown sign, 0, takes
            the sign of the others.

    Raises:
        ValueError: A synapse repeats, or synapses of both signs would be added up.
    """
    arguments.option("duplicates", duplicates, DUPLICATES)
    order = canonical_order(num_nodes, source, target, edge_type)
    keys = [key[order] for key in (source, target, edge_type) if key is not None]
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    starts = np.flatnonzero(first)
    given = {"edge_weight": edge_weight, "edge_type": edge_type, "edge_sign": edge_sign}

    def told(at: int) -> str:
        ends = int(source[order[at]]), int(target[order[at]])
        pair = [repr(names[end]) if names else str(end) for end in ends]
        kind = "" if edge_type is None else f" of type {edge_type[order[at]]}"
        return " -> ".join(pair) + kind

    if duplicates == "error":
        if len(starts) < len(order):
            raise ValueError(
                f"expected each synapse once, got {told(int(np.flatnonzero(~first)[0]))} again "
                f"({len(order) - len(starts)} of {len(order)} repeat another); {fix}"
            )
        ordered = {name: None if each is None else each[order] for name, each in given.items()}
        return {"source": keys[0], "target": keys[1], **ordered}
    weight = np.ones(len(order)) if edge_weight is None else edge_weight[order].astype(np.float64)
    if edge_sign is not None and (weight < 0).any():
        sign = edge_sign[order]
        wrong = np.flatnonzero((weight < 0) & (sign > 0))
        if wrong.size:
            raise ValueError(
                "weights must not be negative where the sign is +1, got "
                f"{weight[wrong[0]]:g} for {told(int(wrong[0]))}; leave the signs out, or use "
                "magnitudes as weights"
            )
        # Signed weights and magnitudes add up to one signed weight.
        weight = np.where(sign < 0, -np.abs(weight), weight)
    with np.errstate(over="ignore"):  # The sum becomes infinite, and validate refuses it.
        given["edge_weight"] = np.add.reduceat(weight, starts).astype(np.float32)
    if edge_type is not None:
        given["edge_type"] = keys[2][starts]
    if edge_sign is not None:
        sign = edge_sign[order]
        least, most = np.minimum.reduceat(sign, starts), np.maximum.reduceat(sign, starts)
        given["edge_sign"] = np.where(least < 0, least, most)
        mixed = np.flatnonzero((least < 0) & (most > 0))
        if mixed.size:
            raise ValueError(
                f"synapses that are added up must have one sign, got {told(int(starts[mixed[0]]))} "
                f"with both; {sign_fix}"
            )
    return {"source": keys[0][starts], "target": keys[1][starts], **given}
