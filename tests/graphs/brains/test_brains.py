"""The real connectomes: published counts, and what is known of the animals."""

import csv
import gzip
from collections import Counter, defaultdict
from functools import partial
from importlib.resources import files

import numpy as np
import pytest
import torch

import graphs

COUNTS = {
    # rows as published, synapses between neurons, pairs that are both, connected neurons
    ("cook2019", "chemical"): (3638, 3638, 722, 300),
    ("cook2019", "electrical"): (2168, 2173, 722, 300),
    ("white1986", "chemical"): (2386, 2266, 253, 299),
    ("white1986", "electrical"): (575, 1132, 253, 299),
    ("varshney2011", "chemical"): (2309, 2194, 232, 279),
    ("varshney2011", "electrical"): (1031, 1031, 232, 279),
    ("witvliet2021-1", "chemical"): (675, 675, 18, 161),
    ("witvliet2021-1", "electrical"): (164, 164, 18, 161),
    ("witvliet2021-2", "chemical"): (865, 865, 36, 162),
    ("witvliet2021-2", "electrical"): (240, 240, 36, 162),
    ("witvliet2021-3", "chemical"): (887, 887, 19, 162),
    ("witvliet2021-3", "electrical"): (186, 186, 19, 162),
    ("witvliet2021-4", "chemical"): (1011, 1011, 53, 168),
    ("witvliet2021-4", "electrical"): (407, 407, 53, 168),
    ("witvliet2021-5", "chemical"): (1324, 1324, 105, 174),
    ("witvliet2021-5", "electrical"): (572, 572, 105, 174),
    ("witvliet2021-6", "chemical"): (1315, 1315, 69, 175),
    ("witvliet2021-6", "electrical"): (422, 422, 69, 175),
    ("witvliet2021-7", "chemical"): (1944, 1944, 108, 180),
    ("witvliet2021-7", "electrical"): (528, 528, 108, 180),
    ("witvliet2021-8", "chemical"): (1933, 1933, 162, 180),
    ("witvliet2021-8", "electrical"): (600, 600, 162, 180),
}
WHOLE_ADULTS = ["cook2019", "white1986", "varshney2011"]
SOURCES = list(dict.fromkeys(source for source, _ in COUNTS))
# Numbers of synapses and gap junctions at each age.
GROWTH = [(1152, 206), (1687, 258), (1884, 216), (2521, 475)]
GROWTH += [(3644, 824), (3894, 528), (6587, 732), (7099, 839)]
# The only offset, (1, 0), lies between the columns that have a neuron of this type.
NEVER_MET = ["Lawf1 -> Lawf1"]
SIGNED_BOTH_WAYS = {"R8", "Am", "C2", "C3"}


def table(name):
    packed = files("graphs.brains").joinpath("data", f"{name}.csv.gz").read_bytes()
    return list(csv.DictReader(gzip.decompress(packed).decode().splitlines()))


def synapses(data):
    """Weight of each synapse by (source, target, type), neurons by name."""
    source, target = data.edge_index.tolist()
    ends = ((data.names[s], data.names[t]) for s, t in zip(source, target, strict=True))
    keys = ((*pair, kind) for pair, kind in zip(ends, data.edge_type.tolist(), strict=True))
    return dict(zip(keys, data.edge_weight.tolist(), strict=True))


@pytest.mark.parametrize(("source", "kind"), COUNTS)
def test_worm_has_the_published_counts(source, kind):
    rows, expected, both_ways, connected = COUNTS[source, kind]
    assert sum(row["type"] == kind for row in table(f"c_elegans_{source}")) == rows
    data = graphs.c_elegans(kind, source)
    assert (data.num_nodes, data.num_edges) == (302, expected)
    assert data.edge_type.unique().tolist() == [data.edge_type_names.index(kind)]
    both = graphs.c_elegans("both", source)
    assert both.num_edges == sum(COUNTS[source, each][1] for each in ("chemical", "electrical"))
    pairs = Counter(zip(*both.edge_index.tolist(), strict=True))
    assert sum(number == 2 for number in pairs.values()) == both_ways
    assert len(both.edge_index.unique()) == connected


@pytest.mark.parametrize(
    ("source", "cells", "both_ways", "to_muscles"),
    [("cook2019", 300, 722, 0), ("white1986", 309, 143, 0), ("varshney2011", 281, 232, 115)],
)
def test_tables_of_the_worm_are_whole(source, cells, both_ways, to_muscles):
    rows = table(f"c_elegans_{source}")
    assert len({row[end] for row in rows for end in ("source", "target")}) == cells
    pairs = Counter((row["source"], row["target"]) for row in rows)
    assert sum(number == 2 for number in pairs.values()) == both_ways
    assert max(pairs.values()) == 2
    assert sum(row["target"].startswith("BWM") for row in rows) == to_muscles


