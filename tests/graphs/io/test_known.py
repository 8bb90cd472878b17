import numpy as np
import pytest

from graphs import compiled
from graphs.io.cells import OddError
from graphs.io.known import _FACTORS, Known, _hashes


def words(texts, width):
    """The words of texts, as cells have them."""
    raw = np.array([text.encode() for text in texts], dtype=f"S{8 * width}")
    return raw.view("<u8").reshape(len(texts), width)


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def helpers(request, monkeypatch):
    """Run every test with and without the compiled helpers."""
    found = compiled.module()
    if request.param == "plain":
        monkeypatch.setattr(compiled, "module", lambda: None)
    elif found is None:
        pytest.skip("no compiled helpers; .ci/run asserts them")
    return found


@pytest.fixture
def asked():
    return []


@pytest.fixture
def known(asked):
    """A table that numbers texts by their length, and keeps what it was asked."""

    def convert(texts):
        asked.append(texts)
        return np.array([len(text) for text in texts])

    return Known(convert, exact=False)


def test_each_text_is_converted_once_in_the_order_of_the_rows(known, asked):
    assert known.numbers(words(["b", "aaa", "b", " c "], 1)).tolist() == [1, 3, 1, 1]
    assert known.numbers(words(["aaa", "dd", "b"], 1)).tolist() == [3, 2, 1]
    assert asked == [("b", "aaa", "c"), ("dd",)]


def test_blanks_belong_to_exact_texts(asked):
    known = Known(lambda texts: asked.append(texts) or np.zeros(len(texts), int), exact=True)
    known.numbers(words([" c ", ""], 1))
    assert asked == [(" c ", "")]


def test_longer_and_shorter_texts(known, asked):
    assert known.numbers(words(["a", ""], 1)).tolist() == [1, 0]
    assert known.numbers(words(["a" * 20, "a", "a" * 8], 3)).tolist() == [20, 1, 8]
    assert known.numbers(words(["a", "a" * 8], 1)).tolist() == [1, 8]
    assert len(asked) == 2


@pytest.mark.parametrize("count", [1000, 1024, 1025, 100_000])
def test_many_texts(count):
    found = []

    def convert(texts):
        start = len(found)
        found.extend(texts)
        return np.arange(start, len(found))

    known = Known(convert, exact=False)
    texts = words([str(number) for number in range(count)], 1)
    for at in range(0, count, 700):
        assert known.numbers(texts[at : at + 700]).tolist() == list(range(count))[at : at + 700]
    assert known.numbers(texts[::-1]).tolist() == list(range(count))[::-1]
    assert found == [str(number) for number in range(count)]


def test_texts_chosen_to_collide_are_refused(known):
    # Their hashes begin with the same bits, so that all of them want the same slot.
    texts = np.arange(10**6, 10**6 + 2**20).astype("S8").view("<u8")[:, None]
    same = texts[_hashes(texts) >> np.uint64(52) == 0]
    assert len(same) > 150
    with pytest.raises(OddError):
        known.numbers(same)


def test_two_texts_with_one_hash_are_refused(known):
    first, second = (int(factor) for factor in _FACTORS[:2])
    # The sum of word times factor is the same modulo 2^64.
    pair = np.array([[1, 0], [0, first * pow(second, -1, 2**64) % 2**64]], dtype=np.uint64)
    assert _hashes(pair)[0] == _hashes(pair)[1]
    with pytest.raises(OddError):
        known.numbers(pair)


def test_no_place_outside_the_table_is_read(helpers):
    if helpers is None:
        pytest.skip("no compiled helpers; .ci/run asserts them")
    text = np.zeros((1, 1), np.uint64)
    with pytest.raises(IndexError, match="leads outside"):
        helpers.find(text, text, text, np.full(4, 1, np.int32), 100)
    for texts, slots in ((text, 3), (np.zeros((1, 2), np.uint64), 4), (text[:0], 4)):
        with pytest.raises(IndexError, match="do not fit"):
            helpers.find(texts, text, text, np.full(slots, -1, np.int32), 100)
