"""The sums over the synapses of some rows, which the kernels of the ``triton`` backend share.

A ``matrix`` is a tuple of pointers: ``pointer``, ``neuron`` and ``weight`` of a matrix in
compressed-sparse-row form, then ``slot``, ``ends`` and ``partial`` for the rows whose sums
:func:`~.forward.segment_sums` has prepared, or three times None if no row is that long.
``slot`` [N] numbers the long rows and is -1 for all others. The sums of the segments of long row i
are ``partial[ends[i]:ends[i + 1]]``, each with one value per column of the batch.

A tile is ROWS rows by COLUMNS columns. With one row, a program reads SYNAPSES of its synapses at a
time; with several rows, it reads one synapse of each row at a time.
"""

import triton
import triton.language as tl


@triton.jit
def place(rows, COLUMNS: tl.constexpr):
    """Return the row and the columns of a program.

    All rows of a block come first, since they read each other. There is one axis of programs,
    because the others are limited to 65,535.
    """
    program = tl.program_id(0)
    block = (program // rows).to(tl.int64)
    return (program % rows).to(tl.int64), block * COLUMNS + tl.arange(0, COLUMNS)


@triton.jit
def segment(start, stop, columns, neuron, weight, x, batch, SYNAPSES: tl.constexpr):
    """Return the sums [1, COLUMNS] of weight times x over the synapses from start to stop."""
    inside = columns < batch
    total = tl.zeros([SYNAPSES, columns.shape[0]], dtype=x.dtype.element_ty)
    for first in range(start, stop, SYNAPSES):
        place = first + tl.arange(0, SYNAPSES)
        there = place < stop
        far = tl.load(neuron + place, mask=there, other=0).to(tl.int64) * batch
        w = tl.load(weight + place, mask=there, other=0.0)
        mask = there[:, None] & inside[None, :]
        total += w[:, None] * tl.load(x + far[:, None] + columns[None, :], mask=mask, other=0.0)
    return tl.sum(total, 0)[None, :]


@triton.jit
def gather(
    first_row,
    columns,
    matrix,
    x,
    neurons,
    batch,
    ROWS: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    """Return the tile of W x from ``first_row`` on."""
    pointer, neuron, weight, slot, ends, partial = matrix
    if ROWS > 1:
        total = _several_rows(first_row, columns, pointer, neuron, weight, x, neurons, batch, ROWS)
    else:
        # In 64 bits, because a position after the last of nearly 2^31 synapses would overflow.
        start = tl.load(pointer + first_row).to(tl.int64)
        stop = tl.load(pointer + first_row + 1).to(tl.int64)
        if slot is not None:
            long = tl.load(slot + first_row)
            if long >= 0:
                total = _segments(long, columns, ends, partial, batch, SYNAPSES)
            else:
                total = segment(start, stop, columns, neuron, weight, x, batch, SYNAPSES)
        else:
            total = segment(start, stop, columns, neuron, weight, x, batch, SYNAPSES)
    return total


@triton.jit
def _segments(long, columns, ends, partial, batch, SYNAPSES: tl.constexpr):
    """Return the sums [1, COLUMNS] of the segments of a long row."""
    start = tl.load(ends + long).to(tl.int64)
    stop = tl.load(ends + long + 1).to(tl.int64)
    total = tl.zeros([SYNAPSES, columns.shape[0]], dtype=partial.dtype.element_ty)
    for first in range(start, stop, SYNAPSES):
        place = first + tl.arange(0, SYNAPSES)
        mask = (place < stop)[:, None] & (columns < batch)[None, :]
        at = place[:, None] * batch + columns[None, :]
        total += tl.load(partial + at, mask=mask, other=0.0)
    return tl.sum(total, 0)[None, :]


@triton.jit
def _several_rows(
    first_row, columns, pointer, neuron, weight, x, neurons, batch, ROWS: tl.constexpr
):
    rows = first_row + tl.arange(0, ROWS)
    there = rows < neurons
    start = tl.load(pointer + rows, mask=there, other=0).to(tl.int64)
    count = tl.load(pointer + rows + 1, mask=there, other=0).to(tl.int64) - start
    total = tl.zeros([ROWS, columns.shape[0]], dtype=x.dtype.element_ty)
    for number in range(tl.max(count, 0)):
        place = start + number
        there = count > number
        far = tl.load(neuron + place, mask=there, other=0).to(tl.int64) * batch
        w = tl.load(weight + place, mask=there, other=0.0)
        mask = there[:, None] & (columns < batch)[None, :]
        total += w[:, None] * tl.load(x + far[:, None] + columns[None, :], mask=mask, other=0.0)
    return total


@triton.jit
def argument(
    first_row,
    columns,
    matrix,
    x,
    inputs,
    neurons,
    batch,
    ROWS: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    """Return the tile of W x + bias + drive from ``first_row`` on."""
    bias, drive, _ = inputs
    u = gather(first_row, columns, matrix, x, neurons, batch, ROWS, SYNAPSES)
    rows = first_row + tl.arange(0, ROWS)
    there = rows < neurons
    if bias is not None:
        u += tl.load(bias + rows, mask=there, other=0.0)[:, None]
    if drive is not None:
        mask = there[:, None] & (columns < batch)[None, :]
        u += tl.load(drive + rows[:, None] * batch + columns[None, :], mask=mask, other=0.0)
    return u
