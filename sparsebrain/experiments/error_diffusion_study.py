"""What the articles tell of error diffusion, measured: XOR, and the digits 4 and 9 of MNIST."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import joblib
import torch
from filelock import FileLock
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from graphs import arguments
from graphs.io.atomic import write_atomically
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.experiments.datasets import load_anew, load_once
from sparsebrain.experiments.figures import error_diffusion as figure
from sparsebrain.experiments.fingerprint import checksum_of_code
from sparsebrain.experiments.runner import check_jobs
from sparsebrain.experiments.tables import (
    check_share,
    columns_of,
    make_folder,
    parse_row,
    read_csv,
    write_csv,
)
from sparsebrain.experiments.threads import one_thread
from sparsebrain.learning import Backprop, Rule

_DIGITS = (4, 9)
_CHECKSUMS = ("images_checksum", "code_checksum")


@dataclass(frozen=True)
class Setting:
    """All that decides a training. Defaults are the article's, but for the seed.

    ``density`` is the share of synapses that exist, ``largest`` the largest initial magnitude, 0
    for 1 / units, and ``initial`` "signed" for weights whose signs follow from types, or "free" for
    any. ``rate`` is divided by (units + layers) and multiplies the sum over the batch in error
    diffusion; in backpropagation it multiplies the mean.
    """

    rule: str = "error-diffusion"
    activation: str = "sigmoid"
    units: int = 16
    layers: int = 3
    batch_size: int = 64
    rate: float = 0.01
    types: str = "alternating"
    inputs: str = "paired"
    density: float = 1.0
    initial: str = "signed"
    largest: float = 0.0
    epochs: int = 10
    seed: int = 0
    # Of the images and the code, where they are known.
    images_checksum: str = ""
    code_checksum: str = ""


@dataclass(frozen=True)
class Outcome:
    """Share of the test images told apart after the last epoch, its mean loss, and the time.

    ``diverged`` is the epoch in which the training diverged and was stopped, or 0: in the sense of
    :class:`sparsebrain.experiments.training.Outcome`. Its accuracy is nan.
    """

    test_accuracy: float
    loss: float
    seconds_per_epoch: float
    diverged: int = 0


@dataclass(frozen=True)
class Case:
    """One line of a study: what it is called, where it stands, and the setting of its runs."""

    line: str
    x: float | str
    setting: Setting


_BASE = Setting()
_BACKPROP = {
    f"backprop, {activation}, rate {rate:g}": replace(
        _BASE, rule="backprop", activation=activation, rate=rate
    )
    for activation in ("sigmoid", "relu")
    for rate in (0.1, 1.0)
}
_RULES = {"error diffusion": _BASE, **_BACKPROP}
_QUESTIONS: dict[str, dict[str, Any]] = {
    "as in the article": {},
    "random types": {"types": "random"},
    "one input a pixel": {"inputs": "single"},
    "one, random types": {"inputs": "single", "types": "random"},
    "half of the synapses": {"density": 0.5},
    "a tenth": {"density": 0.1},
    "a twentieth": {"density": 0.05},
    "weights U(0, 1)": {"largest": 1.0},
    "U(-1/units, 1/units)": {"initial": "free"},
    "U(-1, 1)": {"initial": "free", "largest": 1.0},
}

STUDIES: dict[str, list[Case]] = {
    "units": [
        Case(line, units, replace(setting, units=units))
        for line, setting in _RULES.items()
        for units in (1, 2, 4, 8, 16, 32, 64)
    ],
    "layers": [
        Case(line, layers, replace(setting, units=4, layers=layers))
        for line, setting in _RULES.items()
        for layers in (1, 2, 4, 8, 12, 16)
    ],
    "rate": [
        Case("error diffusion", rate, replace(_BASE, rate=rate))
        for rate in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
    ],
    "batch size": [
        Case("error diffusion", size, replace(_BASE, batch_size=size))
        for size in (8, 16, 32, 64, 128, 256, 512)
    ],
    "open questions": [
        Case("error diffusion", label, replace(_BASE, **options))
        for label, options in _QUESTIONS.items()
    ],
}
"""What is varied, and how."""

XOR = {8: 75.14, 16: 28.00, 32: 8.26, 64: 5.97}
"""Kaneko's mean epochs over 100 runs, by hidden cells of both types."""

