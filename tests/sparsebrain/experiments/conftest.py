import csv

import pytest


@pytest.fixture
def rows():
    """Reads a table: rows(path) is a list of dictionaries."""

    def read(path):
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read
