"""The layout of the fly brain model: a table of neurons, and a table of signed counts."""

import os
import re

import numpy as np
import pytest
import torch

import graphs
from graphs.io.files import files_of
from tests.graphs.io.refusals import told

NEURONS = ["720575940624963786", "720575940630233916", "720575940637568838", "41"]
SYNAPSES = {
    "Presynaptic_ID": [1, 2, 3, 4],
    "Presynaptic_Index": [2, 0, 0, 1],
    "Postsynaptic_Index": [0, 3, 1, 1],
    "Connectivity": [5, 7, 1, 12],
    "Excitatory x Connectivity": [-5, 7, 1, -12],
}
suffixes = pytest.mark.parametrize("suffix", [".csv", ".parquet"])


def write(folder, suffix, *, tag="783", neurons=None, **changed):
    """Write both tables, and return the path of the synapses."""
    folder.mkdir(exist_ok=True)
    rows = [",Completed", *(f"{each},True" for each in NEURONS)] if neurons is None else neurons
    (folder / f"Completeness_{tag}.csv").write_text("\n".join(rows) + "\n")
    columns = SYNAPSES | changed
    path = folder / f"Connectivity_{tag}{suffix}"
    if suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), path)
    else:
        rows = [
            ",".join(columns),
            *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
        ]
        path.write_text("\n".join(rows) + "\n")
    return path


def check(data):
    assert data.num_nodes == 4
    assert data.names == NEURONS
    # Sorted by target, then source.
    assert data.edge_index.tolist() == [[2, 0, 1, 0], [0, 1, 1, 3]]
    assert data.edge_weight.tolist() == [-5.0, 1.0, -12.0, 7.0]
    assert data.edge_sign.tolist() == [-1.0, 1.0, -1.0, 1.0]
    assert data.edge_weight.dtype == torch.float32


@suffixes
def test_folder_and_file(tmp_path, suffix):
    path = write(tmp_path / "brain", suffix)
    check(graphs.load(path))
    check(graphs.load(path.parent))
    check(graphs.load(str(path.parent)))


@suffixes
def test_what_was_loaded_can_be_saved(tmp_path, suffix):
    data = graphs.load(write(tmp_path, suffix))
    graphs.save(data, tmp_path / "whole.npz")
    check(graphs.load(tmp_path / "whole.npz"))
    # A file of graphs.save may have that name, too.
    graphs.save(data, tmp_path / "Connectivity_1.csv")
    check(graphs.load(tmp_path / "Connectivity_1.csv"))


@pytest.mark.parametrize(
    "neurons",
    [
        NEURONS,
        ["root_id", *NEURONS],
        ["id,Completed", *(f'"{each}",False' for each in NEURONS)],
        ["\ufeffid", *NEURONS, ""],
    ],
)
def test_one_identifier_a_row(tmp_path, neurons):
    check(graphs.load(write(tmp_path, ".csv", neurons=neurons)))


@suffixes
def test_pairs_that_repeat(tmp_path, suffix):
    twice = {"Presynaptic_Index": [2, 0, 0, 0], "Postsynaptic_Index": [0, 3, 1, 3]}
    path = write(tmp_path, suffix, **twice)
    message = told(path)
    assert "'720575940624963786' -> '41' again" in message
    assert "pass duplicates='sum'" in message
    data = graphs.load(path, duplicates="sum")
    assert data.edge_weight.tolist() == [-5.0, 1.0, -5.0]
    assert data.edge_sign.tolist() == [-1.0, 1.0, -1.0]


@suffixes
@pytest.mark.parametrize(
    ("column", "values", "parts"),
    [
        ("Presynaptic_Index", [2, 0, 4, 1], ("'4'", "row 3")),
        ("Postsynaptic_Index", [2, -1, 0, 1], ("-1", "row 2")),
        ("Excitatory x Connectivity", [1, 2, 3, float("inf")], ("inf", "row 4")),
        ("Excitatory x Connectivity", [1, float("nan"), 3, 4], ("nan", "row 2")),
        ("Excitatory x Connectivity", [1, 1e-60, 3, 4], ("1e-60",)),
        ("Excitatory x Connectivity", ["a", "b", "c", "d"], ("a", "row 1")),
    ],
)
def test_bad_values(tmp_path, suffix, column, values, parts):
    message = told(write(tmp_path, suffix, **{column: values}))
    assert all(part.strip("'") in message for part in parts), message


def test_a_missing_value_in_parquet(tmp_path):
    message = told(write(tmp_path, ".parquet", Presynaptic_Index=[0, None, 1, 2]))
    assert "Presynaptic_Index must have a value in every row, got none in row 2" in message


@suffixes
def test_missing_parts(tmp_path, suffix):
    path = write(tmp_path, suffix)
    (tmp_path / "Completeness_783.csv").rename(tmp_path / "Completeness_630.csv")
    assert "put 'Completeness_783.csv' beside it" in told(path)
    write(tmp_path, suffix, tag="630")
    with pytest.raises(FileNotFoundError, match="several connectomes, .*630.*783.*; pass the path"):
        graphs.load(tmp_path)
    with pytest.raises((FileNotFoundError, ValueError), match="; pass"):
        graphs.load(tmp_path / "nothing")


def test_missing_columns_of_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    path = write(tmp_path, ".parquet")
    columns = {name: each for name, each in SYNAPSES.items() if name != "Postsynaptic_Index"}
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), path)
    assert "must have one column 'Postsynaptic_Index', got 'Presynaptic_ID'" in told(path)


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (["id", "1", "2", "1", "3"], "got '1' again in row 3"),
        (["id", "1", "nan", "2", "3"], "got 'nan' in row 2"),
        (["id", "1", "7.2e+17", "2", "3"], "row 2: it is a number that a dataframe"),
    ],
)
def test_bad_neurons(tmp_path, rows, part):
    with pytest.raises(ValueError, match=f"cannot be read as a connectome: .*{re.escape(part)}"):
        graphs.load(write(tmp_path, ".csv", neurons=rows))


@suffixes
def test_files_that_are_too_large(tmp_path, suffix):
    path = write(tmp_path, suffix)
    assert "max_bytes=" in told(path, max_bytes=path.stat().st_size - 1)


def test_synapses_that_are_packed(tmp_path):
    # Packed, zeros take nearly no space.
    path = write(tmp_path, ".parquet", **dict.fromkeys(SYNAPSES, np.zeros(5000, np.int64)))
    message = told(path, max_bytes=path.stat().st_size)
    assert "its 5000 synapses take 120000 bytes" in message


@pytest.mark.parametrize("share", [0, 0.5])
def test_damaged_files_are_refused(tmp_path, share):
    path = write(tmp_path, ".parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "it is damaged or not a .parquet file" in told(path)


def test_files_that_belong_together(tmp_path):
    path = write(tmp_path, ".csv")
    together = [path, tmp_path / "Completeness_783.csv"]
    assert files_of(path) == files_of(tmp_path) == together


def test_options_of_other_formats_are_refused(tmp_path):
    path = write(tmp_path, ".csv")
    with pytest.raises(TypeError, match="takes the options max_bytes, duplicates, got 'columns'"):
        graphs.load(path, columns={})
    assert os.listdir(tmp_path)