_XOR_COLUMNS = ("hidden cells", "epochs, Kaneko", "epochs, here", "standard error", "z")


def run(
    *,
    studies: Sequence[str] = (*STUDIES, "xor"),
    epochs: int = 10,
    seeds: int = 5,
    data_dir: Path | None = None,
    jobs: int = 1,
    out: Path = Path("error-diffusion"),
    console: Console | None = None,
) -> list[Outcome]:
    """Train what the studies ask for, and write results.csv, xor.csv and figure.png into ``out``.

    A training that is already there with the same settings, images and code is not repeated.

    Args:
        studies: out of :data:`STUDIES`, and "xor" for Kaneko's table.
        epochs: of every training.
        seeds: seeds 0 to ``seeds`` - 1 are run.
        data_dir: where the files of MNIST lie.
        jobs: trainings side by side, -1 for one a core.
        out: the folder, made if it is not there.
        console: shows progress and tables; none of it without one.

    Returns:
        What came out of every training that was asked for.

    Raises:
        ValueError, TypeError: an option, or a results.csv in ``out``, that cannot be used, before
            anything is run.
    """
    for study in studies:
        arguments.option("study", study, (*STUDIES, "xor"))
    epochs, seeds, jobs = (
        arguments.count("epochs", epochs, at_least=1),
        arguments.count("seeds", seeds, at_least=1),
        check_jobs(jobs),
    )
    make_folder(out)
    # What cannot be read is told before hours of training, not after them.
    _read(out / "results.csv")
    if "xor" in studies:
        rows = xor_table()
        write_csv(out / "xor.csv", _XOR_COLUMNS, rows)
        if console is not None:
            console.print(_tabulate("XOR", _XOR_COLUMNS, rows))
    chosen = [study for study in studies if study != "xor"]
    if not chosen:
        return []
    images = load_anew("mnist", data_dir)
    wanted = {
        replace(case.setting, epochs=epochs, seed=seed): None
        for seed in range(seeds)
        for study in chosen
        for case in STUDIES[study]
    }
    sealed = {
        replace(
            setting,
            images_checksum=images.checksum,
            code_checksum=checksum_of_code(setting.rule),
        ): setting
        for setting in wanted
    }
    kept = _train([*sealed], out / "results.csv", data_dir, jobs, console)
    results = {setting: kept[each] for each, setting in sealed.items()}
    found = {study: summarise(study, results, epochs, seeds) for study in chosen}
    drawn = figure.draw(found)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        for study, lines in found.items():
            lost = _count_diverged(study, results, epochs, seeds)
            rows = [
                (line, x, _tell(mean, spread, lost[line, x], seeds))
                for line, points in lines.items()
                for x, mean, spread in points
            ]
            console.print(_tabulate(study, ("", study, "test accuracy, %"), rows))
        console.print(f"written: results.csv and figure.png in {out}")
    return [*results.values()]


def summarise(
    study: str, results: dict[Setting, Outcome], epochs: int, seeds: int
) -> dict[str, figure.Points]:
    """Mean and standard deviation of the test accuracy over the seeds, for each line and x.

    Over those of the trainings that did not diverge; nan where all of them did.
    """
    lines: dict[str, figure.Points] = {}
    for case in STUDIES[study]:
        outcomes = _outcomes(case, results, epochs, seeds)
        accuracy = torch.tensor([each.test_accuracy for each in outcomes if not each.diverged])
        spread = float(accuracy.std()) if len(accuracy) > 1 else 0.0
        lines.setdefault(case.line, []).append((case.x, float(accuracy.mean()), spread))
    return lines


