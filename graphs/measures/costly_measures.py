"""The slow measures of the table of measures."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.measures.community_structure import communities, modularity
from graphs.measures.power_law import NOTHING, Floats, PowerLaw, fit_power_law
from graphs.measures.small_world_indices import SmallWorldness, small_worldness
from graphs.measures.spectra import spectrum
from graphs.measures.triads import triad_census

# The standard error of the p-value is then at most 0.05, enough to distinguish 0.01 from 0.2.
_BOOTSTRAPS = 100
_NONE = np.full(2, math.nan)

# Errors that are smaller, relative to the value, are those of rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Costly:
    """The slow measures of ``graphs.summary(data, full=True)``.

    Values that could not be computed are nan (0 communities, no triads).

    Attributes:
        in_power_law: Power law of the in-degrees, with a p-value from 100 bootstraps.
        out_power_law: Power law of the out-degrees, likewise.
        small_worldness: Small-world coefficients relative to 10 null graphs, whose model is
            ``small_worldness.null_model``.
        communities: Number of communities.
        modularity: Modularity of the communities.
        spectral_radius: Largest magnitude of an eigenvalue of the weight matrix.
        spectral_gap: Difference between the two largest magnitudes.
        triads: Number of triples of neurons of each type.
        reasons: Why a value could not be computed, by the label of its row.
    """

    in_power_law: PowerLaw
    out_power_law: PowerLaw
    small_worldness: SmallWorldness
    communities: int
    modularity: float
    spectral_radius: float
    spectral_gap: float
    triads: dict[str, int]
    reasons: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str]]:
        """Return the labels and values of the table."""
        small = self.small_worldness
        against = f" (nulls: {small.null_model})"
        closed = {
            kind: number for kind, number in self.triads.items() if kind in _CLOSED and number
        }
        number = f"{self.communities:,} communit{'y' if self.communities == 1 else 'ies'}"
        rows = [
            (_IN, str(self.in_power_law)),
            (_OUT, str(self.out_power_law)),
            (_SIGMA, estimate(small.sigma, small.sigma_error) + small.why_nan("sigma") + against),
            (_OMEGA, estimate(small.omega, small.omega_error) + small.why_nan("omega") + against),
            (_MODULARITY, f"{self.modularity:.4g} in {number}"),
            (_RADIUS, f"{self.spectral_radius:.4g}, gap {self.spectral_gap:.3g}"),
            (_TRIADS, ", ".join(f"{kind} {count:,}" for kind, count in closed.items()) or "none"),
        ]
        if math.isnan(self.modularity):
            rows[4] = (_MODULARITY, f"nan, no synapses; {number}")
        # Sigma and omega are computed together.
        told = {**self.reasons, _OMEGA: self.reasons.get(_SIGMA, "")}
        return [
            (label, f"nan ({told[label]})" if told.get(label) else value) for label, value in rows
        ]


_IN, _OUT = "in-degree power law", "out-degree power law"
_SIGMA, _OMEGA = "small-world sigma", "small-world omega"
_MODULARITY, _RADIUS = "modularity Q", "spectral radius"
_TRIADS = "closed triads"
_CLOSED = ("030T", "030C", "120D", "120U", "120C", "210", "300")


def estimate(value: float, error: float) -> str:
    """Return a value with its standard error as text, unless that is 0 but for rounding."""
    if error == 0 or error <= _ROUNDING * abs(value) or not math.isfinite(error):
        return f"{value:.4g}"
    # Round to the second significant digit of the error.
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


_Value = TypeVar("_Value")


def costly(data: Data, max_sources: int | None, weight: str | None, seed: int) -> Costly:
    """Return the slow measures; see :func:`graphs.summary`."""
    reasons: dict[str, str] = {}

    def measured(label: str, measure: Callable[[], _Value], otherwise: _Value) -> _Value:
        """Return a measure, or ``otherwise`` if it fails, so that the others are computed."""
        try:
            return measure()
        except (RuntimeError, ArithmeticError, MemoryError, np.linalg.LinAlgError) as error:
            reasons[label] = str(error) or type(error).__name__
            return otherwise

    def power_law(direction: arguments.Direction) -> PowerLaw:
        return fit_power_law(data, direction=direction, bootstraps=_BOOTSTRAPS, seed=seed)

    def grouped() -> tuple[int, float]:
        groups = communities(data, weight=weight, seed=seed)
        return int(groups.max(initial=-1)) + 1, modularity(data, groups, weight=weight)

    def sizes() -> Floats:
        found = np.abs(spectrum(data, k=min(2, data.num_nodes))) if data.num_nodes else _NONE
        return np.append(found, _NONE)[:2]

    number, quality = measured(_MODULARITY, grouped, (0, math.nan))
    first, second = measured(_RADIUS, sizes, _NONE).tolist()
    undefined: dict[str, Any] = {each.name: math.nan for each in fields(SmallWorldness)}
    small = SmallWorldness(**{**undefined, "null_model": "none"})
    return Costly(
        in_power_law=measured(_IN, lambda: power_law("in"), NOTHING),
        out_power_law=measured(_OUT, lambda: power_law("out"), NOTHING),
        small_worldness=measured(
            _SIGMA, lambda: small_worldness(data, max_sources=max_sources, seed=seed), small
        ),
        communities=number,
        modularity=quality,
        spectral_radius=first,
        spectral_gap=first - second,
        triads=measured(_TRIADS, lambda: triad_census(data), {}),
        reasons=reasons,
    )
