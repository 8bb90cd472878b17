"""No step of any optimizer of torch leaves the bounds that a layer keeps."""

import inspect

import pytest
import torch

from sparsebrain import GraphLayer

OPTIMIZERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
}
del OPTIMIZERS["Optimizer"]
STEPS = 30

KINDS = {
    "weights": {},
    "shared weights": {"weight_sharing": "projection"},
    "gains": {"init": "edge_weight", "gain": "synapse"},
    "shared gains": {"init": "edge_weight", "gain": "projection"},
}


def test_the_table_holds_all_optimizers():
    assert {"SGD", "Adam", "LBFGS", "Muon", "SparseAdam", "Rprop"} <= OPTIMIZERS.keys()
    assert len(OPTIMIZERS) >= 15


@pytest.mark.parametrize("lr", [0.1, 100.0])
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "Muon"])
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_no_step_flips_a_sign_or_stops_a_neuron(populated, options, name, lr):
    torch.manual_seed(0)
    layer = GraphLayer(
        populated, 3, activation="tanh", dale=True, leak="neuron", inject=True, **options
    )
    sign = populated.node_sign[populated.edge_index[0]]
    optimizer = OPTIMIZERS[name](layer.parameters(), lr=lr)
    first = [each.detach().clone() for each in layer.parameters()]
    crossed = False

    def closure():
        optimizer.zero_grad()
        # Random weights keep the gradient from vanishing where states are saturated.
        loss = (layer(torch.randn(4, 40)) * torch.randn(4, 40)).sum()
        loss.backward()
        if name == "SparseAdam":
            for each in layer.parameters():
                each.grad = each.grad.to_sparse()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
        weight, leak = layer.weight_per_synapse(), layer.leak
        assert bool((weight * sign >= 0).all())
        assert bool(((leak > 0) & (leak <= 1)).all())
        crossed |= any(bool((each < 0).any()) for each in layer.parameters())
    moved = [not torch.equal(*pair) for pair in zip(layer.parameters(), first, strict=True)]
    assert all(moved)
    # LBFGS may end its search without a step that is large.
    assert crossed or name in ("LBFGS", "Adafactor"), "no step was large enough to flip a sign"


def test_muon_is_for_matrices_and_says_so(populated):
    with pytest.raises(ValueError, match="2D parameters"):
        torch.optim.Muon(GraphLayer(populated, dale=True).parameters())
