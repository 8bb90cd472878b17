"""The fly brain model on a made-up connectome in the layout of the original."""

import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.spiking import LIF, FlyBrain

NAMES = ["sugar", "relay", "motor", "brake", "alone"]
# source, target, signed number of synapses
SYNAPSES = [(0, 1, 400), (1, 2, 300), (3, 1, -2000), (2, 4, 1)]


@pytest.fixture
def brain(tmp_path):
    rows = [",Completed", *(f"{name},True" for name in NAMES)]
    (tmp_path / "Completeness_1.csv").write_text("\n".join(rows) + "\n")
    header = "Presynaptic_Index,Postsynaptic_Index,Excitatory x Connectivity"
    rows = [header, *(",".join(map(str, row)) for row in SYNAPSES)]
    (tmp_path / "Connectivity_1.csv").write_text("\n".join(rows) + "\n")
    return graphs.load(tmp_path)


def seeded():
    return torch.Generator().manual_seed(4)


def test_the_constants_are_those_of_the_model(brain):
    fly = FlyBrain(brain)
    assert (fly.tau, fly.tau_synapse, fly.rest, fly.reset, fly.threshold) == (
        20.0,
        5.0,
        -52.0,
        -52.0,
        -45.0,
    )
    assert (int(fly.refractory_steps), int(fly.delay_steps)) == (22, 18)
    assert (fly.dt, fly.step, fly.refractory_holds) == (0.1, "exact", "all")
    expected = {(source, target): 0.275 * count for source, target, count in SYNAPSES}
    found = zip(*fly.edge_index.tolist(), fly.weight.tolist(), strict=True)
    for source, target, weight in found:
        assert math.isclose(weight, expected[source, target], rel_tol=1e-6)


def test_the_spikes_are_those_of_the_same_neurons(brain):
    """Activated neurons are not refractory, which is the only difference."""
    weighted = Data(edge_index=brain.edge_index, num_nodes=5, edge_weight=brain.edge_weight * 0.275)
    neurons = LIF(
        weighted,
        tau=20.0,
        tau_synapse=5.0,
        rest=-52.0,
        reset=-52.0,
        threshold=-45.0,
        refractory=torch.tensor([0.0, 2.2, 2.2, 2.2, 2.2]),
        delay=1.8,
        dt=0.1,
    )
    recording = neurons.simulate(300, poisson=([0], 150.0, 68.75), samples=4, generator=seeded())
    rates = recording.rates
    found = FlyBrain(brain).respond(["sugar"], duration=300, trials=4, generator=seeded())
    assert torch.equal(found.rate, rates.mean(0))
    torch.testing.assert_close(found.error, rates.std(0) / 2)
    assert float(rates[:, :3].min()) > 0


def test_neurons_are_activated_and_silenced(brain):
    fly = FlyBrain(brain)
    alone = fly.respond(["sugar"], trials=3, generator=seeded())
    # 400 synapses, 110 mV in g, are enough for a spike, and one synapse is not.
    assert alone.answered.tolist() == [1, 2]
    assert 120 < float(alone.rate[0]) < 180
    assert float(alone.rate[4]) == 0
    for silence in (["relay"], [1], torch.tensor([False, True, False, False, False])):
        cut = fly.respond(["sugar"], silence=silence, trials=3, generator=seeded())
        assert cut.answered.tolist() == []
        assert float(cut.rate[0]) == float(alone.rate[0])
    both = fly.respond([0, 3], trials=3, generator=seeded())
    assert float(both.rate[2]) < float(alone.rate[2])
    slower = fly.respond([0, 3], rate=torch.tensor([150.0, 0.0]), trials=3, generator=seeded())
    assert float(slower.rate[3]) == 0
    # An experiment leaves the neurons as they were.
    assert int(fly.refractory_steps) == 22
    again = fly.respond(["sugar"], trials=3, generator=seeded())
    assert torch.equal(again.rate, alone.rate)


