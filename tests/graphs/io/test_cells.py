import io

import numpy as np
import pytest

from graphs.io.cells import Cells, OddError, blocks, digits, raw


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


def test_cells_are_the_bytes_between_delimiters():
    cells = Cells(b"a,12345678\r\nlonger than a word,\r\n", ",", 2)
    assert raw(cells.words(0)).tolist() == [b"a", b"longer than a word"]
    assert raw(cells.words(1)).tolist() == [b"12345678", b""]
    assert cells.words(0).shape == (2, 3)


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
