"""Conventions that the arguments of all public functions follow."""

import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import networkx as nx
import pytest

import graphs
from tests.graphs.cases import CASES, ON_DATA

FUNCTIONS = {
    name: function
    for name in graphs.__all__
    if inspect.isfunction(function := getattr(graphs, name))
}
# Types that modules import for type checkers alone.
UNSEEN = {"Axes": Any, "ColorType": Any, "nx": SimpleNamespace(Graph=list, DiGraph=list)}


def literals(hint: Any) -> list[str]:
    """The strings that an annotation lists."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [option for part in get_args(hint) for option in literals(part)]


def options_of(function: Callable[..., Any]) -> dict[str, list[str]]:
    hints = get_type_hints(function, localns=UNSEEN)
    return {name: named for name, hint in hints.items() if (named := literals(hint))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_that_are_one_of_a_few_strings_are_literals(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    defaults = {each.name: each.default for each in parameters}
    # The weight that a measure reads is the name of any field.
    strings = {
        option
        for option, default in defaults.items()
        if isinstance(default, str) and (option, default) != ("weight", "edge_weight")
    }
    # With None another argument decides; without a default the caller has to.
    optional = {
        option
        for option in options_of(FUNCTIONS[name])
        if defaults[option] in (None, inspect.Parameter.empty)
    }
    assert options_of(FUNCTIONS[name]).keys() == strings | optional


CALLS = {
    **{title: (case.make, case.arguments) for title, case in CASES.items()},
    **{name: (getattr(graphs, name), arguments) for name, arguments in ON_DATA.items()},
    "lesion": (graphs.lesion, {"fraction": 0.5}),
}


@pytest.mark.parametrize("title", [title for title in CALLS if options_of(CALLS[title][0])])
def test_the_literals_are_what_is_checked(title):
    function, arguments = CALLS[title]
    data = [] if title in CASES else [graphs.grid_local(9, 1)]
    for option, named in options_of(function).items():
        optional = inspect.signature(function).parameters[option].default is None
        allowed = [None, *named] if optional else named
        arguments = {**arguments, "nulls": 2} if optional else arguments
        told = re.escape(f"{option} must be one of {', '.join(map(repr, allowed))}, got ")
        with pytest.raises(ValueError, match=f"{told}'nonsense'; pass for example {option}="):
            function(*data, **{**arguments, option: "nonsense"})
        if option in ("positions", "profile"):  # may be more than a name
            continue
        with pytest.raises(TypeError, match=f"{told}3 of type int; pass {option}="):
            function(*data, **{**arguments, option: 3})


def test_duplicates_are_a_literal_that_is_checked():
    for function, given in (
        (graphs.from_edges, {"source": [0], "target": [1], "num_nodes": 2}),
        (graphs.from_networkx, {"graph": nx.path_graph(2, create_using=nx.DiGraph)}),
        (graphs.from_scipy, {"matrix": graphs.to_scipy(graphs.layered([1, 1]))}),
    ):
        (named,) = options_of(function).values()
        told = re.escape(f"duplicates must be one of {', '.join(map(repr, named))}, got 'both'")
        with pytest.raises(ValueError, match=told):
            function(**given, duplicates="both")


def test_an_argument_is_positional_in_all_generators_or_in_none():
    kinds: dict[str, set[Any]] = {}
    for case in CASES.values():
        for parameter in inspect.signature(case.make).parameters.values():
            kinds.setdefault(parameter.name, set()).add(parameter.kind)
    assert {name for name, found in kinds.items() if len(found) > 1} == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_flags_are_keyword_only_and_the_seed_comes_last(name):
    parameters = list(inspect.signature(FUNCTIONS[name]).parameters.values())
    assert all(each.name != "seed" for each in parameters[:-1])
    for parameter in parameters:
        if parameter.name == "seed" or isinstance(parameter.default, bool):
            assert parameter.kind is parameter.KEYWORD_ONLY
        if parameter.name == "directed" and name in graphs.generators.__all__:
            assert parameter.default is None


def test_sizes_have_the_names_of_pyg():
    for name, function in FUNCTIONS.items():
        assert not {"num_neurons", "num_synapses"} & set(inspect.signature(function).parameters)
        if name not in ("lesion", "subgraph"):  # these are indices, not counts
            assert not {"neurons", "synapses"} & set(inspect.signature(function).parameters)


def test_a_folder_lists_what_it_makes_public_and_the_package_all_of_it():
    rooms = (
        graphs.brains,
        graphs.downloads,
        graphs.generators,
        graphs.io,
        graphs.measures,
        graphs.plots,
        graphs.transforms,
    )
    names = [name for room in rooms for name in room.__all__]
    assert sorted([*names, "__version__", "signed_weights", "validate"]) == sorted(graphs.__all__)
    assert all(getattr(room, name) is not None for room in rooms for name in room.__all__)
