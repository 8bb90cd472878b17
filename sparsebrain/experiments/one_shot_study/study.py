"""Networks that read hiragana learn letters that they see once, twice or five times."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy import stats
from torch_geometric.data import Data

from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.checksums import checksum_of
from sparsebrain.experiments.figures import one_shot as figure
from sparsebrain.experiments.fingerprint import checksum_of_code, checksum_of_connectome
from sparsebrain.experiments.kinds import NO_GRAPH
from sparsebrain.experiments.one_shot_study import handwriting, trials
from sparsebrain.experiments.one_shot_study.backbone import Backbone
from sparsebrain.experiments.one_shot_study.characters import SIDE, Characters
from sparsebrain.experiments.one_shot_study.omniglot import load as load_omniglot
from sparsebrain.experiments.one_shot_study.sources import parse_all
from sparsebrain.experiments.one_shot_study.trials import Trial
from sparsebrain.experiments.options import OptionError
from sparsebrain.experiments.tables import (
    columns_of,
    make_folder,
    parse_row,
    read_csv,
    write_csv,
)
from sparsebrain.experiments.threads import one_thread
from sparsebrain.experiments.topology import Topology, budget, build, parse

DEFAULT_TOPOLOGIES = ("grid",)
SHEET = (SIDE, SIDE)

_LEVEL = 0.95
_PIXELS, _UNTRAINED = "pixels", "untrained"


@dataclass(frozen=True)
class System:
    """The means of a system over draws and seeds.

    Attributes:
        system: Backbone and read-out.
        backbone: The topology, "none" for the backbone without a graph layer, "untrained", or the
            kind of pixels.
        readout: What learned the letters.
        examples: The number of examples of each letter.
        letters_accuracy: The accuracy on letters among the letters.
        letters_low: The lower end of its 95 % confidence interval over seeds, or over draws if
            there is one seed.
        letters_high: The upper end.
        letters_of_all: The accuracy on letters among letters and hiragana.
        hiragana_before: The accuracy on hiragana among the hiragana, before the letters.
        hiragana_after: The accuracy on hiragana among letters and hiragana, after the letters.
        hiragana_alone: The accuracy on hiragana among the hiragana, after the letters.
        seconds: The median processor time of learning one letter.
        bytes: The memory that one letter takes, or that changes for it.
        seeds: The number of seeds.
        draws: The number of draws with each seed.
        known: What the hiragana are: "hiragana", a data set or the name of a file.
        known_classes: Their number.
        new: What the letters are.
        new_classes: The number that is learned together.
        code_checksum: The checksum of the code of the trials.
    """

    system: str
    backbone: str
    readout: str
    examples: int
    letters_accuracy: float
    letters_low: float
    letters_high: float
    letters_of_all: float
    hiragana_before: float
    hiragana_after: float
    hiragana_alone: float
    seconds: float
    bytes: int
    seeds: int
    draws: int
    known: str
    known_classes: int
    new: str
    new_classes: int
    code_checksum: str


def one_shot(
    *,
    topologies: Sequence[str] = DEFAULT_TOPOLOGIES,
    data: Sequence[str] = (),
    data_dir: str | os.PathLike[str] | None = None,
    omniglot: str | os.PathLike[str] | None = None,
    epochs: int = 140,
    seeds: int = 3,
    jobs: int = 1,
    out: str | os.PathLike[str] = "one-shot",
    console: Console | None = None,
) -> list[System]:
    """Let networks that read hiragana learn the 26 Latin capitals from 1, 2 and 5 examples.

    Backbones, with the graph layer of each topology and without one, learn hiragana in 16 fonts,
    distorted anew in every step; copies rotated by quarter turns are further classes. Then letters
    are stored in memories on top of their features: fast weights, nearest examples, a modern
    Hopfield network and a mushroom body. Fine-tuning by gradient descent, pixels and an untrained
    network are measured beside them. Letters and hiragana are tested in 8 fonts that are not used
    for training, and every letter in fonts other than those of its examples.

    Handwriting can replace the hiragana or the letters, and Omniglot both. The columns of the
    tables keep their names.

    The trials of a finished backbone are kept in trials.csv and not repeated, unless options,
    connectome or code have changed.

    Args:
        topologies: Topologies as text; they have as many synapses as a grid of distance 2 unless
            they state their size. The backbone without a graph is always included.
        data: Handwriting as text: "kmnist" and "kuzushiji-49" replace the hiragana,
            "emnist-letters" the letters, and "known:NAME" or "new:NAME" say which. "known:FILE" and
            "new:FILE" are files of the user, as described by
            :func:`~sparsebrain.experiments.one_shot_study.handwriting.read`.
        data_dir: The folder with the files of named data sets; None for that in the environment
            variable SPARSEBRAIN_DATA. Without it, or if it lacks the files, the images come from
            OpenML through scikit-learn's cache.
        omniglot: The folder of Omniglot; its background set replaces the hiragana, and 20
            characters of one alphabet of its evaluation set the letters of a draw.
        epochs: Epochs of training on hiragana, at most 1,000,000.
        seeds: Number of backbones of each kind, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        jobs: Number of simultaneous trainings; -1 for one per core.
        out: The folder for results.csv, trials.csv and figure.png; it is made if necessary.
        console: Where progress and a table are printed; None prints nothing.

    Returns:
        One row per system and number of examples.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, a topology cannot be built, images are missing,
            damaged or too few, or ``out`` contains a trials.csv that cannot be read.
        OSError: ``out`` cannot be written.
    """
    texts = options.texts("topologies", topologies, example="grid")
    parsed = [each for each in map(parse, texts) if each.kind != NO_GRAPH]
    options.once("topologies", [each.spec for each in parsed])
    epochs, seeds = options.epochs("epochs", epochs), options.seeds("seeds", seeds)
    jobs, out = options.jobs("jobs", jobs), options.out_folder("out", out)
    images = _load(data, data_dir, omniglot)
    make_folder(out)
    size = budget(parsed, SHEET).num_edges if parsed else 0
    for each in parsed:
        # A wrong topology is refused before hours of training.
        build(each, SHEET, num_edges=size, seed=0)
    names: list[str | Topology] = [_PIXELS, _UNTRAINED, NO_GRAPH, *parsed]
    wanted = {
        _seal(name, images, size, epochs, seed): (name, seed)
        for seed in range(seeds)
        for name in names
    }
    table = out / "trials.csv"
    kept: list[Trial] = read_csv(table, columns_of(Trial), partial(parse_row, Trial)).rows
    finished = {each.settings for each in kept}
    missing = [each for each in wanted.items() if each[0] not in finished]
    workers = max(min(joblib.effective_n_jobs(jobs), len(missing)), 1)
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
    for done in parallel(
        joblib.delayed(run)(images, name, size, epochs, seed, settings)
        for settings, (name, seed) in missing
    ):
        kept += done
        write_csv(table, columns_of(Trial), map(astuple, kept))
        if console is not None:
            console.print(_tell(done, images))
    found = sorted((each for each in kept if each.settings in wanted), key=_order)
    rows = summarize(found, images)
    write_csv(out / "results.csv", columns_of(System), map(astuple, rows))
    drawn = figure.draw(rows)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(rows, seeds))
        console.print(f"Wrote results.csv, trials.csv and figure.png into {out}.")
    return rows


def _load(data: object, data_dir: object, omniglot: object) -> Characters:
    """Check the arguments of the same names, and load the characters."""
    none = isinstance(data, list | tuple) and not data
    sources = parse_all("data", () if none else options.texts("data", data, example="kmnist"))
    folder = options.data_folder("data_dir", data_dir)
    drawings = options.data_folder("omniglot", omniglot)
    if folder is not None and all(each.path for each in sources):
        raise OptionError(
            "data_dir",
            "it is for the files of data sets such as kmnist, of which none is named; pass the "
            "name of one as well, or leave it out",
        )
    if drawings is None:
        return handwriting.load(sources, folder)
    if sources:
        raise OptionError(
            "omniglot",
            "it replaces all characters, and so cannot be combined with data; leave it"
            " out, or pass no data",
        )
    return load_omniglot(drawings)


def run(
    images: Characters,
    name: str | Topology,
    num_edges: int,
    epochs: int,
    seed: int,
    settings: str = "",
) -> list[Trial]:
    """Run all trials of a backbone with one seed, and mark them with the checksum of settings."""
    done = _run(images, name, num_edges, epochs, seed)
    return [replace(each, settings=settings) for each in done]


def _run(
    images: Characters, name: str | Topology, num_edges: int, epochs: int, seed: int
) -> list[Trial]:
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == _PIXELS:
            return [*trials.pixels(images, seed)]
        connectome: Data | None = None
        if isinstance(name, Topology):
            connectome = build(name, SHEET, num_edges=num_edges, seed=seed)
        backbone = Backbone(connectome)
        if name == _UNTRAINED:
            return [*trials.untrained(backbone, images, seed)]
        spec = name.spec if isinstance(name, Topology) else name
        return [*trials.trained(spec, backbone, images, epochs, seed)]


def summarize(found: Iterable[Trial], images: Characters) -> list[System]:
    """Return the means of each system and number of examples, in the order of the trials."""
    groups: dict[tuple[str, str, int], list[Trial]] = {}
    for each in found:
        groups.setdefault((each.backbone, each.readout, each.examples), []).append(each)
    rows = []
    for (backbone, readout, examples), group in groups.items():
        means = {
            name: float(np.mean([getattr(each, name) for each in group]))
            for name in ("letters_of_all", "hiragana_before", "hiragana_after", "hiragana_alone")
        }
        seeds = sorted({each.seed for each in group})
        accuracies = [[each.letters for each in group if each.seed == seed] for seed in seeds]
        values = accuracies[0] if len(seeds) == 1 else [float(np.mean(each)) for each in accuracies]
        mean, half = interval(values)
        rows.append(
            System(
                system=f"{backbone}: {readout}",
                backbone=backbone,
                readout=readout,
                examples=examples,
                letters_accuracy=mean,
                letters_low=mean - half,
                letters_high=mean + half,
                **means,
                seconds=float(np.median([each.seconds for each in group])),
                bytes=max(each.bytes for each in group),
                seeds=len(seeds),
                draws=len(accuracies[0]),
                known=images.known_name,
                known_classes=images.num_known,
                new=images.letters_name,
                new_classes=images.num_letters,
                code_checksum=_code(),
            )
        )
    return rows


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % confidence interval, by Student's t."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan
    quantile = float(stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1))
    return mean, quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _seal(name: str | Topology, images: Characters, num_edges: int, epochs: int, seed: int) -> str:
    """Return the checksum of everything that determines the trials of a backbone."""
    connectome = ""
    if isinstance(name, Topology):
        built = build(name, SHEET, num_edges=num_edges, seed=seed)
        connectome = checksum_of_connectome(built)
        name = name.spec
    return checksum_of([name, connectome, images.checksum, epochs, seed, _code()])


@functools.cache
def _code() -> str:
    """Return the checksum of all code that determines a trial."""
    return checksum_of_code("backprop", sorted(Path(__file__).parent.glob("*.py")))


def _order(trial: Trial) -> tuple[int, bool, str, str, int, int]:
    return (
        trial.seed,
        trial.backbone not in (trials.PIXELS, trials.BLURRED, _UNTRAINED),
        *(trial.backbone, trial.readout, trial.examples, trial.draw),
    )


def _tell(done: Sequence[Trial], images: Characters) -> str:
    once = [each for each in done if each.examples == 1]
    best = max(summarize(once, images), key=lambda each: each.letters_accuracy)
    return f"seed {done[0].seed}, {best.system}: {best.letters_accuracy:.3f} at one example"


def _tabulate(rows: Sequence[System], seeds: int) -> Table:
    table = Table(
        title=f"Accuracies, means of {seeds} seeds: {rows[0].new} after {rows[0].known}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    counts = [f"{each} example{'s' * (each > 1)}" for each in trials.EXAMPLES]
    for column in ("", *counts, f"{rows[0].known} before", "after 1"):
        table.add_column(column)
    for row in rows:
        if row.examples != trials.EXAMPLES[0]:
            continue
        same = [each for each in rows if each.system == row.system]
        letters = (
            f"{each.letters_accuracy:.3f} ± {each.letters_high - each.letters_accuracy:.3f}"
            for each in same
        )
        hiragana = (f"{row.hiragana_before:.3f}", f"{row.hiragana_after:.3f}")
        table.add_row(row.system, *letters, *hiragana)
    return table
