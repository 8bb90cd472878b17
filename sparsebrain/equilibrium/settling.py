"""Equilibria: their options, how loops converge to them, and how they are differentiated."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphs import arguments
from sparsebrain.equilibrium.derivatives import differentiated_once
from sparsebrain.equilibrium.solvers import Iterate, Solution, Total, solve
from sparsebrain.kernels.checks import MOST_LOOPS

Solver = Literal["fixed-point", "anderson"]
Gradient = Literal["implicit", "jacobian-free", "unrolled"]
Constraint = Literal["norm", "perron"]

_MOST_STATES = 1000


@dataclass(frozen=True, kw_only=True, repr=False)
class Equilibrium:
    r"""Loop until the state no longer changes: ``GraphLayer(connectome, loops=Equilibrium())``.

    The input is constant, and the layer returns the state that one more loop does not change,

    .. math:: z = f(W z + b + x)

    Each sample stops on its own, once its residual :math:`\|f(\cdot) - z\| / \|f(\cdot)\|` is at
    most ``tol``. ``layer.report`` describes the last call of each thread.

    The gradient of a loss depends on z alone, not on the loops that led to it. With the Jacobian
    :math:`J = \mathrm{diag}(f') W` of a loop,

    .. math:: v = J^T v + \partial L / \partial z, \qquad
        \partial L / \partial \theta = v^T \partial f / \partial \theta

    The first equation is solved by iteration as well, along the transposed synapses. Memory does
    not grow with the number of loops. S. Bai, J. Z. Kolter, V. Koltun, "Deep equilibrium models",
    NeurIPS (2019).

    A leak a does not change the equilibrium, so it receives no gradient. It damps the iteration,
    z <- (1 - a) z + a f(W z + b + x), which then converges where undamped loops oscillate.

    Args:
        tol: The residual at which a sample has converged, between 0 and 1; also for the gradient.
        max_loops: The number of loops after which a sample stops, converged or not, from 1 to a
            million; also for the gradient.
        solver: "fixed-point" iterates the loop. "anderson" mixes the last states, which takes fewer
            loops where convergence is slow, and more memory.
        depth: The number of states that "anderson" mixes, from 2 to 1000.
        gradient: "implicit" as above. "jacobian-free" uses :math:`v = \partial L / \partial z`
            (S. W. Fung et al., "JFB: Jacobian-free backpropagation for implicit networks", AAAI
            2022). "unrolled" backpropagates through all loops, and its memory grows with them.
            Second derivatives need "unrolled".
        constraint: None, or a constraint on the weights that makes every loop a contraction under
            any optimizer, so that there is exactly one equilibrium and the loops reach it from any
            initial state. "norm" keeps :math:`\mathrm{Lip}(f) \|W\|_2`, "perron" keeps
            :math:`\mathrm{Lip}(f) \rho(|W|)` at or below ``bound``. The loop remains a contraction
            with a leak. Calls with unchanged weights do not compute the norm or radius again. See
            :class:`sparsebrain.equilibrium.bounds.Contraction`.
        bound: The bound of the constraint, between 0 and 1.
        lipschitz: Lip(f) if the activation is a function; that of named activations is known.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or an option is unknown.

    Example:
        >>> import torch
        >>> from sparsebrain import Equilibrium, GraphLayer
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> layer = GraphLayer(ring, Equilibrium(tol=1e-5), activation="tanh")
        >>> x = torch.randn(8, 4)
        >>> z = layer(x)
        >>> bool(layer.report.converged.all())
        True
        >>> again, state = layer(x, state=z)
        >>> torch.allclose(again, z, atol=1e-3)
        True
    """

    tol: float = 1e-4
    max_loops: int = 500
    solver: Solver = "fixed-point"
    depth: int = 5
    gradient: Gradient = "implicit"
    constraint: Constraint | None = None
    bound: float = 0.95
    lipschitz: float | None = None

    def __post_init__(self) -> None:
        for name in ("tol", "bound"):
            _check_between(name, getattr(self, name), 1.0)
        object.__setattr__(
            self,
            "max_loops",
            arguments.count("max_loops", self.max_loops, at_least=1, at_most=MOST_LOOPS),
        )
        depth = arguments.count("depth", self.depth, at_least=2, at_most=_MOST_STATES)
        object.__setattr__(self, "depth", depth)
        arguments.option("solver", self.solver, get_args(Solver))
        arguments.option("gradient", self.gradient, get_args(Gradient))
        arguments.option("constraint", self.constraint, (None, *get_args(Constraint)))
        if self.lipschitz is not None:
            _check_between("lipschitz", self.lipschitz, math.inf)

    def __repr__(self) -> str:
        told = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"Equilibrium({', '.join(told)})"


def check_loops(loops: object) -> int | Equilibrium:
    """Return the ``loops`` of a layer; TypeError or ValueError unless a count or an Equilibrium."""
    if loops is Equilibrium:
        raise TypeError("loops is the class Equilibrium; pass an instance, loops=Equilibrium()")
    if isinstance(loops, Equilibrium):
        return loops
    return arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)


def check_new_loops(loops: object, made: int | Equilibrium) -> int | Equilibrium:
    """Return ``loops`` that replace those a layer was made with.

    Raises:
        TypeError: If it is neither a count nor an Equilibrium.
        ValueError: If the layer would need other weights or options.
    """
    checked = check_loops(loops)
    if isinstance(checked, int) and isinstance(made, int):
        return checked
    if not (
        isinstance(checked, Equilibrium)
        and isinstance(made, Equilibrium)
        and (checked.constraint, checked.bound, checked.lipschitz)
        == (made.constraint, made.bound, made.lipschitz)
    ):
        raise ValueError(
            f"loops={made!r} cannot become {checked!r}, since weights, constraint and inject are "
            "those that the layer was made with; make a new GraphLayer(connectome, loops=...)"
        )
    return checked


class NonConvergenceWarning(UserWarning):
    """Samples stopped before their residual was small enough."""


@dataclass(eq=False, repr=False)
class Report:
    """How the samples of a call converged to an equilibrium.

    All tensors are on the CPU, in the shape of the batch dimensions of x, or [B, C] for B graphs of
    C channels.

    Attributes:
        loops: int64, the number of loops of each sample.
        residual: The residual of each sample's final state; NaN or infinite if it overflowed.
        converged: bool, whether the residual is at most ``tol``.
        gradient: The report of the last backward pass; None before it, and for gradients that solve
            nothing.
    """

    loops: Tensor
    residual: Tensor
    converged: Tensor
    gradient: Report | None = None

    @classmethod
    def of(cls, solution: Solution, shape: tuple[int, ...]) -> Report:
        """Make the report of a solution, with its samples in that shape."""
        loops, residual, converged = (each.detach().cpu().reshape(shape) for each in solution[1:])
        return cls(loops, residual, converged)

    def __repr__(self) -> str:
        samples = self.loops.numel()
        told = f"{int(self.converged.sum())} of {samples} converged"
        if samples:
            low, high = (int(bound) for bound in self.loops.aminmax())
            told += f", {low} to {high} loops, residual at most {float(self.residual.max()):.2g}"
        if self.gradient is not None:
            told += f", gradient={self.gradient!r}"
        return f"Report({told})"


class Reports:
    """The report of each thread's last call of one layer, and the warnings that were given.

    Threads can share a layer, and each reads the report of its own call. A copy, also one in
    another process, has the report of the copying thread and has given no warning.
    """

    def __init__(self, last: Report | None = None) -> None:
        self._of_thread = threading.local()
        self._warned: dict[str, object] = {}
        self.last = last

    @property
    def last(self) -> Report | None:
        """The report of the last call in the current thread; None if there was none."""
        return getattr(self._of_thread, "report", None)

    @last.setter
    def last(self, report: Report | None) -> None:
        self._of_thread.report = report

    def is_first(self, what: str) -> bool:
        """Return whether this is the first call with this argument, in any thread."""
        # One atomic operation of the dictionary, so that exactly one thread is the first.
        mine = object()
        return self._warned.setdefault(what, mine) is mine

    def __reduce__(self) -> tuple[type[Reports], tuple[Report | None]]:
        return Reports, (self.last,)


class FixedPointProblem(NamedTuple):
    r"""A fixed-point equation: the loops of a layer, and their backward pass.

    Attributes:
        iterate: f, differentiable.
        way_back: A function of the state that f is applied to and the state that it returns. It
            returns the map :math:`(v, g, \dots) \mapsto J^T v + g` and its further arguments,
            [N, B] each.
        given: As for :func:`solve`.
        whole: As for :func:`solve`.
    """

    iterate: Iterate
    way_back: Callable[[Tensor, Tensor], tuple[Iterate, tuple[Tensor, ...]]]
    given: tuple[Tensor, ...]
    whole: bool


def settle(
    options: Equilibrium,
    problem: FixedPointProblem,
    start: Tensor,
    damping: Tensor | None,
    samples: torch.Size,
    reports: Reports,
    total: Total | None = None,
) -> Tensor:
    """Iterate from a state to the equilibrium [N, B], with the gradient that the options ask for.

    The report is stored in ``reports``, which also remembers warnings: one for the loops and one
    for the backward pass.

    Args:
        options: The options.
        problem: The fixed-point equation.
        start: The initial state [N, B].
        damping: [N, 1], as for :func:`solve`, also for the backward pass, which therefore converges
            where the state does: with A = diag(a), I - A + A J^T is similar to I - A + J^T A, the
            transpose of I - A + A J.
        samples: The shape of the samples in the report.
        reports: Where the report is stored.
        total: As for :func:`solve`.
    """
    find = _solver(options, problem.whole, damping, total)
    if options.gradient == "unrolled":
        solution = find(problem.iterate, start, problem.given)
    else:
        with torch.no_grad():
            solution = find(problem.iterate, start, problem.given)
    report = Report.of(solution, samples)
    reports.last = report
    _warn_once(report, "the loops", options, reports)
    z = problem.iterate(solution.state, problem.given, 1)
    if options.gradient == "unrolled" or not z.requires_grad:
        return z
    if options.gradient == "jacobian-free":
        return _Corrected.apply(z, lambda grad: grad)
    step_back, known = problem.way_back(solution.state, z.detach())

    def correct(grad: Tensor) -> Tensor:
        given = (grad.contiguous(), *known)
        found = find(step_back, given[0], given)
        report.gradient = Report.of(found, samples)
        _warn_once(report.gradient, "the backward pass", options, reports)
        return step_back(found.state, given, 1)

    return _Corrected.apply(z, correct)


def _warn_once(report: Report, what: str, options: Equilibrium, reports: Reports) -> None:
    failed = int((~report.converged).sum())
    if failed and reports.is_first(what):
        remedy = (
            'Raise max_loops or tol, try solver="anderson", or keep the weights small by '
            'constraint="norm".'
        )
        if not bool(torch.isfinite(report.residual).all()):
            remedy = (
                "A state is not finite: x holds NaN or infinity, or the weights are so large that "
                'it overflows; look at both, or keep the weights small by constraint="norm".'
            )
        # Python shows a warning once per source line, which would be once for all layers.
        warnings.warn_explicit(
            f"{what} did not converge for {failed} of {report.converged.numel()} samples "
            f"({report!r}, tol={options.tol:g}). {remedy} This layer warns once; look at "
            "layer.report after each call.",
            NonConvergenceWarning,
            __file__,
            _warn_once.__code__.co_firstlineno,
            module=__name__,
            registry={},
        )


def _solver(
    options: Equilibrium, whole: bool, damping: Tensor | None, total: Total | None
) -> Callable[..., Solution]:
    def find(iterate: Iterate, start: Tensor, given: tuple[Tensor, ...]) -> Solution:
        return solve(
            iterate,
            start,
            given,
            tol=options.tol,
            max_loops=options.max_loops,
            depth=options.depth if options.solver == "anderson" else 0,
            whole=whole,
            damping=damping,
            total=total,
        )

    return find


class _Corrected(torch.autograd.Function):
    """The identity, with a gradient that passes through a function."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, correct: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.correct = correct
        ctx.save_for_backward(z)
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        with torch.no_grad():
            found = ctx.correct(grad)
        (z,) = ctx.saved_tensors
        return differentiated_once(found, z, 'use Equilibrium(gradient="unrolled")'), None


def _check_between(name: str, value: object, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(
            f"{name} must be a number, got {value!r:.60} of type {type(value).__name__}; pass "
            f"{name}=0.5"
        )
    if not 0 < value < most:
        limit = "finite and more than 0" if most == math.inf else f"between 0 and {most:g}"
        raise ValueError(f"{name} must be {limit}, got {value!r}; pass {name}=0.5, for example")
