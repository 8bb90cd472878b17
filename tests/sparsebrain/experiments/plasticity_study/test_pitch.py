"""Birds learn the pitch of a syllable as the equations say."""

import csv
import math
import os

import pytest
import torch
from rich.console import Console

from sparsebrain.experiments import song
from sparsebrain.experiments.plasticity_study.pitch import (
    BIRDS,
    density,
    learn_chain,
    mean_steps,
    sing,
)


@pytest.fixture(scope="module")
def flock():
    return sing(300, seed=0)[0]


def test_mean_steps_are_exact():
    assert math.isclose(density(0), 0.398942, abs_tol=5e-7)
    assert math.isclose(density(0.5), 0.352065, abs_tol=5e-7)
    end = mean_steps(1000)[-1]
    assert math.isclose(end, 1.889173, abs_tol=5e-7)
    assert math.isclose(torch.special.ndtr(-end), 0.029434, abs_tol=5e-7)


def test_dopamine_is_suppressed_after_distortion_and_active_without(flock):
    """Within 5 standard errors (false alarm 1e-6): V of a bird has a spread of 0.115."""
    error = 5 * 0.1147 / (BIRDS / 2) ** 0.5
    assert abs(flock.error_distorted + 0.5) < error
    assert abs(flock.error_undistorted - 0.5) < error
    assert abs(flock.spread / 0.114708 - 1) < 5 / (2 * BIRDS) ** 0.5


def test_the_pitch_moves_by_the_normal_density(flock):
    """Within 5 standard errors (false alarm 1e-6): a trial's change has a variance below 1."""
    error = 5 / (BIRDS * 200) ** 0.5
    assert abs(flock.drift_0 - density(0)) < error
    assert abs(flock.drift_half - density(0.5)) < error
    # 300 steps of a variance below 1 each, at a rate of 0.01, and noise that mean steps lack.
    assert abs(flock.pitch - float(mean_steps(300)[-1])) < 5 * 0.01 * (300 / BIRDS) ** 0.5 + 0.01


def test_the_chain_has_its_error_at_the_reward_first_and_at_the_cue_last():
    errors = learn_chain()
    assert errors[0].argmax() == 6
    assert errors[-1].argmax() == 0


def test_tables_and_figure_are_written(tmp_path):
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        flocks = song(trials=3, seeds=2, out=tmp_path, console=console)
    text = console.export_text()
    assert "pitch after 3 trials" in text
    assert "0.352065" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "flocks.csv").open() as file:
        assert [float(row["pitch"]) for row in csv.DictReader(file)] == [
            each.pitch for each in flocks
        ]
    with (tmp_path / "pitch.csv").open() as file:
        assert len([*csv.DictReader(file)]) == 2 * 4
    assert song(trials=3, seeds=1, out=tmp_path) == flocks[:1]


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"seeds": 0}, {"trials": 10**20}])
def test_wrong_arguments_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be an integer >= 1"):
        song(**wrong, out=tmp_path)
