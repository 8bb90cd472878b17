"""Processes for the tests of this folder, started once."""

import pytest

from tests.sparsebrain.distributed.pool import Pool


@pytest.fixture(scope="session")
def pool():
    processes = Pool()
    yield processes
    processes.close()
