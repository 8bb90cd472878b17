import hashlib
import inspect
from typing import Literal

import pytest

import graphs
from sparsebrain.experiments.kinds import KINDS, Kind
from sparsebrain.experiments.lattices import lattice
from sparsebrain.experiments.topology import budget, build, parse

SHEET = (16, 16)


def made(spec, num_edges=5476, seed=0):
    return build(parse(spec), SHEET, num_edges=num_edges, seed=seed)


def test_what_is_written_is_what_is_generated():
    cases = {
        "grid:shape=6x5,distance=1,self_loops=false,periodic=true": graphs.grid_local(
            (6, 5), 1, periodic=True, self_loops=False
        ),
        "grid:shape=6x5x4,distance=2,metric=manhattan,padding=false": graphs.grid_local(
            (6, 5, 4), 2, metric="manhattan", padding=False
        ),
        "coordinate:num_nodes=50,extent=5x2.5,distance=1.5,profile=step,directed=false": (
            graphs.coordinate_random(
                50, (5, 2.5), 1.5, profile="step", directed=False, self_loops=True, seed=3
            )
        ),
        "coordinate:num_nodes=60,extent=5x3,distance=2x1,p_max=0.5,positions=lattice,jitter=0.3": (
            graphs.coordinate_random(
                60,
                (5, 3),
                (2, 1),
                p_max=0.5,
                positions="lattice",
                jitter=0.3,
                self_loops=True,
                seed=3,
            )
        ),
        "hexagonal:radius=4,distance=1,self_loops=false": graphs.hexagonal_lattice(
            4, 1, self_loops=False
        ),
        "hexagonal:shape=6x9,periodic=true": graphs.hexagonal_lattice(
            shape=(6, 9), distance=2, periodic=True
        ),
        "grid:shape=5x4,periodic=truexfalse": graphs.grid_local((5, 4), 2, periodic=(True, False)),
        "hexagonal": graphs.hexagonal_lattice(shape=SHEET, distance=2),
        "kaiser-hilgetag:num_nodes=50,alpha=3,beta=0.5,extent=2x1,directed=true": (
            graphs.kaiser_hilgetag(
                50, 3, 0.5, extent=(2, 1), directed=True, self_loops=True, seed=3
            )
        ),
        "small-world:num_nodes=40,neighbors=6,rewire=0.3,self_loops=false,method=newman-watts": (
            graphs.small_world(40, 6, 0.3, method="newman-watts", seed=3)
        ),
        "erdos-renyi:num_nodes=40,probability=0.2,directed=false,self_loops=false": (
            graphs.erdos_renyi(40, probability=0.2, directed=False, seed=3)
        ),
        "fixed-in-degree:num_nodes=40,in_degree=5": graphs.fixed_in_degree(
            40, 5, self_loops=True, seed=3
        ),
        "fixed-out-degree:num_nodes=40,out_degree=5,self_loops=false": graphs.fixed_out_degree(
            40, 5, seed=3
        ),
        "barabasi-albert:num_nodes=40,edges_per_node=3,directed=true,outward=1": (
            graphs.barabasi_albert(40, 3, directed=True, outward=1.0, self_loops=True, seed=3)
        ),
        "power-law-cluster:num_nodes=40,edges_per_node=3,triangle=0.4,self_loops=false": (
            graphs.power_law_cluster(40, 3, 0.4, seed=3)
        ),
        "stochastic-block:num_nodes=50,blocks=3,probability=0.5,ratio=0.2,self_loops=false": (
            graphs.stochastic_block(
                [17, 17, 16], [[0.5, 0.1, 0.1], [0.1, 0.5, 0.1], [0.1, 0.1, 0.5]], seed=3
            )
        ),
        "hierarchical-modules:num_nodes=40,probability=0.6,branching=3,levels=2,directed=false": (
            graphs.hierarchical_modules(
                [5] * 4 + [4] * 5, 3, 2, 0.6, 0.25, directed=False, self_loops=True, seed=3
            )
        ),
        "layered:sizes=6x4x2": graphs.layered([6, 4, 2]),
        "layered": graphs.layered([128, 128]),
    }
    for spec, expected in cases.items():
        data = made(spec, seed=3)
        assert data.edge_index.equal(expected.edge_index), spec
        assert data.num_nodes == expected.num_nodes


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("sheet", "synapses"), [((16, 16), 5476), ((28, 28), 17956)])
def test_what_is_left_out_follows_from_the_sheet_and_the_budget(sheet, synapses, seed):
    counts = []
    for spec in (
        "grid",
        "coordinate",
        "kaiser-hilgetag",
        "small-world",
        "erdos-renyi",
        "fixed-in-degree",
        "fixed-out-degree",
        "barabasi-albert:directed=true",
        "power-law-cluster:directed=true",
        "stochastic-block",
        "hierarchical-modules:levels=2,branching=3",
    ):
        data = build(parse(spec), sheet, num_edges=synapses, seed=seed)
        assert data.num_nodes == sheet[0] * sheet[1]
        assert graphs.summary(data, max_sources=2).self_loops == data.num_nodes
        counts.append(data.num_edges)
    assert max(counts) <= 1.02 * min(counts)


