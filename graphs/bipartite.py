"""Synapses drawn between two sets of neurons, each pair at most once.

Every function numbers the pairs that may be connected, its places, and draws distinct ones: in
O(R + E) memory and O(R + E log E) time for R rows of places and E synapses, however many places
there are. Sources are 0 ... S - 1 and targets 0 ... T - 1. With ``same=True`` both are the same
neurons, S = T, and no neuron is connected with itself.

``times`` draws that many independent rectangles at once, stacked along the sources: source
``r * S + s`` is the source s of the rectangle r.
"""

from collections.abc import Sequence

import numpy as np

from graphs.contract import Index

# What comes out of every rule: sources and targets of equal length.
Ends = tuple[Index, Index]


def distinct(
    widths: Index | Sequence[int], counts: Index | Sequence[int], rng: np.random.Generator
) -> Ends:
    """Draw counts[r] distinct places of 0 ... widths[r] - 1 in each row r, all sets equally likely.

    Return the row and the place of each, sorted by both. Of a row that is more than half full, the
    places that stay empty are drawn. Draws that hit a place again are repeated: to draw until
    enough distinct places are found favours none.
    """
    widths, counts = np.asarray(widths, np.int64), np.asarray(counts, np.int64)
    first = np.concatenate(([0], np.cumsum(widths)))[:-1]
    dense = 2 * counts > widths
    missing = np.where(dense, widths - counts, counts)
    drawn = np.empty(0, np.int64)
    while missing.any():
        row = np.repeat(np.arange(len(widths)), missing)
        fresh = np.sort(first[row] + rng.integers(widths[row]))
        fresh = fresh[np.diff(fresh, prepend=-1) > 0]
        at = np.searchsorted(drawn, fresh)
        new = np.append(drawn, -1)[at] != fresh
        fresh, at = fresh[new], at[new]
        drawn = np.insert(drawn, at, fresh)
        missing -= np.bincount(_rows(first, fresh), minlength=len(widths))
    if dense.any():
        row = _rows(first, drawn)
        holes = drawn[dense[row]]
        places = spans(first[dense], widths[dense])
        filled = np.ones(len(places), dtype=bool)
        filled[np.searchsorted(places, holes)] = False
        drawn = np.sort(np.concatenate((drawn[~dense[row]], places[filled])))
    row = _rows(first, drawn)
    return row, drawn - first[row]


def _rows(first: Index, places: Index) -> Index:
    # Of rows that start at the same place all but the last are empty.
    return np.searchsorted(first, places, side="right") - 1


def spans(first: Index, length: Index) -> Index:
    """Concatenate the ranges first[r] ... first[r] + length[r] - 1."""
    before = np.cumsum(length) - length
    return np.arange(int(length.sum())) + np.repeat(first - before, length)


def free(ranks: Index, taken: Index) -> Index:
    """Return the places with these ranks among those that are not taken; `taken` is sorted."""
    # Below the j-th taken place lie taken[j] - j free ones.
    return ranks + np.searchsorted(taken - np.arange(len(taken)), ranks, side="right")


def below_diagonal(places: Index) -> Ends:
    """Return the pairs i > j of these places, numbered i (i - 1) / 2 + j."""
    larger = ((1 + np.sqrt(8.0 * places + 1)) // 2).astype(np.int64)
    # The root is rounded beyond 2^53; one step puts it right.
    larger -= larger * (larger - 1) // 2 > places
    larger += larger * (larger + 1) // 2 <= places
    return larger, places - larger * (larger - 1) // 2


def all_to_all(sources: int, targets: int, *, same: bool = False, times: int = 1) -> Ends:
    """Connect every source with every target."""
    width = targets - same
    return _skip(
        np.repeat(np.arange(times * sources), width),
        np.tile(np.arange(width), times * sources),
        sources,
        same,
    )


def one_to_one(sources: int, *, times: int = 1) -> Ends:
    """Connect each source with the target of its number; there are as many of both."""
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
    places = sources * (targets - same)
    counts = rng.binomial(places, probability, times)
    return _rectangles(sources, targets, counts, rng, same)


def fixed_total(
    sources: int,
    targets: int,
    total: int,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Connect exactly `total` pairs, all sets of them equally likely."""
    return _rectangles(sources, targets, np.full(times, total), rng, same)


def fixed_out_degree(
    sources: int,
    targets: int,
    degree: int,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Give each source exactly `degree` targets, all sets of them equally likely."""
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
    """Give each target exactly `degree` sources, all sets of them equally likely."""
    rows = times * targets
    row, place = distinct(np.full(rows, sources - same), np.full(rows, degree), rng)
    row, place = _skip(row, place, targets, same)
    rectangle, target = np.divmod(row, max(targets, 1))
    return rectangle * sources + place, target


def _rectangles(
    sources: int, targets: int, counts: Index, rng: np.random.Generator, same: bool
) -> Ends:
    width = targets - same
    rectangle, place = distinct(np.full(len(counts), sources * width), counts, rng)
    source, target = np.divmod(place, max(width, 1))
    return _skip(rectangle * sources + source, target, sources, same)


def _skip(row: Index, place: Index, rows: int, same: bool) -> Ends:
    """Leave out the place of the row itself, where both are the same neurons."""
    return row, place + (place >= row % max(rows, 1)) if same else place
