"""Any measure of a connectome compared with its values in null graphs."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import joblib
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, frames
from graphs.contract import validate, validate_as
from graphs.measures.clustering_coefficients import clustering
from graphs.measures.community_structure import modularity
from graphs.measures.connectedness import strongly_connected
from graphs.measures.flattening import as_mapping, flat
from graphs.measures.paths import efficiency, path_length
from graphs.measures.reciprocal_synapses import reciprocity
from graphs.measures.sampling import Estimate
from graphs.measures.small_world_indices import small_worldness
from graphs.measures.summary_table import summary
from graphs.measures.triads import triad_census
from graphs.measures.wiring import wiring_length
from graphs.transforms.null_models import NULL_MODELS, NullName

MEASURES: dict[str, Callable[[Data], Any]] = {
    each.__name__: each
    for each in (
        *(clustering, efficiency, modularity, path_length, reciprocity, small_worldness),
        *(strongly_connected, summary, triad_census, wiring_length),
    )
}
"""The public measures that are one number, or several."""

_MOST_SAMPLES, _MOST_JOBS = 1_000_000, 10_000
# Values that differ by less, relative to the larger one, are equal but for rounding.
_ROUNDING = 1e-9
_SHARE = 0.95

# The name of a single number among the numbers of a measure.
_ONLY = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class NullComparison:
    r"""One number of a connectome and of null graphs.

    Attributes:
        value: The number of the connectome.
        nulls: The numbers of the null graphs, [samples] float64.
        null_model: The name of the null model.
    """

    value: float
    nulls: NDArray[np.float64]
    null_model: str

    @property
    def mean(self) -> float:
        """The mean of the null graphs in which the number is defined."""
        defined = self._defined()
        return float(defined.mean()) if len(defined) else math.nan

    @property
    def std(self) -> float:
        """Their standard deviation: nan for fewer than two, 0 if only rounding differs."""
        defined = self._defined()
        if len(defined) < 2:
            return math.nan
        return 0.0 if self.is_constant else float(defined.std(ddof=1))

    @property
    def z(self) -> float:
        """The distance from the mean in standard deviations; nan if the null graphs are equal."""
        return (self.value - self.mean) / self.std if self.std > 0 else math.nan

    @property
    def quantile(self) -> float:
        """The share of null graphs below the number, where ties count half; nan if undefined."""
        below, equal, _ = self._counts()
        total = len(self._defined())
        defined = total and not math.isnan(self.value)
        return (below + equal / 2) / total if defined else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The central interval of 95 % of the null graphs."""
        defined = self._defined()
        if not len(defined):
            return math.nan, math.nan
        low, high = np.quantile(defined, [(1 - _SHARE) / 2, (1 + _SHARE) / 2])
        return float(low), float(high)

    @property
    def p_larger(self) -> float:
        r"""The p-value of a number so large, :math:`(1 + \#\ge) / (1 + \text{samples})`."""
        _, equal, above = self._counts()
        return self._p(equal + above)

    @property
    def p_smaller(self) -> float:
        r"""The p-value of a number so small, :math:`(1 + \#\le) / (1 + \text{samples})`."""
        below, equal, _ = self._counts()
        return self._p(below + equal)

    @property
    def p_value(self) -> float:
        """The two-sided p-value, twice the smaller of both, and at most 1."""
        smaller = min(self.p_larger, self.p_smaller)
        return smaller if math.isnan(smaller) else min(1.0, 2 * smaller)

    @property
    def is_constant(self) -> bool:
        """Whether the number is the same in all null graphs but for rounding."""
        defined = self._defined()
        return len(defined) > 0 and bool(_equal(defined, defined[0]).all())

    def to_dict(self) -> dict[str, float]:
        """Return the number and its comparison by name, such as for a row of a dataframe."""
        low, high = self.interval
        return {
            "value": self.value,
            "null_mean": self.mean,
            "null_std": self.std,
            "z": self.z,
            "quantile": self.quantile,
            "interval_low": low,
            "interval_high": high,
            "p_value": self.p_value,
        }

    def __str__(self) -> str:
        low, high = self.interval
        told = f"z {self.z:.3g}"
        if self.is_constant:
            told = "no z: constant"
        undefined = len(self.nulls) - len(self._defined())
        more = f", undefined in {undefined}" if undefined else ""
        return (
            f"{self.value:.4g}: {told}, p {self.p_value:.2g}; nulls {self.mean:.4g}, 95 % from "
            f"{low:.4g} to {high:.4g} ({len(self.nulls)} by {self.null_model}{more})"
        )

    def _defined(self) -> NDArray[np.float64]:
        return self.nulls[~np.isnan(self.nulls)]

    def _counts(self) -> tuple[int, int, int]:
        """Return how many null graphs are below, equal but for rounding, and above."""
        defined = self._defined()
        equal = _equal(defined, self.value)
        below, above = (defined < self.value) & ~equal, (defined > self.value) & ~equal
        return int(below.sum()), int(equal.sum()), int(above.sum())

    def _p(self, extreme: int) -> float:
        if math.isnan(self.value):
            return math.nan
        # A null graph without a number counts as extreme, so that the level is held.
        extreme += len(self.nulls) - len(self._defined())
        return (1 + extreme) / (1 + len(self.nulls))