FITTED = {
    "coordinate": (5476, "d990ed55bd57"),
    "coordinate:periodic=true": (5476, "ec778f81e6f9"),
    "kaiser-hilgetag": (5476, "cfc46a9c0ca1"),
    "kaiser-hilgetag:directed=true": (5476, "582a8aeef72d"),
    "small-world": (5376, "ebb9c3c5fc3c"),
    "small-world:method=newman-watts,rewire=0.5": (5648, "a0e82877ff73"),
    "erdos-renyi": (5476, "a5247f2cfd1a"),
    "erdos-renyi:directed=false": (5476, "225833569c71"),
    "fixed-in-degree": (5376, "3cf45963c832"),
    "fixed-out-degree": (5376, "cf0f1e988073"),
    "barabasi-albert": (5646, "541a780b1d14"),
    "barabasi-albert:directed=true": (5404, "7f32112d644d"),
    "power-law-cluster": (5646, "a27d62125ea9"),
    "power-law-cluster:directed=true": (5404, "fcc1d4684fd4"),
    "stochastic-block": (5478, "4189bd38db1d"),
    "hierarchical-modules": (5475, "130673b42c57"),
}


@pytest.mark.parametrize("spec", FITTED)
def test_what_is_fitted_stays_the_same_connectome(spec):
    data = made(spec, seed=1)
    checksum = hashlib.sha256(data.edge_index.numpy().tobytes()).hexdigest()[:12]
    assert (data.num_edges, checksum) == FITTED[spec]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "file"])
def test_every_kind_is_built_without_options(name):
    data = build(parse(name), (6, 6), num_edges=300, seed=0)
    assert (data is None) == (name == "none")
    if data is not None:
        graphs.validate(data)


@pytest.mark.parametrize("name", KINDS)
def test_options_are_named_as_the_arguments_of_the_generator(name):
    """All of them but the seed, in their order: none is of a type that no text can state."""
    kind = KINDS[name]
    arguments = [each for each in inspect.signature(kind.make).parameters if each != "seed"]
    assert list(kind.readers) == arguments
    assert {*(kind.sized or ()), *kind.defaults} <= set(arguments)
    assert kind.fitted is None or kind.fitted in arguments


@pytest.mark.parametrize(
    ("make", "fitted", "least"),
    [
        (graphs.fixed_in_degree, "in_degree", 5476 - 256),
        (graphs.fixed_total, "num_edges", 5476),
        (graphs.erdos_renyi, "probability", 5400),
        (graphs.barabasi_albert, "edges_per_node", 5300),
    ],
)
def test_a_generator_is_one_line_of_the_table(monkeypatch, make, fitted, least):
    """What it takes to fit an argument need not be said."""
    monkeypatch.setitem(KINDS, "new", Kind(make, ("num_nodes",), fitted=fitted))
    assert budget([parse("new"), parse("grid")], SHEET).num_edges == 5476
    for seed in (0, 1):
        data = made("new", seed=seed)
        assert data.num_nodes == 256
        assert least <= data.num_edges <= 5650
    stated = made(f"new:num_nodes=64,{fitted}=1,self_loops=false")
    assert stated.edge_index.equal(make(64, 1, seed=0).edge_index)