@pytest.mark.parametrize("source", SOURCES)
def test_worm_keeps_every_published_count_between_neurons(source):
    data = graphs.c_elegans("both", source)
    found = synapses(data)
    rows = {
        (row["source"], row["target"], data.edge_type_names.index(row["type"])): int(
            row["synapses"]
        )
        for row in table(f"c_elegans_{source}")
        if row["source"] in data.names and row["target"] in data.names
    }
    assert rows.items() <= found.items()
    added = {key: found[key] for key in found.keys() - rows.keys()}
    assert all(kind == 1 and rows[t, s, 1] == count for (s, t, kind), count in added.items())
    if source == "cook2019":
        assert added == {
            ("DB3", "PVM", 1): 2,
            ("VD9", "PVM", 1): 1,
            ("VD6", "PDEL", 1): 2,
            ("PDER", "AVKL", 1): 1,
            ("DVA", "VB4", 1): 1,
        }


@pytest.mark.parametrize(("source", "unequal"), [("cook2019", 12), ("white1986", 0)])
def test_electrical_synapses_pass_both_ways(source, unequal):
    matrix = graphs.to_scipy(graphs.c_elegans("electrical", source)).toarray()
    assert np.array_equal(matrix > 0, matrix.T > 0)
    assert np.count_nonzero(np.triu(matrix - matrix.T)) == unequal
    assert np.abs(matrix - matrix.T).max() == min(unequal, 1)


def test_varshney_is_symmetric_as_it_stands_and_has_no_pharynx():
    data = graphs.c_elegans("both", "varshney2011")
    electrical = graphs.to_scipy(graphs.c_elegans("electrical", "varshney2011")).toarray()
    assert np.array_equal(electrical, electrical.T)
    connected = {data.names[each] for each in data.edge_index.unique().tolist()}
    assert not connected & {"I1L", "M1", "M4", "MCL", "MI", "NSML", "CANL"}


@pytest.mark.parametrize(
    ("source", "loops"),
    [("cook2019", (34, 13)), ("white1986", (0, 6)), ("varshney2011", (0, 3))],
)
def test_worm_keeps_its_self_loops(source, loops):
    for kind, expected in zip(("chemical", "electrical"), loops, strict=True):
        source_ids, target_ids = graphs.c_elegans(kind, source).edge_index
        assert int((source_ids == target_ids).sum()) == expected


@pytest.mark.parametrize("source", WHOLE_ADULTS)
def test_command_interneurons_receive_and_send_most(source):
    data = graphs.c_elegans(source=source)
    received = torch.bincount(data.edge_index[1], minlength=302)
    most = [data.names[each] for each in received.argsort(descending=True)[:2].tolist()]
    assert most == ["AVAL", "AVAR"]
    strongest = torch.zeros(302).index_add(0, data.edge_index[1], data.edge_weight).argsort()[-2:]
    assert {data.names[each] for each in strongest.tolist()} == {"AVAL", "AVAR"}


def test_neurons_of_the_worm():
    data = graphs.c_elegans("both")
    assert len(set(data.names)) == 302
    assert data.names == sorted(data.names)
    for other in (graphs.c_elegans("electrical", "white1986"), graphs.c_elegans()):
        assert other.names == data.names
        assert other.pos.equal(data.pos)
        assert other.node_type.equal(data.node_type)
        assert other.transmitters == data.transmitters
    of = dict(zip(data.names, data.node_type.tolist(), strict=True))
    known = {
        "ASEL": "sensory",
        "ALML": "sensory",
        "AVAL": "interneuron",
        "DA3": "motor",
        "VD13": "motor",
        "RID": "interneuron;motor",
        "CANL": "unknown",
    }
    assert {name: data.node_type_names[of[name]] for name in known} == known
    assert "edge_sign" not in data
    assert "node_sign" not in data


def test_transmitters_of_the_worm():
    data = graphs.c_elegans()
    counts = Counter(data.transmitters)
    assert counts["unknown"] == 302 - 243
    assert (counts["Acetylcholine"], counts["Glutamate"], counts["GABA"]) == (125, 64, 26)
    of = dict(zip(data.names, data.transmitters, strict=True))
    assert {of[f"DD{number}"] for number in range(1, 7)} == {"GABA"}
    assert {of[f"VA{number}"] for number in range(1, 13)} == {"Acetylcholine"}
    assert of["ADFL"] == "Serotonin"


