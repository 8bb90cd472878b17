"""Birds that learn the pitch of a syllable from distorted feedback."""

from __future__ import annotations

import math
import os
from dataclasses import astuple, dataclass
from typing import NamedTuple

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.figures import song as figure
from sparsebrain.experiments.tables import columns_of, make_folder, write_csv
from sparsebrain.plasticity import RewardPrediction, TemporalDifference

BIRDS = 1000
RATE = 0.01
ALPHA = 0.1
_WARM_UP = 200
# The chain of states between a cue and a reward.
_STATES, _SWEEPS = 6, 150


@dataclass(frozen=True)
class Flock:
    """What a flock of birds with one seed did.

    Attributes:
        seed: The seed.
        error_distorted: The mean error of the reward prediction after a distorted syllable, while
            the pitch does not change and half of the syllables are distorted.
        error_undistorted: The same after an undistorted syllable.
        spread: The standard deviation of the prediction there.
        drift_0: The mean change of the pitch in one trial at 0, divided by the learning rate.
        drift_half: The same at 0.5.
        pitch: The mean pitch after all trials, which start at 0.
        pitch_spread: Its standard deviation over the birds.
        distorted: The mean probability of a distorted syllable then.
    """

    seed: int
    error_distorted: float
    error_undistorted: float
    spread: float
    drift_0: float
    drift_half: float
    pitch: float
    pitch_spread: float
    distorted: float


class Curve(NamedTuple):
    """The mean over the birds at each trial [trials + 1]: pitch and its standard deviation."""

    pitch: Tensor
    spread: Tensor


def song(
    *,
    trials: int = 1000,
    seeds: int = 5,
    out: str | os.PathLike[str] = "song",
    console: Console | None = None,
) -> list[Flock]:
    r"""Let birds learn the pitch of a syllable that is distorted if it is too low.

    Every trial has a pitch from N(mu, 1). Below 0 it is distorted, r = -1, and otherwise r = 0. A
    running prediction V gives the error :math:`\delta = r - V`, and REINFORCE moves mu by
    :math:`\eta \delta (\mathrm{pitch} - \mu)`, in the mean by eta times the normal density at mu.

    Args:
        trials: The number of trials in which the pitch changes, at most 100,000.
        seeds: The number of flocks of 1000 birds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        out: The folder for flocks.csv, pitch.csv and figure.png; it is made if necessary.
        console: Where the table is printed; None prints nothing.

    Returns:
        One row per flock.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
        OSError: ``out`` cannot be written.

    Sources: V. Gadagkar et al., "Dopamine neurons encode performance error in singing birds",
    Science 354 (2016) 1278-1282; R. J. Williams, "Simple statistical gradient-following algorithms
    for connectionist reinforcement learning", Machine Learning 8 (1992) 229-256.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import song
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (flock,) = song(trials=20, seeds=1, out=folder)
        >>> flock.error_distorted < 0 < flock.error_undistorted
        True
    """
    trials = options.trials("trials", trials)
    seeds = options.seeds("seeds", seeds)
    out = options.out_folder("out", out)
    make_folder(out)
    flocks, curves = [], []
    for seed in range(seeds):
        flock, curve = sing(trials, seed)
        flocks.append(flock)
        curves.append(curve)
    exact = mean_steps(trials)
    write_csv(out / "flocks.csv", columns_of(Flock), map(astuple, flocks))
    rows = (
        (seed, trial, float(pitch), float(spread), float(exact[trial]))
        for seed, curve in enumerate(curves)
        for trial, (pitch, spread) in enumerate(zip(*curve, strict=True))
    )
    write_csv(out / "pitch.csv", ("seed", "trial", "pitch", "spread", "exact"), rows)
    drawn = figure.draw(flocks, curves, exact, learn_chain())
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(flocks, exact))
        console.print(f"Wrote flocks.csv, pitch.csv and figure.png into {out}.")
    return flocks


