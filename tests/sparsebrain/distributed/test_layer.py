"""A graph layer on 2, 3 and 4 processes next to one layer."""

import re

import pytest
import torch
from torch import distributed

import sparsebrain
from sparsebrain.distributed import DistributedGraphLayer, partition
from sparsebrain.equilibrium import Equilibrium
from tests.sparsebrain.distributed import bad_calls, layers

# Numbers of processes and kinds of partitions; each topology takes its turn.
KINDS = [(2, "blocks"), (3, "uneven"), (4, "empty"), (3, "rcm"), (4, "uneven")]


def test_it_is_found_in_the_package():
    assert sparsebrain.distributed.DistributedGraphLayer is DistributedGraphLayer


@pytest.mark.parametrize(
    "turn", range(len(KINDS)), ids=lambda turn: " ".join(map(str, KINDS[turn]))
)
def test_every_topology_equals_one_layer(pool, turn):
    size, kind = KINDS[turn]
    names = sorted({*layers.TOPOLOGIES[turn :: len(KINDS)], "grid", "coordinate"})
    for found in pool.run(size, layers.compare_topologies, names, [kind], torch.float64):
        assert len(found) == len(names)
        assert max(found.values()) < 1e-12, max(found, key=found.get)


def test_in_float32_they_differ_by_rounding(pool):
    for found in pool.run(
        4, layers.compare_topologies, ["grid", "coordinate"], ["blocks", "uneven"], torch.float32
    ):
        assert max(found.values()) < 2e-6


@pytest.mark.parametrize("size", [1, 3])
def test_every_option_equals_one_layer(pool, size):
    limit = dict.fromkeys(layers.OPTIONS, 1e-12)
    limit |= {"equilibrium": 1e-11, "anderson": 1e-11, "unrolled": 1e-8, "jacobian-free": 1e-11}
    for found in pool.run(size, layers.compare_options, torch.float64):
        for name, differences in found.items():
            assert max(differences.values()) < limit[name], (name, differences)


def test_states_start_and_noise_equal_one_layer(pool):
    for found in pool.run(2, layers.compare_calls, torch.float64):
        assert max(found.values()) < 1e-12, found


@pytest.mark.parametrize(
    "options",
    [
        {"loops": 3},
        {"loops": 4, "weight_sharing": "type"},
        {"loops": 3, "weight_sharing": "source"},
        {"loops": 3, "dale": True},
        {"loops": Equilibrium(tol=1e-9), "activation": "tanh"},
    ],
    ids=" ".join,
)
def test_drawn_weights_are_the_same_for_every_number_of_parts(pool, options):
    wholes = []
    for size in (1, 3):
        results = pool.run(size, layers.drawn, options)
        whole = torch.zeros(500, 30, dtype=torch.float64)
        weights = torch.zeros(len(layers.typed().edge_index[0]), dtype=torch.float64)
        for synapse, weight, owned, y, _, report in results:
            whole[:, owned] = y
            if options.get("weight_sharing", "synapse") == "synapse":
                weights[synapse] = weight
            assert (report is None) == isinstance(options["loops"], int)
            assert report is None or bool(report.converged.all())
        wholes.append((whole, weights))
    torch.testing.assert_close(wholes[0], wholes[1], rtol=1e-10, atol=1e-10)
    if isinstance(options["loops"], int) and "dale" not in options:
        # Linear loops keep the variance.
        assert 0.5 < float(wholes[0][0].var()) < 2


def test_text_says_which_part_it_is(pool):
    told = [result[4] for result in pool.run(3, layers.drawn, {"activation": "tanh"})]
    assert told[2].startswith("DistributedGraphLayer(Part(2 of 3: ")
    assert told[2].endswith(", loops=1, activation='tanh')")


