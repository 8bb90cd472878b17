"""Bad values of arguments and damaged connectomes, and what their errors say."""

import decimal
import fractions

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

import graphs
from graphs import arguments

HUGE = 2**39


def ring(**fields):
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    return Data(**{"edge_index": edge_index, "num_nodes": 3, **fields})


@pytest.mark.parametrize(
    ("transform", "options", "message"),
    [
        (graphs.rewire_degrees, {"swaps": 2**64}, r"swaps must be .* in \[0, 100000\]"),
        (graphs.rewire_reciprocal, {"swaps": 1e20}, r"swaps must be .* in \[0, 100000\]"),
        (graphs.rewire_lengths, {"swaps": 1e20}, r"swaps must be .* in \[0, 100000\]"),
        (graphs.match, {"num_edges": HUGE}, r"num_edges must be small enough"),
        (graphs.match, {"num_edges": 2**64}, r"num_edges must be an integer >= 0 and at most"),
    ],
)
def test_transforms_refuse_huge_counts(transform, options, message):
    with pytest.raises(ValueError, match=message + ".*; pass "):
        transform(graphs.grid_local(9, 1), **options)


@pytest.mark.parametrize("num_nodes", [2**31, 2**40, 2**62, 10**400])
def test_data_of_more_neurons_than_memory_is_refused(num_nodes):
    with pytest.raises(ValueError, match=r"num_nodes must be .*; set data.num_nodes = N"):
        graphs.validate(ring(num_nodes=num_nodes))


def test_ids_instead_of_numbers_are_renumbered():
    data = ring(edge_index=torch.tensor([[720575940612453043], [720575940612453042]]))
    with pytest.raises(ValueError, match=r"number the neurons from 0: set ids, data.edge_index"):
        graphs.validate(data)
    ids, data.edge_index = data.edge_index.unique(return_inverse=True)
    data.num_nodes = len(ids)
    assert graphs.validate(data).edge_index.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_nodes", True, r"num_nodes must be an int, got True of type bool; set"),
        ("num_nodes", torch.tensor(3), r"num_nodes must be an int, got Tensor of shape \(\)"),
        ("edge_index", torch.zeros(2, 3).to(torch.complex64), r"edge_index.real.long\(\)"),
        ("edge_index", torch.zeros(2, 3).int(), r"got torch.int32; pass data.edge_index.long\(\)"),
        (
            "edge_index",
            torch.empty(2, 3, device="meta").long(),
            r"'meta', which has no values",
        ),
        ("edge_index", torch.zeros(2, 3).long().to_sparse(), r"data.edge_index.to_dense\(\)"),
        pytest.param(
            "edge_weight",
            10**5000,
            r"got an integer of 16610 bits of type int; pass a tensor",
            id="5001 digits",
        ),
        ("edge_weight", "abcd", r"got 'abcd' of type str; pass a tensor, such as"),
        ("edge_weight", [[1.0], [1.0, 2.0]], r"data.edge_weight must .* got list; pass a tensor"),
        ("edge_weight", torch.ones(3, device="meta"), r"data.edge_weight .* got one on 'meta'"),
        ("pos", torch.ones(3, 2).half(), r"got torch.float16; pass data.pos.float\(\)"),
        ("node_type", torch.tensor([0, 1, 2**62]), r"node_type must be from 0 to 10000000"),
        ("names", None, None),
        ("names", 3, r"names must be a list of str, got 3 of type int; set data.names = \['a'"),
        ("shape", np.array([3]), r"shape must be a tuple of int, got ndarray of shape \(1,\)"),
        ("shape", (10**5000,), r"with the product an integer of 16610 bits"),
    ],
)
def test_damaged_fields(field, value, message):
    data = ring(**{field: value})
    if message is None:  # None is how PyG leaves a field out
        assert graphs.validate(data) is data
        return
    with pytest.raises((TypeError, ValueError), match=message):
        graphs.validate(data)