def sing(trials: int, seed: int) -> tuple[Flock, Curve]:
    """Return what a flock does: with a constant pitch first, then with a pitch that learns."""
    generator = torch.Generator().manual_seed(seed)
    zero = torch.zeros(BIRDS, dtype=torch.float64)
    prediction = RewardPrediction(ALPHA, value=-0.5)
    for _ in range(_WARM_UP):
        pitch = _draw(zero, generator)
        value = prediction.value.expand(BIRDS)
        error = prediction(_reward(pitch).unsqueeze(0))[0]
    half = torch.full_like(zero, 0.5)
    drifts = [float(_mean_drift(mu, prediction, generator)) for mu in (zero, half)]
    mu, means, spreads = zero.clone(), [0.0], [0.0]
    learning = RewardPrediction(ALPHA, value=-0.5)
    for _ in range(trials):
        sung = _draw(mu, generator)
        mu += RATE * learning(_reward(sung).unsqueeze(0))[0] * (sung - mu)
        means.append(float(mu.mean()))
        spreads.append(float(mu.std()))
    flock = Flock(
        seed=seed,
        error_distorted=float(error[pitch < 0].mean()),
        error_undistorted=float(error[pitch >= 0].mean()),
        spread=float(value.std()),
        drift_0=drifts[0],
        drift_half=drifts[1],
        pitch=means[-1],
        pitch_spread=spreads[-1],
        distorted=float(torch.special.ndtr(-mu).mean()),
    )
    return flock, Curve(torch.tensor(means), torch.tensor(spreads))


def density(mu: float) -> float:
    """Return the normal density at mu, the mean drift of REINFORCE divided by its rate."""
    return math.exp(-(mu**2) / 2) / math.sqrt(2 * math.pi)


def mean_steps(trials: int, rate: float = RATE) -> Tensor:
    """Return mu [trials + 1] if every trial moves it by the mean drift, from 0."""
    path = [0.0]
    for _ in range(trials):
        path.append(path[-1] + rate * density(path[-1]))
    return torch.tensor(path, dtype=torch.float64)


def learn_chain() -> Tensor:
    """Return the errors [sweeps, states + 1] of TD learning, from the cue to the reward."""
    learner = TemporalDifference(_STATES)
    states = torch.arange(-1, _STATES)
    rewards = torch.zeros(_STATES + 1, dtype=torch.float64)
    rewards[-1] = 1
    return torch.stack([learner(states, rewards) for _ in range(_SWEEPS)])


def _draw(mu: Tensor, generator: torch.Generator) -> Tensor:
    return mu + torch.randn(mu.shape, generator=generator, dtype=mu.dtype)


def _reward(pitch: Tensor) -> Tensor:
    return -(pitch < 0).double()


def _mean_drift(mu: Tensor, prediction: RewardPrediction, generator: torch.Generator) -> Tensor:
    """Return the mean change of mu over many trials with the same prediction, divided by eta."""
    total = torch.zeros((), dtype=torch.float64)
    for _ in range(_WARM_UP):
        pitch = _draw(mu, generator)
        total += ((_reward(pitch) - prediction.value) * (pitch - mu)).mean()
    return total / _WARM_UP


def _tabulate(flocks: list[Flock], exact: Tensor) -> Table:
    table = Table(
        title=f"Means of {len(flocks)} flocks of {BIRDS} birds",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    for column in ("", "measured", "spread", "exact"):
        table.add_column(column)
    trials, end = len(exact) - 1, float(exact[-1])
    expected = {
        "error after distortion": ("error_distorted", -0.5),
        "error without distortion": ("error_undistorted", 0.5),
        "standard deviation of the prediction": (
            "spread",
            RewardPrediction(ALPHA).spread(0.5),
        ),
        "drift of the pitch at 0": ("drift_0", density(0)),
        "drift of the pitch at 0.5": ("drift_half", density(0.5)),
        f"pitch after {trials} trials": ("pitch", end),
        "share of distorted syllables": (
            "distorted",
            float(torch.special.ndtr(torch.tensor(-end))),
        ),
    }
    for label, (name, value) in expected.items():
        found = torch.tensor([getattr(each, name) for each in flocks], dtype=torch.float64)
        spread = float(found.std()) if len(found) > 1 else math.nan
        table.add_row(label, f"{float(found.mean()):.6f}", f"{spread:.6f}", f"{value:.6f}")
    return table
