"""The error moves from the reward to the cue, with the exact values of the definition."""

import math

import pytest
import torch

from sparsebrain.plasticity import TemporalDifference

STATES = torch.arange(6)
REWARDS = torch.tensor([0, 0, 0, 0, 0, 1], dtype=torch.float64)
# Nothing announces the cue, which is the first state.
CUED = torch.cat([torch.tensor([-1]), STATES])
CUED_REWARDS = torch.cat([torch.zeros(1).double(), REWARDS])


def sweep(number):
    learner = TemporalDifference(6, discount=0.98, alpha=0.1)
    for _ in range(number):
        learner(STATES, REWARDS)
    return learner


@pytest.mark.parametrize(("sweeps", "expected"), [(10, 1.327883e-4), (50, 0.3469944)])
def test_the_first_state_has_the_exact_value(sweeps, expected):
    assert math.isclose(sweep(sweeps).value[0], expected, rel_tol=2e-7)


def test_the_error_moves_to_the_cue():
    fresh = TemporalDifference(6, discount=0.98, alpha=0.1)
    assert fresh(CUED, CUED_REWARDS).tolist() == [0, 0, 0, 0, 0, 0, 1]
    learner = sweep(2000)
    assert math.isclose(learner.value[0], 0.9039208, rel_tol=5e-8)
    errors = learner(CUED, CUED_REWARDS)
    assert math.isclose(errors[0], 0.98 * 0.98**5, rel_tol=1e-9)
    assert errors[1:].abs().max() < 1e-9


def test_an_omitted_reward_is_an_error_at_its_time():
    errors = sweep(2000)(CUED, torch.zeros(7).double())
    assert math.isclose(errors[-1], -1, rel_tol=1e-9)
    assert errors[1:-1].abs().max() < 1e-9


def test_wrong_arguments_are_refused():
    learner = TemporalDifference(6)
    with pytest.raises(ValueError, match="states must be from 0 to 5, or -1 for none, got 6"):
        learner(STATES + 1, REWARDS)
    with pytest.raises(ValueError, match="states and rewards must .* got 6 and 5"):
        learner(STATES, REWARDS[:5])
    for options in ({"discount": 1.1}, {"alpha": 0}, {"alpha": math.nan}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be a finite number"):
            TemporalDifference(6, **options)
