"""Checks of rules, topologies and data sets of your own, for the tests of other packages.

A function returns nothing if everything holds. Otherwise it raises an AssertionError that names the
requirement, or the error of the code that it tests.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain.experiments.fingerprint import checksum_of_connectome
from sparsebrain.experiments.samples import images_of
from sparsebrain.learning import Rule
from sparsebrain.nn.graph_layer import GraphLayer

__all__ = ["check_dataset", "check_rule", "check_topology"]

_FEATURES, _CLASSES, _SAMPLES = 6, 3, 12


def check_rule(rule: type[Rule], *, connectome: Data | None = None, **options: Any) -> None:
    """Check that a rule keeps the contract of :class:`~sparsebrain.learning.Rule`.

    On a model that ``rule.build`` makes around a connectome, or without one if the rule refuses
    every connectome:

    - ``rule(x, y)`` returns one finite number without a gradient, and adds to ``.grad`` of at least
      one parameter; a second call adds to the first;
    - gradients have the shape of their parameter, so that no synapse is added, and are finite;
    - parameters do not change before ``optimizer.step()``, and some change in it;
    - a step with ``dale=True`` flips no sign of a synapse;
    - ``rule.predict(x)`` returns [B, classes], and in evaluation mode the same for each sample
      alone;
    - the same seed gives the same gradients;
    - the rule survives ``copy.deepcopy`` and ``state_dict``.

    Args:
        rule: The class.
        connectome: The connectome; a symmetric small world of 12 neurons by default.
        **options: Further arguments of ``rule``.

    Raises:
        AssertionError: The rule breaks the contract.

    Example:
        >>> from sparsebrain.learning import FeedbackAlignment
        >>> from sparsebrain.testing import check_rule
        >>> check_rule(FeedbackAlignment)
    """
    _require(isinstance(rule, type) and issubclass(rule, Rule), "the rule is a subclass of Rule")
    data = graphs.symmetrize(graphs.small_world(12, 4, 0.2, seed=0))
    data = data if connectome is None else connectome
    x, y = _samples()
    made, again = (_make(rule, data, options) for _ in range(2))
    _check_step(made, x, y)
    _step(again, x, y)
    same = all(
        torch.equal(one.grad, other.grad)
        for one, other in zip(_taught(made), _taught(again), strict=True)
    )
    _require(same, "the same seed gives the same gradients")
    _check_optimizer(made, x, y)
    _check_predict(made, x)
    _check_signs(rule, data, options)
    copied = copy.deepcopy(made)
    copied.load_state_dict(made.state_dict())
    _require(
        torch.equal(copied.predict(x), made.predict(x)), "a copy of the rule predicts the same"
    )


def _samples() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(_SAMPLES, _FEATURES, generator=draw), torch.arange(_SAMPLES) % _CLASSES


def _make(rule: type[Rule], data: Data, options: dict[str, Any]) -> Rule:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            model = rule.build(data, _FEATURES, _CLASSES, loops=2)
            return rule(model, **options)
        except ValueError:
            # For example, a rule for layered models.
            torch.manual_seed(0)
            return rule(rule.build(None, _FEATURES, _CLASSES), **options)


def _taught(rule: Rule) -> list[Any]:
    return [each for each in rule.parameters() if each.grad is not None]


def _step(rule: Rule, x: Tensor, y: Tensor) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return rule(x, y)


def _check_step(rule: Rule, x: Tensor, y: Tensor) -> None:
    before = [each.detach().clone() for each in rule.parameters()]
    loss = _step(rule, x, y)
    good = bool(loss.isfinite()) and not loss.requires_grad
    _require(good, "the loss is finite, without a gradient")
    taught = _taught(rule)
    _require(bool(taught), "rule(x, y) fills .grad of at least one parameter")
    for each in taught:
        _require(each.grad.shape == each.shape, "a gradient has the shape of its parameter")
        _require(bool(each.grad.isfinite().all()), "gradients are finite")
    _require(
        all(map(torch.equal, before, rule.parameters())), "rule(x, y) does not change parameters"
    )


def _check_optimizer(rule: Rule, x: Tensor, y: Tensor) -> None:
    first = [each.grad.clone() for each in _taught(rule)]
    rule(x, y)
    added = any(
        not torch.equal(grad, each.grad)
        for grad, each in zip(first, _taught(rule), strict=True)
        if bool(grad.any())
    )
    _require(added or not any(bool(grad.any()) for grad in first), "a second call adds to .grad")
    layers = [each for each in rule.modules() if isinstance(each, GraphLayer)]
    synapses = [layer.edge_index.clone() for layer in layers]
    before = [each.detach().clone() for each in rule.parameters()]
    optimizer = rule.make_optimizer()
    optimizer.zero_grad()
    rule(x, y)
    optimizer.step()
    changed = any(not torch.equal(*pair) for pair in zip(before, rule.parameters(), strict=True))
    _require(changed, "a step of the optimizer changes a parameter")
    after = [layer.edge_index for layer in layers]
    kept = all(map(torch.equal, synapses, after))
    _require(kept, "a step keeps the synapses")


def _check_predict(rule: Rule, x: Tensor) -> None:
    rule.eval()
    with torch.no_grad():
        scores = rule.predict(x)
        alone = torch.cat([rule.predict(each[None]) for each in x])
    _require(scores.shape == (len(x), _CLASSES), "predict(x) returns scores [B, classes]")
    near = torch.allclose(scores, alone, rtol=1e-3, atol=1e-4)
    _require(near, "in evaluation mode, the scores of a sample do not depend on others")
    rule.train()


def _check_signs(rule: type[Rule], data: Data, options: dict[str, Any]) -> None:
    """Check that a large step flips no sign of a layer with Dale's law."""
    signed = data.clone()
    signed.edge_sign = torch.where(signed.edge_index[0] % 2 == 0, 1.0, -1.0)
    neurons = int(signed.num_nodes)
    layer = GraphLayer(signed, loops=2, dale=True)
    model = nn.Sequential(nn.Linear(_FEATURES, neurons), layer, nn.Linear(neurons, _CLASSES))
    try:
        made = rule(model, **options)
    except ValueError:
        # The rule has models of its own.
        return
    optimizer = torch.optim.SGD(made.parameters(), lr=10.0)
    made(*_samples())
    optimizer.step()
    kept = bool((layer.weight * signed.edge_sign >= 0).all())
    _require(kept, "a step keeps the signs of a layer with dale=True")


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Give NumPy's global generator a seed for a block."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def check_topology(topology: Callable[..., Data], *, seed: int = 0, **options: Any) -> None:
    """Check that a function returns connectomes that a comparison can use.

    - Every connectome keeps the contract, see :func:`graphs.validate`.
    - The same seed gives the same connectome, with all of its fields.
    - The global random number generators of torch and NumPy are not used.
    - A graph layer can be made of it.

    Args:
        topology: A function with an argument ``seed``, or with none.
        seed: The seed.
        **options: Further arguments.

    Raises:
        AssertionError: The function breaks one of these.
        TypeError: The result is not a ``Data``, or a field has the wrong type.
        ValueError: A field is wrong, see :func:`graphs.validate`.

    Example:
        >>> import graphs
        >>> from sparsebrain.testing import check_topology
        >>> check_topology(graphs.small_world, num_nodes=20, neighbors=4, rewire=0.1)
    """
    seeded = "seed" in inspect.signature(topology).parameters
    given = {**options, **({"seed": seed} if seeded else {})}
    sums = []
    for state in (0, 1):
        with torch.random.fork_rng(devices=[]), _numpy_seeded(state):
            torch.manual_seed(state)
            data = topology(**given)
        sums.append(checksum_of_connectome(graphs.validate(data)))
    _require(
        sums[0] == sums[1],
        "the same seed gives the same connectome, from numpy.random.default_rng(seed) or a "
        "torch.Generator, and not from a global generator",
    )
    if data.num_nodes:
        x = torch.ones(2, int(data.num_nodes))
        _require(GraphLayer(data)(x).shape == x.shape, "a graph layer can be made of it")


def check_dataset(dataset: Any) -> None:
    """Check that a data set, or a function that returns one, can be used by a comparison.

    - Samples and labels fit, see :func:`~sparsebrain.experiments.samples.images_of`.
    - A function returns the same samples each time.
    - Every class occurs among the training samples, and every class of the tests.

    Args:
        dataset: Samples in any form of ``compare(data=...)``, or a function without required
            arguments that returns them.

    Raises:
        AssertionError: The data set breaks one of these.
        TypeError: The samples have a form that comparisons do not know.
        ValueError: Shapes do not fit, values are not finite, or there are too few samples.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sparsebrain.testing import check_dataset
        >>> check_dataset(load_iris(return_X_y=True))
    """
    function = dataset if inspect.isroutine(dataset) else None
    first, second = (images_of(dataset if function is None else function()) for _ in range(2))
    _require(first.checksum == second.checksum, "the function returns the same samples each time")
    known = set(first.train_y.tolist())
    _require(len(known) > 1, "the training samples have at least two classes")
    _require(set(first.test_y.tolist()) <= known, "every class of the tests occurs in the training")


def _require(holds: bool, told: str) -> None:
    if not holds:
        raise AssertionError(f"this does not hold: {told}")
