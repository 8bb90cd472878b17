"""The table of topologies that the command line knows."""

from __future__ import annotations

import functools
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch_geometric.data import Data

import graphs
from graphs import arguments as checks
from graphs.contract import validate_as
from sparsebrain import locations
from sparsebrain.experiments import builders, fits, texts
from sparsebrain.experiments.nulls import NULL, draw_null, read_null
from sparsebrain.experiments.options import MOST_NEURONS

NO_GRAPH = "none"
SYMMETRIC = "symmetric"
FROM_FILE = "file"
# The arguments that a generator of the user's own is given besides the seed.
GIVEN: dict[str, Any] = {"shape": tuple[int, ...], "num_nodes": int, "num_edges": int}


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
        """The same, and the options of every kind with a graph: ``symmetric`` and ``null``.

        ``symmetric=true`` gives every synapse a partner in the opposite direction, see
        :func:`~sparsebrain.experiments.builders.symmetric`. A fitted argument is fitted to the
        number of synapses with these partners, where the number is not known in advance.
        ``null=rewire_degrees`` replaces the connectome by a null model of it, see
        :mod:`~sparsebrain.experiments.nulls`.
        """
        if self.make is builders.no_graph:
            return self.readers
        return {**self.readers, SYMMETRIC: texts.flag, NULL: read_null}

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
        if null := options.pop(NULL, ""):
            data = self.build(options, sheet, num_edges, seed)
            return None if data is None else draw_null(data, null, seed)
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


class _KindTable(locations.OpenTable[Kind]):
    """Kinds of topologies, which other packages extend by functions."""

    def adapt(self, name: str, found: Any) -> Kind:
        """Return the kind of a generator, see :func:`kind_of`."""
        return kind_of(found, name)


_NODES = ("num_nodes",)

# The help of the commands parses this table from the source, without importing it.
KINDS: locations.OpenTable[Kind] = _KindTable(
    locations.TOPOLOGIES,
    {
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
        "erdos-renyi": Kind(
            graphs.erdos_renyi, _NODES, fitted="probability", fit=fits.exact_number
        ),
        "fixed-in-degree": Kind(
            graphs.fixed_in_degree, _NODES, fitted="in_degree", fit=fits.degree
        ),
        "fixed-out-degree": Kind(
            graphs.fixed_out_degree, _NODES, fitted="out_degree", fit=fits.degree
        ),
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
    },
)
"""Every kind of topology by name.

The entry points "sparsebrain.topologies" of installed packages are listed as well, and
``KINDS["package.module:function"]`` imports a generator.
"""


def kind_of(make: Any, name: str) -> Kind:
    """Return the kind of a generator of the user's own.

    Args:
        make: A function of annotated arguments that returns a connectome. It is given ``seed``,
            ``num_edges`` (the budget of synapses), and ``num_nodes`` or ``shape`` (the lattice of
            the data set) if it has arguments of these names. A ``Kind`` is returned as it is.
        name: The name of the topology, for messages.

    Raises:
        TypeError: ``make`` is neither.
    """
    if isinstance(make, Kind):
        return make
    if not callable(make) or isinstance(make, type):
        raise TypeError(
            f"the topology {name!r} must be a function that returns a Data, got "
            f"{checks.described(make)}; write for example "
            "def wire(seed): return graphs.small_world(100, 10, 0.1, seed=seed)"
        )
    parameters = inspect.signature(make).parameters
    sized = tuple(each for each in ("shape", "num_nodes") if each in parameters)
    fitted = "num_edges" if "num_edges" in parameters else None
    # Also those of self_loops and extent, for which a comparison has others.
    own = {
        each.name: each.default for each in parameters.values() if each.default is not each.empty
    }
    own.pop("seed", None)
    return Kind(_checked(make, name), sized or None, fitted, fits.as_it_is, own)


def _checked(make: Callable[..., Data], name: str) -> Callable[..., Data]:
    """Return the generator with checks of its arguments and of its result."""
    signature = inspect.signature(make)

    @functools.wraps(make)
    def checked(*args: Any, **named: Any) -> Data:
        try:
            signature.bind(*args, **named)
        except TypeError as error:
            raise TypeError(
                f"{error} of the function; write it as in {name},argument=1, or give it a default"
            ) from None
        data = make(*args, **named)
        if not isinstance(data, Data):
            raise TypeError(
                f"the function must return a Data, got {checks.described(data)}; return for "
                "example graphs.small_world(100, 10, 0.1, seed=seed)"
            )
        return validate_as("what the function returns", data)

    plain: Any = make.func if isinstance(make, functools.partial) else make
    # As objects, because other processes do not know the names in the text of an annotation.
    known = typing.get_type_hints(plain if inspect.isroutine(plain) else type(plain).__call__)
    checked.__annotations__ = {**GIVEN, **known}
    # Bound methods and partial functions have no module of their own.
    checked.__module__ = getattr(make, "__module__", None) or "__main__"
    return checked
