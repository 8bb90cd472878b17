"""One time step of leaky integrate-and-fire neurons: its coefficients and its definition."""

from __future__ import annotations

import torch
from torch import Tensor

from sparsebrain.kernels.spikes import Coefficients, State, Wiring, integrate, step, wire

__all__ = ["Coefficients", "State", "Wiring", "decays", "integrate", "step", "wire"]


def decays(
    tau: Tensor, tau_synapse: Tensor | None, dt: float, step: str
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    r"""Return a, c, k and b of :class:`Coefficients`, in float64.

    With step "exact" and a time step t, :math:`a = e^{-t / \tau}`, :math:`b = e^{-t / \tau_s}`,
    :math:`c = 1 - a`, and the response of v to g after t is

    .. math:: k = \frac{t}{\tau} e^{-t / \tau} \frac{e^x - 1}{x}, \qquad
        x = \frac{t}{\tau} - \frac{t}{\tau_s}

    whose limit is :math:`t / \tau \, e^{-t / \tau}` where both time constants are equal. With step
    "euler", a = 1 - t / tau, c = k = t / tau and b = 1 - t / tau_s.

    Example:
        >>> import torch
        >>> tau = torch.tensor(20.0, dtype=torch.float64)
        >>> a, c, k, b = decays(tau, tau, 1.0, "exact")
        >>> round(float(a), 6), round(float(k), 6)
        (0.951229, 0.047561)
    """
    rate = dt / tau
    if step == "euler":
        if tau_synapse is None:
            return 1 - rate, rate, None, None
        synapse_decay = 1 - dt / tau_synapse
        shape = torch.broadcast_shapes(rate.shape, synapse_decay.shape)
        return 1 - rate, rate, rate.expand(shape), synapse_decay
    decay, drive = torch.exp(-rate), -torch.expm1(-rate)
    if tau_synapse is None:
        return decay, drive, None, None
    x = rate - dt / tau_synapse
    near = x.abs() < 1e-300
    ratio = torch.where(near, torch.ones_like(x), torch.expm1(x) / torch.where(near, 1.0, x))
    return decay, drive, rate * decay * ratio, torch.exp(-dt / tau_synapse)
