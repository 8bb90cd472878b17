"""Finished runs on disk: appended, cut short, claimed, and on a full disk."""

import math
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from sparsebrain.experiments import tables
from sparsebrain.experiments.error_diffusion_study.kept import Scores
from sparsebrain.experiments.error_diffusion_study.settings import Setting
from sparsebrain.experiments.error_diffusion_study.training import Score
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.training import Epoch, Outcome, Run

EPOCHS = 3
RUN = Run(
    data="digits",
    topology='file:"odd, name\n.npz"',
    checksum="",
    synapses_wanted=0,
    loops=2,
    variant="relu",
    epochs=EPOCHS,
    batch_size=64,
    learning_rate=0.01,
    seed=0,
)
OUTCOME = Outcome(16, 32, 1.5, math.inf, 100, 0.5, 0.25, 1.0, 2.0, 1.0)
CURVE = [Epoch(number, 1 / number, number / 3, 2 / number) for number in range(1, EPOCHS + 1)]
TABLES = ("curves.csv", "results.csv")


def add(results, *seeds):
    for seed in seeds:
        outcome = replace(OUTCOME, test_accuracy=seed / 100)
        results.add(replace(RUN, seed=seed), outcome, CURVE)


def seeds(results):
    return [run.seed for run in results.outcomes]


def add_runs(folder, *seeds):
    add(Results(folder), *seeds)


def add_settings(folder, *seeds):
    scores = Scores(folder)
    for seed in seeds:
        scores.add(Setting(seed=seed), Score(0.5, 1.0, 0.1))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.mark.parametrize("add", [add_runs, add_settings])
def test_a_finished_training_is_appended_and_nothing_is_read_again(tmp_path, monkeypatch, add):
    add(tmp_path, 2)
    before = contents(tmp_path)
    results = Results(tmp_path) if add is add_runs else Scores(tmp_path)
    monkeypatch.setattr(tables.csv, "reader", None)
    monkeypatch.setattr(type(results), "_read", None)
    if add is add_runs:
        results.add(RUN, OUTCOME, CURVE)
        rows = (EPOCHS, 1)
    else:
        results.add(Setting(), Score(0.5, 1.0, 0.1))
        rows = (1,)
    for (name, old), count in zip(sorted(before.items()), rows, strict=True):
        new = contents(tmp_path)[name]
        assert new.startswith(old)
        # The name of the topology has a line break of its own.
        assert new[len(old) :].count(b"\n") == count * (2 if add is add_runs else 1)


def test_what_was_added_is_read_as_it_was(tmp_path):
    results = Results(tmp_path)
    add(results, 1, 0)
    found = Results(tmp_path)
    assert seeds(found) == [1, 0]
    assert found.outcomes == results.outcomes
    assert found.curves == results.curves == dict.fromkeys(results.outcomes, CURVE)
    assert found.torn == []