class NullComparisons(dict[str, NullComparison]):
    """Several numbers of a connectome and of null graphs, by name."""

    def to_dataframe(self, library: frames.Library = "pandas") -> Any:
        """Return the comparisons as a dataframe, which requires narwhals.

        Args:
            library: "pandas", "polars" or "pyarrow".

        Returns:
            One row per number, with the columns measure, value, null_mean, null_std, z, quantile,
            interval_low, interval_high and p_value.

        Raises:
            ValueError: If ``library`` is none of these.
            ModuleNotFoundError: If narwhals or the library is not installed.
        """
        rows = [{"measure": name, **each.to_dict()} for name, each in self.items()]
        names = rows[0] if rows else ["measure"]
        return frames.make({name: [row[name] for row in rows] for name in names}, library)

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:<{width}}  {each}" for name, each in self.items())


def against_nulls(
    data: Data,
    measure: str | Callable[[Data], Any],
    null: NullName | Callable[..., Data] = "rewire_degrees",
    *,
    samples: int = 100,
    jobs: int = 1,
    progress: bool = False,
    seed: int | np.random.Generator | None = 0,
) -> NullComparison | NullComparisons:
    r"""Compare any measure of a connectome with its values in null graphs.

    .. math:: z = \frac{m - \bar m_\text{null}}{s_\text{null}}, \quad
              p = \frac{1 + \#\{m_\text{null} \ge m\}}{1 + \text{samples}}

    This p-value never is below its nominal level too often, with ties and with any number of
    samples [1]_: if the connectome is drawn from the null model, p is at most α with a probability
    of at most α. The two-sided ``p_value`` is twice the smaller one of both directions. Numbers
    that differ only by rounding are ties.

    Args:
        data: A connectome without parallel synapses, as the null models require.
        measure: A function that takes a connectome and returns a number, or several by name: a
            mapping, a named tuple or a dataclass, also nested. Arrays and tensors of one element
            are numbers, an ``Estimate`` counts as its value, and text and None are left out. Or the
            name of a public measure with such a result, with its defaults. For other options pass
            ``functools.partial(graphs.clustering, weight="edge_weight")``.
        null: The null model: ``"rewire_degrees"``, ``"rewire_reciprocal"``, ``"rewire_lengths"``,
            ``"rewire_populations"`` or ``"shuffle_weights"``, the functions of these names in
            :mod:`graphs`; or a function that is called as ``null(data, seed=generator)`` and
            returns a connectome.
        samples: Number of null graphs. The smallest possible two-sided p-value is 2 / (1 +
            ``samples``).
        jobs: Number of null graphs at the same time, each in a process of joblib; -1 for one per
            core. The result does not depend on it.
        progress: Whether to show a progress bar on stderr.
        seed: Source of randomness of the null graphs; each of them has a generator of its own.

    Returns:
        A :class:`graphs.NullComparison` with ``value``, ``nulls``, ``z``, ``quantile``,
        ``interval`` and ``p_value``; or for several numbers a :class:`graphs.NullComparisons`, a
        dict of them. Each p-value is that of a single comparison.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type, or the measure or the
            null model returns something else, such as a list among the numbers.
        ValueError: If ``data`` or a null graph breaks the contract, an argument is out of range, or
            two numbers of the measure have the same name.

    Warns:
        UserWarning: If a number is the same in all null graphs, so that there is no z.

    References:
        .. [1] B. Phipson, G. K. Smyth, "Permutation p-values should never be zero", Stat. Appl.
           Genet. Mol. Biol. 9 (2010) 39.

    Example:
        >>> import graphs
        >>> ring = graphs.small_world(200, 6, 0.1, seed=0)
        >>> found = graphs.against_nulls(ring, "clustering", samples=19)
        >>> found.z > 20, found.quantile, found.p_value
        (True, 1.0, 0.1)
    """
    validate(data)
    function = _measure_of(measure)
    make = null if arguments.is_function(null) else NULL_MODELS[_null_name(null)]
    samples = arguments.count("samples", samples, at_least=1, at_most=_MOST_SAMPLES)
    jobs, progress = _jobs(jobs), arguments.flag("progress", progress)
    rng = arguments.generator(seed)
    observed = _numbers(function, data)
    tasks = (joblib.delayed(_of_null)(function, make, data, each) for each in rng.spawn(samples))
    found = list(
        _shown(joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks), samples, progress)
    )
    model = getattr(make, "__name__", type(make).__name__)
    compared = NullComparisons()
    for name, value in observed.items():
        values = np.array([each.get(name, math.nan) for each in found])
        compared[name] = NullComparison(value=value, nulls=values, null_model=model)
    _warn_of_constants(compared, model)
    return compared[_ONLY] if list(compared) == [_ONLY] else compared


