"""Synapses drawn between two sets of neurons, each pair at most once.

Sources are 0 ... S - 1 and targets 0 ... T - 1. Each neuron has a row of possible partners, from
which `drawing` draws, in O(S + T + E) time and memory for E synapses. With ``same=True`` both sets
are the same neurons, S = T, and no neuron is connected with itself.

With ``times``, that many independent pairs of sets are drawn at once, stacked along the sources:
source ``r * S + s`` is source s of pair r.
"""

import numpy as np

from graphs.contract import Index
from graphs.generators.drawing import distinct, shares

# The result of every rule: sources and targets of equal length.
Ends = tuple[Index, Index]


def free(ranks: Index, taken: Index) -> Index:
    """Return the free places with the given ranks, where `taken` is sorted."""
    # There are taken[j] - j free places below the j-th taken place.
    return ranks + np.searchsorted(taken - np.arange(len(taken)), ranks, side="right")


def below_diagonal(places: Index) -> Ends:
    """Return the pairs (i, j) with i > j, which are numbered i (i - 1) / 2 + j."""
    larger = ((1 + np.sqrt(8.0 * places + 1)) // 2).astype(np.int64)
    # Beyond 2^53 the root may be off by one because of rounding.
    larger -= larger * (larger - 1) // 2 > places
    larger += larger * (larger + 1) // 2 <= places
    return larger, places - larger * (larger - 1) // 2


def all_to_all(sources: int, targets: int, *, same: bool = False, times: int = 1) -> Ends:
    """Connect every source to every target."""
    width = targets - same
    return _skip(
        np.repeat(np.arange(times * sources), width),
        np.tile(np.arange(width), times * sources),
        sources,
        same,
    )


def one_to_one(sources: int, *, times: int = 1) -> Ends:
    """Connect each source to the target with the same number; both sets have the same size."""
    return np.arange(times * sources), np.tile(np.arange(sources), times)


def fixed_probability(
    sources: int,
    targets: int,
    probability: float,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Connect each pair with this probability, independently of all others."""
    counts = rng.binomial(_widths(sources, times * targets, same), probability)
    return _columns(sources, targets, counts, rng, same)


def fixed_total(
    sources: int,
    targets: int,
    total: int,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Connect exactly `total` pairs, all sets of pairs equally likely."""
    widths = _widths(sources, targets, same)
    counts = np.array([shares(widths, total, rng) for _ in range(times)], dtype=np.int64)
    return _columns(sources, targets, counts.ravel(), rng, same)


def fixed_out_degree(
    sources: int,
    targets: int,
    degree: int,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Connect each source to exactly `degree` targets, all sets equally likely."""
    rows = times * sources
    row, place = distinct(np.full(rows, targets - same), np.full(rows, degree), rng)
    return _skip(row, place, sources, same)


def fixed_in_degree(
    sources: int,
    targets: int,
    degree: int,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Connect each target to exactly `degree` sources, all sets equally likely."""
    counts = np.full(times * targets, degree, dtype=np.int64)
    return _columns(sources, targets, counts, rng, same)


def _widths(places: int, rows: int, same: bool) -> Index:
    return np.full(rows, max(places - same, 0), dtype=np.int64)


def _columns(
    sources: int, targets: int, counts: Index, rng: np.random.Generator, same: bool
) -> Ends:
    """Draw ``counts[r]`` sources for each target, pair of sets by pair of sets."""
    row, place = distinct(_widths(sources, len(counts), same), counts, rng)
    row, place = _skip(row, place, targets, same)
    if len(counts) == targets:
        return place, row
    rectangle, target = np.divmod(row, max(targets, 1))
    return rectangle * sources + place, target


def _skip(row: Index, place: Index, rows: int, same: bool) -> Ends:
    """Skip the row's own place if both sets are the same neurons; rows are sorted."""
    if same and len(row):
        # In place, because the arrays may take half of the memory.
        place += place >= (row % rows if row[-1] >= rows else row)
    return row, place
