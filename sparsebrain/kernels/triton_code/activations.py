"""The activations of the ``triton`` backend and their derivatives, for tiles of any shape."""

import triton
import triton.language as tl

from sparsebrain.kernels.activations import LEAKY_SLOPE, SOFTPLUS_LINEAR

_SLOPE = tl.constexpr(LEAKY_SLOPE)
_LINEAR = tl.constexpr(SOFTPLUS_LINEAR)
_ROOT_HALF = tl.constexpr(0.7071067811865476)
_BELL = tl.constexpr(0.3989422804014327)


@triton.jit
def activate(u, ACTIVATION: tl.constexpr):
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
def derive(grad, known, ACTIVATION: tl.constexpr):
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
