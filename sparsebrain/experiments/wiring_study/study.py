"""The comparison of a brain with its null models."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch_geometric.data import Data

import graphs
from graphs import arguments
from graphs.contract import validate
from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.figures import wiring as figure
from sparsebrain.experiments.fingerprint import checksum_of_code, checksum_of_connectome
from sparsebrain.experiments.scored_training import train_missing
from sparsebrain.experiments.significance import Difference, differences
from sparsebrain.experiments.tables import make_folder
from sparsebrain.experiments.topology import TopologyError, build, parse
from sparsebrain.experiments.wiring_study.kept import Scores
from sparsebrain.experiments.wiring_study.nulls import NULLS, nulls_of
from sparsebrain.experiments.wiring_study.tasks import TASKS
from sparsebrain.experiments.wiring_study.training import BRAIN, LEARNS, Score, Setting, train

# The populations that receive and send where a brain has them.
_RECEIVING, _SENDING = ("P", "sensory"), ("O", "motor")
_NOT_OF_TRAININGS = ("study.py", "kept.py")
_LEVEL = 0.05


class Comparison(NamedTuple):
    """The brain against one null model.

    Attributes:
        learns: What is trained, "readout" or "synapses".
        null: The name of the null model.
        difference: Accuracy of the brain minus that of the null model, in percentage points.
    """

    learns: str
    null: str
    difference: Difference


def wiring(
    brain: str | Data = "larva-mushroom-body",
    *,
    task: str = "odors",
    inputs: str | None = None,
    outputs: str | None = None,
    epochs: int = 20,
    seeds: int = 20,
    jobs: int = 1,
    out: str | os.PathLike[str] = "wiring",
    console: Console | None = None,
) -> list[Comparison]:
    """Ask whether the wiring of a brain matters: train it beside null models of itself.

    The null models of :data:`~.nulls.NULLS` preserve less and less of the brain. Every seed draws
    one connectome from each; it has the brain's neurons and number of synapses, and is trained
    on the same samples with the same initial readout and in the same order. The strength of a
    synapse is its share of its target's input, with the sign if that is known. Samples are held
    on the input neurons for four loops of a tanh layer, and a linear readout tells the class from
    the output neurons. Two things are trained:

    - "readout": only the readout. The brain is a fixed expansion of its input.
    - "synapses": the readout and all synapses, from the same strengths.

    Trainings that ``out`` already contains with the same settings, brain and code are not repeated.

    Args:
        brain: A topology that states its size, as text, or a connectome.
        task: "odors" or "digits", see :data:`~.tasks.TASKS`.
        inputs: The population (``node_type_names``) that receives the samples. None for P (the
            projection neurons of a mushroom body) or sensory neurons if there are any, and
            otherwise for all neurons.
        outputs: The population that is read. None for O (the output neurons of a mushroom body) or
            motor neurons if there are any, and otherwise for all neurons.
        epochs: Epochs per training, at most 1,000,000.
        seeds: Number of seeds, 2 to 10,000; the seeds are 0 to ``seeds`` - 1.
        jobs: Number of simultaneous trainings; -1 for one per core.
        out: The folder for results.csv and figure.png; it is made if necessary.
        console: Where progress and the table are printed; None prints nothing.

    Returns:
        The differences between the brain and its null models, with p-values and intervals that
        hold for all null models of one kind of training together, see
        :func:`~sparsebrain.experiments.differences`. Null models with diverged trainings are left
        out.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, the brain has no such population or more than one
            synapse between two neurons, or ``out`` contains a results.csv that cannot be read.
        OSError: ``out`` cannot be written.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import wiring
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = wiring("larva-mushroom-body", epochs=1, seeds=2, out=folder)
        >>> [each.null for each in found if each.learns == "readout"]
        ['weights', 'reciprocity', 'degrees', 'populations', 'random']
    """
    data, name = brain_of(brain)
    task = arguments.option("task", task, TASKS)
    epochs, jobs = options.epochs("epochs", epochs), options.jobs("jobs", jobs)
    seeds = options.seeds("seeds", seeds)
    if seeds < 2:
        raise ValueError(f"seeds must be at least 2 for a comparison, got {seeds}; pass seeds=20")
    out = options.out_folder("out", out)
    receiving = _population("inputs", data, inputs, _RECEIVING)
    sending = _population("outputs", data, outputs, _SENDING)
    nulls = nulls_of(data)
    # Before anything is trained.
    for null in nulls:
        NULLS[null].draw(data, 0)
    make_folder(out)
    kept = Scores(out)
    checksum, code = checksum_of_connectome(data)[:16], _checksum()
    wanted = {
        (learns, null, seed): Setting(
            *(name, task, learns, null, receiving, sending, epochs, seed, checksum, code)
        )
        for seed in range(seeds)
        for learns in LEARNS
        for null in (BRAIN, *nulls)
    }
    train_missing(
        wanted.values(), kept, train, lambda each: (each, data), jobs, console, _tell_training
    )
    scores = {
        learns: {
            null: [kept.scores[wanted[learns, null, seed]] for seed in range(seeds)]
            for null in (BRAIN, *nulls)
        }
        for learns in LEARNS
    }
    found = [each for learns in LEARNS for each in _compare(learns, scores[learns])]
    drawn = figure.draw(
        f"{name}, {task}",
        {learns: _accuracies(scores[learns]) for learns in LEARNS},
        {(each.learns, each.null): each.difference for each in found},
    )
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        for learns in LEARNS:
            console.print(_tabulate(name, task, learns, scores[learns], found))
            console.print(tell(name, learns, found))
        console.print(f"Wrote results.csv and figure.png into {out}.")
    return found


def tell(brain: str, learns: str, found: Sequence[Comparison]) -> str:
    """Return what the comparisons say, in one sentence per outcome."""
    own = [each for each in found if each.learns == learns]
    sure = [each for each in own if each.difference.p_value < _LEVEL]
    what = f"Trained {learns}, {brain}"
    if not sure:
        return f"{what}: no null model differs significantly, so no difference is shown."
    parts = [
        f"{each.difference.mean:+.1f} points against {NULLS[each.null].preserves} "
        f"({each.difference.low:+.1f} to {each.difference.high:+.1f})"
        for each in sure
    ]
    rest = [each.null for each in own if each not in sure]
    also = f"; no significant difference from {', '.join(rest)}" if rest else ""
    return f"{what}: {'; '.join(parts)}{also}."


def brain_of(brain: str | Data) -> tuple[Data, str]:
    """Return the connectome and its name."""
    if isinstance(brain, Data):
        return validate(brain), "own"
    if not isinstance(brain, str):
        raise TypeError(
            f"brain must be a Data or a text, got {arguments.described(brain)}; "
            "pass brain='larva-mushroom-body'"
        )
    try:
        topology = parse(brain)
    except TopologyError as error:
        raise options.OptionError("brain", f"{error.spec!r}: {error.reason}") from None
    if not topology.states_its_size or not topology.states_its_neurons:
        raise options.OptionError(
            "brain",
            f"{topology.spec!r} states no size; pass one that does, such as larva-mushroom-body, "
            "c-elegans or file:brain.npz",
        )
    try:
        data = build(topology, (1,), num_edges=0, seed=0)
    except TopologyError as error:
        raise options.OptionError("brain", f"{error.spec!r}: {error.reason}") from None
    if data is None:
        raise options.OptionError(
            "brain", f"{topology.spec!r} has no graph; pass larva-mushroom-body"
        )
    return data, topology.spec


def _population(option: str, data: Data, name: str | None, usual: Sequence[str]) -> str:
    """Return the population of an option, or "" for all neurons."""
    if name is None:
        return next((each for each in usual if each in data.get("node_type_names", ())), "")
    known = data.get("node_type_names", ())
    if name not in known:
        told = f"one of the populations {', '.join(known)}" if known else "left out"
        raise options.OptionError(
            option,
            f"must be {told} for this brain, got {arguments.described(name)}; "
            + (f"pass {known[0]}" if known else "leave it out to use all neurons"),
        )
    return name


def _tell_training(setting: Setting, score: Score) -> str:
    return f"{setting.learns}, {setting.wiring}, seed {setting.seed}: {100 * score.accuracy:.1f} %"


def _checksum() -> str:
    here = Path(__file__).parent
    own = [each for each in sorted(here.glob("*.py")) if each.name not in _NOT_OF_TRAININGS]
    # What draws the null models, and reads the weights.
    theirs = Path(graphs.__file__).parent
    folders = [theirs, theirs / "transforms", theirs / "generators"]
    own += [each for folder in folders for each in sorted(folder.glob("*.py"))]
    return checksum_of_code("backprop", own)


def _accuracies(scores: Mapping[str, Sequence[Score]]) -> dict[str, list[float]]:
    """Return the accuracies in percent of every wiring without diverged trainings."""
    return {
        name: [100 * each.accuracy for each in of_seeds]
        for name, of_seeds in scores.items()
        if all(math.isfinite(each.accuracy) for each in of_seeds)
    }


def _compare(learns: str, scores: Mapping[str, Sequence[Score]]) -> list[Comparison]:
    values = _accuracies(scores)
    pairs = [(BRAIN, null) for null in values if null != BRAIN] if BRAIN in values else []
    if not pairs:
        return []
    resolution = 100 / scores[BRAIN][0].test_samples
    found = {each.second: each for each in differences(values, pairs, resolution=resolution)}
    return [Comparison(learns, null, found[null]) for _, null in pairs]


def _tabulate(
    brain: str,
    task: str,
    learns: str,
    scores: Mapping[str, Sequence[Score]],
    found: Sequence[Comparison],
) -> Table:
    table = Table(
        title=f"{brain}, {task}, {learns} trained",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    for column in ("wiring", "synapses kept", "accuracy, %", "brain minus null", "p"):
        table.add_column(column)
    compared = {each.null: each.difference for each in found if each.learns == learns}
    for name, of_seeds in scores.items():
        finite = [100 * each.accuracy for each in of_seeds if math.isfinite(each.accuracy)]
        lost = len(of_seeds) - len(finite)
        told = f"{np.mean(finite):.2f} ± {np.std(finite, ddof=1):.2f}" if len(finite) > 1 else ""
        one = compared.get(name)
        table.add_row(
            name,
            f"{100 * np.mean([each.kept for each in of_seeds]):.0f} %",
            f"{told} ({lost} diverged)" if lost else told,
            "" if one is None else f"{one.mean:+.2f} ({one.low:+.2f} to {one.high:+.2f})",
            "" if one is None else f"{one.p_value:.2g}",
        )
    return table
