"""Sparse networks are compared with dense ones of the same size."""

import csv
import os

import pytest
import torch
from rich.console import Console

from sparsebrain.experiments import rewiring
from sparsebrain.experiments.datasets import load
from sparsebrain.experiments.plasticity_study.sparse_training import (
    DENSE,
    FIXED,
    METHODS,
    MODELS,
    WIDE,
    make,
    train,
)


@pytest.fixture(scope="module")
def images():
    return load("digits")


def test_models_have_equal_parameters_or_neurons(images):
    sizes = {}
    for name in MODELS:
        model = make(name, images, torch.Generator().manual_seed(0))
        sizes[name] = (model.sizes[1], model.num_parameters)
    # 10 % of 64 x 256 and of 256 x 10 synapses, and a bias for each hidden neuron and class.
    assert sizes.pop(WIDE) == (256, 64 * 256 + 256 * 10 + 266)
    assert sizes.pop(DENSE) == (29, 64 * 29 + 29 * 10 + 39)
    assert {*sizes.values()} == {(256, 1638 + 256 + 266)}
    assert abs(2185 / 2160 - 1) < 0.02


def test_a_dense_model_is_a_perceptron(images):
    model = make(DENSE, images, torch.Generator().manual_seed(0))
    below, above = (each.weight.detach() for each in model.layers)
    with torch.no_grad():
        model.below.bias.normal_()
        model.above.bias.normal_()
    hidden = torch.relu(images.test_x @ below.view(29, 64).T + model.below.bias[64:])
    scores = hidden @ above.view(10, 29).T + model.above.bias[29:]
    assert torch.allclose(model(images.test_x), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [FIXED, *METHODS])
def test_rewiring_ends_early_and_its_seed_decides_all(images, name):
    row, curve = train(name, images, 2, seed=0)
    assert train(name, images, 2, seed=0) == (row, curve)
    assert row.test_accuracy == curve[-1] > 0.3
    # One of two epochs, in which a fifth of 1638 and of 256 synapses are replaced.
    expected = {FIXED: 0, "sparse, rigl": 328 + 51}
    if name in expected:
        assert row.replaced == expected[name]
    else:
        assert row.replaced > 0


def test_tables_and_figure_are_written(tmp_path):
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=120, file=nowhere)
        rows = rewiring(epochs=1, seeds=2, out=tmp_path, console=console)
    assert len(rows) == 2 * len(MODELS)
    text = console.export_text()
    assert all(name in text for name in MODELS)
    assert "p, against sparse, fixed" in text
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    for name in ("results.csv", "curves.csv"):
        with (tmp_path / name).open() as file:
            found = [*csv.DictReader(file)]
        assert [float(each["test_accuracy"]) for each in found[: len(MODELS)]] == [
            row.test_accuracy for row in rows[: len(MODELS)]
        ]
