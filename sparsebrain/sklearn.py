"""A classifier with the interface of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain.experiments.lattices import lattice
from sparsebrain.experiments.topology import budget, build, parse
from sparsebrain.learning import RULES, Rule

__all__ = ["GraphClassifier"]

Wiring: TypeAlias = Data | Callable[[int], Data] | str | None


class GraphClassifier(ClassifierMixin, BaseEstimator):
    """A classifier around a connectome, trained by any rule, as an estimator of scikit-learn.

    It works wherever scikit-learn takes an estimator, such as in ``GridSearchCV`` and pipelines.
    The model is that of ``RULES[rule].build``, the optimizer is ``rule.make_optimizer()``. Features
    should have similar scales; put ``StandardScaler()`` before the classifier.

    Args:
        topology: The connectome: a ``Data``, a function from a seed to a ``Data``, the text of a
            topology as in ``sparsebrain compare --topology``, or None for a model without a graph.
        rule: The name of the learning rule, a key of ``RULES``, or the class of a rule.
        neurons: The number of neurons if the topology does not state it; without a graph the number
            of hidden units.
        loops: The number of loops along the connectome.
        epochs: The number of passes over the samples.
        batch_size: The number of samples of a step.
        learning_rate: The learning rate; that of the rule if None.
        random_state: The seed of connectome, weights, rule and order of samples: an int, a
            ``numpy.random.RandomState``, or None for another one in every fit.

    Attributes:
        classes_: The class labels [K].
        n_features_in_: The number of features.
        connectome_: The connectome as a ``Data``, or None.
        rule_: The trained rule; ``rule_.model`` is the trained module.
        loss_curve_: The mean loss of every epoch.

    Note:
        ``fit`` raises ValueError if a parameter or the samples cannot be used, or if the training
        diverges. Torch's own generator is left as it was.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sparsebrain.sklearn import GraphClassifier
        >>> x, y = load_iris(return_X_y=True)
        >>> classifier = GraphClassifier("small-world", epochs=20, random_state=0)
        >>> classifier.fit(x, y).score(x, y) > 0.9
        True
    """

    def __init__(
        self,
        topology: Wiring = "small-world",
        *,
        rule: str | type[Rule] = "backprop",
        neurons: int = 100,
        loops: int = 5,
        epochs: int = 50,
        batch_size: int = 32,
        learning_rate: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.topology = topology
        self.rule = rule
        self.neurons = neurons
        self.loops = loops
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> GraphClassifier:
        """Train a new model.

        Args:
            X: Samples [n, features], real numbers.
            y: Labels [n] of any type.

        Returns:
            The classifier.
        """
        epochs = arguments.count("epochs", self.epochs, at_least=1)
        batch_size = arguments.count("batch_size", self.batch_size, at_least=2)
        X, y = validate_data(self, X, y, dtype=np.float32, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have at least two classes, got one class, {self.classes_[0]!r}; pass "
                "samples of another class as well."
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.connectome_ = self._wire(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.rule_ = self._make_rule()
            self.loss_curve_ = self._train(
                torch.from_numpy(X), torch.from_numpy(labels.astype(np.int64)), epochs, batch_size
            )
        self.rule_.eval()
        return self

    def predict(self, X: Any) -> Any:
        """Return the predicted labels [n] of samples [n, features]."""
        chosen = self._scores(X).argmax(1).numpy()
        return self.classes_[chosen]

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities [n, K] of the classes: the softmax of the rule's class scores.

        They are calibrated only as far as the rule's loss makes them so.
        """
        return self._scores(X).double().softmax(1).numpy()

    @torch.no_grad()
    def _scores(self, X: Any) -> Tensor:
        check_is_fitted(self, "rule_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        x = torch.from_numpy(np.ascontiguousarray(X))
        return torch.cat([self.rule_.predict(part) for part in x.split(1024)])

    def _wire(self, seed: int) -> Data | None:
        neurons = arguments.count("neurons", self.neurons, at_least=1)
        if self.topology is None or isinstance(self.topology, Data):
            return self.topology
        if isinstance(self.topology, str):
            parsed, sheet = parse(self.topology), lattice(neurons, ())
            synapses = budget([parsed], sheet).num_edges
            return build(parsed, sheet, num_edges=synapses, num_nodes=neurons, seed=seed)
        if callable(self.topology):
            made = self.topology(seed)
            if isinstance(made, Data):
                return made
            raise TypeError(
                f"topology must return a Data for a seed, got {arguments.described(made)}; pass "
                "topology=lambda seed: graphs.small_world(100, 10, 0.1, seed=seed)."
            )
        raise TypeError(
            "topology must be a Data, a function, the text of a topology or None, got "
            f"{arguments.described(self.topology)}; pass topology='small-world'."
        )

    def _make_rule(self) -> Rule:
        kind = self.rule
        if isinstance(kind, str):
            kind = RULES[arguments.option("rule", kind, tuple(RULES))]
        if not (isinstance(kind, type) and issubclass(kind, Rule)):
            raise TypeError(
                "rule must be the name or the class of a learning rule, got "
                f"{arguments.described(kind)}; pass rule='backprop'."
            )
        model = kind.build(
            self.connectome_,
            self.n_features_in_,
            len(self.classes_),
            loops=self.loops,
            hidden=arguments.count("neurons", self.neurons, at_least=1),
        )
        return kind(model)

    def _train(self, x: Tensor, y: Tensor, epochs: int, batch_size: int) -> list[float]:
        optimizer = self.rule_.make_optimizer(self.learning_rate)
        losses = []
        for _ in range(epochs):
            order, total = torch.randperm(len(x)), 0.0
            # Batch normalization needs two samples, so that a last one joins the batch before it.
            parts = list(order.split(batch_size))
            if len(parts[-1]) == 1 and len(parts) > 1:
                parts[-2:] = [torch.cat(parts[-2:])]
            for chosen in parts:
                optimizer.zero_grad()
                loss = float(self.rule_(x[chosen], y[chosen]))
                optimizer.step()
                total += loss * len(chosen)
            losses.append(total / len(x))
            if not (np.isfinite(losses[-1]) and all(map(_is_finite, self.rule_.parameters()))):
                raise ValueError(
                    f"the training diverged in epoch {len(losses)}; pass a smaller learning_rate, "
                    "or scale the features with StandardScaler()."
                )
        return losses


def _is_finite(parameter: Tensor) -> bool:
    return bool(parameter.isfinite().all())
