import functools
import math

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from graphs.measures import NullComparison
from graphs.measures.null_comparisons import MEASURES
from graphs.transforms.null_models import NULL_MODELS


@pytest.fixture(scope="module")
def ring():
    return graphs.small_world(60, 6, 0.1, seed=0)


def drawn(values):
    """A null model and a measure of which the values are given."""
    left = iter(values)

    def null(data, seed):
        made = data.clone()
        made.value = next(left)
        return made

    return {"null": null, "samples": len(values)}


def value(data):
    return float(data["value"]) if "value" in data else 3.0


def test_statistics_by_hand(ring):
    found = graphs.against_nulls(ring, value, **drawn([1.0, 2.0, 3.0, 3.0, 6.0]))
    assert found.value == 3
    assert found.nulls.tolist() == [1, 2, 3, 3, 6]
    assert found.null_model == "null"
    assert (found.mean, found.std) == (3, pytest.approx(math.sqrt(14 / 4)))
    assert found.z == 0
    assert found.quantile == (2 + 2 / 2) / 5
    assert found.p_larger == (1 + 3) / 6
    assert found.p_smaller == (1 + 4) / 6
    assert found.p_value == 1
    assert found.interval == pytest.approx((1.1, 5.7))
    assert str(found) == ("3: z 0, p 1; nulls 3, 95 % from 1.1 to 5.7 (5 by null)")
    extreme = NullComparison(value=9.0, nulls=np.arange(1.0, 6.0), null_model="null")
    assert (extreme.p_value, extreme.quantile) == (2 / 6, 1)
    assert extreme.to_dict()["p_value"] == 2 / 6


def test_a_constant_has_no_z_and_a_warning_says_so(ring):
    told = "the measure is the same in all null graphs of null, so that its z is nan; pass another"
    for values, quantile in (([3.0] * 4, 0.5), ([2.0] * 4, 1.0), ([3.0, 3.0 + 1e-13] * 2, 0.5)):
        with pytest.warns(UserWarning, match=told):
            found = graphs.against_nulls(ring, value, **drawn(values))
        assert math.isnan(found.z)
        assert found.std == 0
        assert found.quantile == quantile
        assert found.p_value == (1 if quantile == 0.5 else 2 / 5)
        assert "no z: constant" in str(found)
    with pytest.warns(UserWarning, match="each of a, c is the same in all null graphs of rewire_d"):
        graphs.against_nulls(
            ring, lambda data: {"a": 1, "b": graphs.clustering(data), "c": 2}, samples=3
        )


def test_undefined_values(ring):
    found = graphs.against_nulls(ring, value, **drawn([1.0, math.nan, 2.0]))
    assert (found.mean, found.quantile) == (1.5, 1)
    # Counted as extreme, on either side.
    assert (found.p_larger, found.p_smaller) == (2 / 4, 4 / 4)
    assert "3 by null, undefined in 1" in str(found)
    undefined = NullComparison(value=math.nan, nulls=np.array([1.0, 2.0]), null_model="null")
    assert all(math.isnan(each) for each in (undefined.z, undefined.quantile, undefined.p_value))
    nothing = NullComparison(value=1.0, nulls=np.full(2, math.nan), null_model="null")
    assert nothing.p_value == 1
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.interval[0])


@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_p_values_hold_their_level_with_ties(levels):
    """Two-sided at 10 % of 19 samples; 4000 draws, a false alarm of the test once in 10^6."""
    rng = np.random.default_rng(0)
    draws = rng.integers(levels, size=(4000, 20)).astype(float)
    p = np.array(
        [NullComparison(value=row[0], nulls=row[1:], null_model="").p_value for row in draws]
    )
    assert (p <= 0.1).mean() <= 0.1 + 4.8 * math.sqrt(0.1 * 0.9 / 4000)
    if levels > 100:
        assert (p <= 0.1).mean() == pytest.approx(0.1, abs=0.025)


def test_the_same_numbers_for_any_jobs(ring):
    measure = functools.partial(graphs.clustering, directed=True)
    one, two = (
        graphs.against_nulls(ring, measure, samples=6, jobs=jobs, seed=3) for jobs in (1, 2)
    )
    assert one.nulls.tolist() == two.nulls.tolist()
    local = graphs.against_nulls(ring, lambda data: graphs.clustering(data)[0], samples=6, jobs=2)
    named = graphs.against_nulls(ring, "clustering", samples=6)
    assert local.nulls.tolist() == named.nulls.tolist()
    fewer = graphs.against_nulls(ring, "clustering", samples=4)
    assert fewer.nulls.tolist() == named.nulls[:4].tolist()
    seeded = [
        graphs.clustering(graphs.rewire_degrees(ring, seed=each)).value
        for each in np.random.default_rng(0).spawn(6)
    ]
    assert named.nulls.tolist() == seeded


@pytest.mark.filterwarnings("ignore:.*is the same in all null graphs", "ignore:only .* synapses")
@pytest.mark.parametrize("null", NULL_MODELS)
@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_with_every_null_model(ring, measure, null):
    data = ring.clone()
    data.node_type = torch.arange(60) // 20
    data.edge_weight = 1.0 + torch.arange(data.num_edges) % 5
    found = graphs.against_nulls(data, measure, null, samples=2)
    many = isinstance(found, dict)
    assert many == (
        measure in ("path_length", "small_worldness", "summary", "triad_census", "wiring_length")
    )
    for each in found.values() if many else (found,):
        assert each.nulls.shape == (2,)
        assert each.null_model == null


