"""Checkpoints load on another number of processes, and stay whole when a process is killed."""

import functools
import os
import subprocess
import sys

import pytest
import torch

from sparsebrain import GraphLayer
from sparsebrain.distributed import load_checkpoint, partition, save_checkpoint
from tests.sparsebrain.distributed import networks
from tests.sparsebrain.distributed.layers import make, typed

OPTIONS = {"bias": True, "threshold": "population", "leak": "neuron"}


def whole(results):
    """Weights and biases of all parts."""
    weight, bias = torch.zeros(typed().num_edges).double(), torch.zeros(30).double()
    for synapse, of_synapses, owned, of_neurons in results:
        weight[synapse], bias[owned] = of_synapses, of_neurons
    return weight, bias


def test_training_goes_on_with_another_number_of_processes(pool, tmp_path):
    """Two steps on 2 processes, one on 3 and one on 1, with Adam, are four steps on 1."""
    train = functools.partial
    folder = str(tmp_path)
    pool.run(2, train(networks.trained, save=True, load=False), folder, 2)
    pool.run(3, train(networks.trained, save=True, load=True), folder, 1)
    layer = make(typed(), torch.float64, **OPTIONS)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    found = load_checkpoint(folder, layer, optimizer)
    assert found.name == "checkpoint-00000002"
    saved = pool.run(3, train(networks.trained, save=False, load=True), folder, 0)
    torch.testing.assert_close(whole(saved), (layer.weight.detach(), layer.bias.detach()))
    # From one layer to one process.
    save_checkpoint(folder, layer, optimizer)
    (last,) = pool.run(1, train(networks.trained, save=True, load=True), folder, 1)
    (straight,) = pool.run(1, train(networks.trained, save=False, load=False), str(tmp_path), 4)
    torch.testing.assert_close(whole([last]), whole([straight]), rtol=1e-10, atol=1e-12)
    # The last two are kept.
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-00000003", "checkpoint-00000004"]


def test_wrong_checkpoints(tmp_path):
    layer = make(typed(), torch.float64, **OPTIONS)
    with pytest.raises(FileNotFoundError, match=r"has no checkpoint; call save_checkpoint"):
        load_checkpoint(tmp_path, layer)
    save_checkpoint(tmp_path, layer)
    other = GraphLayer(typed(), bias=True, gain="synapse", dtype=torch.float64)
    with pytest.raises(ValueError, match=r"has no parametrizations\.weight\.original of part 0"):
        load_checkpoint(tmp_path, other)
    adam = torch.optim.Adam(layer.parameters())
    with pytest.raises(ValueError, match=r"has no weight/step of part 0; pass a layer and an"):
        load_checkpoint(tmp_path, layer, adam)
    with pytest.raises(TypeError, match=r"layer must be a DistributedGraphLayer or a GraphLayer"):
        save_checkpoint(tmp_path, torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"optimizer must be an optimizer of torch or None"):
        save_checkpoint(tmp_path, layer, "adam")
    strange = torch.optim.SGD(torch.nn.Linear(2, 2).parameters())
    with pytest.raises(ValueError, match=r"optimizer must have parameters of the layer alone"):
        save_checkpoint(tmp_path, layer, strange)
    with pytest.raises(TypeError, match="folder must be a str"):
        save_checkpoint(3, layer)


def test_a_killed_process_ends_the_others_and_leaves_the_last_checkpoint_whole(tmp_path):
    command = [sys.executable, "-m", "tests.sparsebrain.distributed.failing"]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True, env=os.environ
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=300)[1] for process in processes]
    assert processes[1].returncode == -9
    assert processes[0].returncode == 1
    assert "a process of the group has ended or stopped answering" in told[0]
    assert "call sparsebrain.distributed.load_checkpoint(folder, layer)" in told[0]
    names = sorted(os.listdir(tmp_path / "saved"))
    assert names[-2:] == ["checkpoint-00000001", "checkpoint-00000002"]
    layer = GraphLayer(typed(), dtype=torch.float64)
    assert load_checkpoint(tmp_path / "saved", layer).name == "checkpoint-00000002"
    halves = partition(typed(), 2)
    for rank in range(2):
        expected = torch.load(tmp_path / f"weight-2-{rank}.pt")
        assert torch.equal(layer.weight.detach()[halves.part(rank).synapse], expected)