def test_worm_is_long_and_lies_with_its_head_first():
    data = graphs.c_elegans()
    assert data.pos.isfinite().all()
    span = data.pos.max(dim=0).values - data.pos.min(dim=0).values
    assert span[1] > 700 > 5 * span[2] > 5 * span[0]
    at = dict(zip(data.names, data.pos.tolist(), strict=True))
    x, y, z = range(3)
    pairs = [name[:-1] for name in data.names if name.endswith("L") and f"{name[:-1]}R" in at]
    towards_left = [at[f"{name}L"][x] > at[f"{name}R"][x] for name in pairs]
    assert np.mean(towards_left) > 0.9
    assert at["ASEL"][y] < at["DD3"][y] < at["PLML"][y]
    for name in ("CEP", "OLQ", "URA", "URY", "IL2"):
        assert at[f"{name}DL"][z] > at[f"{name}VL"][z]


@pytest.mark.parametrize(
    ("side", "types", "expected"),
    [("left", [101, 21, 29, 58], 7425), ("right", [100, 21, 29, 63], 7536)],
)
def test_larva_has_the_published_counts(side, types, expected):
    data = graphs.larva_mushroom_body(side)
    assert data.node_type_names == ["K", "I", "O", "P"]
    assert data.node_type.bincount().tolist() == types
    assert (data.num_nodes, data.num_edges) == (sum(types), expected)
    assert not data.has_self_loops()
    rows = {
        (int(row["source"]), int(row["target"])): int(row["synapses"])
        for row in table(f"larva_mushroom_body_{side}")
    }
    pairs = zip(*data.edge_index.tolist(), strict=True)
    assert dict(zip(pairs, data.edge_weight.tolist(), strict=True)) == rows


@pytest.mark.parametrize("side", ["left", "right"])
def test_smells_enter_by_projection_neurons_and_leave_by_output_neurons(side):
    data = graphs.larva_mushroom_body(side)
    source, target = data.node_type[data.edge_index]
    between = torch.zeros(4, 4).index_put((source, target), data.edge_weight, accumulate=True)
    kenyon, _, output, projection = range(4)
    assert between[projection, kenyon] > 10 * between[kenyon, projection]
    assert between[kenyon, output] > 10 * between[output, kenyon]


@pytest.mark.parametrize(
    ("radius", "neurons", "expected"),
    [(0, 65, 454), (2, 1203, 26_636), (3, 2345, 57_663), (5, 5759, 155_089)],
)
def test_fly_has_the_published_counts(radius, neurons, expected):
    data = graphs.fly_visual_system(radius)
    assert (data.num_nodes, data.num_edges) == (neurons, expected)


@pytest.mark.parametrize(
    ("radius", "expected"), [(0, 480), (2, 28_904), (3, 63_209), (5, 171_471), (15, 1_513_231)]
)
def test_filled_gaps_add_single_synapses(radius, expected):
    """The paper tells 1,513,231 synapses of 45,669 neurons."""
    data = graphs.fly_visual_system(radius, fill_gaps=True)
    assert data.num_edges == expected
    if radius > 3:
        return
    bare = graphs.fly_visual_system(radius)
    keys = [set(zip(*each.edge_index.tolist(), strict=True)) for each in (data, bare)]
    assert keys[0] > keys[1]
    added = [key not in keys[1] for key in zip(*data.edge_index.tolist(), strict=True)]
    assert set(data.edge_weight[added].tolist()) == {1.0}
    assert torch.equal(data.edge_weight[~torch.tensor(added)], bare.edge_weight)
    loops = data.edge_index[0] == data.edge_index[1]
    kinds = {data.node_type_names[kind] for kind in data.node_type[data.edge_index[0][loops]]}
    assert kinds == {
        *("L4", "Lawf2", "Mi15", "Mi4", "T2", "T4a", "T4b", "T4c", "T4d", "T5a", "T5b", "T5c"),
        *("T5d", "Tm20", "Tm3", "Tm5b", "TmY18", "TmY9"),
    }
    assert data.edge_type_names == bare.edge_type_names