def test_every_null_model_and_every_measure_that_is_a_number_is_in_the_tables():
    names = [name for name in graphs.transforms.__all__ if name.startswith(("rewire_", "shuffle_"))]
    assert names == sorted(NULL_MODELS)
    assert set(MEASURES) <= set(graphs.measures.__all__)


@pytest.mark.filterwarnings("ignore:.*is the same in all null graphs")
def test_several_numbers(ring):
    found = graphs.against_nulls(ring, "path_length", samples=5)
    assert list(found) == ["mean", "error", "reachable"]
    assert found["mean"].z > 3
    frame = found.to_dataframe("pyarrow").to_pydict()
    assert frame["measure"] == ["mean", "error", "reachable"]
    assert frame["z"][0] == found["mean"].z
    assert [line.split()[0] for line in str(found).splitlines()] == list(found)


def test_results_that_count_as_one_number(ring):
    for result in (np.float32(2), np.array(2), torch.tensor([2.0]), True):
        with pytest.warns(UserWarning, match="the measure is the same"):
            found = graphs.against_nulls(ring, lambda _, result=result: result, samples=2)
        assert found.value == float(result)


@pytest.mark.filterwarnings("ignore:each of .* is the same in all null graphs")
def test_every_kind_of_number_in_a_mapping(ring):
    numbers = {
        "tensor": torch.tensor(1.0),
        "parameter": torch.nn.Parameter(torch.tensor([2.0])),
        "number": 0.5,
        "array": np.array(3.0),
        "array of one": np.array([[4]]),
        "scalar": np.float32(5),
        "flag": True,
        "estimate": graphs.clustering(ring)._replace(value=6.0),
        "nested": {"tensor": torch.tensor(7), "deeper": {"array": np.array([8.0])}},
        "text": "left out",
        "undefined": None,
    }
    found = graphs.against_nulls(ring, lambda _: numbers, samples=2)
    assert {name: each.value for name, each in found.items()} == {
        "tensor": 1,
        "parameter": 2,
        "number": 0.5,
        "array": 3,
        "array of one": 4,
        "scalar": 5,
        "flag": 1,
        "estimate": 6,
        "nested_tensor": 7,
        "nested_deeper_array": 8,
    }
    assert found["tensor"].nulls.tolist() == [1, 1]


@pytest.mark.parametrize(
    "value", [[1.0], np.zeros(2), np.zeros(0), torch.zeros(2), 1j, np.complex64(1), (1, 2), object]
)
def test_other_fields_are_refused(ring, value):
    told = r"measure must return one number or text for each name, got .* for '{}'; pass a function"
    with pytest.raises(TypeError, match=told.format("bad")):
        graphs.against_nulls(ring, lambda _: {"good": 1.0, "bad": value}, samples=2)
    with pytest.raises(TypeError, match=told.format("a_bad")):
        graphs.against_nulls(ring, lambda _: {"good": 1.0, "a": {"bad": value}}, samples=2)


def test_names_that_are_equal_when_joined_are_refused(ring):
    with pytest.raises(ValueError, match="measure must return different names, got two .* 'a_b'"):
        graphs.against_nulls(ring, lambda _: {"a": {"b": 1.0}, "a_b": 2.0}, samples=2)


def test_bars_are_on_stderr(ring, capsys):
    graphs.against_nulls(ring, "clustering", samples=2, progress=True)
    assert capsys.readouterr().out == ""


def test_bad_arguments(ring):
    with pytest.raises(ValueError, match="measure must be one of 'clustering', .* got 'clust"):
        graphs.against_nulls(ring, "clusterin")
    with pytest.raises(TypeError, match="measure must be a function of a connectome or one of"):
        graphs.against_nulls(ring, 3)
    with pytest.raises(TypeError, match=r"measure is called as measure\(data\), but .* failed"):
        graphs.against_nulls(ring, lambda: 1)
    for result in (np.zeros(2), "text", None, {}, {"a": "text"}):
        with pytest.raises(TypeError, match="measure must return a number, or several by name"):
            graphs.against_nulls(ring, lambda _, result=result: result)
    with pytest.raises(ValueError, match="null must be one of 'rewire_degrees', .* got 'rew"):
        graphs.against_nulls(ring, "clustering", "rewire")
    with pytest.raises(TypeError, match=r"null is called as null\(data, seed=generator\), but"):
        graphs.against_nulls(ring, "clustering", lambda data: data)
    with pytest.raises(TypeError, match="null must return a torch_geometric.data.Data, got 1"):
        graphs.against_nulls(ring, "clustering", lambda data, seed: 1)
    with pytest.raises(ValueError, match="null: num_nodes is missing"):
        graphs.against_nulls(
            ring, "clustering", lambda data, seed: Data(edge_index=data.edge_index)
        )
    for jobs in (0, -2):
        with pytest.raises(ValueError, match="jobs must be an integer >= 1, .* or jobs=-1 for one"):
            graphs.against_nulls(ring, "clustering", jobs=jobs)
    with pytest.raises(ValueError, match="samples must be an integer >= 1, got 0"):
        graphs.against_nulls(ring, "clustering", samples=0)
