"""Segments of a checkpointed loop that a kernel computes again, against loops that keep all."""

import pytest
import torch

from sparsebrain.kernels import Structure, loop
from sparsebrain.kernels.noise import CounterNoise

LOOPS = {
    "bare": {},
    "tanh and bias": {"activation": "tanh", "bias": True},
    "driven": {"activation": "relu", "drive": True},
    "leak": {"activation": "sigmoid", "leak": True, "drive": True, "bias": True},
    "of the argument": {"activation": "gelu", "drive": True},
    "voltage": {"activation": "tanh", "form": "voltage", "drive": True},
    "leaky voltage": {"activation": "softplus", "form": "voltage", "leak": True, "bias": True},
    "noise": {"activation": "tanh", "noise": True, "drive": True},
    "noisy voltage": {"activation": "silu", "form": "voltage", "noise": True, "leak": True},
    "every state": {"activation": "tanh", "keep": True, "drive": True},
}


def check(structure, batch, loops, *, keep=False, transposed=False, **options):
    torch.manual_seed(0)
    nodes = structure.num_nodes
    leaves = {"weight": torch.randn(structure.num_edges), "state": torch.randn(nodes, batch)}
    sizes = {"drive": (nodes, batch), "bias": (nodes,), "leak": (nodes,)}
    for name, size in sizes.items():
        if options.pop(name, False):
            leaves[name] = torch.rand(size)
    leaves = {name: each.double().requires_grad_() for name, each in leaves.items()}
    if options.pop("noise", False):
        options["noise"] = CounterNoise(torch.tensor(7), 0.1)
    given = dict(leaves)
    if transposed:
        given["state"] = given["state"].t().contiguous().t()
    results = []
    for checkpoint in (False, True):
        states = loop(
            structure,
            *(given[name] for name in ("weight", "state")),
            loops=loops,
            keep=keep,
            checkpoint=checkpoint,
            **{name: each for name, each in given.items() if name not in ("weight", "state")},
            **options,
        )
        total = sum((number + 1) * each.sin().sum() for number, each in enumerate(states))
        results.append((states, torch.autograd.grad(total, list(leaves.values()))))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("options", LOOPS.values(), ids=LOOPS)
def test_gradients_are_those_of_loops_that_keep_every_state(small, options):
    check(small, 5, 7, **options)


@pytest.mark.parametrize("loops", [1, 2, 3, 4, 9, 10])
def test_every_number_of_loops(small, loops):
    check(small, 3, loops, activation="tanh", drive=True)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 2, 7, 33, 130])
def test_every_batch(small, batch, transposed):
    check(small, batch, 5, activation="tanh", drive=True, transposed=transposed)


def test_on_every_graph(structure):
    check(structure, 3, 5, activation="tanh", bias=True)


@pytest.mark.parametrize("neurons", [50, 9000])
def test_on_several_threads(neurons):
    """Each with tiles of its own, or all with rows of one tile that outgrows the cache."""
    structure = Structure(torch.randint(0, neurons, (2, 2 * neurons)), neurons)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        batch = 130 if neurons == 50 else 16
        check(structure, batch, 5, activation="tanh", leak=True, drive=True, bias=True)
    finally:
        torch.set_num_threads(before)