def test_the_whole_eye_of_the_fly():
    data = graphs.validate(graphs.fly_visual_system())
    assert (data.num_nodes, data.num_edges) == (45_669, 1_357_269)
    sizes = data.node_type.bincount()
    strided = [data.node_type_names.index(name) for name in ("Lawf1", "Lawf2")]
    assert set(sizes.tolist()) == {721, int(sizes[strided[0]])}
    assert sizes[strided[0]] == sizes[strided[1]] < 721 / 5
    numbers = data.edge_type.unique().tolist()
    assert [data.edge_type_names[each] for each in range(605) if each not in numbers] == NEVER_MET


def test_fly_is_the_table_repeated_over_the_columns():
    radius = 2
    data = graphs.fly_visual_system(radius)
    neurons = {}
    for row in table("fly_visual_system_types"):
        for u in range(-radius, radius + 1):
            for v in range(-radius, radius + 1):
                fits = u % int(row["u_stride"]) == 0 and v % int(row["v_stride"]) == 0
                if fits and abs(u + v) <= radius:
                    neurons[row["type"], u, v] = len(neurons)
    expected = {}
    for row in table("fly_visual_system_synapses"):
        du, dv = int(row["du"]), int(row["dv"])
        for (name, u, v), source in neurons.items():
            target = neurons.get((row["target"], u + du, v + dv))
            if name == row["source"] and target is not None:
                kind = f"{name} -> {row['target']}"
                value = (float(np.float32(row["synapses"])), float(row["sign"]), kind)
                assert expected.setdefault((source, target), value) is value
    found = zip(
        data.edge_weight.tolist(),
        data.edge_sign.tolist(),
        [data.edge_type_names[each] for each in data.edge_type.tolist()],
        strict=True,
    )
    pairs = zip(*data.edge_index.tolist(), strict=True)
    assert dict(zip(pairs, found, strict=True)) == expected
    names = [data.node_type_names[each] for each in data.node_type.tolist()]
    places = [tuple(each) for each in data.column.tolist()]
    assert [(name, *at) for name, at in zip(names, places, strict=True)] == list(neurons)


def test_signs_are_those_of_the_pairs_of_types():
    data = graphs.fly_visual_system(5)
    kinds = torch.stack((data.edge_type, data.edge_sign.long())).unique(dim=1)
    found = {data.edge_type_names[kind]: sign for kind, sign in kinds.T.tolist()}
    assert len(found) == kinds.shape[1]
    rows = table("fly_visual_system_synapses")
    signs = {(row["source"], row["target"]): int(row["sign"]) for row in rows}
    assert Counter(signs.values()) == {1: 377, -1: 228}
    told = {f"{source} -> {target}": sign for (source, target), sign in signs.items()}
    assert data.edge_type_names == list(told)
    assert found == {name: sign for name, sign in told.items() if name not in NEVER_MET}
    sent = defaultdict(set)
    for (source, _), sign in signs.items():
        sent[source].add(sign)
    assert {name for name, both in sent.items() if len(both) == 2} == SIGNED_BOTH_WAYS
    assert "node_sign" not in data


def test_columns_of_the_fly_are_a_regular_hexagon():
    data = graphs.fly_visual_system(3)
    eye = data.pos[data.node_type == data.node_type_names.index("Mi1")]
    assert len(eye) == 37
    distance = torch.cdist(eye.double(), eye.double())
    neighbors = ((distance > 1e-6) & (distance < 1.01)).sum(dim=1)
    assert distance[distance > 1e-6].min().item() == pytest.approx(1, abs=1e-6)
    assert neighbors.bincount().tolist() == [0, 0, 0, 6, 12, 0, 19]
    corners = eye.norm(dim=1) > 3 - 1e-6
    assert int(corners.sum()) == 6


def test_light_enters_at_the_first_types_and_is_read_from_the_last():
    rows = table("fly_visual_system_types")
    assert [row["type"] for row in rows] == graphs.fly_visual_system(0).node_type_names
    assert [number for number, row in enumerate(rows) if row["input"] == "1"] == list(range(8))
    assert [n for n, row in enumerate(rows) if row["output"] == "1"] == list(range(31, 65))


@pytest.mark.parametrize(
    "make",
    [graphs.c_elegans, graphs.larva_mushroom_body, partial(graphs.fly_visual_system, 3)],
    ids=["worm", "larva", "fly"],
)
def test_files_keep_all_of_the_contract(tmp_path, make):
    data = make()
    for name in {"transmitters", "column"} & set(data.keys()):
        del data[name]
    graphs.save(data, tmp_path / "brain.npz")
    loaded = graphs.load(tmp_path / "brain.npz")
    assert set(data.keys()) - set(loaded.keys()) <= {"edge_type_names"}
    for name, value in loaded.to_dict().items():
        same = value.equal(data[name]) if isinstance(value, torch.Tensor) else value == data[name]
        assert same, name