def test_an_argument_that_brings_too_few_synapses_ends_the_search(monkeypatch):
    """A generator without a seed, of which no radius has more than 10 synapses."""

    def star(radius: float):
        return graphs.layered((1, min(1 + int(radius), 10)))

    monkeypatch.setitem(KINDS, "star", Kind(star, fitted="radius"))
    assert made("star", num_edges=100).num_edges == 10
    assert made("star", num_edges=7).num_edges == 7


def test_a_kind_of_ones_own_takes_what_its_types_say(monkeypatch):
    def ring(neighbors: Literal["near", "far"], loops: bool = False):
        return graphs.small_world(8, {"near": 2, "far": 4}[neighbors], 0, self_loops=loops, seed=0)

    monkeypatch.setitem(KINDS, "ring", Kind(ring))
    assert made("ring:neighbors=far").num_edges == 32
    assert made("ring:loops=true,neighbors=near").num_edges == 24
    with pytest.raises(ValueError, match="'ring:neighbors=all': neighbors must be one of 'near'"):
        parse("ring:neighbors=all")
    with pytest.raises(ValueError, match="'ring': .*missing 1 required positional argument"):
        made("ring")
    monkeypatch.setitem(KINDS, "untyped", Kind(lambda width: graphs.layered((width, 2))))
    with pytest.raises(ValueError, match="argument width of .* must have a type annotation; write"):
        parse("untyped:width=3")


def test_the_budget_is_that_of_the_first_topology_which_states_its_size():
    assert budget([parse("coordinate"), parse("small-world")], SHEET).num_edges == 5476
    assert (
        budget([parse("none"), parse("coordinate"), parse("grid:distance=1")], SHEET).num_edges
        == 46**2
    )
    fixed = parse("small-world:num_nodes=50,neighbors=4,self_loops=false")
    assert budget([fixed, parse("grid")], SHEET).num_edges == 200


@pytest.mark.parametrize(
    "spec",
    [
        *("coordinate", "small-world", "erdos-renyi", "fixed-in-degree", "barabasi-albert"),
        *("stochastic-block", "kaiser-hilgetag", "power-law-cluster", "layered"),
    ],
)
def test_neurons_that_are_left_out_are_those_of_the_budget(spec):
    """302 neurons make no lattice; 16 x 19 is the nearest that is no line."""
    wanted = budget([parse("coordinate"), parse("c-elegans"), parse("grid")], SHEET)
    assert (wanted.num_nodes, wanted.topology) == (302, "c-elegans")
    data = build(parse(spec), SHEET, num_edges=wanted.num_edges, num_nodes=302, seed=0)
    assert data.num_nodes == 302
    assert build(parse("grid"), SHEET, num_edges=0, num_nodes=302, seed=0).num_nodes == 16 * 19


def test_neurons_that_are_stated_stay():
    for spec in (
        "small-world:num_nodes=40",
        "layered:sizes=20x20",
        "grid:shape=5x8",
        "layered:num_nodes=40",
    ):
        assert parse(spec).states_its_neurons
        assert build(parse(spec), SHEET, num_edges=400, num_nodes=302, seed=0).num_nodes == 40
    assert not parse("none").states_its_neurons
    with pytest.raises(ValueError, match="sizes and num_nodes are both given"):
        made("layered:sizes=2x3,num_nodes=5")


def test_without_a_size_the_first_number_of_neurons_counts():
    wanted = budget([parse("none"), parse("coordinate:num_nodes=100"), parse("small-world")], SHEET)
    assert wanted == (100, 44**2, "")


@pytest.mark.parametrize(
    ("neurons", "sides"),
    [
        (256, (16, 16)),
        (500, (20, 25)),
        (302, (16, 19)),
        (1, (1, 1)),
        (2, (1, 2)),
        (3, (1, 3)),
        (7, (2, 4)),
    ],
)
def test_a_lattice_of_so_many_neurons_is_no_line(neurons, sides):
    assert lattice(neurons, SHEET) == sides


def test_newman_watts_is_fitted_with_its_shortcuts_counted():
    data = made("small-world:method=newman-watts,rewire=0.5", num_edges=5476)
    assert abs(data.num_edges / 5476 - 1) < 0.05


