"""Train learning rules on MNIST at their papers' sizes, and hold them against what these report.

A run writes its curve, a line an epoch, to DIR/NAME.csv, and all that it needs to go on to
DIR/NAME.pt; started again in the same way it goes on from there. DIR/literature.png has the curves
of all that lie in DIR. A training whose loss is not finite is told, keeps its last good epoch, and
ends the command with status 1.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import command, literature_figure, report
from benchmarks.equality import WrongResultError, assert_finite
from benchmarks.recipes import RECIPES, Recipe
from graphs.io.atomic import write_atomically
from sparsebrain.experiments.datasets import Images, load
from sparsebrain.experiments.tables import read_csv, write_csv
from sparsebrain.learning import Rule

COLUMNS = ("recipe", "images", "seed", "epochs", "epoch", "loss", "test_error", "seconds")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        images = load("mnist", arguments.data_dir)
        for name in arguments.rule or RECIPES:
            epochs = arguments.epochs or RECIPES[name].epochs
            run = Run(name, epochs, arguments.images, arguments.seed, arguments.out)
            show(run, run.train(images))
        drawn = literature_figure.draw(curves(arguments.out))
        picture = arguments.out / "literature.png"
        write_atomically(picture, lambda aside: drawn.savefig(aside, dpi=150))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    except WrongResultError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class Run:
    """A training that goes on where it was left; ValueError where another one lies there."""

    def __init__(self, name: str, epochs: int, images: int | None, seed: int, out: Path) -> None:
        self.recipe: Recipe = RECIPES[name]
        self.key = [name, images or "all", seed, epochs]
        self.epochs, self.images, self.seed = epochs, images, seed
        self.curve, self.saved = out / f"{name}.csv", out / f"{name}.pt"
        self.rows: list[list[Any]] = []
        torch.manual_seed(seed)
        self.rule = self.recipe.make()
        self.optimizer = self.recipe.optimizer(self.rule)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        if self.saved.exists():
            self._load()

    def train(self, images: Images) -> list[list[Any]]:
        """Train the epochs that are missing; the rows of the curve, in order."""
        x, y = images.train_x[: self.images], images.train_y[: self.images]
        for epoch in range(len(self.rows) + 1, self.epochs + 1):
            factor = self.recipe.schedule((epoch - 1) / self.epochs)
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = factor * rate
            start = time.perf_counter()
            loss = self._epoch(x, y)
            seconds = time.perf_counter() - start
            error = 100 * test_error(self.rule, images.test_x, images.test_y)
            self.rows.append([*self.key, epoch, loss, round(error, 2), round(seconds, 3)])
            self._save()
            print(f"{self.key[0]} {epoch}/{self.epochs}: {error:.2f} %, {seconds:.1f} s")
        return self.rows

    def _epoch(self, x: Tensor, y: Tensor) -> float:
        """One pass over all images in batches of nearly one size; the mean loss."""
        self.rule.train()
        losses = []
        batches = math.ceil(len(x) / self.recipe.batch)
        for batch in torch.randperm(len(x)).tensor_split(batches):
            self.optimizer.zero_grad()
            losses.append(self.rule(jitter(x[batch], self.recipe.jitter), y[batch]))
            self.optimizer.step()
        loss = float(torch.stack(losses).mean())
        return assert_finite(f"{self.key[0]}, seed {self.seed}, epoch {len(self.rows) + 1}", loss)

    def _save(self) -> None:
        write_csv(self.curve, [*COLUMNS], self.rows)
        state = {
            "key": self.key,
            "rows": self.rows,
            "rule": self.rule.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": torch.get_rng_state(),
        }
        aside = self.saved.with_suffix(".part")
        torch.save(state, aside)
        os.replace(aside, self.saved)

    def _load(self) -> None:
        state = torch.load(self.saved)
        if state["key"] != self.key:
            raise ValueError(
                f"{self.saved} holds another run, {state['key']} and not {self.key}; go on with "
                "its options, or choose another --out."
            )
        self.rows = state["rows"]
        self.rule.load_state_dict(state["rule"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["generator"])


def jitter(x: Tensor, most: int) -> Tensor:
    """Images x [B, side * side], each moved by up to so many pixels each way; black comes in."""
    if not most:
        return x
    side = math.isqrt(x.size(1))
    wide = functional.pad(x.view(-1, side, side), (most,) * 4)
    windows = wide.unfold(1, side, 1).unfold(2, side, 1)
    down, right = torch.randint(2 * most + 1, (2, len(x)))
    return windows[torch.arange(len(x)), down, right].reshape(len(x), -1)


@torch.no_grad()
def test_error(rule: Rule, x: Tensor, y: Tensor) -> float:
    """The share of x [n, pixels] whose highest score is not at y [n]."""
    rule.eval()
    pairs = zip(x.split(500), y.split(500), strict=True)
    return sum(int((rule.predict(part).argmax(1) != labels).sum()) for part, labels in pairs) / len(
        x
    )


def curves(folder: Path) -> dict[str, list[float]]:
    """The test errors by epoch that a folder holds, by recipe."""
    paths = {name: folder / f"{name}.csv" for name in RECIPES}
    return {
        name: read_csv(path, COLUMNS, lambda row: float(row["test_error"])).rows
        for name, path in paths.items()
        if path.exists()
    }


def show(run: Run, rows: list[list[Any]]) -> None:
    """Print what came out beside what was published."""
    best = min(row[-2] for row in rows)
    recipe, seconds = run.recipe, sum(row[-1] for row in rows)
    after = f" after {recipe.published_epochs} epochs" if recipe.published_epochs else ""
    report.table(
        f"{recipe.source}: {recipe.published} %{after}",
        ("recipe", "images", "seed", "epochs", "test error, %", "lowest, %", "s"),
        [[*map(str, run.key), f"{rows[-1][-2]:.2f}", f"{best:.2f}", f"{seconds:.0f}"]],
    )


def _parser() -> argparse.ArgumentParser:
    # Abbreviations would let a misspelled option pass for another one.
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.literature",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--rule",
        action="append",
        choices=RECIPES,
        help="may be given several times (default: all)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where mnist lies")
    number = command.positive
    parser.add_argument("--epochs", type=number, metavar="N", help="(default: the recipe's)")
    parser.add_argument("--images", type=number, metavar="N", help="train on the first N only")
    parser.add_argument("--seed", type=command.not_negative, default=0, metavar="N")
    parser.add_argument("--threads", type=number, metavar="N", help="(default: torch's choice)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
