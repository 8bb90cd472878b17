"""Shapes of lattices."""

from __future__ import annotations

import math


def lattice(num_nodes: int, sheet: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sheet if it has the number of neurons, or else the nearest lattice.

    Neither side is much longer than twice the other, so that a prime number of neurons does not
    give a line.
    """
    if math.prod(sheet) == num_nodes:
        return sheet
    most = math.isqrt(num_nodes)
    rows = range(min(math.ceil(math.sqrt(num_nodes / 2)), most), most + 1)
    sides = ((side, round(num_nodes / side)) for side in rows)
    return min(sides, key=lambda both: (abs(math.prod(both) - num_nodes), both[1] - both[0]))
