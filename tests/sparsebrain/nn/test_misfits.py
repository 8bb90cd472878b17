"""Errors of torch's modules are told as errors about x, in rules and in diagnostics."""

import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer, diagnostics
from sparsebrain.nn.misfits import check_fit, explain


def model():
    return nn.Sequential(nn.Linear(4, 9), GraphLayer(graphs.grid_local((3, 3), 1), loops=2))


@pytest.mark.parametrize(
    ("x", "kind", "told"),
    [
        (torch.ones(2, 5), ValueError, r"Linear '0' takes \[\.\.\., 4\], got \[2, 5\] of torch\.f"),
        (torch.ones(2, 2, 2), ValueError, r"pass x\.flatten\(1\), or make the model"),
        (torch.ones(2, 4).double(), TypeError, r"pass x\.to\(torch\.float32\), or call model\.to"),
        (torch.ones(2, 4).half(), TypeError, r"pass x\.to\(torch\.float32\)\.$"),
        ([[1.0] * 4], TypeError, r"x must be a float32 or float64 tensor, got list"),
        (torch.ones(2, 4) / 0, ValueError, r"x must be finite, got inf"),
        (torch.ones(2, 4).to_sparse(), TypeError, r"pass x\.to_dense\(\)"),
        ((), ValueError, r"x must hold at least one argument"),
    ],
)
def test_diagnostics_tell_what_x_does_not_fit(x, kind, told):
    for call in (diagnostics.similarity, diagnostics.saturation):
        with pytest.raises(kind, match=told):
            call(model(), x)


def test_a_linear_layer_tells_the_device():
    meta = nn.Linear(4, 3, device="meta")
    with pytest.raises(
        ValueError, match=r"is on meta, got \[2, 4\] .* on cpu; pass x\.to\('meta'\)"
    ):
        check_fit(meta, torch.ones(2, 4), "first")
    check_fit(nn.Linear(4, 3), torch.ones(2, 4))


def test_errors_of_no_module_of_torch_are_left_alone():
    assert explain(model(), ValueError("of another kind")) is None
    assert explain(model(), torch.OutOfMemoryError("full")) is None


def test_hooks_of_a_container_are_not_taken_for_its_forward():
    chain = model()

    def refuse(module, args):
        raise ValueError("x is refused by a hook")

    chain[0].register_forward_pre_hook(refuse)
    with pytest.raises(ValueError, match="^x is refused by a hook$"):
        diagnostics.similarity(chain, torch.ones(2, 4))
