"""How much a file may make its reader hold in memory."""

_BYTES_PER_NEURON = 8


def check_bytes(what: str, size: int, max_bytes: int) -> None:
    """Refuse what takes more than `max_bytes`, before it is read."""
    if size > max_bytes:
        raise ValueError(
            f"{what} {size} bytes, more than max_bytes={max_bytes}; if you trust the file, pass "
            f"graphs.load(path, max_bytes={size}) or more"
        )


def check_neurons(neurons: int, max_bytes: int) -> None:
    """Refuse a number of neurons that costs no bytes in the file."""
    # Whatever visits each neuron, such as the check of the contract, takes that much.
    check_bytes(f"its {neurons} neurons take", neurons * _BYTES_PER_NEURON, max_bytes)
