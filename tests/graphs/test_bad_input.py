"""Bad values of arguments, which must all end in a clear error."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from tests.graphs.cases import CASES, ON_DATA, every_case

WRONG = (
    float("nan"),
    float("inf"),
    -1,
    1.5,
    2**62,
    2**70,
    "x",
    b"x",
    True,
    [float("nan")],
    [-1],
    [2**62],
    {},
    1j,
    np.zeros((2, 2)),
    np.zeros(0),
    object(),
)
# Words of a clear error; the errors of NumPy have none of these.
TOLD = ("must", "needs", "missing", "pass", "expected", "may")


def _refused(function, *args, **options):
    """Return whether a call is refused, and check that its error is clear."""
    try:
        function(*args, **options)
    except (ValueError, TypeError) as error:
        told = str(error)
    else:
        return False
    assert any(word in told for word in TOLD), (options, told)
    return True


@every_case
def test_generators_refuse_what_they_cannot_take(case):
    parameters = inspect.signature(case.make).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    options = defaults | case.arguments | ({"seed": 0} if "seed" in defaults else {})
    case.make(**options)
    for option in options:
        # Every length is valid, and growth with some of them takes long.
        tried = WRONG[:4] + WRONG[6:] if option in ("alpha", "distance", "extent") else WRONG
        refused = [_refused(case.make, **{**options, option: wrong}) for wrong in tried]
        assert sum(refused) >= len(tried) - 4


@pytest.mark.parametrize("name", ON_DATA)
def test_functions_of_data_refuse_what_they_cannot_take(name):
    function, options = getattr(graphs, name), ON_DATA[name]
    data = graphs.coordinate_random(20, (4, 4), 2, seed=0)
    data.edge_weight = torch.ones(data.num_edges)
    function(data, **options)
    for option in options.keys() - {"swaps"}:
        for wrong in WRONG:
            _refused(function, data, **{**options, option: wrong})
    assert not options or any(
        _refused(function, data, **{**options, option: {}}) for option in options
    )
    none = torch.empty((2, 0), dtype=torch.long)
    for bad in (
        None,
        [],
        Data(),
        Data(edge_index=none),
        Data(edge_index=none, num_nodes=2**62),
        Data(edge_index=torch.tensor([[0], [5]]), num_nodes=2),
        Data(edge_index=torch.zeros((2, 1)), num_nodes=2),
    ):
        assert _refused(function, bad, **options)
    plt.close("all")


@pytest.mark.parametrize("name", ON_DATA)
def test_functions_of_data_take_the_smallest_graphs_or_tell_why_not(name):
    options = {**ON_DATA[name], **({"num_edges": 0} if name == "match" else {})}
    for neurons, synapses in ((0, []), (1, []), (1, [[0, 0]]), (2, [[0, 1]]), (5, [])):
        edges = torch.tensor(synapses, dtype=torch.long).reshape(-1, 2).T.contiguous()
        data = Data(edge_index=edges, num_nodes=neurons, pos=torch.zeros((neurons, 2)))
        data.edge_weight = torch.ones(data.num_edges)
        if "partition" in options:
            options["partition"] = [0] * neurons
        refused = _refused(getattr(graphs, name), data, **options)
        assert (
            not refused
            or neurons == 0
            or name
            in (
                *("spectrum", "small_worldness", "rich_club"),
                # Its neurons are not there.
                *("influence", "strongest_paths"),
            )
        )
    plt.close("all")


def test_every_public_function_of_one_connectome_is_in_a_table():
    tabled = {*ON_DATA, *(case.make.__name__ for case in CASES.values())}
    functions = {name for name in graphs.__all__ if name.islower() and not name.startswith("__")}
    # Functions of several connectomes, and those that read or write files, have their own tests.
    assert functions - tabled == {
        *("fetch", "from_dataframe", "to_dataframe"),
        *("from_edges", "from_networkx", "from_numpy", "from_scipy", "join", "lesion", "load"),
        *("nest", "plot_distances", "plot_html", "save", "validate"),
    }