def test_the_table(brain):
    fly = FlyBrain(brain)
    text = str(fly.respond(["sugar"], silence=["brake"], duration=200, trials=2))
    header, first, second, third, *last = text.splitlines()
    assert header.split() == ["neuron", "name", "rate", "(Hz)"]
    assert first.split()[:2] == ["0", "sugar"]
    assert first.endswith("activated")
    assert {second.split()[1], third.split()[1]} == {"relay", "motor"}
    assert all("±" in line for line in (first, second, third))
    assert " ".join(last) == (
        "2 of 5 neurons answered to 1 activated, with 1 silenced; mean and standard error over 2 "
        "trials of 200 ms"
    )
    with pytest.raises(ValueError, match="no populations; set connectome.node_type"):
        fly.respond([0], duration=1, trials=1).population_rates()
    single = fly.respond([0], duration=50, trials=1)
    assert bool(single.error.isnan().all())
    assert "±" not in str(single)


def test_populations_of_a_measured_connectome():
    data = graphs.fly_visual_system(radius=0)
    fly = FlyBrain(data)
    sign = data.edge_sign
    torch.testing.assert_close(fly.weight.detach(), 0.275 * data.edge_weight * sign)
    responses = fly.respond("L1", silence=(), duration=100, trials=2)
    name = data.node_type_names.index("L1")
    assert responses.activated.tolist() == (data.node_type == name).nonzero().flatten().tolist()
    header, first, *_ = str(responses).splitlines()
    assert header.split() == ["population", "neurons", "rate", "(Hz)"]
    assert first.split()[:2] == ["L1", "1"]
    assert first.endswith("activated")
    by_hand = responses.rates[:, data.node_type == name].mean(1)
    torch.testing.assert_close(responses.population_rates()[:, name], by_hand)


def test_counts_that_are_signed_already_and_unknown_signs():
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    for weight, sign, expected in (
        ([4.0, 8.0, 0.0], [-1.0, 0.0, 1.0], [-1.1, 2.2, 0.0]),
        ([-4.0, 8.0, 4.0], [-1.0, 1.0, 1.0], [-1.1, 2.2, 1.1]),
    ):
        data = Data(
            edge_index=edges,
            num_nodes=3,
            edge_weight=torch.tensor(weight),
            edge_sign=torch.tensor(sign),
        )
        torch.testing.assert_close(FlyBrain(data).weight.detach(), torch.tensor(expected))
        # The argument stays as it was.
        assert data.edge_weight.tolist() == weight


def test_bad_input(brain):
    with pytest.raises(ValueError, match="connectome needs edge_weight, the numbers of synapses"):
        FlyBrain(graphs.grid_local((3, 3), 1))
    with pytest.raises(TypeError, match=r"connectome must be a torch_geometric.data.Data, got str"):
        FlyBrain("flywire")
    fly = FlyBrain(brain)
    for options, match in (
        ({"activate": ["salt"]}, "activate names 'salt', which is not in connectome.names"),
        ({"activate": []}, "activate must name at least one neuron"),
        ({"activate": [5]}, "activate must"),
        ({"silence": [0, 0]}, "silence names a neuron twice"),
        ({"rate": -1.0}, "rate must be a finite number in"),
        ({"rate": 20000.0}, "rate must be a finite number in"),
        ({"rate": torch.tensor([math.nan])}, "rate must be finite"),
        ({"rate": torch.tensor([1.0, 2.0])}, r"rate must .*\[1\], got \[2\]; pass a number"),
        ({"trials": 0}, "trials must be an integer >= 1, got 0"),
        ({"trials": 10**11}, "trials="),
        ({"duration": -1.0}, "duration must be"),
        ({"jump": math.inf}, "jump must be a finite number"),
    ):
        with pytest.raises(ValueError, match=match):
            fly.respond(**{"activate": ["sugar"], **options})
