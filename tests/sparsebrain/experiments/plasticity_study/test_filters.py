"""Measures of fields and responses have their known values."""

import math

import pytest
import torch

from sparsebrain.experiments.plasticity_study.filters import (
    class_selectivity,
    localization,
    orientation,
    selectivity,
)

ROWS, COLUMNS = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")


def test_localization_is_the_share_of_the_pixels():
    half = torch.ones(1, 144)
    half[0, ::2] = -1
    spot = torch.zeros(1, 144)
    spot[0, 5] = 1000
    assert math.isclose(localization(half), 1, rel_tol=1e-6)
    # Up to the mean, which is subtracted.
    assert math.isclose(localization(spot), 1 / 144, rel_tol=0.02)
    # Of squares of normal numbers: 1/3, within 5 standard errors (false alarm 1e-6).
    noise = localization(torch.randn(2000, 144, generator=torch.Generator().manual_seed(0)))
    assert abs(noise.mean() - 1 / 3) < 5 * noise.std() / 2000**0.5 + 1 / 144


@pytest.mark.parametrize(("across", "down"), [(1, 0), (0, 2), (2, 1)])
def test_a_grating_has_one_orientation(across, down):
    grating = torch.cos(2 * math.pi * (across * COLUMNS + down * ROWS) / 12)
    assert math.isclose(orientation(grating.view(1, -1)), 1, abs_tol=1e-5)


def test_a_round_spot_has_none():
    spot = torch.exp(-((ROWS - 5) ** 2 + (COLUMNS - 5) ** 2) / 4)
    assert orientation(spot.view(1, -1)) < 1e-4


def test_selectivity_is_one_minus_mean_over_maximum():
    responses = torch.tensor([[4.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert selectivity(responses).tolist() == [0.75, 0, 0]
    index, best = class_selectivity(responses, torch.tensor([2, 0, 1, 1]))
    assert best.tolist()[0] == 2
    assert index.tolist() == [1, 0, 0]
    index, _ = class_selectivity(torch.tensor([[3.0], [1.0]]), torch.tensor([0, 1]))
    assert index.tolist() == [0.5]