def test_an_even_number_is_fitted_where_both_directions_are_stored():
    assert made("erdos-renyi", num_edges=5477).num_edges == 5477
    assert made("erdos-renyi:directed=false", num_edges=5477).num_edges == 5476
    # m newcomers' synapses change the number by 2 (N - 2 m), so that half of it may be missing.
    for kind in ("barabasi-albert", "power-law-cluster"):
        assert abs(made(kind, num_edges=5476).num_edges - 5476) <= 256 - 20


def test_the_same_options_in_another_order_are_the_same_topology():
    one = parse("small-world:rewire=0.3, neighbors=10")
    assert one == parse(" small-world:neighbors=10,rewire=0.3")
    assert one.spec == "small-world:neighbors=10,rewire=0.3"
    assert parse("grid:") == parse("grid")


def test_few_neurons_and_a_torus_are_fitted_as_far_as_they_go():
    assert made("small-world:num_nodes=10").num_edges == 10 * (8 + 1)
    for kind in ("erdos-renyi", "fixed-in-degree", "fixed-out-degree"):
        assert made(f"{kind}:num_nodes=10").num_edges == 10 * 10
        assert made(kind, num_edges=0).num_edges == 256
    for kind in ("stochastic-block:ratio=1", "hierarchical-modules:ratio=1"):
        assert made(f"{kind},num_nodes=10").num_edges == 10 * 10
        assert made(kind, num_edges=0).num_edges == 256
        assert abs(made(f"{kind},directed=false", num_edges=3000).num_edges - 3000) < 10
    assert made("power-law-cluster:num_nodes=10,directed=false").num_edges == 2 * 5 * 5 + 10
    assert made("barabasi-albert", num_edges=0).num_edges == 2 * 255 + 256
    for profile in ("linear", "step", "gaussian", "mexican-hat"):
        data = made(f"coordinate:periodic=true,profile={profile}", num_edges=3000)
        assert abs(data.num_edges / 3000 - 1) < 0.01


def test_what_a_generator_refuses_is_told_with_the_topology():
    with pytest.raises(ValueError, match="topology 'grid:metric=taxicab': metric must be"):
        made("grid:metric=taxicab")
    with pytest.raises(ValueError, match="levels must be from 1 to the number of neurons, 9, got"):
        made("hierarchical-modules:num_nodes=9,branching=7,levels=99999999999")
    with pytest.raises(
        ValueError, match="blocks must be from 1 to the number of neurons, 9, got 0"
    ):
        made("stochastic-block:num_nodes=9,blocks=0")
    with pytest.raises(ValueError, match="levels must be an integer >= 0, got -1"):
        made("hierarchical-modules:levels=-1")


def test_no_graph_is_no_graph():
    assert made("none") is None


@pytest.mark.parametrize("name", ["a.npz", "a.graphml", "a b,c=d:e.csv"])
def test_a_connectome_out_of_a_file(tmp_path, name):
    saved = graphs.small_world(30, 4, 0.2, seed=0)
    graphs.save(saved, tmp_path / name)
    spec = f"file:{tmp_path / name}"
    topology = parse(spec)
    assert topology.spec == spec
    assert topology.states_its_size
    assert (
        budget([parse("none"), parse("coordinate"), topology, parse("grid")], SHEET).num_edges
        == 120
    )
    for seed in (0, 1):
        assert made(spec, seed=seed).edge_index.equal(saved.edge_index)


