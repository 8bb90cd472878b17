"""Read the tables in `data/`."""

import csv
import gzip
from importlib.resources import files


def read(name: str) -> dict[str, tuple[str, ...]]:
    """Return the columns of a table by their headings."""
    packed = files("graphs.brains").joinpath("data", f"{name}.csv.gz").read_bytes()
    heading, *rows = csv.reader(gzip.decompress(packed).decode().splitlines())
    return dict(zip(heading, zip(*rows, strict=True), strict=True))
