"""Random subsets drawn row by row: the places that synapses take.

A row is the possible partners of one neuron, numbered from 0. Only places that are drawn are
stored, so that R rows and E places take O(R + E) time and memory for rows of any width.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from graphs import compiled
from graphs.contract import Index

# Number of places drawn at a time, in whole rows. The graph of a seed depends on it.
_BLOCK = 1 << 20

# Rows with more places than this are drawn in pieces of this size.
_PIECE = 4096


def distinct(
    widths: Index | Sequence[int], counts: Index | Sequence[int], rng: np.random.Generator
) -> tuple[Index, Index]:
    """Draw counts[r] distinct places of 0 ... widths[r] - 1 in each row r, all sets equally likely.

    In rows that are more than half full, the empty places are drawn instead. Repeated places are
    redrawn, which favors no set.

    Args:
        widths: Number of places of each row [R].
        counts: Number of places to draw in each row [R].
        rng: Source of randomness.

    Returns:
        The row and the place of each draw, sorted by both.
    """
    widths, counts = np.asarray(widths, np.int64), np.asarray(counts, np.int64)
    dense = 2 * counts > widths
    drawn = np.where(dense, widths - counts, counts)
    places = _sparse(*_cut(widths, drawn, rng), rng)
    if dense.any():
        places = _fill_dense(places, _pointer(drawn), widths, counts, dense)
    return np.repeat(np.arange(len(counts)), counts), places


def _cut(widths: Index, counts: Index, rng: np.random.Generator) -> tuple[Index, Index, Index]:
    """Cut rows with many draws into shorter pieces; return their starts, widths and counts."""
    if counts.max(initial=0) < 2 * _PIECE:
        return np.zeros_like(widths), widths, counts
    pieces = np.maximum(counts // _PIECE, 1)
    row = np.repeat(np.arange(len(counts)), pieces)
    number = spans(np.zeros_like(pieces), pieces)
    each, more = widths[row] // pieces[row], widths[row] % pieces[row]
    widths = each + (number < more)
    ends = np.cumsum(pieces)
    shared = counts[row]
    for long in np.flatnonzero(pieces > 1):
        piece = slice(ends[long] - pieces[long], ends[long])
        shared[piece] = shares(widths[piece], int(counts[long]), rng)
    return each * number + np.minimum(number, more), widths, shared


def _sparse(first: Index, widths: Index, counts: Index, rng: np.random.Generator) -> Index:
    """Draw as `distinct` does, block by block, and add the start of each row."""
    pointer = _pointer(counts)
    places = np.empty(pointer[-1], np.int64)
    block = 0
    while block < len(counts):
        end = int(np.searchsorted(pointer, pointer[block] + _BLOCK, side="right")) - 1
        end = min(max(end, block + 1), len(counts))
        rows, part = slice(block, end), slice(pointer[block], pointer[end])
        _draw_block(places[part], pointer[block : end + 1] - pointer[block], widths[rows], rng)
        if first[rows].any():
            places[part] += np.repeat(first[rows], counts[rows])
        block = end
    return places


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
    """Sort these rows of a block in place; return the positions that repeat the previous place."""
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
    """Fill the rows that are more than half full with the places that were not drawn."""
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
    """Return how many of `total` places, drawn without repetition from all rows, are in each row.

    This is the multivariate hypergeometric distribution. Binomial counts are drawn and then
    corrected by adding or removing random places.
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