def test_tidying_sorts_and_drops_what_has_no_result(tmp_path):
    results = Results(tmp_path / "a")
    add(results, 2, 0, 1)
    # As a command leaves it that is killed between the two files.
    tables.append_csv(tmp_path / "a" / "curves.csv", [[*vars(RUN).values(), *CURVE[0]]])
    Results(tmp_path / "a").tidy()
    ordered = Results(tmp_path / "b")
    add(ordered, 0, 1, 2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert seeds(Results(tmp_path / "a")) == [0, 1, 2]


@pytest.mark.parametrize("name", TABLES)
def test_wherever_the_last_row_is_cut_the_others_stay_and_it_is_added_again(tmp_path, name):
    add(Results(tmp_path / "whole"), 0, 1)
    whole = contents(tmp_path / "whole")
    one = tmp_path / "one"
    add(Results(one), 0)
    start = len((one / name).read_bytes())
    # Of the three rows of a curve, the first and the last.
    ends = {*range(start, start + 90), *range(len(whole[name]) - 90, len(whole[name]))}
    for number, end in enumerate(sorted(each for each in ends if start <= each < len(whole[name]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        for each, content in whole.items():
            (folder / each).write_bytes(content[:end] if each == name else content)
        results = Results(folder)
        assert seeds(results) == [0]
        is_torn = whole[name][:end].count(b'"') % 2 or not whole[name][:end].endswith(b"\n")
        assert results.torn == [name] * bool(is_torn), whole[name][start:end]
        add(results, 1)
        assert results.torn == []
        # Nothing of what was cut is left in between.
        results.tidy()
        assert contents(folder) == whole


def test_zeros_of_a_power_failure_are_an_incomplete_row(tmp_path):
    add(Results(tmp_path), 0)
    whole = contents(tmp_path)
    for name in TABLES:
        (tmp_path / name).write_bytes(whole[name] + b"\0" * 100)
    results = Results(tmp_path)
    assert results.torn == [*TABLES]
    assert seeds(results) == [0]
    results.tidy()
    assert contents(tmp_path) == whole


def test_the_epochs_of_a_killed_run_do_not_count_twice(tmp_path):
    results = Results(tmp_path)
    add(results, 0)
    rows = [[*vars(replace(RUN, seed=1)).values(), *epoch] for epoch in CURVE[:2]]
    tables.append_csv(tmp_path / "curves.csv", rows)
    add(results, 1)
    found = Results(tmp_path)
    assert found.curves[replace(RUN, seed=1)] == CURVE


def test_older_tables_are_written_anew_once(tmp_path):
    add(Results(tmp_path), 0)
    for name in TABLES:
        text = (tmp_path / name).read_text()
        # None of the checksums is known, so they and the commas before them can go.
        columns = "device,images_checksum,connectome_checksum,code_checksum"
        old = text.replace(f",{columns}", "").replace(",rate,cpu,,,,", ",rate,")
        assert len(old) < len(text) - len(columns)
        (tmp_path / name).write_text(old)
    results = Results(tmp_path)
    assert seeds(results) == [0]
    add(results, 1)
    assert seeds(Results(tmp_path)) == [0, 1]
    assert b"code_checksum" in contents(tmp_path)["results.csv"].partition(b"\n")[0]


def test_a_run_that_another_command_trains_cannot_be_claimed(tmp_path):
    first, second = Results(tmp_path), Results(tmp_path)
    other = replace(RUN, seed=1)
    assert first.claim(RUN)
    assert not second.claim(RUN)
    assert second.claim(other)
    first.release(RUN)
    assert second.claim(RUN)
    assert RUN not in second
    second.add(RUN, OUTCOME, CURVE)
    # Finished by now, which the first one learns with the claim.
    assert not first.claim(RUN)
    assert RUN in first
    assert not first.claim(other)
    second.release_all()
    assert first.claim(other)
    assert first.is_untidy
    first.tidy()
    assert first.is_untidy
    first.release_all()
    first.tidy()
    assert not first.is_untidy
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", *TABLES]


CLAIM = """
import sys, time
from pathlib import Path
from tests.sparsebrain.experiments.test_results import RUN, Results
results = Results(Path(sys.argv[1]))
assert results.claim(RUN)
print(1, flush=True)
time.sleep(1000)
"""


def test_a_claim_ends_with_its_process(tmp_path):
    """However it ends; what it leaves in the folder is removed."""
    command = [sys.executable, "-c", CLAIM, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"1\n"
        results = Results(tmp_path)
        assert not results.claim(RUN)
        process.send_signal(signal.SIGKILL)
    assert results.claim(RUN)
    results.release(RUN)
    assert results.is_untidy
    results.tidy()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".csv"] == [".lock"]


FULL = """
import resource, sys
from pathlib import Path
from tests.sparsebrain.experiments.test_results import Results, add
results = Results(Path(sys.argv[1]))
# The disk is full in the middle of a row of the table that is asked for.
most = (Path(sys.argv[1]) / sys.argv[2]).stat().st_size + 40
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    add(results, 1)
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("name", TABLES)
def test_a_full_disk_names_the_file_and_leaves_finished_runs(tmp_path, name):
    add(Results(tmp_path), 0)
    if name == "results.csv":
        # Each file has the same limit, so this one has to be the longer one.
        for seed in range(2, 40):
            run = replace(RUN, epochs=1, seed=seed)
            Results(tmp_path).add(run, OUTCOME, CURVE[:1])
    before, finished = contents(tmp_path), seeds(Results(tmp_path))
    command = [sys.executable, "-c", FULL, tmp_path, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = f"free some space and try again; the previous file is unchanged: '{tmp_path / name}'\n"
    assert done.stdout == f"[Errno 27] File too large; {told}"
    for each, content in contents(tmp_path).items():
        # The epochs come first.
        assert content.startswith(before[each]) if each == "curves.csv" else content == before[each]
    if name == "curves.csv":
        assert contents(tmp_path) == before
    assert seeds(Results(tmp_path)) == finished