def test_training_equals_that_of_one_layer(pool):
    results = pool.run(3, layers.train, 20)
    for (alone, together), parameters in results:
        torch.testing.assert_close(alone, together, rtol=1e-9, atol=1e-9)
        # Shared parameters stay the same in all processes.
        for mine, first in zip(parameters, results[0][1], strict=True):
            assert torch.equal(mine, first)


REFUSED = {
    "other graph": r"ValueError: part, its graph, must be the same in all .* process 1; pass",
    "other part": r"ValueError: (process 1 of the group failed: )?part must be that .* rank=[12]\)",
    "other number": r"ValueError: part must be one of as many parts as there are processes, 3, .*4",
    "no part": r"TypeError: part must be a Part or a Partition, got .*; pass part=",
    "part missing": r"FileNotFoundError: .*must have one file of part 1, and has none; call",
    "other backend": r"ValueError: backend must be the same .*'torch on cpu' .*'reference on cpu'",
    "other dtype": r"ValueError: dtype must be the same in all processes",
    "other options": r"ValueError: the options of the layer must be the same in all processes",
    "other seeds": r"ValueError: torch's seed must be the same .*; call torch\.manual_seed",
    "one wrong option": r"ValueError: (process 1 .*failed: )?loops must be an integer >= 1, got -1",
    "one wrong type": r"TypeError: (process 1 .*failed: )?loops must be an .* got 'many'",
    "other batch": r"ValueError: the batch shape of x must be the same .* \[1\] .* \[2\] .*; make",
    "one wrong x": r"(ValueError: x must be|RuntimeError: the call failed in process 1 of)",
    "one gradient": r"ValueError: x\.requires_grad must be the same in all processes",
    "other noise": r"ValueError: generator, torch's seed, must be the same in all processes",
    "other activation": r"ValueError: activation must be the same in .*'tanh'.*'relu' in process 1",
    "wrong activation": r"ValueError: activation must be one of",
    "pairs": r"ValueError: weight_sharing on several processes must be one of .*, got 'pair'; pass",
    "identity": r"ValueError: init='identity' is not supported on several processes; pass",
    "constraint": r"ValueError: constraint='norm' of an Equilibrium is not supported on several",
    "dale and sources": r"ValueError: dale=True on several processes needs .*; pass weight_sharing",
    "no layer": r"TypeError: layer must be a GraphLayer, got .*; pass layer=",
    "no partition": r"TypeError: partition must be a Partition, got .*; pass partition=",
    "another connectome": r"ValueError: partition must be one of the layer's connectome.*; pass",
    "gain": r"ValueError: layer has the option gain, .*; make the layer without gain",
    "max": r"ValueError: layer has the option aggr, .*; make the layer without aggr",
    "checkpoint": r"ValueError: layer has the option checkpoint, .*; make the layer without",
    "narrow": r"ValueError: layer has the option state_dtype, .*; make the layer without",
    "no group": r"TypeError: group must be a process group .*, got str; pass group=None",
    "twice": r"RuntimeError: .*once_differentiable",
    "afterwards": "True",
}


def test_wrong_calls_raise_one_clear_error_in_every_process(pool, tmp_path):
    """Of each name that is said by one process, the others say the same, and none hangs."""
    parts = partition(layers.graph_of("grid"), 3).save(tmp_path)
    parts[1].unlink()
    every = pool.run(3, bad_calls.refusals, str(tmp_path))
    for found in every:
        assert set(found) == set(REFUSED)
        for name, pattern in REFUSED.items():
            assert re.match(pattern, found[name], re.DOTALL), (name, found[name])


def test_a_part_with_wrong_owners_is_refused_in_every_process(pool):
    for told in pool.run(3, bad_calls.damaged_parts):
        assert re.match(r"ValueError: .*part must belong to the same partition.*; pass", told)


def test_without_processes_it_says_how_to_start_them():
    assert not distributed.is_initialized()
    with pytest.raises(RuntimeError, match=r"call torch\.distributed\.init_process_group"):
        DistributedGraphLayer(partition(layers.graph_of("grid"), 1))
