"""Errors of predicted rewards have the expected means and spread."""

import math

import pytest
import torch

from sparsebrain.plasticity import RewardPrediction


def test_errors_are_exact():
    prediction = RewardPrediction(0.1, value=-0.5)
    errors = prediction(torch.tensor([-1.0, 0.0], dtype=torch.float64))
    assert torch.allclose(errors, torch.tensor([-0.5, 0.55], dtype=torch.float64), atol=1e-15)
    assert math.isclose(prediction.value, -0.495)
    # A sequence in two parts is the same.
    other = RewardPrediction(0.1, value=-0.5)
    parts = [other(torch.tensor([each], dtype=torch.float64)) for each in (-1.0, 0.0)]
    assert torch.equal(torch.cat(parts), errors)


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_means_and_spread_are_those_of_the_definition(probability):
    """Within 5 standard errors of independent sequences (false alarm 1e-6 each)."""
    generator = torch.Generator().manual_seed(0)
    sequences = 4000
    prediction = RewardPrediction(0.1, value=-probability)
    distorted = torch.rand(200, sequences, generator=generator) < probability
    errors = prediction(-distorted.double())[-1]
    value = prediction.value
    for those, expected in ((distorted[-1], probability - 1), (~distorted[-1], probability)):
        chosen = errors[those]
        assert abs(chosen.mean() - expected) < 5 * chosen.std() / len(chosen) ** 0.5
    spread = prediction.spread(probability)
    assert math.isclose(spread, math.sqrt(0.1 * probability * (1 - probability) / 1.9))
    # The variance of a variance, for the kurtosis of these values.
    square = (value + probability) ** 2
    assert abs(square.mean() - spread**2) < 5 * square.std() / sequences**0.5


def test_wrong_arguments_are_refused():
    for alpha in (0, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="alpha must be a finite number"):
            RewardPrediction(alpha)
    with pytest.raises(ValueError, match="value must be a finite number"):
        RewardPrediction(value=math.inf)
    prediction = RewardPrediction()
    prediction(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"rewards must be of shape \[T, 3\], as in the first"):
        prediction(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="rewards must be finite, got nan"):
        prediction(torch.full((2, 3), math.nan))
