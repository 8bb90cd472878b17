import pytest
import torch

from sparsebrain import GraphLayer, models
from sparsebrain.models import EJIMA_MODELS, EJIMA_VARIANTS, ejima_model

SYNAPSES = {"alpha": 82**2, "beta": 82**2, "X": 134**2, "Y": 134**2}
LOOPS = {"alpha": 5, "beta": 20, "X": 5, "Y": 20}


@pytest.mark.parametrize("name", EJIMA_MODELS)
def test_the_models_are_those_of_the_paper(name):
    model = ejima_model(name)
    kinds = [type(part) for part in model]
    around = [torch.nn.Linear, torch.nn.BatchNorm1d, torch.nn.ReLU]
    layer = [GraphLayer, torch.nn.BatchNorm1d, torch.nn.ReLU] if name != "MLP" else []
    assert kinds == [*around, *layer, torch.nn.Linear]
    dense = 784 * 784 + 784 + 2 * 784 + 784 * 10 + 10
    graph = SYNAPSES[name] + 2 * 784 if name != "MLP" else 0
    assert sum(parameter.numel() for parameter in model.parameters()) == dense + graph
    if name != "MLP":
        assert model.graph.loops == LOOPS[name]
        assert model.graph.activation == "none"
        assert model.graph.bias is None
    assert model(torch.randn(3, 784)).shape == (3, 10)


def test_other_shapes_and_classes():
    assert ejima_model("X", 3, (4, 6))(torch.randn(5, 24)).shape == (5, 3)
    assert ejima_model("MLP", 3, (4, 6))(torch.randn(5, 24)).shape == (5, 3)


@pytest.mark.parametrize("variant", EJIMA_VARIANTS)
def test_every_variant_is_a_model_that_learns(variant):
    torch.manual_seed(0)
    model = ejima_model("beta", 2, (5, 5), variant=variant)
    assert model.graph.activation == {"relu-in-loop": "relu", "tanh-in-loop": "tanh"}.get(
        variant, "none"
    )
    x = torch.randn(64, 25)
    y = (x[:, 0] > 0).long()
    steps = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        steps.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        steps.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize("name", ["MLP", "X"])
def test_without_activations_the_model_is_affine(name):
    """A mixture of inputs gives the mixture of outputs, to rounding."""
    model = ejima_model(name, variant="linear").double().eval()
    a, b = torch.randn(2, 4, 784, dtype=torch.float64)
    torch.testing.assert_close(model(0.3 * a + 0.7 * b), 0.3 * model(a) + 0.7 * model(b))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        (("y",), {}, ValueError, "name must be one of 'MLP', 'alpha', 'beta', 'X', 'Y', got 'y'"),
        (("Y",), {"variant": "swish"}, ValueError, "variant must be one of 'relu'"),
        (("Y", 10, (28, 0)), {}, ValueError, r"shape\[1\] must be an integer >= 1"),
        (("Y", 10, (28, 2.5)), {}, TypeError, r"shape\[1\] must be an integer"),
        (("MLP", 0), {}, ValueError, "num_classes must be an integer >= 1"),
        (("Y",), {"variants": "relu"}, TypeError, "unexpected keyword argument"),
    ],
)
def test_wrong_arguments_are_refused(arguments, options, error, match):
    with pytest.raises(error, match=match):
        models.ejima_model(*arguments, **options)
