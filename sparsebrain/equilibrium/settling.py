"""Loops without an end: what an equilibrium is, how it is reached, and differentiated."""

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
from sparsebrain.equilibrium.solvers import Iterate, Solution, solve
from sparsebrain.kernels.checks import MOST_LOOPS

Solver = Literal["fixed-point", "anderson"]
Gradient = Literal["implicit", "jacobian-free", "unrolled"]
Constraint = Literal["norm", "perron"]

_MOST_STATES = 1000


@dataclass(frozen=True, kw_only=True, repr=False)
class Equilibrium:
    r"""Loop until nothing changes: ``GraphLayer(connectome, loops=Equilibrium())``.

    The input stays, and the layer returns the state that one more loop leaves where it is,

    .. math:: z = f(W z + b + x)

    Each sample stops by itself, once its residual :math:`\|f(\cdot) - z\| / \|f(\cdot)\|` is at
    most ``tol``. What the last call took is in ``layer.report``, for each thread that of its own.

    The gradient of a loss follows from z alone, whatever led to it. With the Jacobian
    :math:`J = \mathrm{diag}(f') W` of a loop,

    .. math:: v = J^T v + \partial L / \partial z, \qquad
        \partial L / \partial \theta = v^T \partial f / \partial \theta

    where the first equation is solved as the state is, along the transposed synapses. Memory does
    not grow with the loops. S. Bai, J. Z. Kolter, V. Koltun, "Deep equilibrium models", NeurIPS
    (2019).

    A leak a changes no equilibrium, and so learns nothing from one. It damps the loops that look
    for it, z <- (1 - a) z + a f(W z + b + x), which then settle where plain loops swing.

    Args:
        tol: the residual that is small enough, between 0 and 1; for the gradient as well.
        max_loops: loops after which a sample stops, converged or not, at least 1; for the gradient
            as well.
        solver: "fixed-point" loops on; "anderson" mixes the last states, which takes fewer loops
            where these converge slowly, and more memory.
        depth: how many states "anderson" mixes, at least 2.
        gradient: "implicit" as above; "jacobian-free" takes :math:`v = \partial L / \partial z`
            (S. W. Fung et al., "JFB: Jacobian-free backpropagation for implicit networks", AAAI
            2022); "unrolled" is backpropagation through all loops that were made, whose memory
            grows with them.
        constraint: None, or what keeps every loop a contraction, whatever an optimizer does, so
            that there is one equilibrium and the loops reach it from everywhere: "norm" keeps
            :math:`\mathrm{Lip}(f) \|W\|_2`, "perron" keeps :math:`\mathrm{Lip}(f) \rho(|W|)` at
            most at ``bound``. A leak keeps it a contraction. See
            :class:`sparsebrain.equilibrium.bounds.Contraction`.
        bound: between 0 and 1.
        lipschitz: Lip(f) of an activation that is a function; that of the others is known.

    Raises:
        TypeError: a wrong type. ValueError: a wrong value, or an unknown option.

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
    """``loops`` of a layer: TypeError or ValueError unless it is a count or an equilibrium."""
    if loops is Equilibrium:
        raise TypeError("loops is the class Equilibrium; pass an instance, loops=Equilibrium().")
    if isinstance(loops, Equilibrium):
        return loops
    return arguments.count("loops", loops, at_least=1, at_most=MOST_LOOPS)


def check_new_loops(loops: object, made: int | Equilibrium) -> int | Equilibrium:
    """``loops`` in the place of those that a layer was made with; ValueError if it needs others."""
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
    """How samples came to an equilibrium, or did not.

    Attributes:
        loops: int64, exchanges that each sample took.
        residual: of the state that each was left with; NaN or infinite where it overflowed.
        converged: bool, whether that is at most ``tol``.
        gradient: the same of the last backward pass; None before, and where it solves nothing.

    All are on the CPU, in the shape of the leading dimensions of x, or [B, C] for B graphs of C
    channels.
    """

    loops: Tensor
    residual: Tensor
    converged: Tensor
    gradient: Report | None = None

    @classmethod
    def of(cls, solution: Solution, shape: tuple[int, ...]) -> Report:
        """What is known of a solution, its samples in that shape."""
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
    """The report of each thread's last call of one layer, and what the layer has warned of.

    Threads may share a layer, and each reads what became of its own call. A copy, also one in
    another process, has this thread's report and has warned of nothing.
    """

    def __init__(self, last: Report | None = None) -> None:
        self._of_thread = threading.local()
        self._warned: dict[str, object] = {}
        self.last = last

    @property
    def last(self) -> Report | None:
        """That of the last call in the thread that asks; None if there was none."""
        return getattr(self._of_thread, "report", None)

    @last.setter
    def last(self, report: Report | None) -> None:
        self._of_thread.report = report

    def is_first(self, what: str) -> bool:
        """Whether nobody has asked this before, in any thread."""
        # One operation of the dictionary, so that of two threads one is the first.
        mine = object()
        return self._warned.setdefault(what, mine) is mine

    def __reduce__(self) -> tuple[type[Reports], tuple[Report | None]]:
        return Reports, (self.last,)


class FixedPointProblem(NamedTuple):
    r"""What is solved: the loops of a layer, and their way back.

    ``iterate`` is f, differentiable. ``way_back`` takes the state that f is applied to and the
    state that it returns, and returns :math:`(v, g, \dots) \mapsto J^T v + g` with what else
    that needs, [N, B] each. ``whole`` and ``given`` are those of :func:`solve`.
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
) -> Tensor:
    """The equilibrium [N, B] that is reached from a state, with the gradient that was asked for.

    ``damping`` [N, 1] is that of :func:`solve`, also on the way back, which therefore settles where
    the state does: with A = diag(a), I - A + A J^T is similar to I - A + J^T A, the transpose of
    I - A + A J.

    The report, in the shape ``samples``, is stored in ``reports``, which also remembers that a
    warning was given, once for the loops and once for the backward pass.
    """
    find = _solver(options, problem.whole, damping)
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
        # By its place a warning of Python is shown once for all layers.
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


def _solver(options: Equilibrium, whole: bool, damping: Tensor | None) -> Callable[..., Solution]:
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
        )

    return find


class _Corrected(torch.autograd.Function):
    """The identity, whose gradient passes through a function. It can be differentiated once."""

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