@pytest.mark.parametrize(
    ("spec", "make", "arguments"),
    [
        ("c-elegans", graphs.c_elegans, ()),
        ("c-elegans:kind=both,source=white1986", graphs.c_elegans, ("both", "white1986")),
        ("larva-mushroom-body:side=right", graphs.larva_mushroom_body, ("right",)),
        ("fly-visual-system:radius=2", graphs.fly_visual_system, (2,)),
    ],
)
def test_a_real_connectome_is_what_it_is_whatever_the_budget(spec, make, arguments):
    expected = make(*arguments)
    topology = parse(spec)
    assert topology.spec == spec
    assert topology.states_its_size
    assert (
        budget([parse("coordinate"), topology, parse("grid")], SHEET).num_edges
        == expected.num_edges
    )
    for seed in (0, 1):
        data = made(spec, num_edges=7, seed=seed)
        assert data.edge_index.equal(expected.edge_index)
        assert data.edge_weight.equal(expected.edge_weight)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("c-elegans:kind=both,source=cook2020", "source must be one of .*got 'cook2020'"),
        ("c-elegans:kind=muscle", "kind must be one of .*got 'muscle'"),
        ("larva-mushroom-body:side=top", "side must be one of .*got 'top'"),
        ("fly-visual-system:radius=-1", "radius must be an integer >= 0, got -1"),
    ],
)
def test_what_no_real_connectome_has_is_told_with_the_topology(spec, match):
    with pytest.raises(ValueError, match=f"topology '{spec}': {match}"):
        made(spec)


def test_the_checksum_is_that_of_the_file(tmp_path):
    path = tmp_path / "a.npz"
    graphs.save(graphs.small_world(30, 4, 0.2, seed=0), path)
    topology = parse(f"file:{path}")
    before = topology.checksum
    assert len(before) == 16
    assert parse(f" file:{path} ").checksum == before
    graphs.save(graphs.small_world(30, 4, 0.2, seed=1), path)
    assert topology.checksum != before
    assert parse("grid").checksum == ""


def test_the_checksum_is_that_of_all_files_of_a_connectome(tmp_path):
    path = tmp_path / "a.csv"
    graphs.save(graphs.grid_local((2, 3), 1), path)
    topology = parse(f"file:{path}")
    before = topology.checksum
    (tmp_path / "a.csv.json").write_text("{}")
    assert topology.checksum != before


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nix.npz", "does not exist"),
        ("a.npz", "cannot be read as a connectome"),
        ("a.doc", "end in"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_the_topology(tmp_path, name, match):
    for damaged in ("a.npz", "a.doc"):
        (tmp_path / damaged).write_text("damaged")
    topology = parse(f"file:{tmp_path / name}")
    with pytest.raises(ValueError, match=f"topology 'file:.*{name}': .*{match}"):
        budget([topology], SHEET)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (
            "gird",
            "topology 'gird': unknown kind 'gird'; choose one of grid, hexagonal, .*, file, none",
        ),
        ("", "unknown kind ''"),
        ("grid:distanse=1", "cannot read 'distanse=1'; write .* the options shape=, distance="),
        ("grid:distance", "cannot read 'distance'"),
        ("grid:distance=far", "distance='far' is not a number"),
        (
            "grid:shape=8xx8",
            "shape='8xx8' does not consist of integers; write .* 28x28",
        ),
        ("grid:padding=maybe", "padding='maybe' is neither true nor false"),
        ("small-world:num_nodes=4.5", "num_nodes='4.5' is not an integer; write for example 5"),
        ("fly-visual-system:radius=wide", "radius='wide' is not an integer; write for example 5"),
        (
            "larva-mushroom-body:left",
            "cannot read 'left'; write .* the options side=",
        ),
        (
            "coordinate:distance=2xfar",
            "distance='2xfar' does not consist of numbers; write .* 2.5",
        ),
        ("hexagonal:metric=euclidean", "with the options radius=, distance=, shape="),
        ("kaiser-hilgetag:alpha=steep", "alpha='steep' is not a number"),
        ("coordinate:extent=wide", "extent='wide' does not consist of numbers"),
        ("grid:distance=1,distance=2", "distance is given twice"),
        ("none:num_nodes=3", "write none alone"),
        ("small-world:neurons=40", "neurons= is now called num_nodes=, write num_nodes=40"),
        (
            "barabasi-albert:synapses_per_neuron=3",
            "synapses_per_neuron= is now called edges_per_node=, write edges_per_node=3",
        ),
        ("grid:neurons=40", "cannot read 'neurons=40'; write .* the options shape=, distance="),
        ("grid:shape=4x4,periodic=truexmaybe", "does not consist of truth values; write true, or"),
        ("file", "topology 'file': it has no path; write for example file:some/path.npz"),
        ("file:", "it has no path"),
    ],
)
def test_what_cannot_be_read_is_refused(spec, match):
    with pytest.raises(ValueError, match=match):
        parse(spec)
