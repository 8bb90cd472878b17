"""Kernels of the backward pass."""

import triton
import triton.language as tl

from sparsebrain.kernels.triton_code.activations import activate, derive
from sparsebrain.kernels.triton_code.rows import argument, gather, place


@triton.jit
def step_back(
    later,
    outside,
    back,
    states,
    matrix,
    inputs,
    found,
    totals,
    neurons,
    batch,
    ACTIVATION: tl.constexpr,
    OF_ARGUMENT: tl.constexpr,
    NOISY: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Run one loop backward; :func:`_back_tile` describes the arguments."""
    row, columns = place(neurons, COLUMNS)
    block = tl.program_id(0) // neurons
    _back_tile(
        row,
        columns,
        block,
        later,
        outside,
        back,
        states,
        matrix,
        inputs,
        found,
        totals,
        neurons,
        batch,
        (ACTIVATION, OF_ARGUMENT, NOISY, 1, SYNAPSES, COLUMNS),
    )


@triton.jit
def run_back(
    outside,
    back,
    states,
    matrix,
    inputs,
    found,
    totals,
    neurons,
    batch,
    loops,
    ACTIVATION: tl.constexpr,
    OF_ARGUMENT: tl.constexpr,
    NOISY: tl.constexpr,
    ROWS: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Run all loops backward, for a gradient ``outside`` [N, B] of the last state alone.

    ``states`` [loops + 1, N, B] are all states. ``found`` are the two results of
    :func:`_back_tile`, [loops, N, B], the second one None without a leak.
    """
    block = tl.program_id(0)
    columns = tl.cast(block, tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    size = tl.cast(batch, tl.int64) * neurons
    local, rest = found
    for done in range(loops):
        number = loops - 1 - done
        here = (local + number * size, None if rest is None else rest + number * size)
        after = (local + (number + 1) * size, None if rest is None else rest + (number + 1) * size)
        pair = (states + number * size, states + (number + 1) * size)
        for first in range(0, neurons, ROWS):
            first_row = tl.cast(first, tl.int64)
            if done == 0:
                _back_tile(
                    first_row,
                    columns,
                    block,
                    (None, None),
                    outside,
                    back,
                    pair,
                    matrix,
                    inputs,
                    here,
                    totals,
                    neurons,
                    batch,
                    (ACTIVATION, OF_ARGUMENT, NOISY, ROWS, SYNAPSES, COLUMNS),
                )
            else:
                _back_tile(
                    first_row,
                    columns,
                    block,
                    after,
                    None,
                    back,
                    pair,
                    matrix,
                    inputs,
                    here,
                    totals,
                    neurons,
                    batch,
                    (ACTIVATION, OF_ARGUMENT, NOISY, ROWS, SYNAPSES, COLUMNS),
                )
        # The loop before reads what all threads of this program have written.
        tl.debug_barrier()


@triton.jit
def _back_tile(
    first_row,
    columns,
    block,
    later,
    outside,
    back,
    states,
    matrix,
    inputs,
    found,
    totals,
    neurons,
    batch,
    options,
):
    """Run a tile of one loop backward, y = (1 - leak) x + leak f(u) with u = W x + bias + drive.

    The gradient that reaches y is grad = W^T later + rest_later + outside. ``later`` is a pair that
    the next loop, which used y as its x, returned in ``found``: the gradient of its u, and what its
    leak passed around f. The first is None if no gradient has reached that loop; the second is also
    None without a leak. ``outside`` is the gradient from other uses of y, or None.

    ``states`` is the pair x, y of the forward pass. Without a leak f' follows from y; with a leak,
    if OF_ARGUMENT, or if noise made the states NOISY, u is computed again from ``matrix`` and
    ``inputs``, those of the forward pass.

    The kernel writes the same pair for this loop to ``found``, leak f'(u) grad and, with a leak,
    (1 - leak) grad. It adds to the ``totals`` that are given: of the drive [N, B], and of the bias
    and the leak [N, blocks], with one sum for each row and ``block`` of columns.

    The kernel must not overwrite an operand of a sum: several threads can hold one value, and one
    of them may read what another has written.
    """
    ACTIVATION: tl.constexpr = options[0]
    OF_ARGUMENT: tl.constexpr = options[1]
    NOISY: tl.constexpr = options[2]
    ROWS: tl.constexpr = options[3]
    SYNAPSES: tl.constexpr = options[4]
    COLUMNS: tl.constexpr = options[5]
    local, rest = found
    total_drive, total_bias, total_leak = totals
    later, rest_later = later
    before, after = states
    _, _, leak = inputs
    rows = first_row + tl.arange(0, ROWS)
    there = rows < neurons
    inside = there[:, None] & (columns < batch)[None, :]
    here = rows[:, None] * batch + columns[None, :]
    grad = tl.zeros([ROWS, COLUMNS], dtype=local.dtype.element_ty)
    if later is not None:
        grad += gather(first_row, columns, back, later, neurons, batch, ROWS, SYNAPSES)
        if leak is not None:
            grad += tl.load(rest_later + here, mask=inside, other=0.0)
    if outside is not None:
        grad += tl.load(outside + here, mask=inside, other=0.0)

    cell = rows * tl.cdiv(batch, COLUMNS) + block
    if leak is not None or OF_ARGUMENT or NOISY:
        known = argument(first_row, columns, matrix, before, inputs, neurons, batch, ROWS, SYNAPSES)
    else:
        known = tl.load(after + here, mask=inside, other=0.0)
    if NOISY and leak is None and not OF_ARGUMENT:
        known = activate(known, ACTIVATION)
    if leak is not None:
        # The state is a mixture, from which the value of f cannot be recovered.
        y = activate(known, ACTIVATION)
        if not OF_ARGUMENT:
            known = y
        old = tl.load(before + here, mask=inside, other=0.0)
        change = tl.sum(tl.where(inside, grad * (y - old), 0.0), 1)
        sofar = tl.load(total_leak + cell, mask=there, other=0.0)
        tl.store(total_leak + cell, sofar + change, mask=there)
        share = tl.load(leak + rows, mask=there, other=0.0)[:, None]
        tl.store(rest + here, (1 - share) * grad, mask=inside)
        grad = share * grad
    grad = tl.where(inside, derive(grad, known, ACTIVATION), 0.0)
    tl.store(local + here, grad, mask=inside)
    if total_drive is not None:
        sofar = tl.load(total_drive + here, mask=inside, other=0.0)
        tl.store(total_drive + here, sofar + grad, mask=inside)
    if total_bias is not None:
        sofar = tl.load(total_bias + cell, mask=there, other=0.0)
        tl.store(total_bias + cell, sofar + tl.sum(grad, 1), mask=there)