def _equal(values: NDArray[np.float64], value: float) -> NDArray[np.bool_]:
    return np.isclose(values, value, rtol=_ROUNDING, atol=0)


def _measure_of(measure: Any) -> Callable[[Data], Any]:
    if arguments.is_function(measure):
        return measure
    if isinstance(measure, str):
        return MEASURES[arguments.option("measure", measure, MEASURES)]
    raise TypeError(
        f"measure must be a function of a connectome or one of {', '.join(map(repr, MEASURES))}, "
        f"got {arguments.described(measure)}; pass measure='clustering'"
    )


def _null_name(null: Any) -> NullName:
    name: NullName = arguments.option("null", null, get_args(NullName))
    return name


def _jobs(value: Any) -> int:
    if type(value) is int and value == -1:
        return -1
    try:
        return arguments.count("jobs", value, at_least=1, at_most=_MOST_JOBS)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error}, or jobs=-1 for one per core") from None


def _of_null(
    function: Callable[[Data], Any],
    make: Callable[..., Data],
    data: Data,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Make a null graph and measure it."""
    try:
        null = make(data, seed=rng)
    except TypeError as error:
        raise TypeError(
            f"null is called as null(data, seed=generator), but {make!r} failed: {error}; pass a "
            "function such as graphs.rewire_degrees"
        ) from error
    if not isinstance(null, Data):
        raise TypeError(
            f"null must return a torch_geometric.data.Data, got {arguments.described(null)}; pass "
            "a function such as graphs.rewire_degrees"
        )
    return _numbers(function, validate_as("null", null))


def _numbers(function: Callable[[Data], Any], data: Data) -> dict[str, float]:
    """Measure a connectome; a single number has the name ``""``."""
    try:
        found = function(data)
    except TypeError as error:
        raise TypeError(
            f"measure is called as measure(data), but {function!r} failed: {error}; pass a "
            "function such as graphs.reciprocity"
        ) from error
    single = _number(found.value if isinstance(found, Estimate) else found)
    if single is not None:
        return {_ONLY: single}
    fields = {
        name: each.value if isinstance(each, Estimate) else each
        for name, each in (as_mapping(found) or {}).items()
    }
    numbers: dict[str, float] = {}
    for name, value in flat(fields):
        if isinstance(value, str):
            continue
        number = _number(value)
        if number is None:
            raise TypeError(
                f"measure must return one number or text for each name, got "
                f"{arguments.described(value)} for {name!r:.60}; pass a function that leaves it "
                "out, or returns a number of it such as its mean"
            )
        if name in numbers:
            raise ValueError(
                f"measure must return different names, got two numbers for {name!r:.60} after "
                "names of nested mappings are joined by '_'; pass a function that returns one "
                "mapping of numbers"
            )
        numbers[name] = number
    if not numbers:
        raise TypeError(
            f"measure must return a number, or several by name, got {arguments.described(found)}; "
            "pass a function such as graphs.reciprocity, or lambda data: "
            "graphs.strength(data).max()"
        )
    return numbers


def _number(value: Any) -> float | None:
    if isinstance(value, np.ndarray | np.generic | Tensor):
        value = value.item() if math.prod(value.shape) == 1 else None
    return float(value) if isinstance(value, int | float) else None


def _shown(found: Any, samples: int, progress: bool) -> Iterator[dict[str, float]]:
    if not progress:
        yield from found
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    yield from track(
        found, "null graphs", total=samples, console=Console(stderr=True), transient=True
    )


def _warn_of_constants(compared: Mapping[str, NullComparison], model: str) -> None:
    constant = [name for name, each in compared.items() if len(each.nulls) > 1 and each.is_constant]
    if constant:
        which = "the measure" if constant == [_ONLY] else f"each of {', '.join(constant)}"
        warnings.warn(
            f"{which} is the same in all null graphs of {model}, so that its z is nan; pass "
            "another null or measure if this is not what you expect",
            stacklevel=3,
        )
