"""Equilibrium propagation: the gradient as the difference of two equilibria."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain import kernels
from sparsebrain.equilibrium import Equilibrium, NonConvergenceWarning, Report, Reports
from sparsebrain.learning.blocks import refuse_unordered, split, through
from sparsebrain.learning.losses import check_fit, find_loss
from sparsebrain.learning.rule import Rule, check_room
from sparsebrain.learning.samples import check_generator
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.recurrence import Recurrence, run

NUDGES = ("centered", "one-sided", "random-sign")

# The residual is divided by beta, and so is the rounding error of a state.
_TOL_SHARE = 1 / 500
_ROUNDING_SHARE = 2**13

_NARROW = "the rule learns from small differences of states; call model.float() or model.double()."


class EquilibriumPropagation(Rule):
    r"""Equilibrium propagation: the gradient as the difference of two equilibria.

    A GraphLayer with symmetric weights and constant input d settles to z = f(W z + b + d), a
    stationary point of an energy E. In a second phase the loss C, a function of z, adds a small
    force -beta dC/dz to the input of every neuron, and the layer settles again from z:

    .. math::
        z_\beta = f\left(W z_\beta + b + d - \beta \, \partial C / \partial z\right), \qquad
        \frac{\partial C}{\partial \theta} = \lim_{\beta \to 0} \frac{1}{\beta} \left(
        \frac{\partial E}{\partial \theta}(z_\beta) - \frac{\partial E}{\partial \theta}(z_0)
        \right)

    The gradient of the weight of a pair is minus the difference of the products :math:`z_i z_j`
    between the two phases, divided by beta, so that a synapse needs only the activities at its two
    ends. The gradient of b and d is minus :math:`\Delta = (z_\beta - z_0) / \beta`. With both signs
    of beta, :math:`\Delta = (z_\beta - z_{-\beta}) / 2 \beta`. The error relative to the implicit
    gradient at the equilibrium is O(beta), or O(beta^2) with both signs.

    The model is an nn.Sequential with one GraphLayer whose loops are an
    :class:`~sparsebrain.Equilibrium` and whose weights are symmetric, ``weight_sharing="pair"`` or
    ``gain="pair"``. Modules before it run once per step and learn from the gradient of d by
    autograd; with one nn.Linear, no error passes through other weights. Modules after it belong to
    C and learn from its gradient at the nudged states; batch normalization and dropout are refused
    there, because the loss of a sample must be the same function of its state in all phases. A leak
    damps the loops and does not change the equilibrium.

    :meth:`build` makes Linear - BatchNorm - GraphLayer - Linear, with tanh in the loops. It
    replaces a number of loops by ``Equilibrium(tol=1e-6, constraint="norm")``, which guarantees a
    unique equilibrium of the free phase. Without a connectome the neurons have no synapses.

    Args:
        model: The model, as described above.
        beta: The nudge, above 0 and at most 1. The residual ``tol`` of the Equilibrium must be at
            most beta / 500. In float32 at least 0.001.
        nudge: "centered" for both signs of beta, "one-sided" for +beta, or "random-sign" for one of
            the two, drawn for every step.
        loss: C, "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        generator: The source of random signs; torch's default generator if None.

    Attributes:
        reports: How the nudged phases of the last step converged, one
            :class:`~sparsebrain.equilibrium.Report` each; ``layer.report`` is that of the free
            phase.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or an argument has a wrong value.

    Sources: Scellier and Bengio, "Equilibrium propagation: bridging the gap between energy-based
    models and backpropagation", Frontiers in Computational Neuroscience 11 (2017) 24; both signs of
    beta: Laborieux et al., "Scaling equilibrium propagation to deep convnets by drastically
    reducing its gradient estimator bias", Frontiers in Neuroscience 15 (2021) 633674.

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.learning import EquilibriumPropagation
        >>> _ = torch.manual_seed(0)
        >>> model = EquilibriumPropagation.build(graphs.grid_local((3, 3), 1), 4, 3).double()
        >>> rule = EquilibriumPropagation(model, beta=0.01)
        >>> x, y = torch.rand(5, 4).double(), torch.tensor([0, 1, 2, 0, 1])
        >>> loss = rule(x, y)
        >>> (exact,) = torch.autograd.grad(
        ...     torch.nn.functional.cross_entropy(model(x), y), model.decode.weight
        ... )
        >>> bool(torch.allclose(model.decode.weight.grad, exact, atol=1e-4))
        True
    """

    needs_symmetric = True
    takes_equilibrium = True

    learning_rate = 3e-3

    def __init__(
        self,
        model: nn.Module,
        *,
        beta: float = 0.05,
        nudge: str = "centered",
        loss: str = "cross-entropy",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model)
        self.beta = arguments.real("beta", beta, positive=True, at_most=1.0)
        self.nudge = arguments.option("nudge", nudge, NUDGES)
        self.loss = find_loss(loss)
        self.generator = check_generator(generator, model)
        self._parts = _split(model)
        self.reports: tuple[Report, ...] = ()
        self._warned = False
        self._check_precision()

    @property
    def layer(self) -> GraphLayer:
        """The GraphLayer of the model."""
        return self._parts.layer

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the model is refused: no energy, or no equilibrium of single samples."""
        return (
            refuse_unordered(model)
            or _refuse_layer(model)
            or next(filter(None, map(_refuse_after, _split(model).after)), None)
        )

    @classmethod
    def _layered(cls, in_features: int, hidden: int, num_classes: int) -> nn.Module:
        alone = Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=hidden)
        return cls._around(alone, in_features, num_classes, 1)

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        if isinstance(loops, int):
            loops = Equilibrium(tol=1e-6, constraint="norm")
        graph = GraphLayer(connectome, loops, activation="tanh", weight_sharing="pair")
        check_room(in_features, graph.num_nodes, num_classes)
        return nn.Sequential(
            OrderedDict(
                encode=nn.Linear(in_features, graph.num_nodes),
                encode_norm=nn.BatchNorm1d(graph.num_nodes),
                graph=graph,
                decode=nn.Linear(graph.num_nodes, num_classes),
            )
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Settle freely and nudged, fill gradients, and return the loss of the free phase."""
        self._check_precision()
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(self.layer.weight.dtype)
        # Disable autocast, because the rule learns from small differences of states.
        with torch.autocast(x.device.type, enabled=False):
            return self._step_of(x, y)

    def _step_of(self, x: Tensor, y: Tensor) -> Tensor:
        drive = through(self._parts.before, x)
        with torch.no_grad():
            free = self.layer(drive)
            scores = through(self._parts.after, free)
            check_fit(self.loss, scores, y)
            loss = self.loss(scores, y)
        loops = self.layer.describe(drive, state=free)
        signs = self._signs(x.device)
        found = [self._settle(loops, y, sign * self.beta) for sign in signs]
        nudged, self.reports = [state for state, _ in found], tuple(report for _, report in found)
        self._warn_once()
        first, second = nudged if self.nudge == "centered" else (*nudged, free)
        apart = signs[0] * self.beta * len(signs)
        error = (first - second) / (apart * max(len(x), 1))
        self._teach(loops, drive, error, (first + second) / 2)
        for state in nudged:
            of_state = self.loss(through(self._parts.after, state), y) / len(nudged)
            if of_state.requires_grad:
                of_state.backward()
        return loss

    @torch.no_grad()
    def _settle(self, loops: Recurrence, y: Tensor, beta: float) -> tuple[Tensor, Report]:
        """Return the equilibrium under a nudge, from the free one, and how it converged."""

        def exchange(columns: Tensor) -> Tensor:
            state = loops.from_columns(columns).requires_grad_()
            with torch.enable_grad():
                # The sum over samples, so that each is nudged as if it were alone.
                loss = self.loss(through(self._parts.after, state), y) * len(y)
                (slope,) = torch.autograd.grad(loss, state)
            sums = kernels.propagate(loops.structure, loops.weight, columns, backend=loops.backend)
            return sums.sub_(loops.to_columns(slope), alpha=beta)

        reports = Reports()
        # The rule warns in its own words.
        reports.is_first("the loops")
        (state,) = run(replace(loops, exchange=exchange), reports)
        assert reports.last is not None
        return state, reports.last

    def _teach(self, loops: Recurrence, drive: Tensor, error: Tensor, mean: Tensor) -> None:
        """Add the gradients of weights and drive for minus the gradient of the drive."""
        grads = []
        if loops.weight.requires_grad:
            # The products z_i z_j differ by the sum of both directions' error times mean, and the
            # directions of a pair share a weight, which receives this sum.
            ends = (loops.to_columns(each) for each in (error, mean))
            grad = kernels.correlate(loops.structure, *ends, backend=loops.backend)
            grads.append((loops.weight, -grad))
        if loops.bias is not None and loops.bias.requires_grad:
            grads.append((loops.bias, -error.flatten(0, -2).sum(0)))
        if drive.requires_grad:
            grads.append((drive, -error))
        if grads:
            tensors, slopes = zip(*grads, strict=True)
            torch.autograd.backward(tensors, slopes)

    def _signs(self, device: torch.device) -> tuple[int, ...]:
        if self.nudge == "random-sign":
            drawn = torch.randint(2, (), generator=self.generator, device=device)
            return (2 * int(drawn) - 1,)
        return (1, -1) if self.nudge == "centered" else (1,)

    def _check_precision(self) -> None:
        """Raise TypeError or ValueError unless beta is well above residuals and rounding errors."""
        dtype, loops = self.layer.weight.dtype, self.layer.loops
        if dtype not in kernels.DTYPES:
            raise TypeError(f"the model's weights are {dtype}: {_NARROW}")
        least = _ROUNDING_SHARE * torch.finfo(dtype).eps
        if self.beta < least:
            raise ValueError(
                f"beta must be at least {least:.1g} for weights of {dtype}, whose rounding errors "
                f"are divided by it, got {self.beta:g}; pass beta=0.05, or call model.double()."
            )
        assert isinstance(loops, Equilibrium)
        if loops.tol > self.beta * _TOL_SHARE:
            raise ValueError(
                f"beta must be at least 500 times the tol of the Equilibrium, {loops.tol:g}, since "
                f"residuals are divided by it, got {self.beta:g}; make the GraphLayer with "
                f"Equilibrium(tol={self.beta * _TOL_SHARE:g}), or pass a larger beta."
            )

    def _warn_once(self) -> None:
        failed = sum(int((~report.converged).sum()) for report in self.reports)
        if failed and not self._warned:
            self._warned = True
            warnings.warn(
                f"a nudged phase did not converge for {failed} samples ({self.reports[0]!r}); pass "
                "a smaller beta, or raise max_loops of the Equilibrium. This rule warns once; look "
                "at rule.reports after each step.",
                NonConvergenceWarning,
                stacklevel=5,
            )


class _Parts(NamedTuple):
    """The modules before the only GraphLayer of a model, that layer, and the modules after it."""

    before: list[nn.Module]
    layer: GraphLayer
    after: list[nn.Module]


def _split(model: nn.Module) -> _Parts:
    parts: list[nn.Module] = []
    for block in split(model):
        parts += [*block.before, block.layer, *block.after]
    at, layer = next((at, p) for at, p in enumerate(parts) if isinstance(p, GraphLayer))
    return _Parts(parts[:at], layer, parts[at + 1 :])


def _refuse_layer(model: nn.Module) -> str | None:
    layers = [each.layer for each in split(model) if isinstance(each.layer, GraphLayer)]
    if len(layers) != 1:
        return (
            f"it has {len(layers)} GraphLayers, and the rule needs one at equilibrium; use "
            "EquilibriumPropagation.build."
        )
    (layer,) = layers
    if not isinstance(layer.loops, Equilibrium):
        return (
            f"its GraphLayer has loops={layer.loops}, and the rule compares equilibria; make it "
            "with loops=Equilibrium(tol=1e-6)."
        )
    if layer.form == "voltage" and layer.activation != "none":
        return (
            "its states are potentials, and the energy is that of rates f(W z + b + d); make the "
            "layer with form='rate'."
        )
    if not layer.has_symmetric_weights:
        return (
            "the two directions of a pair have weights of their own, and only symmetric weights "
            "have an energy; pass weight_sharing='pair' to the GraphLayer."
        )
    if layer.weight.dtype not in kernels.DTYPES:
        return f"its weights are {layer.weight.dtype}, and {_NARROW}"
    return None


def _refuse_after(part: nn.Module) -> str | None:
    for each in part.modules():
        if isinstance(each, (_NormBase, _DropoutNd, nn.RReLU)):
            return (
                f"{type(each).__name__} follows the GraphLayer, where the loss of a sample must be "
                "the same function of its state in every phase; put it before the GraphLayer, or "
                "leave it out."
            )
    return None
