"""The same numbers first; only then is it worth asking who was faster."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.oracle import Solution
from benchmarks.peers import Peer

TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-12}
"""Largest error that is taken for rounding, as a part of the largest expected number."""


class WrongResultError(AssertionError):
    """Two candidates of a benchmark do not compute the same, or a training diverged."""


def assert_finite(name: str, loss: float) -> float:
    """The loss of a training; WrongResultError where it is not finite: the training diverged."""
    if not math.isfinite(loss):
        raise WrongResultError(
            f"{name}: diverged, its loss is {loss}; no accuracy of it would mean anything."
        )
    return loss


def assert_equal(name: str, what: str, actual: Tensor, expected: Tensor, tolerance: float) -> float:
    """The largest error of ``actual``, as a part of the largest number in ``expected``.

    Raises:
        WrongResultError: the shapes differ, or the error exceeds ``tolerance`` or is not a number.
    """
    if actual.shape != expected.shape:
        raise WrongResultError(
            f"{name}: {what} has shape {list(actual.shape)}, the reference {list(expected.shape)}."
        )
    largest = expected.abs().max()
    error = float((actual.detach().to(expected.dtype) - expected).abs().max() / largest)
    # Written so that NaN fails too.
    if not error <= tolerance:
        raise WrongResultError(
            f"{name}: {what} differs from the reference by {error:.2g} of its largest value "
            f"{float(largest):.3g}, allowed are {tolerance:.0e}; it was not timed."
        )
    return error


def compare(name: str, peer: Peer, expected: Solution) -> dict[str, float]:
    """The largest errors of a peer's outputs and gradients, as :func:`assert_equal` tells them."""
    tolerance = TOLERANCES[torch.float32]
    actual = {**peer.solution()._asdict(), "output without gradients": peer.columns(peer.forward())}
    wanted = {**expected._asdict(), "output without gradients": expected.output}
    return {
        what: assert_equal(name, what, actual[what], wanted[what], tolerance) for what in wanted
    }