def test_sources_are_told_and_licensed():
    folder = files("graphs.brains") / "data"
    readme = folder.joinpath("README.md").read_text()
    names = ("cook2019", "white1986", "varshney2011", "larva_mushroom", "fly_visual_system", "gaps")
    for name in names:
        assert name in readme
    licences = folder.joinpath("LICENSES.txt").read_text()
    for origin in ("c302", "cect", "graspologic", "flyvis"):
        assert origin in licences
        assert origin in readme
    assert "Permission is hereby granted" in licences


def test_one_animal_grows_up():
    ages = [f"witvliet2021-{age}" for age in range(1, 9)]
    weights = [
        tuple(
            graphs.c_elegans(kind, age).edge_weight.sum().item()
            for kind in ("chemical", "electrical")
        )
        for age in ages
    ]
    assert weights == GROWTH
    # As published: the number of chemical synapses grows sixfold from birth to adulthood.
    assert 5.5 < weights[-1][0] / weights[0][0] < 6.5


def test_every_age_has_the_neurons_of_the_adult():
    adult, *young = (graphs.c_elegans("both", source) for source in graphs.brains.worm.SOURCES)
    for data in young:
        assert data.names == adult.names
        assert torch.equal(data.node_type, adult.node_type)
    grown = {adult.names[each] for each in young[2].edge_index.unique().tolist()}
    # A newborn's brain has no neuron that an adult's lacks.
    oldest = graphs.c_elegans("both", "witvliet2021-8")
    assert len(grown - {adult.names[each] for each in oldest.edge_index.unique().tolist()}) == 0


def test_dauer_has_volumes_of_chemical_synapses_only():
    data = graphs.c_elegans(source="yim2024-dauer")
    assert (data.num_edges, len(data.edge_index.unique())) == (1955, 179)
    assert data.edge_weight.double().sum().item() == pytest.approx(808405838.786, rel=1e-6)
    with pytest.raises(ValueError, match="yim2024-dauer has no electrical synapses; pass kind="):
        graphs.c_elegans("electrical", "yim2024-dauer")


def test_male_has_the_published_counts_and_the_shared_neurons():
    counts = {"chemical": 4048, "electrical": 2584, "both": 6632}
    for kind, expected in counts.items():
        assert graphs.c_elegans_male(kind).num_edges == expected
    male, other = graphs.c_elegans_male("both"), graphs.c_elegans()
    shared = {
        name for name, kind in zip(male.names, male.node_type.tolist(), strict=True) if kind == 0
    }
    assert len(shared) == 294
    # Only the other sex has these.
    assert set(other.names) - shared == {"HSNL", "HSNR", *(f"VC{number}" for number in range(1, 7))}
    assert len(male.edge_index.unique()) == 380
    electrical = graphs.to_scipy(graphs.c_elegans_male("electrical")).toarray()
    assert np.array_equal(electrical, electrical.T)
    # The rays of the tail are male, and so are the neurons that smell the other sex.
    assert {"R1AL", "R9BR", "CEMDL", "HOA"} <= set(male.names) - shared


@pytest.mark.parametrize(
    ("strain", "connections", "streamlines"),
    [
        ("B6", 95460, 672225622),
        ("BTBR", 87246, 488668594),
        ("CAST", 92222, 510700400),
        ("DBA2", 93944, 574208918),
    ],
)
def test_mouse_has_the_published_counts(strain, connections, streamlines):
    data = graphs.mouse_regions(strain)
    assert (data.num_nodes, data.num_edges) == (332, connections)
    # Streamlines of eight mice, counted from both of their ends.
    assert data.edge_weight.double().sum().item() * 8 == pytest.approx(streamlines, rel=1e-7)
    matrix = graphs.to_scipy(data)
    assert (matrix != matrix.T).nnz == 0
    assert not matrix.diagonal().any()


def test_regions_of_the_mouse_are_those_of_the_atlas():
    data = graphs.mouse_regions()
    assert data.node_type.bincount().tolist() == [41, 20, 7, 11, 9, 28, 50] * 2
    assert len(set(data.names)) == 332
    left, right = data.structures[:166], data.structures[166:]
    assert left == right
    # Mirrored regions project alike: the strengths of both hemispheres correlate.
    strength = np.asarray(graphs.to_scipy(data).sum(axis=1)).ravel()
    assert np.corrcoef(strength[:166], strength[166:])[0, 1] > 0.9
