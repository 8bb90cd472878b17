"""The kernels of the ``triton`` backend. Importing this module imports triton, so it is done late.

A program computes some columns of one row, or the sums of some synapses over all columns. No other
program writes its results, so no atomics are needed, every sum has a fixed order, and results are
reproducible bit by bit. Arguments that are None are left out when the kernel is compiled.
"""

import triton
import triton.language as tl

from sparsebrain.kernels.activations import LEAKY_SLOPE, SOFTPLUS_LINEAR

_SLOPE = tl.constexpr(LEAKY_SLOPE)
_LINEAR = tl.constexpr(SOFTPLUS_LINEAR)
_ROOT_HALF = tl.constexpr(0.7071067811865476)
_BELL = tl.constexpr(0.3989422804014327)


@triton.jit
def step(
    pointer,
    neuron,
    weight,
    x,
    bias,
    drive,
    leak,
    out,
    neurons,
    batch,
    ACTIVATION: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write f(W x + bias + drive), with a leak (1 - leak) x + leak f(...)."""
    row, columns = _place(neurons, COLUMNS)
    inside = columns < batch
    here = row * batch + columns
    y = _respond(
        row,
        columns,
        pointer,
        neuron,
        weight,
        x,
        bias,
        drive,
        batch,
        ACTIVATION,
        SYNAPSES,
        COLUMNS,
    )
    if leak is not None:
        share = tl.load(leak + row)
        before = tl.load(x + here, mask=inside, other=0.0)
        # As torch.lerp: a leak of one gives exactly f, and of zero exactly the old state.
        y = tl.where(share < 0.5, before + share * (y - before), y - (y - before) * (1 - share))
    tl.store(out + here, y, mask=inside)


@triton.jit
def step_back(
    later,
    rest_later,
    outside,
    back_pointer,
    back_neuron,
    back_weight,
    before,
    after,
    pointer,
    neuron,
    weight,
    bias,
    drive,
    leak,
    local,
    rest,
    total_drive,
    total_bias,
    total_leak,
    neurons,
    batch,
    ACTIVATION: tl.constexpr,
    OF_ARGUMENT: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Run one loop backward, y = (1 - leak) x + leak f(u) with u = W x + bias + drive.

    The gradient that reaches y is grad = W^T later + rest_later + outside. The next loop used y as
    its x; it returned ``later``, the gradient of its u, and ``rest_later``, what its leak passed
    around f. Both are None if no gradient has reached it; ``rest_later`` is also None without a
    leak. ``outside`` is the gradient from other uses of y, or None. ``back_pointer``,
    ``back_neuron`` and ``back_weight`` are the rows of W^T.

    From the forward pass the kernel reads x (``before``) and y (``after``). Without a leak f'
    follows from y; with a leak, or if OF_ARGUMENT, u is computed again from ``pointer``, ``neuron``
    and ``weight``, the rows of W, and the ``bias``, ``drive`` and ``leak`` of the forward pass.

    It writes the same pair for the loop before, ``local`` = leak f'(u) grad and, with a leak,
    ``rest`` = (1 - leak) grad, and adds to the totals that are given: ``total_drive`` [N, B], and
    ``total_bias`` and ``total_leak`` [N, blocks], with one sum for each row and block of columns.

    The kernel must not overwrite an operand of a sum: several threads can hold one value, and one
    of them may read what another has written.
    """
    row, columns = _place(neurons, COLUMNS)
    inside = columns < batch
    here = row * batch + columns
    grad = tl.zeros([COLUMNS], dtype=local.dtype.element_ty)
    if later is not None:
        grad += _gather(
            row, columns, back_pointer, back_neuron, back_weight, later, batch, SYNAPSES, COLUMNS
        )
        if leak is not None:
            grad += tl.load(rest_later + here, mask=inside, other=0.0)
    if outside is not None:
        grad += tl.load(outside + here, mask=inside, other=0.0)

    cell = row * tl.cdiv(batch, COLUMNS) + tl.program_id(0) // neurons
    if leak is not None or OF_ARGUMENT:
        known = _argument(
            row, columns, pointer, neuron, weight, before, bias, drive, batch, SYNAPSES, COLUMNS
        )
    else:
        known = tl.load(after + here, mask=inside, other=0.0)
    if leak is not None:
        # The state is a mixture, from which the value of f cannot be recovered.
        y = _activate(known, ACTIVATION)
        if not OF_ARGUMENT:
            known = y
        old = tl.load(before + here, mask=inside, other=0.0)
        change = tl.sum(tl.where(inside, grad * (y - old), 0.0), 0)
        tl.store(total_leak + cell, tl.load(total_leak + cell) + change)
        share = tl.load(leak + row)
        tl.store(rest + here, (1 - share) * grad, mask=inside)
        grad = share * grad
    grad = tl.where(inside, _derive(grad, known, ACTIVATION), 0.0)
    tl.store(local + here, grad, mask=inside)
    if total_drive is not None:
        sofar = tl.load(total_drive + here, mask=inside, other=0.0)
        tl.store(total_drive + here, sofar + grad, mask=inside)
    if total_bias is not None:
        tl.store(total_bias + cell, tl.load(total_bias + cell) + tl.sum(grad, 0))


@triton.jit
def correlate(
    source,
    target,
    post,
    pre,
    out,
    synapses,
    batch,
    ADD: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write the sum over the batch of post[target] * pre[source] to out [E], or add it with ADD."""
    # Blocks of synapses, not rows, so that many programs share a hub.
    place = tl.program_id(0).to(tl.int64) * SYNAPSES + tl.arange(0, SYNAPSES)
    there = place < synapses
    at_post = tl.load(target + place, mask=there, other=0) * batch
    at_pre = tl.load(source + place, mask=there, other=0) * batch
    total = tl.zeros([SYNAPSES, COLUMNS], dtype=out.dtype.element_ty)
    for first in range(0, batch, COLUMNS):
        columns = first + tl.arange(0, COLUMNS).to(tl.int64)
        mask = there[:, None] & (columns < batch)[None, :]
        one = tl.load(post + at_post[:, None] + columns[None, :], mask=mask, other=0.0)
        other = tl.load(pre + at_pre[:, None] + columns[None, :], mask=mask, other=0.0)
        total += one * other
    found = tl.sum(total, 1)
    if ADD:
        found += tl.load(out + place, mask=there, other=0.0)
    tl.store(out + place, found, mask=there)


@triton.jit
def _place(neurons, COLUMNS: tl.constexpr):
    """Return the row and the columns of a program.

    All rows of a block come first, since they read each other. There is one axis of programs,
    because the others are limited to 65,535.
    """
    program = tl.program_id(0)
    block = (program // neurons).to(tl.int64)
    return (program % neurons).to(tl.int64), block * COLUMNS + tl.arange(0, COLUMNS)


@triton.jit
def _gather(
    row,
    columns,
    pointer,
    neuron,
    weight,
    x,
    batch,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Return some columns of one row of the product, SYNAPSES of its synapses at a time."""
    # In 64 bits, because a position after the last of nearly 2^31 synapses would overflow.
    start = tl.load(pointer + row).to(tl.int64)
    stop = tl.load(pointer + row + 1).to(tl.int64)
    inside = columns < batch
    total = tl.zeros([SYNAPSES, COLUMNS], dtype=x.dtype.element_ty)
    for first in range(start, stop, SYNAPSES):
        place = first + tl.arange(0, SYNAPSES)
        there = place < stop
        far = tl.load(neuron + place, mask=there, other=0).to(tl.int64) * batch
        w = tl.load(weight + place, mask=there, other=0.0)
        mask = there[:, None] & inside[None, :]
        total += w[:, None] * tl.load(x + far[:, None] + columns[None, :], mask=mask, other=0.0)
    return tl.sum(total, 0)


@triton.jit
def _respond(
    row,
    columns,
    pointer,
    neuron,
    weight,
    x,
    bias,
    drive,
    batch,
    ACTIVATION: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Return some columns of a row of f(W x + bias + drive)."""
    u = _argument(row, columns, pointer, neuron, weight, x, bias, drive, batch, SYNAPSES, COLUMNS)
    return _activate(u, ACTIVATION)


@triton.jit
def _argument(
    row,
    columns,
    pointer,
    neuron,
    weight,
    x,
    bias,
    drive,
    batch,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Return some columns of a row of W x + bias + drive."""
    u = _gather(row, columns, pointer, neuron, weight, x, batch, SYNAPSES, COLUMNS)
    if bias is not None:
        u += tl.load(bias + row)
    if drive is not None:
        u += tl.load(drive + row * batch + columns, mask=columns < batch, other=0.0)
    return u


@triton.jit
def _activate(u, ACTIVATION: tl.constexpr):
    """Return f(u). Comparisons are written so that NaN stays NaN."""
    if ACTIVATION == "tanh":
        y = _tanh(u)
    elif ACTIVATION == "sigmoid":
        y = _logistic(u)
    elif ACTIVATION == "relu":
        y = tl.where(u <= 0, 0.0, u)
    elif ACTIVATION == "leaky_relu":
        y = tl.where(u > 0, u, u * _SLOPE)
    elif ACTIVATION == "gelu":
        y = u * _below(u)
    elif ACTIVATION == "silu":
        y = u * _logistic(u)
    elif ACTIVATION == "softplus":
        y = _softplus(u)
    elif ACTIVATION == "hardtanh":
        y = tl.where(u <= -1, -1.0, tl.where(u >= 1, 1.0, u))
    else:
        tl.static_assert(ACTIVATION == "none")
        y = u
    return y


@triton.jit
def _derive(grad, known, ACTIVATION: tl.constexpr):
    """Return grad * f'(u), where known is f(u), or u if f' cannot be computed from f."""
    if ACTIVATION == "tanh":
        local = grad * (1 - known * known)
    elif ACTIVATION == "sigmoid":
        local = grad * (1 - known) * known
    elif ACTIVATION == "relu":
        local = tl.where(known <= 0, 0.0, grad)
    elif ACTIVATION == "leaky_relu":
        local = tl.where(known > 0, grad, grad * _SLOPE)
    elif ACTIVATION == "gelu":
        local = grad * (_below(known) + known * tl.exp(-0.5 * known * known) * _BELL)
    elif ACTIVATION == "silu":
        share = _logistic(known)
        local = grad * (share * (1 + known * (1 - share)))
    elif ACTIVATION == "softplus":
        local = grad * tl.where(known > _LINEAR, 1.0, _logistic(known))
    elif ACTIVATION == "hardtanh":
        local = tl.where(tl.abs(known) >= 1, 0.0, grad)
    else:
        tl.static_assert(ACTIVATION == "none")
        local = grad
    return local


@triton.jit
def _logistic(u):
    e = tl.exp(-tl.abs(u))
    return tl.where(u >= 0, 1.0, e) / (1 + e)


@triton.jit
def _below(u):
    """Return the distribution function of the standard normal distribution."""
    return 0.5 * (1 + tl.erf(u * _ROOT_HALF))


@triton.jit
def _softplus(u):
    """Return max(u, 0) + ln(1 + w), w = exp(-|u|), corrected for the rounding of 1 + w."""
    w = tl.exp(-tl.abs(u))
    one = 1 + w
    lost = tl.where(one == 1, 1.0, one - 1)
    y = tl.where(u <= 0, 0.0, u) + tl.where(one == 1, w, tl.log(one) * (w / lost))
    return tl.where(u > _LINEAR, u, y)


@triton.jit
def _tanh(u):
    """Return tanh(u) from exp alone, which the interpreter supports.

    Near zero, where 1 - exp(-2 |u|) would cancel, it uses the seventh convergent of Lambert's
    continued fraction, u / (1 + u^2 / (3 + u^2 / (5 + ...))), with a relative error of 2e-16 for
    |u| < 1/2.
    """
    size = tl.abs(u)
    e = tl.exp(-2 * size)
    far = (1 - e) / (1 + e)
    near = tl.where(size < 0.5, u, 0.0)
    z = near * near
    over = 135135 + z * (17325 + z * (378 + z))
    under = 135135 + z * (62370 + z * (3150 + z * 28))
    return tl.where(size < 0.5, near * over / under, tl.where(u < 0, -far, far))
