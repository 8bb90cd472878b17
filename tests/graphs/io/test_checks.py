"""Every argument of `load` and `save` is given every kind of bad value."""

import errno
import io
import os
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

import graphs
from graphs.io.checks import OPTIONS
from graphs.io.formats import FORMATS as ALL_FORMATS
from graphs.io.formats import SAVED as FORMATS
from tests.bad_values import VALUES

# Kinds of values that an argument may have.
GOOD = {
    "neurons": {"None"},
    "num_nodes": {"None", "zero"},
    "columns": {"None", "dict"},
    "neuron_columns": {"None", "dict"},
    "transmitter_signs": {"None", "dict"},
    "delimiter": {"None"},
    "population": {"None"},
    "max_bytes": {"2**40"},
}


def refused(call, argument):
    """Check that a call is refused by this package, with the argument's name and a remedy."""
    with pytest.raises((TypeError, ValueError, FileNotFoundError)) as caught:
        call()
    message = str(caught.value)
    assert argument in message, message
    assert any(word in message for word in ("pass ", "leave ", "call ", "use ")), message
    file = traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert file.startswith(os.path.dirname(graphs.__file__)), file


@pytest.mark.parametrize("kind", VALUES)
def test_bad_paths(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(lambda: graphs.load(VALUES[kind]), "path")
    refused(lambda: graphs.save(graphs.layered([1, 2]), VALUES[kind]), "path")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", [*OPTIONS, "max_bytes"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_bad_options(tmp_path, argument, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(graphs.layered([1, 2]), path)
    if argument in (*FORMATS[suffix].options, "max_bytes"):
        for kind in VALUES.keys() - GOOD.get(argument, set()):
            refused(lambda kind=kind: graphs.load(path, **{argument: VALUES[kind]}), argument)
    else:
        with pytest.raises(TypeError, match=f"takes the options .*got '{argument}'; leave it out"):
            graphs.load(path, **{argument: None})


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "Data"])
def test_what_is_no_connectome_is_not_saved(tmp_path, kind):
    with pytest.raises(TypeError, match=r"expected a torch_geometric.data.Data, got .*; pass"):
        graphs.save(VALUES[kind], tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"delimiter": "ab"}, "delimiter must be one character other than .*'ab'; pass delimiter="),
        ({"delimiter": '"'}, "delimiter must be one character"),
        ({"delimiter": "\n"}, "delimiter must be one character"),
        (
            {"columns": {"weight": 3.0}},
            "columns must map a str to a str, a position or None, got 3",
        ),
        ({"columns": {3: "weight"}}, "columns must map a str to a str, a position or None, got 3"),
        ({"transmitter_signs": {"GABA": 2}}, "must be -1, 0 .* got 2 of type int for 'GABA'; pass"),
        ({"transmitter_signs": {"GABA": True}}, "got True of type bool for 'GABA'"),
        ({"transmitter_signs": {"GABA": "-"}}, "got '-' of type str for 'GABA'"),
        ({"transmitter_signs": {1: 1}}, "transmitter_signs must be a dict from names of"),
        ({"num_nodes": -1}, "num_nodes must be an integer >= 0, got -1; pass num_nodes=0"),
        ({"num_nodes": 2**31}, "num_nodes must be at most 2147483647 neurons, got 2.147e"),
        ({"max_bytes": 2**41}, "max_bytes must be .* at most 1099511627776"),
        ({"neurons": "nix.csv"}, "the file 'nix.csv' does not exist; pass neurons= the path"),
    ],
)
def test_options_are_checked_before_the_file_is_read(tmp_path, options, match):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff")
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=match):
        graphs.load(path, **options)


def test_every_option_of_a_format_is_checked():
    assert {name for kept in ALL_FORMATS.values() for name in kept.options} == set(OPTIONS)


class FullDisk(io.FileIO):
    """A file on a disk with room for some bytes."""

    room = 0

    def write(self, data):
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return super().write(data)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("room", [0, 50])
def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch, suffix, room):
    path = tmp_path / f"a{suffix}"
    graphs.save(graphs.layered([1, 2]), path)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    opened = Path.open

    def full(self, mode="r", *args, **options):
        if "w" not in mode:
            return opened(self, mode, *args, **options)
        file = FullDisk(self, "w+")
        file.room = room
        return io.BufferedRandom(file, 8)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match=rf"No space left on device.*a\{suffix}'"):
            graphs.save(graphs.layered([50, 50]), path)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert graphs.load(path).num_edges == 2


