"""The memory that a connectome takes, and that the machine has.

A size that does not fit is refused before anything is allocated.
"""

import functools
import os
from pathlib import Path

# The pairs (source, target) of more neurons could not be numbered in 64 bits.
_MOST_NEURONS = 2**31 - 1
# Bytes that a connectome takes at least while it is generated: an estimate from below, so that
# nothing is refused that fits.
_PER_NEURON, _PER_SYNAPSE = 40, 32
# Limits that containers set on Linux.
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def check(names: str, fix: str, *, neurons: float = 0, synapses: float = 0) -> None:
    """Refuse a connectome that does not fit into memory, before anything is allocated.

    Args:
        names: Names of the arguments that determine the size, such as "num_nodes and probability".
        fix: What to pass instead.
        neurons: Number of neurons.
        synapses: Number of synapses, or the number expected on average.

    Raises:
        ValueError: There are 2^31 neurons or more, or the connectome takes more memory than this
            machine or container has.

    Example:
        >>> check("num_nodes", "pass num_nodes=1000", neurons=10**12)
        Traceback (most recent call last):
            ...
        ValueError: num_nodes must be at most 2147483647 neurons, got 1e+12; pass num_nodes=1000
    """
    if fits(neurons, synapses):
        return
    neurons, synapses = min(neurons, 1e300), min(synapses, 1e300)  # integers may be larger
    if neurons > _MOST_NEURONS:
        raise ValueError(
            f"{names} must be at most {_MOST_NEURONS} neurons, got {neurons:.4g}; {fix}"
        )
    raise ValueError(
        f"{names} must be small enough for {available() / 2**30:.3g} GiB of memory, got "
        f"{neurons:.4g} neurons and {synapses:.4g} synapses, which take at least "
        f"{_bytes(neurons, synapses) / 2**30:.3g} GiB; {fix}"
    )


def fits(neurons: float, synapses: float = 0) -> bool:
    """Return whether a connectome of this size may fit into the memory of this machine."""
    return neurons <= _MOST_NEURONS and _bytes(neurons, synapses) <= available()


def _bytes(neurons: float, synapses: float) -> float:
    return _PER_NEURON * neurons + _PER_SYNAPSE * synapses


@functools.cache
def available() -> int:
    """Return the bytes of memory of this machine, or of the container in which it runs."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        size = 2**40
    for path in _CONTAINER_LIMITS:
        try:
            limit = path.read_text().strip()
        except OSError:
            continue
        if limit.isdigit():  # otherwise "max"
            size = min(size, int(limit))
    return size
