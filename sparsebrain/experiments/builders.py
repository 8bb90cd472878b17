"""How each kind of topology is built from its options, what is left out following from the task.

Each takes the options, the sheet of the data set, the synapses to come near to, and a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch_geometric.data import Data

import graphs
from graphs.generators.profiles import PROFILES

DEFAULT_WINDOW = 2
_HALVINGS = 16
_NEIGHBOURS = 64
_STEP = 2e-4
_CLOSE_ENOUGH = 5e-4

Build = Callable[[dict[str, Any], tuple[int, ...], int, int], Data | None]


def grid(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """A grid on the sheet."""
    return graphs.grid_local(**{"shape": sheet, "distance": DEFAULT_WINDOW, **options})


def hexagonal(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """A honeycomb, of the sheet's rows and columns unless it has a radius."""
    size = {} if "radius" in options else {"shape": sheet}
    return graphs.hexagonal_lattice(**{**size, "distance": DEFAULT_WINDOW, **options})


def coordinate(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """Neurons at random in the sheet, with a distance that brings as many synapses."""
    extent = options.get("extent", sheet)
    options = {
        "num_nodes": options.pop("neurons", math.prod(sheet)),
        "extent": extent,
        "self_loops": True,
        **options,
    }
    if "distance" in options:
        return graphs.coordinate_random(**options, seed=seed)
    longest = math.hypot(*extent)
    if options.get("periodic"):
        # On a torus the reach must stay below half of a side.
        profile = PROFILES.get(options.get("profile", "linear"))
        longest = 0.499 * min(extent) / (profile.reach if profile else 1)

    def make(distance: float) -> Data:
        return graphs.coordinate_random(**options, distance=distance, seed=seed)

    return _fit_length(make, _spacing(options), longest, synapses)


def kaiser_hilgetag(
    options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int
) -> Data:
    """Neurons that grow in the sheet, with an alpha that brings as many synapses."""
    options = {
        "num_nodes": options.pop("neurons", math.prod(sheet)),
        "extent": options.get("extent", sheet),
        "self_loops": True,
        **options,
    }
    if "alpha" in options:
        return graphs.kaiser_hilgetag(**options, seed=seed)

    def make(length: float) -> Data:
        return graphs.kaiser_hilgetag(**options, alpha=1 / length, seed=seed)

    # In a box of a tenth of this length nearly all neurons are connected with probability beta.
    return _fit_length(make, _spacing(options), 10 * math.hypot(*options["extent"]), synapses)


def _spacing(options: dict[str, Any]) -> float:
    extent = options["extent"]
    return float((math.prod(extent) / max(options["num_nodes"], 1)) ** (1 / len(extent)))


def _fit_length(make: Callable[[float], Data], start: float, longest: float, synapses: int) -> Data:
    """The connectome whose length brings its synapses nearest to the budget.

    The number of synapses rises with the length. Where it does so only on the whole, because other
    neurons grow with another length, a few lengths around the last are tried as well. The nearest
    of all counts.
    """
    low, high = 0.0, min(start, longest)
    best: Data | None = None

    def off(data: Data) -> int:
        return int(data.num_edges) - synapses

    def attempt(length: float) -> Data:
        nonlocal best
        data = make(length)
        if best is None or abs(off(data)) < abs(off(best)):
            best = data
        return data

    # From below, so that no try has many more synapses than are wanted.
    while off(attempt(high)) < 0 and high < longest:
        low, high = high, min(2 * high, longest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if off(attempt(middle)) < 0 else (low, middle)
    for step in range(1, _NEIGHBOURS):
        assert best is not None
        if abs(off(best)) <= _CLOSE_ENOUGH * synapses:
            break
        attempt(min(high * (1 + (-1) ** step * step * _STEP), longest))
    assert best is not None
    return best


def small_world(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """A rewired ring of as many neighbours as bring the synapses."""
    neurons = options.pop("neurons", math.prod(sheet))
    options = {"rewire": 0.1, "self_loops": True, **options}
    if "neighbors" not in options:
        per_neuron = synapses / max(neurons, 1) - options["self_loops"]
        if options.get("method") == "newman-watts":
            per_neuron /= 1 + options["rewire"]
        options["neighbors"] = 2 * max(min(round(per_neuron / 2), (neurons - 1) // 2), 0)
    return graphs.small_world(neurons, **options, seed=seed)


def erdos_renyi(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """Pairs at random, exactly as many as are wanted."""
    neurons = options.pop("neurons", math.prod(sheet))
    options = {"self_loops": True, **options}
    if "probability" in options:
        return graphs.erdos_renyi(neurons, **options, seed=seed)
    # Not the probability that expects them: exactly as many.
    drawn = synapses - neurons * options["self_loops"]
    drawn -= drawn % (1 if options.get("directed", True) else 2)
    drawn = max(min(drawn, neurons * (neurons - 1)), 0)
    return graphs.fixed_total(neurons, drawn, **options, seed=seed)


def fixed_degree(make: Callable[..., Data], degree: str) -> Build:
    """A random graph of one degree, which brings about as many synapses."""

    def build(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
        neurons = options.pop("neurons", math.prod(sheet))
        options = {"self_loops": True, **options}
        if degree not in options:
            per_neuron = synapses / max(neurons, 1) - options["self_loops"]
            options[degree] = max(min(round(per_neuron), neurons - 1), 0)
        return make(neurons, **options, seed=seed)

    return build


def grown(make: Callable[..., Data], **defaults: Any) -> Build:
    """A graph that grows, by as many synapses a neuron as bring about as many in all."""

    def build(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
        neurons = options.pop("neurons", math.prod(sheet))
        options = {"self_loops": True, **defaults, **options}
        if "edges_per_node" not in options:
            pairs = synapses - neurons * options["self_loops"]
            pairs /= 1 if options.get("directed", True) else 2
            # m (N - m) pairs, of which there are most where m is half of N.
            options["edges_per_node"] = min(
                range(1, max(neurons // 2, 1) + 1), key=lambda m: abs(m * (neurons - m) - pairs)
            )
        return make(neurons, **options, seed=seed)

    return build


def modules(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """Modules of modules, of nearly equal size, with a probability that brings the synapses."""
    neurons = options.pop("neurons", math.prod(sheet))
    options = {"branching": 2, "levels": 3, "ratio": 0.25, "self_loops": True, **options}
    if options["levels"] < 0 or options["branching"] < 2:
        return graphs.hierarchical_modules(1, probability=0, **options)  # which tells why not
    smallest = options["branching"] ** min(options["levels"], 64)
    options["module_size"] = _divided("branching ** levels", neurons, smallest)
    inside, weight = neurons, 0.0
    for level in range(options["levels"] + 1):
        parts = _divided("modules", neurons, smallest // options["branching"] ** level)
        pairs = sum(part * part for part in parts)
        weight += (pairs - inside) * options["ratio"] ** level
        inside = pairs
    return _with_probability(graphs.hierarchical_modules, options, neurons, weight, synapses, seed)


def blocks(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """Blocks of equal size, with a probability within them that brings the synapses."""
    neurons = options.pop("neurons", math.prod(sheet))
    options = {"blocks": 4, "ratio": 0.1, "self_loops": True, **options}
    ratio, sizes = options.pop("ratio"), _divided("blocks", neurons, options.pop("blocks"))
    inside = sum(size * size for size in sizes)
    weight = inside - neurons + ratio * (neurons * neurons - inside)

    def make(probability: float, **others: Any) -> Data:
        chance = np.full((len(sizes),) * 2, ratio * probability)
        np.fill_diagonal(chance, probability)
        return graphs.stochastic_block(sizes, chance.tolist(), **others)

    return _with_probability(make, options, neurons, weight, synapses, seed)


def _divided(name: str, neurons: int, parts: int) -> list[int]:
    """Sizes that differ by at most one."""
    if not 1 <= parts <= neurons:
        raise ValueError(
            f"{name} must be from 1 to the number of neurons, {neurons}, got {parts}; "
            "take fewer, or more neurons"
        )
    return [neurons // parts + (part < neurons % parts) for part in range(parts)]


def _with_probability(
    make: Callable[..., Data],
    options: dict[str, Any],
    neurons: int,
    weight: float,
    synapses: int,
    seed: int,
) -> Data:
    """The connectome of the probability that is stated, or of the one that brings the synapses.

    With the probability 1 it would have `weight` synapses. It draws their number: the first of some
    connectomes counts that comes near enough, or the nearest of all.
    """
    if "probability" in options:
        return make(**options, seed=seed)
    wanted = max(synapses - neurons * options["self_loops"], 0)
    options["probability"] = min(wanted / max(weight, 1), 1.0)
    best: Data | None = None
    for attempt in range(_NEIGHBOURS):
        data = make(**options, seed=np.random.default_rng([seed, attempt]))
        if best is None or abs(data.num_edges - synapses) < abs(best.num_edges - synapses):
            best = data
        if abs(best.num_edges - synapses) <= _CLOSE_ENOUGH * synapses:
            break
    assert best is not None
    return best


def layers(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """A perceptron, of two layers unless it states others."""
    if "sizes" in options and "neurons" in options:
        raise ValueError("sizes and neurons are both stated; state sizes alone, or neurons alone")
    neurons = options.pop("neurons", math.prod(sheet))
    return graphs.layered(**{"sizes": (neurons - neurons // 2, neurons // 2), **options})


def brain(make: Callable[..., Data]) -> Build:
    """A real connectome, whose neurons and synapses are what they are."""

    def build(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
        return make(**options)

    return build


def file(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> Data:
    """A connectome that somebody saved."""
    return graphs.load(options["path"])


def none(options: dict[str, Any], sheet: tuple[int, ...], synapses: int, seed: int) -> None:
    """No graph at all."""
