"""Loops until convergence: options, solvers, and constraints on weights."""

from sparsebrain.equilibrium.settling import (
    Equilibrium,
    FixedPointProblem,
    NonConvergenceWarning,
    Report,
    Reports,
    check_loops,
    check_new_loops,
    settle,
)

__all__ = [
    "Equilibrium",
    "FixedPointProblem",
    "NonConvergenceWarning",
    "Report",
    "Reports",
    "check_loops",
    "check_new_loops",
    "settle",
]