def _outcomes(
    case: Case, results: dict[Setting, Outcome], epochs: int, seeds: int
) -> list[Outcome]:
    runs = (replace(case.setting, epochs=epochs, seed=seed) for seed in range(seeds))
    return [results[each] for each in runs]


def _count_diverged(
    study: str, results: dict[Setting, Outcome], epochs: int, seeds: int
) -> dict[tuple[str, float | str], int]:
    return {
        (case.line, case.x): sum(
            bool(each.diverged) for each in _outcomes(case, results, epochs, seeds)
        )
        for case in STUDIES[study]
    }


def _tell(mean: float, spread: float, lost: int, seeds: int) -> str:
    if lost == seeds:
        return "diverged"
    told = f"{100 * mean:.2f} ± {100 * spread:.2f}"
    return f"{told} ({lost} of {seeds} diverged)" if lost else told


def train(setting: Setting, data_dir: Path | None) -> Outcome:
    """Train on the training images of a 4 or a 9, test on the others; on one thread.

    A training that diverges is stopped at once.
    """
    images = load_once("mnist", data_dir, checksum=setting.images_checksum)
    (x, y), (test_x, test_y) = (
        _of_digits(*part)
        for part in ((images.train_x, images.train_y), (images.test_x, images.test_y))
    )
    generator = torch.Generator().manual_seed(setting.seed)
    seconds = loss = 0.0
    diverged = 0
    with one_thread():
        rule = make_rule(setting, x.size(1), generator)
        per_sample = setting.rate
        if setting.rule == "error-diffusion":
            per_sample /= setting.units + setting.layers
        optimizer = torch.optim.SGD(rule.parameters(), lr=per_sample)
        for epoch in range(1, setting.epochs + 1):
            start, loss = time.perf_counter(), 0.0
            for batch in torch.randperm(len(x), generator=generator).split(setting.batch_size):
                optimizer.zero_grad()
                loss += float(rule(x[batch], y[batch])) * len(batch) / len(x)
                if not math.isfinite(loss):
                    break
                optimizer.step()
            seconds += time.perf_counter() - start
            if not (
                math.isfinite(loss) and all(each.isfinite().all() for each in rule.parameters())
            ):
                diverged = epoch
                break
        with torch.no_grad():
            scores = rule.predict(test_x)
    if not diverged and not bool(scores.isfinite().all()):
        diverged = setting.epochs
    right = math.nan if diverged else float((scores.argmax(1) == test_y).float().mean())
    return Outcome(right, loss, seconds / (diverged or setting.epochs), diverged)


def make_rule(setting: Setting, in_features: int, generator: torch.Generator) -> Rule:
    """The rule of a setting around its untrained network."""
    units, layers = setting.units, setting.layers
    if setting.rule == "backprop":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            return Backprop(_perceptron(setting, in_features), loss="quadratic")
    network = ErrorDiffusionNetwork.around(
        _layers(units, layers, setting.density, generator),
        in_features,
        inputs=range(units),
        outputs=range(units * (layers - 1), units * layers),
        types=setting.types,
        paired=setting.inputs == "paired",
        density=setting.density,
        generator=generator,
        # The plain sigmoid.
        u0=2.0,
        init=setting.largest or 1 / units,
        keep_signs=setting.initial == "signed",
    )
    return ErrorDiffusion(network, loss="quadratic", reduction="sum")


def xor_table(runs: int = 100, seed: int = 0) -> list[tuple[object, ...]]:
    """Kaneko's table beside ours, all runs at once: networks that are told the same.

    The standard error counts ours twice, since his spread is not told.
    """
    rows: list[tuple[object, ...]] = []
    for cells, told in XOR.items():
        epochs = xor_epochs(cells, runs, torch.Generator().manual_seed(seed))
        mean, error = float(epochs.mean()), float(epochs.std() / runs**0.5)
        z = (mean - told) / (error * 2**0.5)
        rows.append((cells, told, round(mean, 2), round(error, 2), round(z, 2)))
    return rows


