"""How often a comparison calls chance significant, and how often it finds a difference.

Accuracies in percent are drawn from normal laws, with an effect of the seed that all groups share,
and rounded to multiples of 100 / test images. Without a gap all groups have the same mean, and
what counts is the share of draws in which any pair is significant at 5 %: the rate of false alarms.
With a gap the first group is better than the others by so many points, and what counts is the share
in which one pair with it is found. Groups have equal spreads, or the first one is three times as
noisy as the others, or spreads rise evenly on a logarithmic scale to seven times the smallest.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import command, environment, report
from sparsebrain.experiments.significance import differences

LEVEL = 0.05
SEEDS = (2, 3, 5, 10)
GROUPS = (2, 4, 10)
TEST_IMAGES = (360, 10_000)
SPREADS = ("equal", "one noisy", "rising")

_MEAN = 97.4
_SHARED = 0.3
_POINTS = ((0.5, 0.25), (1.0, 0.4), (2.0, 0.25))


class Case(NamedTuple):
    """What is drawn; ``spread``, the mean of all groups, and ``gap`` in points of accuracy."""

    num_seeds: int
    groups: int
    test_images: int
    spreads: str
    spread: float
    gap: float


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def cases() -> Iterator[Case]:
    """Every case that is measured."""
    for sizes in itertools.product(SEEDS, GROUPS, TEST_IMAGES):
        for spreads in SPREADS:
            yield Case(*sizes, spreads, 0.25, 0.0)
        for gap, spread in _POINTS:
            yield Case(*sizes, "equal", spread, gap)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Draw every case; everything that is known afterwards."""
    machine = environment.machine()
    rows = [
        {**case._asdict(), "draws": arguments.draws, "found": found_share(case, arguments.draws)}
        for case in cases()
    ]
    return {
        "benchmark": "significance",
        "parameters": {"draws": arguments.draws, "level": LEVEL},
        "machine": machine,
        "versions": environment.versions("scipy"),
        "rows": rows,
    }


def found_share(case: Case, draws: int, seed: int = 0) -> float:
    """The share of draws with a false alarm, or with the gap found, by `differences`."""
    generator = np.random.default_rng(seed)
    step = 100 / case.test_images
    names = [str(number) for number in range(case.groups)]
    shape = case.groups, case.num_seeds
    spreads = case.spread * _relative(case)[:, None]
    found = 0
    for _ in range(draws):
        values = _MEAN + spreads * generator.normal(size=shape)
        values += _SHARED * generator.normal(size=case.num_seeds)
        values[0] += case.gap
        rounded = np.rint(values / step) * step
        told = differences(
            dict(zip(names, rounded.tolist(), strict=True)), resolution=step, level=LEVEL
        )
        found += any(
            one.p_value < LEVEL
            for one in told
            if not case.gap or (one.first, one.second) == ("0", "1")
        )
    return found / draws


def show(found: dict[str, Any]) -> None:
    """Print the shares in percent."""
    print(environment.describe(found["machine"], found["versions"]))
    print(f"{found['parameters']['draws']} draws a number, in % of them, at a level of 5 %")
    for gap, spread, title in (
        (0.0, 0.25, "false alarms"),
        *(
            (gap, spread, f"{gap:g} points found at a spread of {spread:g}")
            for gap, spread in _POINTS
        ),
    ):
        rows = [row for row in found["rows"] if (row["gap"], row["spread"]) == (gap, spread)]
        table: dict[tuple[Any, ...], list[str]] = {}
        for row in rows:
            key = row["test_images"], row["groups"], row["spreads"]
            table.setdefault(key, []).append(f"{100 * row['found']:.1f}")
        report.table(
            title,
            ("test images, groups, spreads", *(f"{seeds} seeds" for seeds in SEEDS)),
            [[", ".join(map(str, key)), *cells] for key, cells in table.items()],
        )


def _relative(case: Case) -> np.ndarray:
    """The spread of each group over their mean."""
    if case.spreads == "equal":
        return np.ones(case.groups)
    if case.spreads == "one noisy":
        spreads = [3.0, *[1.0] * (case.groups - 1)]
    else:
        spreads = np.geomspace(1, 7, case.groups).tolist()
    return np.array(spreads) / statistics.fmean(spreads)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("significance", __doc__, rounds=None)
    parser.add_argument(
        "--draws",
        type=command.positive,
        default=4000,
        metavar="N",
        help="comparisons drawn for each number (default 4000)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
