"""Spiking networks on several processes: the same spikes and states as in one process."""

import re

import pytest
import torch
from torch import distributed

from sparsebrain.distributed import DistributedLIF, partition
from tests.sparsebrain.distributed import networks
from tests.sparsebrain.distributed.layers import typed

WINDOWS = {
    "long delay": (2, True),
    "one step": (1, False),
    "no delay": (0, False),
    "delays of their own": (1, True),
    "float64": (1, True),
}


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_spikes_and_states_equal_those_of_one_process(pool, name):
    results = pool.run(3, networks.compare_spikes, name)
    assert all(same for same, *_ in results)
    assert sum(count for _, count, *_ in results) > 100
    for _, _, window, overlaps in results:
        assert (window, overlaps) == WINDOWS.get(name, (window, overlaps))


def test_four_processes_equal_one_too(pool):
    assert all(same for same, *_ in pool.run(4, networks.compare_spikes, "delays of their own"))


def test_each_process_can_make_its_network_from_its_own_file(pool, tmp_path):
    data = typed()
    for size in (1, 3):
        partition(data, size).save(tmp_path / str(size))
    spikes = []
    for size in (1, 3):
        found = torch.cat(pool.run(size, networks.from_parts, str(tmp_path / str(size))), 1)
        spikes.append(found[:, (found[0] * data.num_nodes + found[1]).argsort()])
    assert spikes[0].size(1) > 10
    assert torch.equal(*spikes)


def test_wrong_networks_raise_one_clear_error_in_every_process(pool):
    refused = {
        "no lif": r"TypeError: lif must be a LIF, got .*; pass lif=",
        "no partition": r"TypeError: partition must be a Partition, got .*; pass partition=",
        "another connectome": r"ValueError: partition must be one of the connectome of lif",
        "weights missing": r"ValueError: init='edge_weight' needs connectome.edge_weight",
        "other dt": r"ValueError: dt must be the same in all .* 0\.5 in process 0 and 1\.0",
        "one wrong duration": r"ValueError: (process 1 .*failed: )?duration must be",
        "other samples": r"ValueError: samples must be the same in all processes",
        "other seeds": r"ValueError: generator, torch's seed, must be the same in all processes",
    }
    for found in pool.run(2, networks.bad_networks):
        assert set(found) == set(refused)
        for name, pattern in refused.items():
            assert re.match(pattern, found[name]), (name, found[name])


def test_without_processes_it_says_how_to_start_them():
    assert not distributed.is_initialized()
    with pytest.raises(RuntimeError, match=r"call torch\.distributed\.init_process_group"):
        DistributedLIF(partition(typed(), 1))