def xor_epochs(cells: int, runs: int, generator: torch.Generator, limit: int = 1000) -> Tensor:
    """The epoch [runs] in which each run's errors first sum up to less than 0.1.

    Args:
        cells: hidden cells, of both types.
        runs: trained at once, each a network of its own.
        generator: draws their weights.
        limit: epochs after which to give up; runs that are not there yet are at infinity.
    """
    hidden = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=cells)
    network = ErrorDiffusionNetwork.around(hidden, 2, networks=runs, generator=generator)
    rule = ErrorDiffusion(network, loss="quadratic")
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.8)
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    reached = torch.full((runs,), math.inf)
    for epoch in range(1, limit + 1):
        total = torch.zeros(runs)
        for sample, wanted in zip(x.split(1), (0, 1, 1, 0), strict=True):
            optimizer.zero_grad()
            with torch.no_grad():
                states, scores = network.run(sample)
            error = wanted - scores
            rule.diffuse(states, error)
            optimizer.step()
            total += error[0].abs()
        reached[reached.isinf() & (total < 0.1)] = epoch
        if bool(reached.isfinite().all()):
            break
    return reached


def _of_digits(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _DIGITS
    chosen = (y == first) | (y == second)
    return x[chosen], (y[chosen] == second).long()


def _layers(units: int, layers: int, density: float, generator: torch.Generator) -> Data:
    """Hidden layers; each cell hears the given share of those before it, and one at least."""
    full = graphs.layered([units] * layers)
    if density == 1:
        return full
    kept = max(1, round(density * units))
    draws = torch.rand(full.num_edges, generator=generator).view(-1, units)
    first = torch.arange(0, full.num_edges, units).unsqueeze(1)
    chosen = (draws.argsort(1)[:, :kept].sort(1).values + first).flatten()
    return Data(edge_index=full.edge_index[:, chosen], num_nodes=full.num_nodes)


def _perceptron(setting: Setting, in_features: int) -> nn.Sequential:
    """The same layers for backpropagation; scores of both classes add up to 1, as those of ED."""
    activation = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}[setting.activation]
    widths = [in_features, *[setting.units] * setting.layers]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), activation()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], 1), nn.Sigmoid(), _BothClasses())


class _BothClasses(nn.Module):
    def forward(self, score: Tensor) -> Tensor:
        return torch.cat([1 - score, score], 1)


def _train(
    wanted: list[Setting], path: Path, data_dir: Path | None, jobs: int, console: Console | None
) -> dict[Setting, Outcome]:
    """Train what the file does not hold, and add each as soon as it is finished."""
    results = _read(path)
    missing = [setting for setting in dict.fromkeys(wanted) if setting not in results]
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    tasks = (joblib.delayed(_train_one)(setting, data_dir) for setting in missing)
    for number, (setting, outcome) in enumerate(parallel(tasks), 1):
        with FileLock(path.with_name(".lock")):
            results = {**_read(path), setting: outcome}
            rows = ((*astuple(s), *astuple(results[s])) for s in sorted(results, key=astuple))
            write_csv(path, columns_of(Setting, Outcome), rows)
        if console is not None:
            told = {k: v for k, v in asdict(setting).items() if v != getattr(_BASE, k)}
            told = {name: value for name, value in told.items() if name not in _CHECKSUMS}
            came = f"{outcome.test_accuracy:.2%}"
            if outcome.diverged:
                came = f"diverged in epoch {outcome.diverged}"
            console.print(f"{number} of {len(missing)}: {told} {came}")
    return results


def _train_one(setting: Setting, data_dir: Path | None) -> tuple[Setting, Outcome]:
    return setting, train(setting, data_dir)


def _read(path: Path) -> dict[Setting, Outcome]:
    return dict(
        read_csv(path, columns_of(Setting, Outcome), _parse, later={*_CHECKSUMS, "diverged"})
    )


def _parse(row: dict[str, str]) -> tuple[Setting, Outcome]:
    outcome = parse_row(Outcome, row)
    if not outcome.diverged:
        check_share(outcome.test_accuracy)
    return parse_row(Setting, row), outcome


def _tabulate(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(str, row))
    return table
