"""Checks of arguments, and what they say."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from sparsebrain.experiments import options


@pytest.mark.parametrize("jobs", [0, -2, 10**20])
def test_a_number_of_jobs_that_means_nothing_is_refused(jobs):
    with pytest.raises(ValueError, match=f"jobs must be .* got {jobs}.*, or jobs=-1 for one"):
        options.jobs("jobs", jobs)
    assert options.jobs("jobs", -1) == -1
    assert options.jobs("jobs", np.int64(3)) == 3


@pytest.mark.parametrize("check", ["epochs", "seeds", "jobs", "batch_size", "seed"])
def test_every_count_has_an_upper_bound(check):
    with pytest.raises(ValueError, match=f"--{check} must be .* at most .* got {2**63}; pass"):
        getattr(options, check)(f"--{check}", 2**63)


def test_an_error_says_the_name_of_the_caller_and_survives_a_pickle():
    error = options.OptionError("data_dir", "it is empty; pass another")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert str(each) == "data_dir: it is empty; pass another"
        assert each.told("--data-dir") == "--data-dir: it is empty; pass another"


@pytest.mark.parametrize("value", ["grid", b"grid", 3, None, {"grid": 1}, {"grid"}])
def test_a_single_text_is_no_sequence(value):
    fix = value if isinstance(value, str) else "none"
    with pytest.raises(TypeError, match=rf"names must be .* pass .*names=\['{fix}'\]"):
        options.texts("names", value, example="none")


@pytest.mark.parametrize("value", [["grid", 3], [None], [b"grid"]])
def test_every_item_of_a_sequence_is_a_text(value):
    with pytest.raises(TypeError, match=r"names must be a sequence of strings.* pass .*\['none'\]"):
        options.texts("names", value, example="none")


@pytest.mark.parametrize("value", ["a/b", Path("a/b")])
def test_paths_are_texts_or_paths(value):
    assert options.path("out", value) == Path("a/b")
    assert options.out_folder("out", value) == Path("a/b")


@pytest.mark.parametrize("value", [3, None, b"a", ["a"], True])
def test_what_is_no_path_is_refused(value):
    with pytest.raises(TypeError, match="out must be a path, got .* pass a string or a pathlib"):
        options.out_folder("out", value)


@pytest.mark.parametrize("value", ["", "a\0b", "x" * 300, Path(__file__), Path(__file__) / "a"])
def test_what_can_be_no_folder_is_refused(value):
    for check in (options.out_folder, options.data_folder):
        with pytest.raises(ValueError, match="folder m?.*; pass|folder must be a path"):
            check("folder", value)


@pytest.mark.parametrize("value", ["0x5", "5x", "-1", "2x2x2x2", "99999x99999", "a", "", "1.5"])
def test_what_is_no_lattice_is_refused(value):
    with pytest.raises(ValueError, match="shape must be 1 to 3 integers .* pass .* shape=28x28"):
        options.sheet("shape", value)
    assert options.sheet("shape", "3x4") == (3, 4)
