"""Surrogate derivatives: closed forms, and the smooth steps that they are the derivatives of."""

import math

import pytest
import torch

from sparsebrain.spiking import SURROGATES

every_surrogate = pytest.mark.parametrize("name", SURROGATES)

# h at -2, -0.75, -0.25, 0, 0.25 and 1.
VALUES = {
    "fast_sigmoid": [1 / 9, 16 / 49, 16 / 25, 1.0, 16 / 25, 1 / 4],
    "arctan": [
        1 / (1 + 4 * math.pi**2),
        1 / (1 + 9 * math.pi**2 / 16),
        1 / (1 + math.pi**2 / 16),
        1.0,
        1 / (1 + math.pi**2 / 16),
        1 / (1 + math.pi**2),
    ],
    "triangle": [0.0, 0.25, 0.75, 1.0, 0.75, 0.0],
    "sigmoid": [1 / math.cosh(x / 2) ** 2 for x in (-2, -0.75, -0.25, 0, 0.25, 1)],
    "rectangle": [0.0, 0.0, 1.0, 1.0, 1.0, 0.0],
}


def test_every_surrogate_has_its_values():
    assert VALUES.keys() == SURROGATES.keys()


@every_surrogate
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_closed_forms(name, dtype):
    x = torch.tensor([-2.0, -0.75, -0.25, 0.0, 0.25, 1.0], dtype=dtype)
    expected = torch.tensor(VALUES[name], dtype=dtype)
    torch.testing.assert_close(SURROGATES[name].slope(x), expected)


@every_surrogate
def test_the_slope_is_the_derivative_of_the_smooth_step(name):
    x = torch.tensor([-3.1, -0.8, -0.3, 0.2, 0.45, 1.7], dtype=torch.float64, requires_grad=True)
    surrogate = SURROGATES[name]
    (derivative,) = torch.autograd.grad(surrogate.smooth(x).sum(), x)
    torch.testing.assert_close(derivative, surrogate.slope(x.detach().clone()))


@every_surrogate
def test_the_smooth_step_rises_from_zero(name):
    ends = SURROGATES[name].smooth(torch.tensor([-1e12, 1e12], dtype=torch.float64))
    area = {"fast_sigmoid": 2.0, "sigmoid": 4.0}.get(name, 1.0)
    torch.testing.assert_close(ends, torch.tensor([0.0, area], dtype=torch.float64))
