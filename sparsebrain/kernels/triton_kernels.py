"""The kernels of the ``triton`` backend. Importing this module imports triton, so it is done late.

A program of ``step`` and ``step_back`` computes some columns of one row. A program of ``run`` and
``run_back`` computes all rows of some columns for all loops, for graphs so small that one launch
per loop would take longer. No other program writes its results, so no atomics are needed, every sum
has a fixed order, and results are reproducible bit by bit.

Arguments that are None are left out when a kernel is compiled. Some arguments are tuples:

* ``matrix``, ``back``: the rows of W and of W^T, as :mod:`.triton_rows` describes them.
* ``inputs``: ``bias`` [N], ``drive`` [N, B] and ``leak`` [N], each of which may be None.
* ``noise``: the key of the loop and the standard deviation, or (None, 0).
"""

import triton
import triton.language as tl

from sparsebrain.kernels.triton_activations import activate, derive
from sparsebrain.kernels.triton_random import normal, word
from sparsebrain.kernels.triton_rows import argument, gather, segment


@triton.jit
def step(
    matrix,
    x,
    inputs,
    old,
    noise,
    out,
    neurons,
    batch,
    ACTIVATION: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write f(W x + bias + drive), with a leak (1 - leak) old + leak f(...), and add noise."""
    row, columns = _place(neurons, COLUMNS)
    _step_tile(
        row, columns, matrix, x, inputs, old, noise, out, neurons, batch, ACTIVATION, 1, SYNAPSES
    )


@triton.jit
def run(
    matrix,
    states,
    inputs,
    noise,
    neurons,
    batch,
    loops,
    slots,
    ACTIVATION: tl.constexpr,
    ROWS: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Run all loops.

    ``states`` [slots, N, B] holds the state after t loops at t modulo ``slots``, and ``noise`` the
    keys of all loops.
    """
    columns = tl.program_id(0).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    size = tl.cast(batch, tl.int64) * neurons
    keys, std = noise
    for number in range(loops):
        before = states + (number % slots) * size
        after = states + ((number + 1) % slots) * size
        for first in range(0, neurons, ROWS):
            _step_tile(
                tl.cast(first, tl.int64),
                columns,
                matrix,
                before,
                inputs,
                before,
                (None if keys is None else keys + number, std),
                after,
                neurons,
                batch,
                ACTIVATION,
                ROWS,
                SYNAPSES,
            )
        # The next loop reads what all threads of this program have written.
        tl.debug_barrier()


@triton.jit
def _step_tile(
    first_row,
    columns,
    matrix,
    x,
    inputs,
    old,
    noise,
    out,
    neurons,
    batch,
    ACTIVATION: tl.constexpr,
    ROWS: tl.constexpr,
    SYNAPSES: tl.constexpr,
):
    rows = first_row + tl.arange(0, ROWS)
    inside = (rows < neurons)[:, None] & (columns < batch)[None, :]
    here = rows[:, None] * batch + columns[None, :]
    u = argument(first_row, columns, matrix, x, inputs, neurons, batch, ROWS, SYNAPSES)
    y = activate(u, ACTIVATION)
    _, _, leak = inputs
    if leak is not None:
        share = tl.load(leak + rows, mask=rows < neurons, other=0.0)[:, None]
        before = tl.load(old + here, mask=inside, other=0.0)
        # As torch.lerp: a leak of one gives exactly f, and of zero exactly the old state.
        y = tl.where(share < 0.5, before + share * (y - before), y - (y - before) * (1 - share))
    key, std = noise
    if key is not None:
        y += std * normal(tl.load(key), rows[:, None], columns[None, :], y.dtype)
    tl.store(out + here, y, mask=inside)


@triton.jit
def draw(
    member_neuron,
    matrix,
    bias,
    noise_key,
    x,
    neurons,
    members,
    batch,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Draw the neurons of one color, ``member_neuron`` [members], anew, in place.

    None of them reads another one. ``noise_key`` is the key of this sweep.
    """
    member, columns = _place(members, COLUMNS)
    row = tl.load(member_neuron + member).to(tl.int64)
    field = gather(row, columns, matrix, x, neurons, batch, 1, SYNAPSES)
    field += tl.load(bias + row)
    here = word(tl.load(noise_key), row, columns[None, :])
    u = (here >> 8).to(tl.float32).to(field.dtype) * (1 / 16777216)
    # u < 1 / (1 + exp(-field)), without the division; no u resolves fields beyond 80.
    field = tl.minimum(tl.maximum(field, -80.0), 80.0)
    drawn = (u + u * tl.exp(-field) < 1).to(field.dtype)
    tl.store(x + row * batch + columns[None, :], drawn, mask=(columns < batch)[None, :])


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
    row, columns = _place(neurons, COLUMNS)
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
        known = argument(
            first_row, columns, matrix, before, inputs, neurons, batch, ROWS, SYNAPSES
        )
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


@triton.jit
def segment_sums(
    segment_pointer,
    neuron,
    weight,
    x,
    out,
    segments,
    batch,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write the sum of weight times x over each segment of a long row, [segments, B].

    ``segment_pointer`` [2, segments] holds the first synapse of each segment and the one after its
    last one.
    """
    number, columns = _place(segments, COLUMNS)
    start = tl.load(segment_pointer + number).to(tl.int64)
    stop = tl.load(segment_pointer + segments + number).to(tl.int64)
    total = segment(start, stop, columns, neuron, weight, x, batch, SYNAPSES)
    mask = (columns < batch)[None, :]
    tl.store(out + number * batch + columns[None, :], total, mask=mask)


@triton.jit
def correlate(
    source_neuron,
    target_neuron,
    post,
    pre,
    out,
    synapses,
    neurons,
    batch,
    loops,
    ADD: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write the sum over loops and batch of post[target] * pre[source] to out [E], or add it.

    ``post`` and ``pre`` are [loops, N, B].
    """
    # Blocks of synapses, not rows, so that many programs share a hub.
    place = tl.program_id(0).to(tl.int64) * SYNAPSES + tl.arange(0, SYNAPSES)
    there = place < synapses
    at_post = tl.load(target_neuron + place, mask=there, other=0).to(tl.int64) * batch
    at_pre = tl.load(source_neuron + place, mask=there, other=0).to(tl.int64) * batch
    size = tl.cast(batch, tl.int64) * neurons
    total = tl.zeros([SYNAPSES, COLUMNS], dtype=out.dtype.element_ty)
    for number in range(loops):
        for first in range(0, batch, COLUMNS):
            columns = number * size + first + tl.arange(0, COLUMNS)
            mask = there[:, None] & (first + tl.arange(0, COLUMNS) < batch)[None, :]
            one = tl.load(post + at_post[:, None] + columns[None, :], mask=mask, other=0.0)
            other = tl.load(pre + at_pre[:, None] + columns[None, :], mask=mask, other=0.0)
            total += one * other
    found = tl.sum(total, 1)
    if ADD:
        found += tl.load(out + place, mask=there, other=0.0)
    tl.store(out + place, found, mask=there)


@triton.jit
def _place(rows, COLUMNS: tl.constexpr):
    """Return the row and the columns of a program.

    All rows of a block come first, since they read each other. There is one axis of programs,
    because the others are limited to 65,535.
    """
    program = tl.program_id(0)
    block = (program // rows).to(tl.int64)
    return (program % rows).to(tl.int64), block * COLUMNS + tl.arange(0, COLUMNS)
