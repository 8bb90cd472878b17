"""The base class of all learning rules: modules that train a model."""

from __future__ import annotations

import math
import operator
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, final

import torch
from torch import Tensor, distributed, nn
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium, check_loops
from sparsebrain.learning.averaging import Averaging
from sparsebrain.learning.credit import Weighted
from sparsebrain.learning.losses import is_of_targets
from sparsebrain.learning.samples import (
    check_loss,
    check_samples,
    checked_predict,
)
from sparsebrain.models import classifier, perceptron
from sparsebrain.models.labels import check_label_tensor, check_target_tensor
from sparsebrain.nn.misfits import explain

NO_SWEEPS = "an Equilibrium has no sweeps to count; use loops=8."


class Rule(nn.Module, ABC):
    """A learning rule around the model that it trains.

    ``rule(x, y)`` runs the model on samples x [B, ...] with labels y [B] int64 and returns the
    loss, a number without a gradient. It adds to ``.grad`` of every parameter that the rule
    trains, as ``backward()`` does; other parameters keep ``.grad`` None. ``.grad`` is minus the
    direction in which the rule moves a parameter, so that any torch optimizer can take the step.
    Make the optimizer over ``rule.parameters()``: these are the parameters of the model and those
    of the rule itself, such as feedback weights.

    Rules made with ``loss="mse"`` learn targets y [B, outputs] of a regression instead of labels,
    and ``rule.predict(x)`` returns outputs [B, outputs]. Rules without this loss refuse targets.

    ``rule.predict(x)`` returns class scores [B, classes], of which the highest is the answer; not
    every rule predicts with ``model(x)``. It runs in the mode set by ``rule.eval()`` or
    ``rule.train()``.

    A rule of your own defines :meth:`forward` and :meth:`refusal`. ``RULES["name"] = MyRule`` makes
    it known to comparisons.

    A rule is made for one model and refuses, with the reason, what it cannot train. It adds no
    synapse, and flips no sign that a layer keeps (``dale=True``). Samples are real numbers; only
    rules that train any model (:class:`Backprop`) leave their type to the model.

    *Several processes* train one model after each has called :meth:`average_over`. ``rule(x, y)``
    then averages its contribution to ``.grad``, the loss and changed buffers over the samples of
    all processes, and equal optimizers keep the models equal. Without that call, a rule refuses to
    run in several processes of torch.distributed. It always refuses to run inside
    ``DistributedDataParallel`` and ``DataParallel``, which would average nothing, because gradients
    are complete before these wrappers access them.

    The result agrees up to rounding with one process and whole batches, wherever the update is a
    mean over samples. It differs from one process, though not between processes, where the update
    is not such a mean: in :class:`LocalErrors` with a similarity (of pairs of samples), in
    :class:`ForwardForward` with ``peer`` (of batch means), and in models with batch normalization.
    It also differs where each process draws random numbers for its own samples: dropout, the noise
    of a layer, the wrong labels of ForwardForward and the noise of :class:`WeightMirror`. Seed
    these differently in each process.

    Args:
        model: The model; an attribute of the rule.

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: The rule cannot train the model.
    """

    #: The default of ``make_optimizer``; the same for most rules, so that they can be compared.
    learning_rate: ClassVar[float] = 1e-3

    #: Whether a rule refuses a model whose layers were replaced after the rule was made.
    knows_layers: ClassVar[bool] = True

    #: Whether the rule trains symmetric connectomes only, see :func:`graphs.symmetrize`.
    needs_symmetric: ClassVar[bool] = False

    #: Whether comparisons may build its model with an Equilibrium instead of a number of loops.
    takes_equilibrium: ClassVar[bool] = False

    #: Why the rule learns labels of classes alone, for rules without a loss of targets.
    needs_labels: ClassVar[str] = "its loss is one of classes"

    #: Whether ``.grad`` is the "mean" or the "sum" over the samples of a batch.
    reduction: str = "mean"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"model must be a torch.nn.Module, got {type(model).__name__}; make one with "
                "sparsebrain.models.classifier(connectome, num_classes=10)."
            )
        reason = self.refusal(model)
        if reason is not None:
            raise ValueError(f"{type(self).__name__} cannot train this model: {reason}")
        self.model = model
        self._averaging = Averaging()
        self._taught = _layers(model)
        self._own = _OwnParameters()

    def __init_subclass__(cls, **options: Any) -> None:
        """Add the shared checks to the ``predict`` of every rule."""
        super().__init_subclass__(**options)
        if "predict" in cls.__dict__:
            cls.predict = checked_predict(cls.__dict__["predict"])  # type: ignore[method-assign]

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Make a step: checks and :meth:`forward`, averaged over processes if there are any."""
        if type(self).knows_layers and not _same(self._taught, _layers(self.model)):
            raise RuntimeError(
                "the model has other layers than when the rule was made, and "
                f"{type(self).__name__} knows only those; make a new rule around the model."
            )
        if not self._averaging.is_needed(self):
            return self._step(x, y, alone=True)
        # The checks run inside, so that a process with wrong samples does not block the others.
        samples = len(y) if isinstance(y, Tensor) and y.dim() else 0
        with self.together(samples) as told:
            loss = self._step(x, y, alone=False)
            told.append(loss)
        return loss

    def _step(self, x: Tensor, y: Tensor, *, alone: bool) -> Tensor:
        self._check_wanted(y)
        with self.checked(x):
            if alone and not len(y):
                raise ValueError(
                    "y must hold at least one label, got an empty batch; pass batches of "
                    "at least one sample."
                )
            self._own.compare(self)
            loss = super().__call__(x, y)
        self._own.remember(self)
        return check_loss(self, loss)

    def _check_wanted(self, y: Any) -> None:
        """Check labels [B], or the targets [B, outputs] of a rule with such a loss."""
        loss = getattr(self, "loss", None)
        if is_of_targets(loss):
            check_target_tensor(y)
            return
        try:
            check_label_tensor(y)
        except TypeError as error:
            if not isinstance(y, Tensor) or not y.is_floating_point():
                raise
            name = type(self).__name__
            also = f"{name} cannot learn targets, because {self.needs_labels}"
            also = f"for targets, make {name} with loss='mse'" if callable(loss) else also
            raise TypeError(f"{error}; {also}") from None

    @contextmanager
    def checked(self, x: Tensor, y: Tensor | None = None) -> Iterator[None]:
        """Check samples and labels for a block that runs the model on them.

        ``rule(x, y)`` and ``predict`` do so by themselves; other methods of a rule that take
        samples begin with it.

        Args:
            x: The samples.
            y: The labels or targets, if there are any.

        Raises:
            TypeError: ``x`` or ``y`` is not a dense tensor of the expected dtype.
            ValueError: Its shape is wrong or a value is not finite, or the model, in the block,
                cannot take ``x``.
        """
        check_samples(x, any_model=not self.knows_layers)
        if y is not None:
            self._check_wanted(y)
        try:
            yield
        except Exception as error:
            explain(self.model, error)
            raise

    @property
    def process_group(self) -> distributed.ProcessGroup | None:
        """The processes that the rule averages over, or None."""
        return self._averaging.group

    def average_over(self, group: distributed.ProcessGroup | None) -> None:
        """Train one model together with other processes, or with None one model in each process.

        Every process of the group calls this method, and all receive the parameters and buffers of
        the first. Make the same optimizer in each. Each process passes its own samples to the rule,
        in any number, including none if the model accepts an empty batch. A step that fails in one
        process fails in all. Copies and pickled rules have no group.

        Args:
            group: ``torch.distributed.group.WORLD``, or a group of some of its processes.

        Raises:
            RuntimeError: torch.distributed is not initialized.
            TypeError: ``group`` is not a process group that this process belongs to.
            ValueError: The rules or their synapses differ between processes.
        """
        self._averaging.start(self, group)

    @contextmanager
    def together(self, samples: int) -> Iterator[list[Tensor]]:
        """Average the gradients that a block adds, over the processes of ``average_over``.

        Use it for code that fills gradients outside of ``rule(x, y)``, which contains such a block
        itself.

        Args:
            samples: The number of samples of this process that the gradients are computed from.

        Yields:
            A list. Tensors appended to it are averaged as well.
        """
        with self._averaging.together(self, samples, self.reduction) as told:
            yield told

    def _replicate_for_data_parallel(self) -> nn.Module:
        raise RuntimeError(
            f"{type(self).__name__} cannot run in torch.nn.DataParallel, whose replicas add up "
            "what each learns; start a process for each device, and call rule.average_over(group)."
        )

    @classmethod
    @abstractmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the rule cannot train a model and what to do about it, or None if it can."""

    @final
    @classmethod
    def build(
        cls,
        connectome: Data | None,
        in_features: int,
        num_classes: int,
        *,
        loops: int | Equilibrium = 5,
        hidden: int | None = None,
    ) -> nn.Module:
        """Make a classifier that this rule can train, around a connectome or without one.

        Where possible the model is :func:`sparsebrain.models.classifier` for all rules, so that
        they can be compared; the other rules document their own models.

        Args:
            connectome: The connectome; None for a model without a graph.
            in_features: The number of features of a sample.
            num_classes: The number of classes.
            loops: The number of loops along the connectome.
            hidden: The number of hidden neurons of a model without a connectome; 4 * in_features by
                default.

        Returns:
            The model.

        Raises:
            TypeError: An argument has a wrong type.
            ValueError: A number is out of range, the model does not fit into memory, or the rule
                cannot train a model around this connectome.
        """
        in_features = arguments.count("in_features", in_features, at_least=1)
        num_classes = arguments.count("num_classes", num_classes, at_least=1)
        loops = check_loops(loops)
        width = 4 * in_features if hidden is None else hidden
        width = arguments.count("hidden", width, at_least=1, at_most=math.inf)
        if connectome is None:
            check_room(in_features, width, num_classes)
            return cls._layered(in_features, width, num_classes)
        if not isinstance(connectome, Data):
            raise TypeError(
                "connectome must be a torch_geometric.data.Data or None, got "
                f"{arguments.described(connectome)}; pass a connectome, such as "
                "graphs.small_world(100, 10, 0.1, seed=0)."
            )
        return cls._around(connectome, in_features, num_classes, loops)

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        return perceptron(in_features, hidden, num_classes)

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        return classifier(connectome, num_classes, loops=loops, in_features=in_features)

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer used in comparisons: Adam.

        Args:
            learning_rate: The learning rate; that of the rule by default.

        Returns:
            The optimizer over ``rule.parameters()``.

        Raises:
            TypeError: ``learning_rate`` is not a number.
            ValueError: ``learning_rate`` is negative or not finite.
        """
        return torch.optim.Adam(self.parameters(), lr=self._rate(learning_rate))

    def _rate(self, learning_rate: float | None) -> float:
        if learning_rate is None:
            return self.learning_rate
        return arguments.real("learning_rate", learning_rate)

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, and return the loss."""

    @checked_predict
    def predict(self, x: Tensor) -> Tensor:
        """Return the class scores [B, classes] of x [B, ...], in the current mode.

        Call ``rule.eval()`` first, and ``rule.train()`` before the next step, as with any model. In
        training mode, batch normalization uses and updates the statistics of x, and dropout and
        noise are active.
        """
        return self.model(x)


