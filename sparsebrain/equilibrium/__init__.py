"""Loops without an end: options, solvers, and bounds on weights."""

from sparsebrain.equilibrium.settling import (
    Equilibrium,
    Loops,
    NonConvergenceWarning,
    Report,
    Reports,
    check_loops,
    settle,
)

__all__ = [
    "Equilibrium",
    "Loops",
    "NonConvergenceWarning",
    "Report",
    "Reports",
    "check_loops",
    "settle",
]
