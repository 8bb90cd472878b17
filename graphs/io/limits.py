"""Limits on the memory that reading a file may use."""

from graphs import arguments

_BYTES_PER_NEURON = 8


def check_bytes(what: str, size: int, max_bytes: int) -> None:
    """Refuse data that takes more than `max_bytes`, before it is read.

    Raises:
        ValueError: With `what` as the subject of the message.
    """
    if size > max_bytes:
        fix = f"if you trust the file, pass graphs.load(path, max_bytes={size}) or more"
        if size > arguments.MOST:
            fix = "no computer has as much memory: take a whole copy of the file"
        raise ValueError(f"{what} {size} bytes, more than max_bytes={max_bytes}; {fix}")


def check_neurons(neurons: int, max_bytes: int) -> None:
    """Refuse a number of neurons that the size of the file does not limit.

    Raises:
        ValueError: Their fields take more than `max_bytes`.
    """
    # The check of the contract and the readers visit each neuron.
    check_bytes(f"its {neurons} neurons take", neurons * _BYTES_PER_NEURON, max_bytes)
