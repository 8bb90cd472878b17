"""What all learning rules are: modules that teach a model."""

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
from sparsebrain.learning.samples import (
    check_loss,
    check_samples,
    checked_predict,
)
from sparsebrain.models import classifier, perceptron
from sparsebrain.models.labels import check_label_tensor
from sparsebrain.nn.misfits import explain

NO_SWEEPS = "an Equilibrium has no sweeps to count; use loops=8."


class Rule(nn.Module, ABC):
    """A learning rule around the model that it teaches.

    ``rule(x, y)`` runs the model on samples x [B, ...] with labels y [B] int64, adds to ``.grad``
    of every parameter that the rule teaches, as ``backward()`` would, and returns the loss, a
    number without a gradient. ``.grad`` is minus the direction in which the rule moves a parameter,
    so that any optimizer of torch takes the step. ``rule.parameters()`` are those of the model and
    those of the rule itself, such as feedback weights; what is not taught keeps ``.grad`` None.

    ``rule.predict(x)`` gives class scores [B, classes], the highest of which is the answer: not
    every rule predicts by ``model(x)``. It is computed as ``rule.eval()`` or ``rule.train()`` says.

    A rule is made for one model and refuses, with the reason, what it cannot teach. It makes no
    synapse, and flips no sign that a layer keeps (``dale=True``).

    *Several processes* teach one model where each has called :meth:`average_over`: ``rule(x, y)``
    then averages what it adds to ``.grad``, the loss and the buffers that it changes over the
    samples of all, and equal optimizers keep the models equal. Without it a rule refuses to run
    among several processes of torch.distributed, and inside ``DistributedDataParallel`` and
    ``DataParallel``, which would average nothing: backward() is over when they look for it.

    With whole batches of one process this agrees up to rounding wherever the update is a mean over
    samples. It is none, so that results differ, though not between processes, in
    :class:`LocalErrors` with a similarity (of pairs of samples) and :class:`ForwardForward` with
    ``peer`` (of means over a batch), in any model with batch normalisation (of batches), and where
    each process draws for its own samples: dropout, a layer's noise, the wrong labels of
    ForwardForward and the noise of :class:`WeightMirror`. Seed these differently in each process.

    Args:
        model: the model, an attribute of the rule.

    Raises:
        TypeError: no module. ValueError: a model that the rule cannot teach.
    """

    #: Where nothing speaks against it, so that rules can be compared.
    learning_rate: ClassVar[float] = 1e-3

    #: Whether a rule refuses a model whose layers were replaced after the rule was made.
    knows_layers: ClassVar[bool] = True

    #: What ``.grad`` is over the samples of a batch: their "mean" or "sum".
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
            raise ValueError(f"{type(self).__name__} cannot teach this model: {reason}")
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
        """A step: :meth:`forward`, with torch's hooks, averaged over processes if there are any."""
        if type(self).knows_layers and not _same(self._taught, _layers(self.model)):
            raise RuntimeError(
                f"the model has other layers than when the rule was made, and {type(self).__name__}"
                " knows those of then; make a new rule around the model that it is now."
            )
        if not self._averaging.is_needed(self):
            return self._step(x, y, alone=True)
        # Inside, so that a process with wrong samples does not leave the others waiting.
        samples = len(y) if isinstance(y, Tensor) and y.dim() else 0
        with self.together(samples) as told:
            loss = self._step(x, y, alone=False)
            told.append(loss)
        return loss

    def _step(self, x: Tensor, y: Tensor, *, alone: bool) -> Tensor:
        check_label_tensor(y)
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

    @contextmanager
    def checked(self, x: Tensor, y: Tensor | None = None) -> Iterator[None]:
        """Check samples and labels for a block that runs the model on them.

        ``rule(x, y)`` and ``predict`` do so by themselves; other methods of a rule that take
        samples begin with it.

        Args:
            x: The samples.
            y: The labels, if there are any.

        Raises:
            TypeError: ``x`` or ``y`` is not a dense tensor of the expected dtype.
            ValueError: Its shape is wrong or a value is not finite, or the model, in the block,
                cannot take ``x``.
        """
        check_samples(x, any_model=not self.knows_layers)
        if y is not None:
            check_label_tensor(y)
        try:
            yield
        except Exception as error:
            explain(self.model, error)
            raise

    @property
    def process_group(self) -> distributed.ProcessGroup | None:
        """The processes that the rule averages over; None where it does not."""
        return self._averaging.group

    def average_over(self, group: distributed.ProcessGroup | None) -> None:
        """Teach one model together with other processes, or with None a model in each.

        Every process of the group calls it, and all get the parameters and buffers of the first.
        Make the optimizer alike in all. Each gives the rule its own samples, any number, none
        included where the model takes that; a step that fails in one fails in all. A deepcopy and
        what was pickled have no group.

        Args:
            group: ``torch.distributed.group.WORLD``, or some of its processes.

        Raises:
            RuntimeError: torch.distributed is not initialized. TypeError: no group that this
                process is in. ValueError: the rules or their synapses are not alike.
        """
        self._averaging.start(self, group)

    @contextmanager
    def together(self, samples: int) -> Iterator[list[Tensor]]:
        """Average what a block adds to gradients, over the processes of ``average_over``.

        For what fills gradients outside of ``rule(x, y)``, whose own block it is part of otherwise.
        Tensors that are appended to the list it gives are averaged as well.

        Args:
            samples: of how many samples of this process they are.
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
        """Why the rule cannot teach a model, and what to do about it; None where it can."""

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
        """Make a classifier around a connectome, or without one, which this rule can teach.

        The same for all rules, :func:`sparsebrain.models.classifier`, where nothing speaks against
        it, so that rules can be compared; otherwise as the rule's own page says. ``hidden`` is the
        width without a connectome, 4 * in_features by default.

        Raises:
            ValueError: the rule can teach none around this connectome; the error says why.
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
        """Make the optimizer that comparisons use: Adam, with the rule's own rate by default."""
        return torch.optim.Adam(self.parameters(), lr=self._rate(learning_rate))

    def _rate(self, learning_rate: float | None) -> float:
        if learning_rate is None:
            return self.learning_rate
        return arguments.real("learning_rate", learning_rate)

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, return the loss."""

    @checked_predict
    def predict(self, x: Tensor) -> Tensor:
        """Class scores [B, classes] of x [B, ...], in the mode that the rule is in.

        Call ``rule.eval()`` first and ``rule.train()`` before the next step, as with any model:
        while training, batch normalisation takes the statistics of x itself and learns from them,
        and dropout and noise go on.
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
    """The model and all in it that has weights of its own or learns in another way."""
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