@pytest.mark.parametrize("x", ["abc", 3.0, torch.tensor(1.0)])
def test_neurons_are_not_counted_by_what_is_no_tensor_of_rows(x):
    with pytest.raises(TypeError, match=r"x must be a tensor \[N, ...\] if num_nodes is missing"):
        graphs.validate(Data(edge_index=torch.zeros(2, 0).long(), x=x))


def test_types_with_gaps_are_renumbered_and_not_named_by_the_billion():
    data = ring(edge_type=torch.tensor([0, 2**62, 1]), edge_type_names=["a", "b"])
    with pytest.raises(ValueError, match=r"edge_type_names .*set data.edge_type = .*unique"):
        graphs.validate(data)


def test_several_connectomes_say_which_is_wrong():
    good, bad = ring(), ring(edge_weight=torch.ones(2))
    for call, name in (
        (lambda: graphs.nest(bad, good), "outer"),
        (lambda: graphs.nest(good, bad), "inner"),
        (lambda: graphs.join([good, bad]), r"parts\[1\]"),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: data.edge_weight must be"):
            call()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor(5), r"got Tensor of shape \(\) and dtype torch.int64; pass n=5"),
        (torch.tensor([5, 6]), r"got Tensor of shape \(2,\) and dtype torch.int64; pass an int"),
        (torch.empty((), device="meta"), r"got .* without values \(device meta\); pass an int"),
        (torch.zeros(2, 2).to_sparse(), r"got sparse Tensor of shape \(2, 2\)"),
        (np.array(5), r"got ndarray of shape \(\) and dtype int64; pass n=5"),
        (np.zeros(10**6), r"got ndarray of shape \(1000000,\) and dtype float64; pass an int"),
        (sp.csr_array((2, 2)), r"got csr_array of shape \(2, 2\) and dtype float64; pass an int"),
        ("x" * 10_000, r"got 'x+\.\.\.x+' of type str; pass an int"),
        (list(range(10_000)), r"got \[0, 1, 2, 3, 4, 5, \.\.\.\] of type list; pass an int"),
        (7.0, r"got 7.0 of type float; pass n=7"),
        (-7.0, r"got -7.0 of type float; pass an int, n=2"),
        (True, r"got True of type bool; pass an int, n=2"),
        (decimal.Decimal(7), r"got Decimal\('7'\) of type Decimal; pass n=7"),
        (fractions.Fraction(10**400), r"got Fraction.* of type Fraction; pass an int, n=2"),
    ],
)
def test_count_of_another_type(value, message):
    with pytest.raises(TypeError, match=rf"^n must be an integer >= 1, {message}"):
        arguments.count("n", value, at_least=1)


@pytest.mark.parametrize("value", [2**63, 10**20, pytest.param(10**5000, id="5001 digits")])
def test_counts_have_an_upper_bound(value):
    with pytest.raises(ValueError, match=r"and at most 1099511627776, got .*; pass n=\d+ or less"):
        arguments.count("n", value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (decimal.Decimal("0.5"), TypeError, r"got Decimal\('0.5'\) of type Decimal; pass p=0.5"),
        (decimal.Decimal("nan"), TypeError, r"got Decimal\('NaN'\) .*; pass a number, p=1.0"),
        (np.array(0.25), TypeError, r"got ndarray of shape \(\) and dtype float64; pass p=0.25"),
        (torch.tensor(0.5), TypeError, r"got Tensor of shape \(\) .*; pass p=0.5"),
        (torch.zeros(3), TypeError, r"got Tensor of shape \(3,\) .*; pass a number, p=1.0"),
        (torch.tensor(2.0), TypeError, r"got Tensor of shape \(\) .*; pass a number, p=1.0"),
        ("0.5", TypeError, r"got '0.5' of type str; pass p=0.5"),
        (1j, TypeError, r"got 1j of type complex; pass a number, p=1.0"),
        (10**400, ValueError, r"got inf; pass for example p=1.0"),
        (np.float16("nan"), ValueError, r"got nan; pass for example p=1.0"),
    ],
)
def test_real_of_another_type_or_size(value, error, message):
    with pytest.raises(error, match=rf"^p must be a finite number in \[0, 1\], {message}"):
        arguments.real("p", value, at_most=1.0)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            np.zeros((2, 2)),
            TypeError,
            r"got ndarray of shape \(2, 2\) and dtype float64; pass o='a",
        ),
        (torch.zeros(2), TypeError, r"got Tensor of shape \(2,\) and dtype torch.float32; pass"),
        ("betta", ValueError, r"got 'betta'; pass for example o='beta'"),
        ("?", ValueError, r"got '\?'; pass for example o='alpha'"),
    ],
)
def test_option_of_another_type_or_name(value, error, message):
    with pytest.raises(error, match=rf"^o must be one of 'alpha', 'beta', {message}"):
        arguments.option("o", value, ["alpha", "beta"])


