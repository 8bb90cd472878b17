import math
from dataclasses import replace

import pytest

from sparsebrain.experiments.figures import curves
from sparsebrain.experiments.report import Row
from sparsebrain.experiments.training import Epoch, Outcome, Run

RUN = Run(
    data="digits",
    topology="none",
    checksum="",
    synapses_wanted=0,
    loops=1,
    variant="relu",
    epochs=2,
    batch_size=1,
    learning_rate=0.1,
    seed=0,
)


def row(label, *seeds, diverged=0):
    """Seeds are curves: pairs of loss, test loss and test accuracy of each epoch."""
    made = [[Epoch(n, loss, acc, val) for n, (loss, val, acc) in enumerate(s, 1)] for s in seeds]
    outcome = Outcome(4, 0, math.nan, math.nan, 9, math.nan if diverged else 0.5, 1.0)
    runs = [replace(RUN, seed=seed) for seed in range(len(seeds))]
    return Row(label, runs, [replace(outcome, diverged=diverged)] * len(seeds), made)


def test_the_panels_are_means_with_a_standard_deviation():
    one = row("A", [(3, 2, 0.5), (1, 1.5, 0.75)], [(5, 4, 0.25), (3, 2.5, 0.25)])
    figure = curves.draw([one, row("B", [(1, 1, 1), (1, 1, 1)])], title="t")
    training, validation, accuracy = figure.get_axes()
    labels = ["training loss", "validation loss", "validation accuracy, %"]
    assert [ax.get_ylabel() for ax in (training, validation, accuracy)] == labels
    lines = {ax: ax.get_lines()[0].get_ydata() for ax in (training, validation, accuracy)}
    assert list(lines[training]) == [4, 2]
    assert list(lines[validation]) == [3, 2]
    assert list(lines[accuracy]) == [37.5, 50]
    band = validation.collections[0].get_paths()[0].vertices[:, 1]
    assert max(band) == pytest.approx(3 + math.sqrt(2))
    assert [each.get_text() for each in training.get_legend().get_texts()] == ["A", "B"]
    assert [ax.get_legend() for ax in (validation, accuracy)] == [None, None]


def test_diverged_runs_are_named_and_in_the_table():
    lost = row("A", [(math.inf, math.nan, math.nan)], diverged=1)
    figure = curves.draw([lost], title="t")
    (text,) = figure.get_axes()[0].get_legend().get_texts()
    assert text.get_text() == "A (diverged)"
    assert str(curves.table([lost])) == "[('A', 0, 1, inf, nan, nan)]"


def test_the_table_has_every_epoch_of_every_run():
    one = row("A", [(3, 2, 0.5), (1, 1.5, 0.75)], [(5, 4, 0.25), (3, 2.5, 0.25)])
    table = curves.table([one])
    assert table[1] == ("A", 0, 2, 1, 1.5, 0.75)
    assert len(table) == 4
    assert len(table[0]) == len(curves.COLUMNS)
