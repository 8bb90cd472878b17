"""Kernels of the forward pass, of Gibbs sampling and of the correlation."""

import triton
import triton.language as tl

from sparsebrain.kernels.triton_code.activations import activate
from sparsebrain.kernels.triton_code.randomness import normal, word
from sparsebrain.kernels.triton_code.rows import argument, gather, place, segment


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
    row, columns = place(neurons, COLUMNS)
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
    member, columns = place(members, COLUMNS)
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
    number, columns = place(segments, COLUMNS)
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
    synapse = tl.program_id(0).to(tl.int64) * SYNAPSES + tl.arange(0, SYNAPSES)
    there = synapse < synapses
    at_post = tl.load(target_neuron + synapse, mask=there, other=0).to(tl.int64) * batch
    at_pre = tl.load(source_neuron + synapse, mask=there, other=0).to(tl.int64) * batch
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
        found += tl.load(out + synapse, mask=there, other=0.0)
    tl.store(out + synapse, found, mask=there)
