"""Gibbs sampling on several processes: the same colors and chains as in one process."""

import re

import pytest

from tests.graphs.cases import CASES
from tests.sparsebrain.distributed import networks

TURNS = [
    (2, "blocks", ["grid", "erdos-renyi-dense", "watts-strogatz"]),
    (3, "uneven", ["coordinate", "modules", "grid-1d"]),
    (4, "empty", ["grid", "grid-4d"]),
]


@pytest.mark.parametrize("turn", range(len(TURNS)))
def test_colors_and_chains_equal_those_of_one_process(pool, turn):
    size, kind, names = TURNS[turn]
    for name in set(names) & set(CASES):
        for found in pool.run(size, networks.compare_gibbs, name, kind):
            assert found == [True, True, True], name


def test_wrong_calls_raise_one_clear_error_in_every_process(pool):
    refused = {
        "self-loops": r"ValueError: (process 0 .*failed: )?part has the self-loop .*; pass",
        "one wrong state": r"ValueError: (process 1 .*failed: )?state must be 0 or 1, got 2",
        "other seed": r"ValueError: seed must be the same in all processes .* 0 .* 1 in process 1",
        "other chains": r"ValueError: the number of chains in state must be the same",
        "weights": r"ValueError: (process \d .*failed: )?weight must be .*shape",
    }
    for found in pool.run(2, networks.bad_samplers):
        assert set(found) == set(refused)
        for name, pattern in refused.items():
            assert re.match(pattern, found[name]), (name, found[name])
