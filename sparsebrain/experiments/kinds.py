"""The table of topologies that the command line knows."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch_geometric.data import Data

import graphs
from graphs import arguments as checks
from sparsebrain.experiments import builders, fits, texts
from sparsebrain.experiments.options import MOST_NEURONS

NO_GRAPH = "none"
SYMMETRIC = "symmetric"
FROM_FILE = "file"


@dataclass(frozen=True)
class Kind:
    """A generator, and the arguments that a comparison chooses for it.

    The options of a kind are the generator's arguments, by name and type, without the seed, which
    the run determines. ``self_loops`` is True by default, as in a grid, and ``extent`` is the sheet
    of the data set.

    Attributes:
        make: The generator, a function of annotated arguments that returns a connectome.
        sized: Arguments that state the number of neurons. If none is stated, the last follows from
            the sheet. None for a kind with a fixed number of neurons.
        fitted: The argument that is fitted to a number of synapses unless it is stated.
        fit: The function that fits it.
        defaults: Defaults that differ from the generator's own, or that it does not have.
    """

    make: Callable[..., Data | None]
    sized: tuple[str, ...] | None = None
    fitted: str | None = None
    fit: fits.Fit = fits.search
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def readers(self) -> dict[str, texts.Reader]:
        """The reader of each option, in the order of the generator's arguments."""
        return texts.readers_of(self.make, without=("seed",))

    @property
    def all_readers(self) -> dict[str, texts.Reader]:
        """The same, and the option of every kind with a graph: ``symmetric``.

        ``symmetric=true`` gives every synapse a partner in the opposite direction, see
        :func:`~sparsebrain.experiments.builders.symmetric`. A fitted argument is fitted to the
        number of synapses with these partners, where the number is not known in advance.
        """
        if self.make is builders.no_graph:
            return self.readers
        return {**self.readers, SYMMETRIC: texts.flag}

    def build(
        self, options: Mapping[str, Any], sheet: tuple[int, ...], num_edges: int, seed: int
    ) -> Data | None:
        """Generate a connectome.

        Args:
            options: Values of arguments; the others follow from them, the sheet and the budget.
            sheet: Lattice shape of the data set.
            num_edges: Number of synapses to which the fitted argument is matched.
            seed: Random seed, for generators that take one.

        Returns:
            The connectome, or None for the topology without a graph.

        Raises:
            TypeError: An option has the wrong type.
            ValueError: An option is out of range.
        """
        options = dict(options)
        if options.pop(SYMMETRIC, False):
            make = functools.wraps(self.make)(
                lambda *args, **named: builders.symmetric(self.make(*args, **named))
            )
            data = replace(self, make=make).build(options, sheet, num_edges, seed)
            # Fits that know the number of synapses in advance call other generators.
            return builders.symmetric(data)
        if "num_nodes" in options:
            # Fits use it before the generator checks it.
            checks.count("num_nodes", options["num_nodes"], at_most=MOST_NEURONS)
        parameters = inspect.signature(self.make).parameters
        arguments = {
            name: each.default
            for name, each in parameters.items()
            if each.default is not each.empty and name != "seed"
        }
        if "self_loops" in parameters:
            arguments["self_loops"] = True
        if "extent" in parameters:
            arguments["extent"] = sheet
        arguments |= {**self.defaults, **options}
        if self.sized and not any(name in options for name in self.sized):
            size = self.sized[-1]
            arguments[size] = math.prod(sheet) if size == "num_nodes" else sheet
        if self.fitted is not None and self.fitted not in options:
            arguments.pop(self.fitted, None)
            return self.fit(self.make, self.fitted, arguments, num_edges, seed)
        return self.make(**arguments, **({"seed": seed} if "seed" in parameters else {}))


_NODES = ("num_nodes",)

# The help of the commands parses this table from the source, without importing it.
KINDS: dict[str, Kind] = {
    "grid": Kind(graphs.grid_local, ("shape",), defaults={"distance": 2}),
    "hexagonal": Kind(graphs.hexagonal_lattice, ("radius", "shape"), defaults={"distance": 2}),
    "coordinate": Kind(graphs.coordinate_random, _NODES, fitted="distance", fit=fits.distance),
    "kaiser-hilgetag": Kind(
        graphs.kaiser_hilgetag, _NODES, fitted="alpha", fit=fits.inverse_distance
    ),
    "small-world": Kind(
        graphs.small_world,
        _NODES,
        fitted="neighbors",
        fit=fits.neighbors,
        defaults={"rewire": 0.1},
    ),
    "erdos-renyi": Kind(graphs.erdos_renyi, _NODES, fitted="probability", fit=fits.exact_number),
    "fixed-in-degree": Kind(graphs.fixed_in_degree, _NODES, fitted="in_degree", fit=fits.degree),
    "fixed-out-degree": Kind(graphs.fixed_out_degree, _NODES, fitted="out_degree", fit=fits.degree),
    "barabasi-albert": Kind(
        graphs.barabasi_albert, _NODES, fitted="edges_per_node", fit=fits.newcomers_edges
    ),
    "power-law-cluster": Kind(
        graphs.power_law_cluster,
        _NODES,
        fitted="edges_per_node",
        fit=fits.newcomers_edges,
        defaults={"triangle": 0.9},
    ),
    "stochastic-block": Kind(
        builders.stochastic_block,
        _NODES,
        fitted="probability",
        fit=fits.probability_of(builders.pairs_of_blocks),
    ),
    "hierarchical-modules": Kind(
        builders.hierarchical_modules,
        _NODES,
        fitted="probability",
        fit=fits.probability_of(builders.pairs_of_modules),
    ),
    "layered": Kind(builders.layered, ("sizes", "num_nodes")),
    "c-elegans": Kind(graphs.c_elegans),
    "c-elegans-male": Kind(graphs.c_elegans_male),
    "mouse-regions": Kind(graphs.mouse_regions),
    "larva-mushroom-body": Kind(graphs.larva_mushroom_body),
    "fly-visual-system": Kind(graphs.fly_visual_system),
    "file": Kind(builders.from_file),
    # Its neurons are the hidden units of the perceptron.
    "none": Kind(builders.no_graph, ()),
}
"""Every kind of topology by name."""