def test_scalars_of_numpy_are_numbers():
    assert arguments.count("n", np.int8(3)) == 3
    assert type(arguments.count("n", np.int8(3))) is int
    assert arguments.real("p", np.float32(0.5)) == 0.5
    assert arguments.real("p", fractions.Fraction(1, 4)) == 0.25


@pytest.mark.parametrize(
    "neurons", [[Data()], np.zeros((0, 2)), "ab", torch.empty(2, device="meta")]
)
def test_subgraph_of_what_are_no_numbers(neurons):
    with pytest.raises((TypeError, ValueError), match=r"neurons must be positions.*pass neurons="):
        graphs.subgraph(ring(), neurons)


def test_nested_positions_stay_in_the_range_of_float32():
    sheet = graphs.grid_local((2, 2), 1)
    with pytest.raises(
        ValueError, match=r"spacing must keep positions .*got 1e\+300; pass a small"
    ):
        graphs.nest(sheet, sheet, spacing=1e300)


@pytest.mark.parametrize("options", [{"alpha": 1e9}, {"alpha": 9.0, "extent": 1e12}])
def test_growth_without_a_chance_is_not_tried(options):
    with pytest.raises(ValueError, match=r"alpha must leave neurons in reach.*; pass a smaller"):
        graphs.kaiser_hilgetag(50, **options)


def test_degrees_beyond_int64_are_too_many():
    degrees = np.array([2**63, 2**63], np.uint64)
    with pytest.raises(ValueError, match=r"in_degrees must be at most 1, the number of partners"):
        graphs.configuration(degrees, degrees)


def test_profile_that_is_a_type():
    with pytest.raises(TypeError, match=r"profile must be one of .*<class 'float'> of type type"):
        graphs.coordinate_random(9, 1.0, 0.5, profile=float)


def test_a_connectome_is_neither_a_profile_nor_a_rule_nor_a_list_of_neurons():
    for call, name in (
        (lambda: graphs.coordinate_random(9, 1.0, 0.5, profile=ring()), "profile"),
        (lambda: graphs.nest(ring(), ring(), connect=ring()), "connect"),
        (lambda: graphs.subgraph(ring(), ring()), "neurons"),
        (lambda: graphs.subgraph(ring(), graphs.to_networkx(ring())), "neurons"),
    ):
        with pytest.raises(TypeError, match=rf"^{name} must be .* got .*; pass .*"):
            call()


def test_a_rule_of_too_many_synapses_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match=r"FixedTotal\(num_edges=\d+\) must be small enough"):
        graphs.FixedTotal(HUGE)


def test_a_fly_of_too_many_columns_is_refused():
    with pytest.raises(
        ValueError, match=r"radius must be at most \d+ neurons, got .*; pass radius="
    ):
        graphs.fly_visual_system(radius=HUGE)


def test_edges_of_more_neurons_than_memory_are_refused():
    with pytest.raises(ValueError, match=r"num_nodes must be at most \d+ neurons, got .*; pass"):
        graphs.from_edges([0], [1], num_nodes=HUGE)


def test_an_open_bound_is_shown_as_open():
    for value in (0, 0.0, -1, 2):
        with pytest.raises(ValueError, match=r"rate must be a finite number in \(0, 1\], got"):
            arguments.real("rate", value, positive=True, at_most=1)
    assert arguments.real("rate", 1, positive=True, at_most=1) == 1.0
