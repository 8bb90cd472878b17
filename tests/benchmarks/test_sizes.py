import json

import pytest
import torch

from benchmarks import sizes
from benchmarks.peers import AS_NUMBERED, OURS


def test_every_graph_is_measured_at_every_size(tmp_path):
    path = tmp_path / "sizes.json"
    options = ["--loops", "2", "--batch", "3", "--rounds", "1", "--json", str(path)]
    assert sizes.main(["--neurons", "30", "--neurons", "100", *options]) == 0
    found = json.loads(path.read_text())
    # A grid takes the largest square; its windows, of five by five, are cut at the border.
    assert [
        (case["problem"]["graph"], case["problem"]["neurons"], case["problem"]["synapses"])
        for case in found["cases"]
    ] == [
        ("grid", 25, (5 * 5 - 6) ** 2),
        ("grid", 100, (5 * 10 - 6) ** 2),
        ("random", 30, 30 * 25),
        ("random", 100, 100 * 25),
        # Places are random, and pairs near the border of the square have less room.
        ("places", 30, sizes.GRAPHS["places"](30).num_edges),
        ("places", 100, sizes.GRAPHS["places"](100).num_edges),
    ]
    for case in found["cases"]:
        places = case["problem"]["graph"] == "places"
        assert list(case["peers"]) == ([OURS, AS_NUMBERED] if places else [OURS])
        assert case["problem"]["loops"] == 2
        assert case["problem"]["batch"] == 3
        assert case["problem"]["threads"] == torch.get_num_threads()


def test_random_neurons_have_as_many_sources_each():
    connectome = sizes.GRAPHS["random"](40)
    degrees = torch.bincount(connectome.edge_index[0], minlength=40)
    assert connectome.num_nodes == 40
    assert degrees.sum() == 40 * 25


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--neurons", "25"], "25 neurons cannot have 25 synapses each"),
        (["--neurons", "many"], "invalid"),
        (["--graph", "ring"], "invalid choice: 'ring'"),
        (["--batch", "0"], "invalid positive value"),
    ],
)
def test_bad_options_are_refused(options, told, capsys):
    with pytest.raises(SystemExit) as ended:
        sizes.main(options)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
