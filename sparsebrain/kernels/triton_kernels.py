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
    old,
    noise_key,
    std,
    out,
    neurons,
    batch,
    ACTIVATION: tl.constexpr,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write f(W x + bias + drive), with a leak (1 - leak) old + leak f(...), and add noise.

    ``noise_key`` is the key of this loop, or None.
    """
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
        before = tl.load(old + here, mask=inside, other=0.0)
        # As torch.lerp: a leak of one gives exactly f, and of zero exactly the old state.
        y = tl.where(share < 0.5, before + share * (y - before), y - (y - before) * (1 - share))
    if noise_key is not None:
        y += std * _normal(tl.load(noise_key), row, columns, y.dtype)
    tl.store(out + here, y, mask=inside)


@triton.jit
def draw(
    member_neuron,
    pointer,
    neuron,
    weight,
    bias,
    noise_key,
    x,
    neurons,
    batch,
    SYNAPSES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Draw the neurons of one color, ``member_neuron``, anew, in place.

    None of them reads another one. ``neurons`` is their number, and ``noise_key`` the key of this
    sweep.
    """
    member, columns = _place(neurons, COLUMNS)
    row = tl.load(member_neuron + member).to(tl.int64)
    inside = columns < batch
    field = _gather(row, columns, pointer, neuron, weight, x, batch, SYNAPSES, COLUMNS)
    field += tl.load(bias + row)
    word = _word(tl.load(noise_key), row, columns)
    u = (word >> 8).to(tl.float32).to(field.dtype) * (1 / 16777216)
    # u < 1 / (1 + exp(-field)), without the division; no u resolves fields beyond 80.
    field = tl.minimum(tl.maximum(field, -80.0), 80.0)
    drawn = (u + u * tl.exp(-field) < 1).to(field.dtype)
    tl.store(x + row * batch + columns, drawn, mask=inside)


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
    NOISY: tl.constexpr,
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
    follows from y; with a leak, if OF_ARGUMENT, or if noise made the states NOISY, u is computed
    again from ``pointer``, ``neuron`` and ``weight``, the rows of W, and the ``bias``, ``drive``
    and ``leak`` of the forward pass.

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
    if leak is not None or OF_ARGUMENT or NOISY:
        known = _argument(
            row, columns, pointer, neuron, weight, before, bias, drive, batch, SYNAPSES, COLUMNS
        )
    else:
        known = tl.load(after + here, mask=inside, other=0.0)
    if NOISY and leak is None and not OF_ARGUMENT:
        known = _activate(known, ACTIVATION)
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
    at_post = tl.load(target + place, mask=there, other=0).to(tl.int64) * batch
    at_pre = tl.load(source + place, mask=there, other=0).to(tl.int64) * batch
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


@triton.jit
def _mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


@triton.jit
def _word(step_key, row, columns):
    """Return the words of :mod:`.counter` for one row, from the key of the step."""
    neuron = (row + 1).to(tl.uint64) * 0x9E3779B97F4A7C15
    of_neuron = _mix(step_key.to(tl.uint64, bitcast=True) + neuron)
    h = (of_neuron & 0xFFFFFFFF).to(tl.uint32) + columns.to(tl.uint32) * 0x9E3779B9
    h = (h ^ (h >> 16)) * 0x21F0AAAD
    h = (h ^ (h >> 15) ^ (of_neuron >> 32).to(tl.uint32)) * 0xD35A2D97
    return h ^ (h >> 15)


@triton.jit
def _normal(noise_key, row, columns, dtype: tl.constexpr):
    """Return the normal numbers of :mod:`.noise` for one row, from the key of the loop."""
    k = _word(noise_key, row, columns).to(tl.int32, bitcast=True)
    x = k.to(dtype) * (1 / 2147483648) + 1 / 4294967296
    # 1 - |x| from integers, since the difference would cancel in the tails.
    t = ((k ^ (k >> 31)) ^ 0x7FFFFFFF).to(dtype) * (1 / 2147483648) + 1 / 4294967296
    # z = x g(w): the polynomials of csrc/noise.hpp.
    w = -tl.log(t * (2 - t))
    return x * tl.where(w > 6, _tail((w - 11.25) / (w + 10)), _central(w - 3))


@triton.jit
def _central(v):
    g = 6.132752489702977762e-21
    g = g * v - 1.4437111134670954266e-20
    g = g * v - 5.5382687912898316486e-19
    g = g * v + 2.8865922966353303373e-18
    g = g * v + 1.820715736435365574e-17
    g = g * v - 2.2987663589779812838e-16
    g = g * v + 3.8757848610227775543e-16
    g = g * v + 8.9647031580853238826e-15
    g = g * v - 7.4853928509061116406e-14
    g = g * v + 8.7550871298646315056e-15
    g = g * v + 3.8169132339250581636e-12
    g = g * v - 2.4506254490801235021e-11
    g = g * v - 4.444244082515559115e-11
    g = g * v + 1.5709047809438021472e-9
    g = g * v - 7.7317586674035304919e-9
    g = g * v - 3.3500917959197788652e-8
    g = g * v + 6.3637549155177606485e-7
    g = g * v - 2.4720482722140373405e-6
    g = g * v - 1.7983737360546911559e-5
    g = g * v + 2.7585837048035221198e-4
    g = g * v - 0.0011825396095143892876
    g = g * v - 0.0081149486522773766608
    g = g * v + 0.34171699465347346034
    return g * v + 2.2960351246249896366


@triton.jit
def _tail(v):
    g = 1.4354452816452946832
    g = g * v + 1.3047398767504618336
    g = g * v + 0.50863460756301916674
    g = g * v + 0.90416917293299209231
    g = g * v + 1.1383880869576035063
    g = g * v + 0.76130200906438540699
    g = g * v + 0.70293431111735870673
    g = g * v + 0.92059371917022706642
    g = g * v + 1.100582031950428616
    g = g * v + 1.2424640407759026008
    g = g * v + 0.97970167785055161441
    g = g * v + 0.78963118937553295897
    g = g * v + 1.3386842545902920779
    g = g * v + 1.4842300854566521624
    g = g * v + 1.0291819371074306673
    g = g * v + 1.3653214774177762046
    g = g * v + 1.7246775122712546477
    g = g * v + 1.4777824278272178905
    g = g * v + 1.9036879597501882666
    g = g * v + 2.1966906128558941833
    g = g * v + 2.4408482246174989969
    g = g * v + 4.5079624541242861166
    return g * v + 4.5093462223043405091
