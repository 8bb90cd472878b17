"""Sets drawn at random, row by row: the places that synapses take.

A row is what one neuron may be connected with, numbered from 0. Nothing is ever listed that is not
drawn, so that O(R + E) time and memory serve R rows and E places, however wide the rows are.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from graphs import compiled
from graphs.contract import Index

# Places drawn at a time, in whole rows. The graph of a seed depends on it.
_BLOCK = 1 << 20

Ends = tuple[Index, Index]


def distinct(widths: Index, counts: Index, rng: np.random.Generator) -> Ends:
    """Draw counts[r] distinct places of 0 ... widths[r] - 1 in each row r, all sets equally likely.

    Return the row and the place of each, sorted by both. Of a row that is more than half full, the
    places that stay empty are drawn. Draws that repeat a place are drawn again: to draw until
    enough distinct places are found favours none.
    """
    dense = 2 * counts > widths
    drawn = np.where(dense, widths - counts, counts)
    pointer = _pointer(drawn)
    places = np.empty(pointer[-1], np.int64)
    block = 0
    while block < len(drawn):
        end = int(np.searchsorted(pointer, pointer[block] + _BLOCK, side="right")) - 1
        end = min(max(end, block + 1), len(drawn))
        part = slice(pointer[block], pointer[end])
        _draw_block(places[part], pointer[block : end + 1] - pointer[block], widths[block:end], rng)
        block = end
    if dense.any():
        places = _fill_dense(places, pointer, widths, counts, dense)
    return np.repeat(np.arange(len(counts)), counts), places


def _draw_block(places: Index, pointer: Index, widths: Index, rng: np.random.Generator) -> None:
    size = np.diff(pointer)
    rows = np.flatnonzero(size)
    if not len(rows):
        return
    alike = widths[rows].min() == widths[rows].max()
    places[:] = rng.integers(
        widths[rows[0]] if alike else np.repeat(widths, size), size=len(places)
    )
    while len(repeats := _sort_rows(places, pointer, rows)):
        of = np.searchsorted(pointer, repeats, side="right") - 1
        places[repeats] = rng.integers(widths[of])
        rows = of[np.diff(of, prepend=-1) > 0]


def _sort_rows(places: Index, pointer: Index, rows: Index) -> Index:
    """Sort these rows of a block in place, and return the positions that repeat the one before."""
    helpers = compiled.module()
    if helpers is not None:
        return cast(Index, helpers.sort_rows(places, pointer, rows))
    size = np.diff(pointer)[rows]
    at = spans(pointer[rows], size)
    width = places[at].max() + 1
    first = np.repeat(np.arange(len(rows)) * width, size)
    keys = np.sort(first + places[at])
    places[at] = keys - first
    return at[1:][np.diff(keys) == 0]


def _fill_dense(
    places: Index, pointer: Index, widths: Index, counts: Index, dense: NDArray[np.bool_]
) -> Index:
    """Put the places that were not drawn into the rows that are more than half full."""
    filled = np.empty(counts.sum(), np.int64)
    starts = _pointer(counts)[:-1]
    sparse = np.flatnonzero(~dense)
    filled[spans(starts[sparse], counts[sparse])] = places[spans(pointer[sparse], counts[sparse])]
    full = np.flatnonzero(dense)
    first = _pointer(widths[full])
    free = np.ones(first[-1], dtype=bool)
    holes = (widths - counts)[full]
    free[np.repeat(first[:-1], holes) + places[spans(pointer[full], holes)]] = False
    taken = np.flatnonzero(free)
    filled[spans(starts[full], counts[full])] = taken - np.repeat(first[:-1], counts[full])
    return filled


def shares(widths: Index, total: int, rng: np.random.Generator) -> Index:
    """Return how many of `total` places, drawn from all rows alike without repeats, each row gets.

    That is the multivariate hypergeometric law: binomial counts, corrected by places that are taken
    away, or added, at random.
    """
    room = int(widths.sum())
    if not total:
        return np.zeros_like(widths)
    counts = rng.binomial(widths, total / room)
    surplus = int(counts.sum()) - total
    pool = counts if surplus > 0 else widths - counts
    pointer = _pointer(pool)
    _, chosen = distinct(pointer[-1:], np.array([abs(surplus)]), rng)
    of = np.searchsorted(pointer, chosen, side="right") - 1
    return counts - np.sign(surplus) * np.bincount(of, minlength=len(widths))


def spans(first: Index, length: Index) -> Index:
    """Concatenate the ranges first[r] ... first[r] + length[r] - 1."""
    return np.arange(int(length.sum())) + np.repeat(first - _pointer(length)[:-1], length)


def _pointer(length: Index) -> Index:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(length)))


def fixed_in_degree(
    sources: int, targets: int, degree: int, rng: np.random.Generator, *, same: bool = False
) -> Ends:
    """Give each target exactly `degree` sources, all sets of them equally likely."""
    return _columns(sources, np.full(targets, degree, dtype=np.int64), rng, same)


def fixed_out_degree(
    sources: int, targets: int, degree: int, rng: np.random.Generator, *, same: bool = False
) -> Ends:
    """Give each source exactly `degree` targets, all sets of them equally likely."""
    return fixed_in_degree(targets, sources, degree, rng, same=same)[::-1]


def fixed_total(
    sources: int, targets: int, total: int, rng: np.random.Generator, *, same: bool = False
) -> Ends:
    """Connect exactly `total` pairs, all sets of them equally likely."""
    return _columns(sources, shares(_widths(sources, targets, same), total, rng), rng, same)


def fixed_probability(
    sources: int, targets: int, probability: float, rng: np.random.Generator, *, same: bool = False
) -> Ends:
    """Connect each pair with this probability, independently of all others."""
    return _columns(sources, rng.binomial(_widths(sources, targets, same), probability), rng, same)


def _widths(sources: int, targets: int, same: bool) -> Index:
    return np.full(targets, max(sources - same, 0), dtype=np.int64)


def _columns(sources: int, counts: Index, rng: np.random.Generator, same: bool) -> Ends:
    target, source = distinct(_widths(sources, len(counts), same), counts, rng)
    if same:
        # The place of the neuron itself is left out.
        source += source >= target
    return source, target
