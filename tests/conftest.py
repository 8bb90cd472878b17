"""What holds for all tests."""

from collections import defaultdict

import pytest
import torch

import graphs
from tests.tiers import LISTED, lists, sample

# pytest would otherwise import a module with doctests again, after graphs has imported it.
for name in graphs.__all__:
    getattr(graphs, name)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tiny problems gain nothing from more, and lose much where other processes run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield


@pytest.fixture(scope="session")
def pool():
    """Processes for the tests of torch.distributed, started once."""
    from tests.sparsebrain.distributed.pool import Pool

    processes = Pool()
    yield processes
    processes.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow what tiers.py says; `-m` chooses after that."""
    cases = defaultdict(list)
    for item in items:
        function = getattr(item, "originalname", item.name)
        if any(lists(entry, item.path, function) for entry in LISTED):
            item.add_marker(pytest.mark.slow)
        elif hasattr(item, "callspec"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for each in cases.values():
        kept = sample([item.callspec.params for item in each])
        for at, item in enumerate(each):
            if at not in kept:
                item.add_marker(pytest.mark.slow)
