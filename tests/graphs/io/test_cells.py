import io

import numpy as np
import pytest

from graphs import compiled
from graphs.io.cells import Cells, OddError, blocks, digits, raw, reals

needs_helpers = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)


@pytest.fixture(params=["compiled", "plain"])
def both(request, monkeypatch):
    """Runs a test with and without the compiled helpers."""
    if request.param == "plain":
        monkeypatch.setattr(compiled, "module", lambda: None)


def words(texts):
    """The words of texts of at most 8 bytes."""
    return np.array([text.encode() for text in texts], dtype="S8").view("<u8").reshape(-1, 1)


def test_whole_numbers():
    texts = ["0", "7", "42", "100", "00000009", "12345678", "99999999", "1234567", "54321"]
    assert digits(words(texts)).tolist() == [float(text) for text in texts]
    every = [str(number) for number in range(0, 10**8, 9973)]
    assert digits(words(every)).tolist() == [float(text) for text in every]


@pytest.mark.parametrize("odd", ["", "1.5", "-1", "+1", "a", "1:", "/1", "12/45678", "é", "1 2"])
def test_other_texts_are_no_whole_numbers(odd):
    assert digits(words(["1", odd])) is None


def test_no_single_byte_but_digits_is_a_whole_number():
    for byte in range(1, 256):
        found = digits(np.array([[byte], [0x3131 + 256 * (byte - 0x31)]], dtype=np.uint64))
        assert (found is not None) == (48 <= byte <= 57)


def test_long_texts_are_no_whole_numbers():
    assert digits(np.array([[0x31, 0]], dtype=np.uint64)) is None


@needs_helpers
def test_numbers_are_rounded_as_python_rounds_them():
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(5000) * 10.0 ** rng.integers(-300, 300, 5000)
    texts = [*map(repr, numbers.tolist()), "0", "-0", "1.", ".5", "-.5e-3", "1E5", "007"]
    # Halfway between two numbers, and just above.
    texts += ["9007199254740993", "9007199254740993.00000000000000000001", "4.9e-324"]
    cells = np.array([text.encode() for text in texts], dtype="S40").view("<u8").reshape(-1, 5)
    assert np.array_equal(reals(cells), np.array([float(text) for text in texts]))
    assert np.signbit(reals(words(["-0"]))).all()


@needs_helpers
@pytest.mark.parametrize(
    "odd",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "1_0",
        "inf",
        "-inf",
        "nan",
        "-nan",
        "1e",
        "0x1",
        "1e999",
        "-",
        ".",
        "٣",
    ],
)
def test_odd_numbers_are_left_to_python(odd):
    cells = np.array([b"1", odd.encode()], dtype="S8").view("<u8").reshape(-1, 1)
    assert reals(cells) is None


@needs_helpers
def test_no_byte_outside_the_text_is_read():
    helpers = compiled.module()
    text = np.zeros(16, np.uint8)
    for start, end in ((-1, 1), (9, 9), (5, 4), (2**62, 2**62)):
        with pytest.raises(IndexError, match="not inside"):
            helpers.words(text, np.array([[start]]), np.array([[end]]), 0, 8)
    with pytest.raises(IndexError, match="one shape"):
        helpers.words(text, np.zeros((1, 1), int), np.zeros((1, 1), int), 1, 8)
    with pytest.raises(IndexError, match="one shape"):
        helpers.words(text, np.zeros((1, 1), int), np.zeros((2, 1), int), 0, 8)


@pytest.mark.usefixtures("both")
def test_cells_are_the_bytes_between_delimiters():
    cells = Cells(b"a,12345678\r\nlonger than a word,\r\n", ",", 2)
    assert raw(cells.words(0)).tolist() == [b"a", b"longer than a word"]
    assert raw(cells.words(1)).tolist() == [b"12345678", b""]
    assert cells.words(0).shape == (2, 3)


@pytest.mark.usefixtures("both")
def test_long_cells_are_odd():
    assert raw(Cells(b"x" * 64 + b",b\n", ",", 2).words(0)).tolist() == [b"x" * 64]
    with pytest.raises(OddError):
        Cells(b"x" * 65 + b",b\n", ",", 2).words(0)


@pytest.mark.parametrize("last", [b"", b"\n", b"end"])
@pytest.mark.parametrize("lines", [1, 7, 1000])
def test_blocks_are_the_file_in_whole_lines(lines, last):
    text = b"".join(b"%d\n" % at for at in range(100_000)) + last
    found = list(blocks(io.BytesIO(text), lines))
    assert b"".join(found) == text
    assert {each.count(b"\n") for each in found[:-1]} == {lines}
    assert all(each.endswith(b"\n") for each in found[:-1])


def test_a_line_without_end_is_the_last_block():
    found = list(blocks(io.BytesIO(b"a\n" + b"x" * 10**7), 1))
    assert found[0] == b"a\n"
    assert len(found[1]) < 5 * 10**6
