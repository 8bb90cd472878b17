import math
import os
import subprocess
import sys
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from rich.console import Console

from sparsebrain.experiments import reproduce, reproduction, runner
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.training import Epoch
from sparsebrain.experiments.verdict import tell_differences
from sparsebrain.models import EJIMA_MODELS, ejima_model
from tests.sparsebrain.experiments.pages.reader import Reader

FAST = {"data": "digits", "epochs": 1, "seeds": 2, "jobs": 1}
FIGURES = [2, 6, 9, 11]


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A folder with everything in it, the rows, and what was printed."""
    folder = tmp_path_factory.mktemp("reproduction")
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        summed = reproduce(**FAST, out=folder, report=True, console=console)
    return folder, summed, console.export_text()


def test_all_models_are_trained_and_told(reproduced, rows):
    folder, summed, text = reproduced
    assert [row.label for row in summed] == list(EJIMA_MODELS)
    assert [row.mean("synapses") for row in summed] == [0, 46**2, 46**2, 74**2, 74**2]
    found = rows(folder / "results.csv")
    assert len(found) == 10
    assert {(row["topology"], row["loops"]) for row in found} == {
        ("none", "1"),
        ("grid:distance=1", "5"),
        ("grid:distance=1", "20"),
        ("grid:distance=2", "5"),
        ("grid:distance=2", "20"),
    }
    told = tell_differences(summed, num_test=360)
    assert " ".join(told.split()) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_every_figure_is_a_picture_and_a_table(reproduced, rows):
    folder, summed, _ = reproduced
    for number in FIGURES:
        picture = (folder / f"figure{number}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 20_000
    found = rows(folder / "figure9.csv")
    assert [(row["model"], row["seed"]) for row in found[:3]] == [
        ("MLP", "0"),
        ("MLP", "1"),
        ("alpha", "0"),
    ]
    for name in ("loss", "test_loss", "test_accuracy"):
        wanted = [getattr(epoch, name) for row in summed for (epoch,) in row.curves]
        assert [float(row[name]) for row in found] == wanted
    assert all(float(row["test_loss"]) > 0 for row in found)
    # Two images of ten digits, after the first and the last loop.
    assert len(rows(folder / "figure11.csv")) == 2 * 2 * 10 * 256
    distances = rows(folder / "figure11-distances.csv")
    assert [(row["seed"], row["loop"]) for row in distances] == [
        (str(seed), str(loop)) for seed in range(2) for loop in range(21)
    ]
    trained, untrained = (
        [float(row[name]) for row in distances] for name in ("ratio", "untrained_ratio")
    )
    assert min(trained + untrained) > 1
    assert trained != untrained
    synapses = rows(folder / "figure2.csv")
    # 6444.9 pairs are expected, each of them two synapses.
    assert abs(len(synapses) / 2 - 6444.9) < 5 * 6444.9**0.5
    assert not [
        path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".lock"
    ]


def test_the_report_has_the_table_the_sentences_and_every_figure(reproduced):
    folder, summed, text = reproduced
    page = Reader((folder / "report.html").read_text(encoding="utf-8"))
    assert len(page.pictures) == len(FIGURES)
    for number, picture in zip(FIGURES, page.pictures, strict=True):
        assert picture == (folder / f"figure{number}.png").read_bytes()
    assert [row[0] for row in page.rows[1:6]] == list(EJIMA_MODELS)
    place = page.rows[0].index("test accuracy")
    assert [row[place] for row in page.rows[1:6]] == [row.accuracy() for row in summed]
    assert tell_differences(summed, num_test=360).split("\n")[0] in page.text
    assert "sparsebrain reproduce --data=digits --epochs=1 --seeds=2 --variant=relu" in page.text
    assert "report.html" in text


def test_nothing_is_trained_twice(reproduced, monkeypatch):
    folder, summed, _ = reproduced
    monkeypatch.setattr(runner, "train", None)
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    again = reproduce(**FAST, out=folder)
    assert str([row.outcomes for row in again]) == str([row.outcomes for row in summed])
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before


def weights_of(folder, seed=0):
    (path,) = folder.glob(f"Y-digits-relu-1-epochs-seed-{seed}-*.pt")
    return path


@pytest.mark.parametrize("seed", [0, 1])
def test_lost_weights_are_trained_anew_and_damaged_ones_told(reproduced, seed):
    folder, _, _ = reproduced
    weights = weights_of(folder, seed)
    before = torch.load(weights, weights_only=True)
    weights.unlink()
    reproduce(**FAST, out=folder)
    after = torch.load(weights, weights_only=True)
    assert all(torch.equal(before[name], after[name]) for name in before)
    whole = weights.read_bytes()
    for damaged in (b"", b"not a zip", whole[:500], whole[:-2000]):
        weights.write_bytes(damaged)
        with pytest.raises(ValueError, match="does not hold the weights of Y; delete it"):
            reproduce(**FAST, out=folder)
    weights.write_bytes(whole)


def test_the_weights_are_those_of_the_papers_model(reproduced):
    """But for the first layer: digits have fewer pixels than neurons."""
    folder, _, _ = reproduced
    state = torch.load(weights_of(folder), weights_only=True)
    model = ejima_model("Y", shape=(16, 16))
    model.encode = torch.nn.Linear(64, 256)
    model.load_state_dict(state)


def test_what_diverges_is_told_and_figure_11_is_left_out(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(reproduction, "_LEARNING_RATE", 1e30)
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        found = reproduce(**{**FAST, "seeds": 1}, out=tmp_path, console=console)
    assert [row.accuracy() for row in found] == ["diverged"] * 5
    text = " ".join(console.export_text().split())
    assert "Every run diverged, so there is nothing to compare." in text
    assert "No model can be chosen: every run diverged." in text
    assert "figures 2, 6, 9 (no figure 11: every run of Y diverged)" in text
    assert (tmp_path / "figure9.png").exists()
    assert not (tmp_path / "figure11.png").exists()
    assert not list(tmp_path.glob("*.pt"))


def test_figure_11_leaves_out_the_seeds_that_diverged(tmp_path, monkeypatch, rows):
    real = runner.train

    def first_diverges(run, *given):
        found = real(run, *given)
        if run.seed:
            return found
        lost = replace(found.outcome, diverged=1, test_accuracy=math.nan)
        return found._replace(outcome=lost, curve=[Epoch(1, math.inf, math.nan)])

    monkeypatch.setattr(runner, "train", first_diverges)
    reproduce(**FAST, out=tmp_path)
    assert {row["seed"] for row in rows(tmp_path / "figure11-distances.csv")} == {"1"}
    weights_of(tmp_path, seed=1)
    assert len(list(tmp_path.glob("*.pt"))) == 1


def test_the_models_are_chosen_by_loss_and_by_accuracy(reproduced):
    _, summed, text = reproduced
    losses = {row.label: fmean(curve[-1].test_loss for curve in row.curves) for row in summed}
    accuracies = {row.label: row.mean("test_accuracy") for row in summed}
    by_loss = min(losses, key=losses.get)
    best = [label for label in losses if accuracies[label] == max(accuracies.values())]
    told = " ".join(text.split())
    if best == [by_loss]:
        assert f"Final validation loss and accuracy both choose {by_loss}; the paper" in told
    else:
        wanted = f"The final validation loss chooses {by_loss}, the accuracy {' or '.join(best)};"
        assert f"{wanted} the paper chooses Y." in told
    for label in EJIMA_MODELS:
        assert f"{label} {losses[label]:.4f} and {accuracies[label]:.2%}" in told


def test_fashion_is_figure_10(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "fashion-mnist", DATASETS["digits"])
    reproduce(**{**FAST, "data": "fashion-mnist", "seeds": 1}, out=tmp_path)
    names = {path.name for path in tmp_path.glob("figure*")}
    assert {"figure10.png", "figure10.csv"} <= names
    assert not {"figure9.png", "figure9.csv"} & names


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"variant": "swish"}, "variant must be one of 'relu', 'relu-in-loop'"),
        ({"data": "cifar"}, "data must be one of 'digits'"),
        ({"seeds": 0}, "seeds must be an integer >= 1"),
        ({"epochs": 0}, "epochs must be an integer >= 1"),
        ({"jobs": 0}, "jobs must be"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        reproduce(**{**FAST, **options}, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_runs(tmp_path):
    command = [sys.executable, "-m", "sparsebrain.cli", "reproduce", "--data", "digits"]
    command += ["--epochs", "1", "--seeds", "1", "--variant", "linear", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "Nothing to compare" in done.stdout
    assert (tmp_path / "figure11.png").exists()