def check_room(in_features: int, hidden: int, num_classes: int) -> None:
    """Check that the weights of a model, with ``hidden`` neurons in its middle, fit into memory.

    Raises:
        ValueError: They do not.
    """
    tensors.room(
        f"a model with in_features={in_features}, hidden={hidden} and num_classes={num_classes}",
        torch.get_default_dtype().itemsize * hidden * (in_features + num_classes),
        "pass smaller numbers",
    )


def _layers(model: nn.Module) -> list[nn.Module]:
    """Return the model and all its modules that have parameters or learn in another way."""
    return [
        each
        for each in model.modules()
        if each is model
        or isinstance(each, Weighted)
        or next(each.parameters(False), None) is not None
    ]


def _same(first: list[nn.Module], second: list[nn.Module]) -> bool:
    return len(first) == len(second) and all(map(operator.is_, first, second))


class _OwnParameters:
    """The parameters of a rule besides those of its model, and whether an optimizer has them."""

    def __init__(self) -> None:
        self.parameters: list[Tensor] | None = None
        self.before: list[tuple[Tensor, int]] = []
        self.of_model: list[tuple[Tensor, int]] = []

    def __reduce__(self) -> tuple[type[_OwnParameters], tuple[()]]:
        # Versions count the changes of one object, and a copy starts anew.
        return _OwnParameters, ()

    def remember(self, rule: Rule) -> None:
        """Note the versions of all parameters that have a gradient after a step."""
        if self.parameters is None:
            own = (each for each in rule.children() if each is not rule.model)
            self.parameters = [parameter for each in own for parameter in each.parameters()]
        if self.parameters:
            self.before = _versions(self.parameters)
            self.of_model = _versions(rule.model.parameters()) if self.before else []

    def compare(self, rule: Rule) -> None:
        """Warn once if an optimizer has changed the model, and nothing of the rule."""
        if not self.before or _changed(self.before) or not _changed(self.of_model):
            return
        self.parameters, self.before = [], []
        warnings.warn(
            f"the optimizer changes parameters of the model, but not those of {type(rule).__name__}"
            " itself, which learn as well; make it over rule.parameters(), or by "
            "rule.make_optimizer().",
            stacklevel=4,
        )


def _versions(parameters: Iterable[Tensor]) -> list[tuple[Tensor, int]]:
    return [(each, each._version) for each in parameters if each.grad is not None]


def _changed(versions: list[tuple[Tensor, int]]) -> bool:
    return any(each._version != before for each, before in versions)