class Frame:
    """As much of a pandas frame as matters."""

    def __init__(self, values):
        self.values = np.array(values, dtype=object)
        self.index = self.columns = range(len(values))

    def __array__(self, dtype=None, copy=None):
        return self.values


class NAType:
    """Of pandas, which has one value of it."""


def test_frames_of_objects():
    data = graphs.from_numpy(Frame([[0.0, 1.5], [True, 0]]))
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]
    assert data.edge_weight.tolist() == [1.0, 1.5]
    for missing in (NAType(), None):
        with pytest.raises(
            ValueError, match=r"matrix must hold numbers, got .* at \[0, 1\]; leave"
        ):
            graphs.from_numpy(Frame([[0.0, missing], [1, 0]]))
    with pytest.raises(
        TypeError, match=r"matrix must hold numbers, got 'x' of type str at \[1, 0\]"
    ):
        graphs.from_numpy(Frame([[0.0, 1], ["x", 0]]))
    with pytest.raises(TypeError, match="matrix must hold real numbers, got <U1; pass numbers"):
        graphs.from_numpy(Frame([["a", "b"], ["c", "d"]]))
    with pytest.raises(ValueError, match="matrix must be finite in float32"):
        graphs.from_numpy(Frame([[0.0, float("nan")], [1, 0]]))
    with pytest.raises(ValueError, match="matrix must hold numbers that float64 can hold"):
        graphs.from_numpy(Frame([[0, 10**400], [1, 0]]))


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.float64, torch.int8]
)
def test_tensors_of_any_dtype(dtype):
    dense = torch.tensor([[0.0, 2.0], [1.0, 0.0]]).to(dtype)
    assert graphs.from_numpy(dense).edge_weight.tolist() == [1.0, 2.0]
    data = graphs.from_edges(
        [0, 1], [1, 0], num_nodes=2, edge_weight=torch.tensor([2, 1]).to(dtype)
    )
    assert data.edge_weight.tolist() == [1.0, 2.0]


def test_tensors_that_are_no_plain_arrays():
    dense = torch.tensor([[0.0, 2.0], [1.0, 0.0]], requires_grad=True)
    assert graphs.from_numpy(dense).edge_weight.tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match=r"matrix must be dense, .*; pass matrix.to_dense\(\)"):
        graphs.from_numpy(dense.detach().to_sparse())
    with pytest.raises(ValueError, match="matrix must have values, .* device 'meta'; pass matrix"):
        graphs.from_numpy(dense.to("meta"))
    with pytest.raises(ValueError, match="matrix must be an array.*; pass matrix with rows of one"):
        graphs.from_numpy([[0, 1], [1]])
    with pytest.raises(TypeError, match="source must be an array, got .* of type set; pass source"):
        graphs.from_edges({1}, [0], num_nodes=2)


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        (["a", "b"], "such as 'a'; leave num_nodes out, and the names are numbered"),
        ([0.0, 1.0], r"such as 0.0; pass numpy.asarray\(source\).astype\(int\)"),
        ([0.5, 1.0], "such as 0.5; pass the integers that source represents"),
        ([0.0, np.inf], "pass the integers"),
        ([True, False], r"pass numpy.flatnonzero\(source\) if it is a mask"),
    ],
)
def test_ends_that_are_no_integers(source, fix):
    with pytest.raises(TypeError, match=f"source must hold integers, got .*{fix}"):
        graphs.from_edges(source, [1, 0], num_nodes=2)


def test_types_that_are_text():
    kinds = ["chemical", "electrical"]
    with pytest.raises(
        TypeError, match=r"pass numpy.unique\(edge_type, return_inverse=True\)\[1\]"
    ):
        graphs.from_edges([0, 1], [1, 0], num_nodes=2, edge_type=kinds)
    numbers = np.unique(kinds, return_inverse=True)[1]
    data = graphs.from_edges([0, 1], [1, 0], num_nodes=2, edge_type=numbers)
    assert data.edge_type.tolist() == [1, 0]
