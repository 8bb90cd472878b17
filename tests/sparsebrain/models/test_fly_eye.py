"""The trained eye against its equations, written out, and what motion does to it."""

import copy
import csv
import gzip
import math
from importlib.resources import files

import numpy as np
import pytest
import torch

import graphs
from sparsebrain.models import DirectionTuning, FlyEye, direction_tuning, moving_edge

LAWF1 = "Lawf1 -> Lawf1"


@pytest.fixture(scope="module")
def eye():
    return FlyEye(network=7, radius=2, dt=0.01)


@pytest.fixture(scope="module")
def stored():
    path = files("sparsebrain.models") / "data" / "fly_eye.npz"
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def table(name):
    path = files("graphs.brains") / "data" / f"fly_visual_system_{name}.csv.gz"
    return list(csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines()))


def test_the_parameters_are_those_of_the_connectomes_types(stored):
    data = graphs.fly_visual_system(0)
    assert {name: stored[name].shape for name in ("bias", "time_constant", "strength")} == {
        "bias": (50, 65),
        "time_constant": (50, 65),
        "strength": (50, 604),
    }
    assert stored["cell_types"].tolist() == data.node_type_names
    pairs = stored["type_pairs"].tolist()
    assert [name for name in data.edge_type_names if name not in pairs] == [LAWF1]
    assert [name for name in data.edge_type_names if name != LAWF1] == pairs
    assert stored["strength"].min() >= 0
    assert stored["time_constant"].min() > 0.018
    # As published for the network 0: T4a.
    assert stored["bias"][0, 35] == pytest.approx(0.5668987)
    assert stored["time_constant"][0, 35] == pytest.approx(0.01982171)


def test_the_odd_pair_has_no_synapse_and_the_offsets_are_the_published_ones():
    rows = [*table("synapses"), *table("gaps")]
    strides = {r["type"]: (int(r["u_stride"]), int(r["v_stride"])) for r in table("types")}

    def meets(row):
        """Whether both ends of an offset can be neurons."""
        for offset, *steps in zip(
            ("du", "dv"), strides[row["source"]], strides[row["target"]], strict=True
        ):
            if int(row[offset]) % math.gcd(*steps):
                return False
        return True

    met = [row for row in rows if meets(row)]
    assert (len(rows), len(met)) == (2140 + 238, 2355)
    assert len({(row["source"], row["target"]) for row in met}) == 604
    assert {(row["source"], row["target"]) for row in rows if not meets(row)} == {
        ("Lawf1", "Lawf1"),
        ("Lawf2", "Lawf2"),
    }


