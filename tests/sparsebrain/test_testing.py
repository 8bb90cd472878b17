"""The checks that other packages import for tests of their own."""

import numpy as np
import pytest
import torch

import graphs
from sparsebrain.learning import RULES, Backprop
from sparsebrain.testing import check_dataset, check_rule, check_topology


@pytest.mark.parametrize("name", RULES)
def test_every_rule_passes(name):
    check_rule(RULES[name])


class Wrong(Backprop):
    """A rule with one fault."""

    fault = ""

    def forward(self, x, y):
        loss = super().forward(x, y)
        for parameter in self.parameters():
            if self.fault == "none":
                parameter.grad = None
            elif self.fault == "nan":
                parameter.grad *= np.nan
            elif self.fault == "moves":
                parameter.data.add_(1)
            elif self.fault == "random":
                parameter.grad += torch.randn(parameter.shape, generator=GENERATOR)
        return loss

    def predict(self, x):
        return {"batch": lambda: self.model(x) - self.model(x).mean(0), "wide": lambda: x}.get(
            self.fault, lambda: self.model(x)
        )()


GENERATOR = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("none", r"fills \.grad of at least one"),
        ("nan", "gradients are finite"),
        ("moves", "does not change parameters"),
        ("random", "the same seed gives the same gradients"),
        ("batch", "do not depend on others"),
        ("wide", r"returns scores \[B, classes\]"),
    ],
)
def test_a_rule_with_a_fault_fails(fault, told):
    with pytest.raises(AssertionError, match=told):
        check_rule(type("Mine", (Wrong,), {"fault": fault}))


def test_what_is_no_rule_fails():
    with pytest.raises(AssertionError, match="a subclass of Rule"):
        check_rule(dict)


def test_topologies():
    check_topology(graphs.small_world, num_nodes=20, neighbors=4, rewire=0.1)
    check_topology(lambda: graphs.grid_local((3, 3), 1))
    with pytest.raises(AssertionError, match="the same seed gives the same connectome"):
        check_topology(lambda seed: graphs.small_world(20, 4, 0.5, seed=int(torch.randint(99, ()))))
    with pytest.raises(AssertionError, match="the same seed gives the same connectome"):
        check_topology(
            lambda: graphs.small_world(20, 4, 0.5, seed=np.random.randint(99))  # noqa: NPY002
        )
    with pytest.raises(TypeError, match="expected a torch_geometric.data.Data"):
        check_topology(lambda: 3)


def test_datasets():
    x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    check_dataset((x, y))
    check_dataset(lambda: (x, y))
    numbers = iter(range(9))
    with pytest.raises(AssertionError, match="the same samples each time"):
        check_dataset(lambda: (x + next(numbers), y))
    with pytest.raises(AssertionError, match="every class of the tests"):
        check_dataset(((x, y), (x, y + 1)))
    with pytest.raises(ValueError, match="x must hold real numbers"):
        check_dataset((x * np.nan, y))
