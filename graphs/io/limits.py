"""How much a file may make its reader hold in memory."""


def check_bytes(what: str, size: int, max_bytes: int) -> None:
    """Refuse what takes more than `max_bytes`, before it is read."""
    if size > max_bytes:
        raise ValueError(
            f"{what} {size} bytes, more than max_bytes={max_bytes}; if you trust the file, pass "
            f"graphs.load(path, max_bytes={size}) or more"
        )
