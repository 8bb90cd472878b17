"""Rows that are read as arrays, and the same rows read by csv alone."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import graphs
from graphs.io.rows import Rows

HEADER = "source,target,weight,type\n"
CELLS = st.sampled_from(
    [
        *(
            "a",
            "b",
            " a",
            "a ",
            "7",
            "7.0",
            "07",
            "0",
            "-0",
            "1e3",
            "0.5",
            "-2.25",
            "1e-400",
            "0e5",
        ),
        *("", "nan", "NA", "#x", "1_0", "1.", ".5", "+1", "1e", "0x1", "1e39", "inf", "1 2", "0e5"),
        *('"a"', '"a,b"', '"a""b"', '"', 'a"b', '""', ' "a"', "é", "é", "\ufeffa", "\u2003a"),
        *(
            "x" * 64,
            "x" * 65,
            "a\0",
            "a\tb",
            "٣",
            "12345678",
            "123456789",
            "1.7976931348623157e308",
        ),
        *("0.1234567890123456789", "3.4028235677973366e38", "1e-46", "\x1f", "z" * 8, "z" * 16),
    ]
)
NUMBERS = st.sampled_from(["1", "2.5", "0", "-0.0", "1e-3", "0.1", "16777217", "7e-46", "x"])
NAMES = st.sampled_from(["a", "b", "c", "long name of a cell", "é", '"a"', "7", "7.0"])
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"])


@pytest.fixture
def compare(tmp_path, monkeypatch, assert_same):
    """Read a table both ways, and require the same connectome or the same error."""

    def both(text, **options):
        path = tmp_path / "a.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        found = []
        for plain in (True, False):
            with monkeypatch.context() as patch:
                if not plain:
                    patch.setattr(Rows, "plain", lambda _: iter(()))
                try:
                    found.append(graphs.load(path, **options))
                except ValueError as error:
                    found.append(str(error))
        one, other = found
        if isinstance(one, str) or isinstance(other, str):
            assert one == other
        else:
            assert_same(one, other)
        return one

    return both


def is_plain(tmp_path, text):
    """Return how many rows are read as arrays."""
    path = tmp_path / "b.csv"
    path.write_bytes(text)
    with path.open("rb") as file:
        return sum(cells.rows for cells in Rows("it", file, ",", exact=False).plain())


@settings(deadline=None, max_examples=300)
@given(
    rows=st.lists(st.tuples(NAMES | CELLS, NAMES, NUMBERS | CELLS, NAMES), max_size=4),
    end=ENDS,
    last=st.booleans(),
    mark=st.booleans(),
)
@example(rows=[("a", "b", "1", "c"), ("b", "a", "", "c")], end="\r\n", last=False, mark=True)
def test_any_small_table(request, rows, end, last, mark):
    compare = request.getfixturevalue("compare")
    lines = ["source,target,weight,type", *(",".join(row) for row in rows)]
    compare(("\ufeff" if mark else "") + end.join(lines) + (end if last else ""))


@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.tuples(NAMES | CELLS, NAMES | CELLS), max_size=4))
def test_any_small_table_of_numbered_neurons(request, rows):
    compare = request.getfixturevalue("compare")
    compare("source,target\n" + "".join(f"{one},{other}\n" for one, other in rows), num_nodes=8)


@pytest.mark.parametrize(
    ("rows", "plain"),
    [
        (b"a,b\nc,d\n", 2),
        (b"a,b\nc,d", 2),
        (b"a,b\r\nc,d\r\n", 2),
        (b'"a",b\n"c","d"\n', 2),
        (b'"","d"\n', 1),
        ("é,ü\n".encode(), 1),
        (b"", 0),
        (b"a,b\n\nc,d\n", 0),
        (b"a,b\r\nc,d\n", 0),
        (b"a,b\rc,d\r", 0),
        (b"a,b,c\n", 0),
        (b"a\n", 0),
        (b'"a,b"\nc,d\n', 0),
        (b'"a,b",c\n', 0),
        (b'"a\nb",c\n', 0),
        (b'"a""b",c\n', 0),
        (b'a"b",c\n', 0),
        (b'" a"b,c\n', 0),
        (b'",b\n"c,d\n', 0),
        (b'"\na,"b\n', 0),
        (b"a\0,b\n", 0),
        (b"a,b" + b"x" * 2**16 + b"\n", 0),
        (b"\r,b\n", 0),
        (b"\ra,b\n\r,b\n", 0),
    ],
)
def test_which_rows_are_read_as_arrays(tmp_path, compare, rows, plain):
    assert is_plain(tmp_path, b"source,target\n" + rows) == plain
    compare(b"source,target\n" + rows)


def table(rows, names, seed=0):
    """Lines of a table with distinct pairs of names and weights of many forms."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(len(names) ** 2, rows, replace=False)
    weights = ["7", "0.6369616873214543", "0", "-1.5e-3", "12.25"]
    return [
        f"{names[pair // len(names)]},{names[pair % len(names)]},{weights[at % 5]},{'xyz'[at % 3]}"
        for at, pair in enumerate(pairs.tolist())
    ]


