"""What every model refuses as its input, and how it says so."""

import numpy as np
import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer
from sparsebrain.models import (
    AnytimeClassifier,
    NeuronClassifier,
    Recurrent,
    classifier,
    ejima_model,
    perceptron,
    truncated_backward,
)

DATA = graphs.small_world(6, 2, 0, seed=0)

MODELS = {
    "classifier": lambda: classifier(DATA, 3),
    "perceptron": lambda: perceptron(6, 4, 3),
    "ejima_model": lambda: ejima_model("alpha", 3, (2, 3)),
    "AnytimeClassifier": lambda: AnytimeClassifier(GraphLayer(DATA, 2), 3),
    "AnytimeClassifier, encoded": lambda: AnytimeClassifier(
        GraphLayer(DATA, 2), 3, encode=nn.Linear(6, 6)
    ),
    "Recurrent": lambda: Recurrent(GraphLayer(DATA, inject=True)),
    "Recurrent, encoded": lambda: Recurrent(
        GraphLayer(DATA, inject=True), encode=nn.Linear(6, 6), decode=nn.Linear(6, 2)
    ),
    "NeuronClassifier": lambda: NeuronClassifier(6),
}

WRONG = {
    "another width": torch.ones(4, 5),
    "no dimension": torch.tensor(1.0),
    "float64": torch.ones(4, 6).double(),
    "float16": torch.ones(4, 6).half(),
    "integers": torch.ones(4, 6).long(),
    "complex": torch.ones(4, 6).cfloat(),
    "sparse": torch.ones(4, 6).to_sparse(),
    "meta": torch.ones(4, 6, device="meta"),
    "NumPy": np.ones((4, 6), np.float32),
    "list": [[1.0] * 6] * 4,
    "None": None,
    "connectome": DATA,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", WRONG)
def test_wrong_inputs(name, kind):
    model = MODELS[name]()
    with pytest.raises((TypeError, ValueError), match=r"^(x|encode\(x\)) must .* (pass|call) "):
        model(WRONG[kind])


@pytest.mark.parametrize("make", [MODELS["classifier"], MODELS["perceptron"]])
def test_a_single_sample_cannot_be_normalized_while_training(make):
    model = make()
    with pytest.raises(ValueError, match=r"x must hold two samples .*call model.eval\(\)"):
        model(torch.ones(1, 6))
    assert model.eval()(torch.ones(1, 6)).shape == (1, 3)


def test_half_width_is_taken_under_autocast():
    model = MODELS["classifier"]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.ones(4, 6).bfloat16()).shape == (4, 3)


def test_other_modules_may_take_integers():
    encode = nn.Sequential(nn.Embedding(9, 6), nn.Flatten(-2))
    model = AnytimeClassifier(GraphLayer(DATA, 2), 3, encode=encode)
    assert model(torch.arange(8).view(8, 1)).shape == (2, 8, 3)
    with pytest.raises(ValueError, match=r"^encode\(x\) .* \[..., 6\], got \[8, 12\]; pass"):
        model(torch.zeros(8, 2, dtype=torch.int64))


@pytest.mark.parametrize("option", ["encode", "decode"])
@pytest.mark.parametrize("value", [3, "linear", nn.Linear, torch.relu])
def test_parts_that_are_no_modules(option, value):
    with pytest.raises(TypeError, match=f"^{option} must be a torch.nn.Module or None.*; pass"):
        Recurrent(GraphLayer(DATA, inject=True), **{option: value})


@pytest.mark.parametrize(
    "make",
    [
        lambda: classifier(DATA, 2**40),
        lambda: classifier(DATA, 2, in_features=2**40),
        lambda: perceptron(2, 2**40, 2),
        lambda: ejima_model("alpha", 10, (2**20, 2**20)),
        lambda: NeuronClassifier(2**40),
        lambda: AnytimeClassifier(GraphLayer(DATA, 2), 2**40),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_before_it_is_made(make):
    with pytest.raises(ValueError, match=r"needs .* GiB of memory, and this machine has .*; pass"):
        make()


def test_truncated_backward_names_what_is_wrong():
    model, x = MODELS["Recurrent"](), torch.ones(2, 4, 6)
    given = {"model": model, "x": x, "y": x, "loss": nn.functional.mse_loss, "every": 2}
    bad = {"model": lambda x, state: (x, state), "loss": None, "x": [1.0], "y": np.ones(3)}
    for name, wrong in bad.items():
        with pytest.raises(TypeError, match=f"^{name} must be"):
            truncated_backward(**{**given, name: wrong})
    with pytest.raises(TypeError, match=r"^model must return \(outputs, state\), got Tensor"):
        truncated_backward(**{**given, "model": nn.Bilinear(6, 6, 6), "state": x[:, :2]})
    with pytest.raises(
        ValueError, match=r"^loss\(outputs, y\) must be .*; pass the sum of its values"
    ):
        truncated_backward(**{**given, "loss": lambda outputs, y: outputs - y})
    with pytest.raises(
        TypeError, match=r"^loss failed on outputs \[2, 2, 6\] and y .*; pass a loss"
    ):
        truncated_backward(**{**given, "loss": lambda: None})
    with pytest.raises(ValueError, match=r"^loss failed on outputs .* and y \[2, 2, 5\]: .*; pass"):
        truncated_backward(**{**given, "y": x[..., :5], "loss": lambda outputs, y: outputs @ y})