def test_a_step_is_the_published_equation(eye, stored):
    """tau dV/dt = -V + b + light + sum of sign * strength * number * max(V, 0), by Euler's step."""
    data = graphs.fly_visual_system(2, fill_gaps=True)
    types = data.node_type.numpy()
    strength = dict(zip(stored["type_pairs"].tolist(), stored["strength"][7], strict=True))
    source, target = data.edge_index.numpy()
    number = data.edge_weight.double().numpy() * data.edge_sign.numpy()
    weight = number * [strength[data.edge_type_names[kind]] for kind in data.edge_type.tolist()]
    tau = np.maximum(stored["time_constant"][7].astype(float), 0.01)[types]
    bias = stored["bias"][7].astype(float)[types]

    light = torch.rand(30, 19, generator=torch.Generator().manual_seed(0))
    potential = np.zeros(data.num_nodes)
    expected = []
    columns = {tuple(uv): at for at, uv in enumerate(eye.columns.tolist())}
    seen = [
        columns[tuple(uv)] if kind < 8 else -1
        for uv, kind in zip(data.column.tolist(), types, strict=True)
    ]
    for frame in light.numpy():
        arrived = np.array([frame[at] if at >= 0 else 0.0 for at in seen])
        np.add.at(arrived, target, weight * np.maximum(potential[source], 0))
        potential = potential + 0.01 / tau * (-potential + bias + arrived)
        expected.append(potential)
    with torch.no_grad():
        found = eye(light, torch.zeros(data.num_nodes))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_batches_neurons_and_states_are_parts_of_one_run(eye):
    light = torch.rand(2, 3, 40, 19, generator=torch.Generator().manual_seed(1))
    every = eye(light)
    assert every.shape == (2, 3, 40, 1203)
    torch.testing.assert_close(eye(light[1, 2]), every[1, 2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(eye(light, neurons=eye.central), every[..., eye.central])
    later = eye(light[:, :, 17:], every[:, :, 16])
    torch.testing.assert_close(later, every[:, :, 17:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_rest_does_not_change_in_the_same_light(eye):
    rest = eye.rest(0.3, duration=10.0)
    after = eye(torch.full((50, 19), 0.3), rest)[-1]
    torch.testing.assert_close(after, rest, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(eye.rest(0.9, duration=1.0), rest, atol=1e-2)


def test_it_can_be_trained_and_converted(eye):
    model = copy.deepcopy(eye).double()
    light = torch.rand(5, 19, dtype=torch.float64)
    model(light).square().sum().backward()
    grads = [each.grad for each in model.parameters()]
    assert len(grads) == 3
    assert all(bool(grad.isfinite().all()) and bool((grad != 0).any()) for grad in grads)
    assert "network=7" in repr(eye)


def test_the_central_neurons_are_in_the_middle(eye):
    assert [eye.cell_types[kind] for kind in eye.node_type[eye.central].tolist()] == eye.cell_types
    middle = (eye.columns == 0).all(1).nonzero().item()
    assert eye.central[0] == middle
    assert eye.positions[middle].tolist() == [0, 0]


def test_an_edge_passes_every_column_in_its_direction(eye):
    for angle in (0.0, 90.0, 210.0, -30.0):
        light = moving_edge(eye.positions, angle, speed=5.0, dt=0.05, bright=False)
        assert light.shape == (24 + 1, 19)
        assert light[0].tolist() == [0.5] * 19
        assert light[-1].tolist() == [0.0] * 19
        assert bool((light[1:] <= light[:-1]).all())
        turn = math.radians(angle)
        along = eye.positions @ torch.tensor([math.cos(turn), math.sin(turn)])
        # Columns are half covered when the edge is over them: at (along + 3) / (5 * 0.05) steps.
        steps = (along + 3) / 0.25
        crossing = (light - 0.25).abs().argmin(0)
        assert bool(((crossing - steps).abs() <= 1).all())


def test_selectivity_is_the_normalized_vector_sum():
    angles = torch.arange(0, 360, 30.0)
    tuned = 1 + torch.cos(torch.deg2rad(angles - 120))
    peak = torch.zeros(2, 1, 12, 65)
    peak[0, 0, :, 0] = tuned
    peak[1, 0, :, 0] = 2.0
    peak[0, 0, 3, 1] = 5.0
    tuning = DirectionTuning(peak, angles, torch.tensor([19.0]), ["x"] * 65)
    # The sum of (1 + cos) e^(i phi) over 12 directions is 6 e^(i 120), that of 2 is 24.
    torch.testing.assert_close(tuning.selectivity[:, 0], torch.tensor([6 / 24, 0.0]))
    torch.testing.assert_close(tuning.preferred[0, :2], torch.tensor([120.0, 90.0]))
    torch.testing.assert_close(tuning.selectivity[:, 1], torch.tensor([1.0, 0.0]))
    assert not tuning.selectivity[:, 2:].any()


#: The known preferred directions of T4 and T5, in degrees of the eye's plane.
DIRECTIONS = {"a": 180, "b": 0, "c": 90, "d": 270}


def apart(one, other):
    return abs((one - other + 180) % 360 - 180)


def test_t4_and_t5_prefer_their_directions():
    """In the first network all eight subtypes do; T4d and the T5 of many others are weak."""
    tuning = direction_tuning(FlyEye(0, radius=4, dt=0.01))
    for name in (f"T{kind}{way}" for kind in (4, 5) for way in "abcd"):
        own, at = int(name[1] == "5"), tuning.cell_types.index(name)
        assert apart(float(tuning.preferred[own, at]), DIRECTIONS[name[2]]) < 45, name
        least = 0.1 if name == "T4d" else 0.4
        assert float(tuning.selectivity[own, at]) > least, name
        other = float(tuning.selectivity[1 - own, at])
        assert other < 0.15, name
    # The photoreceptors, lamina and medulla neurons that feed them are not selective.
    for name in ("R1", "L1", "L2", "L3", "Mi1", "Tm1", "Tm2", "Tm3", "Tm9"):
        assert float(tuning.selectivity[:, tuning.cell_types.index(name)].max()) < 0.1, name


def test_t4_is_selective_in_most_of_the_first_networks():
    right, index = [], []
    for network in range(4):
        tuning = direction_tuning(FlyEye(network, radius=3, dt=0.01), angles=range(0, 360, 45))
        for way, angle in DIRECTIONS.items():
            at = tuning.cell_types.index(f"T4{way}")
            right.append(apart(float(tuning.preferred[0, at]), angle) < 45)
            index.append(float(tuning.selectivity[0, at]))
    assert sum(right) >= 14
    assert sorted(index)[8] > 0.4


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"network": 50}, ValueError, "network must be .* at most 49, got 50"),
        ({"network": 1.0}, TypeError, "network must be an integer"),
        ({"radius": 101}, ValueError, "radius must be .* at most 100"),
        ({"dt": 1e-9}, ValueError, "dt must be 1e-05 s or more, got 1e-09; pass dt=0.005"),
        ({"dt": 5.0}, ValueError, "dt must be a finite number"),
    ],
)
def test_bad_arguments_are_refused(options, error, told):
    with pytest.raises(error, match=told):
        FlyEye(**options)


def test_bad_films_are_refused(eye):
    with pytest.raises(ValueError, match=r"light must be .*\[\.\.\., T, 19\]"):
        eye(torch.zeros(3, 20))
    with pytest.raises(ValueError, match="light must have at least one step"):
        eye(torch.zeros(0, 19))
    with pytest.raises(TypeError, match="light must be .*torch.float64"):
        eye(torch.zeros(3, 19).double())
    with pytest.raises(ValueError, match="neurons must be from 0 to 1202"):
        eye(torch.zeros(3, 19), neurons=torch.tensor([1203]))
    with pytest.raises(ValueError, match="state must be"):
        eye(torch.zeros(2, 3, 19), torch.zeros(1203))
    with pytest.raises(ValueError, match="light must be a finite number in"):
        eye.rest(1.5)
    with pytest.raises(ValueError, match="make .* steps.*pass speed="):
        moving_edge(eye.positions, 0.0, speed=1e-9)
    with pytest.raises(TypeError, match="eye must be a FlyEye.*pass models.FlyEye"):
        direction_tuning(eye.layer)
    for name in ("angles", "speeds"):
        with pytest.raises(ValueError, match=f"{name} must be a list of at least one number"):
            direction_tuning(eye, **{name: []})
        with pytest.raises(TypeError, match=f"{name} must be a list"):
            direction_tuning(eye, **{name: "fast"})


def test_the_origin_is_told_and_licensed():
    folder = files("sparsebrain.models") / "data"
    readme, license_ = (folder.joinpath(n).read_text() for n in ("README.md", "LICENSES.txt"))
    assert "flyvis 1.2.0" in readme
    assert "Lappalainen" in readme
    assert "Copyright (c) 2023 Janne K. Lappalainen" in license_
    assert "Permission is hereby granted" in license_