@pytest.mark.parametrize(
    "names",
    [
        [str(at) for at in range(300)],
        [str(720575940000000000 + 977 * at) for at in range(3000)],
        [f"cell {at}" + "'" * (at % 50) for at in range(6000)],
        [f"{'é' * (at % 3)}{at}" for at in range(500)],
    ],
)
def test_tables_of_several_blocks(compare, names):
    lines = table(40_000, names)
    data = compare(HEADER + "\n".join(lines))
    assert data.num_edges == 40_000
    assert data.num_nodes == len(names)


@pytest.mark.parametrize("at", [0, 16_383, 16_384, 20_000, 39_999])
@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ("1,2", "must have 4 values in each row, as its header has, got 2 in row {}"),
        ("1,nan,1,x", "target of the edge list must be the name of a neuron, got 'nan' in row {}"),
        ("1,2,1_0,x", "weight of the edge list must be a number, got '1_0' in row {}"),
        ("1,2,1e-50,x", "weight of the edge list must be 0 or at .* got '1e-50' in row {}"),
        ("1,2,1e40,x", "weight of the edge list must be finite .* got '1e40' in row {}"),
        ('1,2,"3"4,x', r"cannot be split into values after {} rows"),
    ],
)
def test_the_row_that_is_wrong(compare, at, bad, match):
    lines = table(40_000, [str(at) for at in range(300)])
    lines[at] = bad
    assert re.search(match.format(at + 1), compare(HEADER + "\n".join(lines)))


@pytest.mark.parametrize("odd", ['"300 ""x""",1,1,x', "\n300,1,1,x", "301,1,1,x\r"])
def test_odd_rows_between_plain_ones(compare, odd):
    lines = table(40_000, [str(at) for at in range(300)])
    lines[20_000] = odd
    assert compare(HEADER + "\n".join(lines)).num_edges == 40_000


@pytest.mark.parametrize("delimiter", [";", "\t", " ", "|", "é", "e", "."])
def test_delimiters(compare, delimiter):
    text = "source,target,weight\na,b,1\nb,c,2\n".replace(",", delimiter)
    compare(text, delimiter=delimiter, columns={"weight": None} if delimiter == "." else None)


def test_text_that_is_not_utf_8_after_many_rows(compare):
    lines = "\n".join(table(40_000, [str(at) for at in range(300)])).encode()
    told = compare(HEADER.encode() + lines + b"\n\xff,1,1,x\n")
    assert "it is not text in UTF-8 (the byte 0xff cannot be decoded)" in told


def test_many_rows_take_memory_for_their_arrays_only(tmp_path):
    path = tmp_path / "a.csv"
    rows = 200_000
    path.write_text("source,target,weight\n" + "".join(f"{at},{at},{at}\n" for at in range(rows)))
    graphs.load(path, num_nodes=rows)
    tracemalloc.start()
    graphs.load(path, num_nodes=rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Synapses take 20 bytes each, a text of a neuron about 100.
    assert peak < 300 * rows
