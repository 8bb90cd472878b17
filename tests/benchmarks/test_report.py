import csv

import pytest

from benchmarks import report


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.00"),
        (0.00123456, "0.00123"),
        (0.5, "0.500"),
        (9.999, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (1234.5, "1234"),
        (-150.2, "-150"),
    ],
)
def test_three_digits_count(number, text):
    assert report.digits(number) == text


def test_a_line_says_where_it_was_measured_and_wins(tmp_path):
    path = tmp_path / "found.csv"
    rows = [{"ms": 1.5, "threads": 1}, {"ms": 2.5, "threads": 2}]
    report.write_csv(path, rows, {"threads": 8, "processor": "one, of two"})
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"ms": "1.5", "threads": "1", "processor": "one, of two"},
            {"ms": "2.5", "threads": "2", "processor": "one, of two"},
        ]
    assert [each.name for each in tmp_path.iterdir()] == ["found.csv"]
