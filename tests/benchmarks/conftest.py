"""Benchmarks are run from the checkout and installed nowhere; the packages they measure may be."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

if importlib.util.find_spec("benchmarks.layer") is None:
    # At the end, so that an installed sparsebrain is not hidden by the one in the checkout.
    sys.path.append(str(ROOT))


@pytest.fixture
def peaks():
    """Skips where peaks of memory cannot be measured."""
    from benchmarks import resident

    obstacle = resident.obstacle()
    if obstacle is not None:
        pytest.skip(obstacle)
