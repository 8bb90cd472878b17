"""What the command that measures a connectome prints."""

from __future__ import annotations

import functools
import sys
import warnings

from torch_geometric.data import Data

import graphs
from graphs import arguments
from graphs.measures import NullComparisons
from graphs.transforms.null_models import NULL_MODELS, NullName
from graphs.weights import weights
from sparsebrain.experiments.options import OptionError

_SAMPLES = 100
# The quantile of a number that equals those of all null graphs.
_TIES = 0.5
_DEFAULT_MODEL = next(iter(NULL_MODELS))


def table(data: Data, *, full: bool, weight: str | None, seed: int) -> graphs.Summary:
    """Return the measures of a connectome.

    Args:
        data: The connectome.
        full: Whether to include the slow measures.
        weight: The field of weights, or None.
        seed: Random seed.

    Raises:
        OptionError: There is no such field, or it holds something else than weights.
    """
    try:
        weights(data, weight)
    except (TypeError, ValueError) as error:
        reason = str(error).partition("; ")[0]
        raise OptionError(
            "weight", f"{reason}; pass --weight edge_weight, or leave --weight out"
        ) from None
    return graphs.summary(data, full=full, weight=weight, seed=seed)


def against(
    data: Data,
    null: str | None,
    *,
    weight: str | None,
    samples: int | None,
    jobs: int | None,
    seed: int,
) -> str | None:
    """Return the measures that a null model changes, compared with null graphs.

    Args:
        data: The connectome.
        null: The null model, or None.
        weight: The field of weights, or None.
        samples: Number of null graphs; None for the default.
        jobs: Number of null graphs at the same time; None for the default.
        seed: Random seed.

    Returns:
        A table, or None without a null model.

    Raises:
        OptionError: There is no null model although other options need one, or it cannot be applied
            to this connectome.
    """
    if null is None:
        for option, value in (("samples", samples), ("jobs", jobs)):
            if value is not None:
                raise OptionError(
                    option, f"it needs a null model; pass --against {_DEFAULT_MODEL} too"
                )
        return None
    model: NullName = arguments.option("against", null, NULL_MODELS)
    samples = _SAMPLES if samples is None else samples
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*is the same in all null graphs")
            found = graphs.against_nulls(
                data,
                functools.partial(graphs.summary, weight=weight),
                model,
                samples=samples,
                jobs=1 if jobs is None else jobs,
                progress=sys.stderr.isatty(),
                seed=seed,
            )
    except ValueError as error:
        reason = str(error).partition("; ")[0]
        fix = "pass --columns type= and --duplicates sum if the file has parallel synapses"
        if "pos" in reason:
            fix = f"pass --against {_DEFAULT_MODEL}"
        raise OptionError("against", f"{reason}; {fix}") from None
    assert isinstance(found, NullComparisons)
    changed = NullComparisons(
        (name, each)
        for name, each in found.items()
        if not (each.is_constant and each.quantile == _TIES) and not name.endswith("_error")
    )
    return f"against {samples} graphs of {null}, where they differ:\n{changed or 'no measure'}"
