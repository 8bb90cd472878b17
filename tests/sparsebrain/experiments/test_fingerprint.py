"""A kept result is used for what it was made of, and for nothing else."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

import graphs
import sparsebrain
from sparsebrain.experiments import compare, fingerprint, runner
from sparsebrain.experiments.checksums import checksum_of
from sparsebrain.experiments.datasets import DATASETS, Images, load_anew, load_once
from sparsebrain.experiments.kinds import KINDS, Kind
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.training import Run
from sparsebrain.learning import RULES, Backprop

FAST = {"epochs": 1, "seeds": 2, "loops": 1, "jobs": 1, "topologies": ["grid:shape=4x4,distance=1"]}
EXAMPLES = Path(__file__).parents[3] / "examples"
FACTOR = 1.0


def mine(power=1, scale=1.0):
    """A rule of a user's own; what it is made with changes its code, and not its name."""

    class Mine(Backprop):
        rate = scale

        def forward(self, x, y):
            return super().forward(x**power, y) * self.rate

    return Mine


class Global(Backprop):
    """A rule that reads a global number."""

    def forward(self, x, y):
        return super().forward(x, y) * FACTOR


class Derived(Global):
    """A rule whose base is the user's own as well."""


def images(shift=0.0):
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(60, 8, generator=draw) + shift, torch.arange(60) % 2
    return Images("mine", 2, (4, 4), x[:40], y[:40], x[40:], y[40:])


@pytest.fixture
def trained(monkeypatch):
    """The runs that were really trained."""
    runs = []
    real = runner.train

    def watched(run, *args):
        runs.append(run)
        return real(run, *args)

    monkeypatch.setattr(runner, "train", watched)
    return runs


def told(**options):
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        compare(**options, console=console)
    return " ".join(console.export_text().split())


def test_a_rule_that_was_changed_under_its_name_is_trained_again(tmp_path, monkeypatch, trained):
    options = {**FAST, "rules": ["mine"], "out": tmp_path}
    monkeypatch.setitem(RULES, "mine", mine())
    compare(**options)
    compare(**options)
    assert len(trained) == 2
    monkeypatch.setitem(RULES, "mine", mine(power=2))
    text = told(**options)
    assert len(trained) == 4
    assert "2 of the runs kept in" in text
    assert "they were made with other code. They are trained again" in text
    monkeypatch.setitem(RULES, "mine", mine(scale=2.0))
    compare(**options)
    assert len(trained) == 6
    # The first one is there still, also when it is written down anew.
    monkeypatch.setitem(RULES, "mine", mine())
    compare(**options)
    assert len(trained) == 6


def test_globals_and_bases_of_a_rule_belong_to_its_code(monkeypatch):
    monkeypatch.setitem(RULES, "mine", Derived)
    before = fingerprint.checksum_of_code("mine")
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 2.0)
    changed = fingerprint.checksum_of_code("mine")
    assert changed != before
    monkeypatch.setattr(Global, "predict", lambda self, x: -self.model(x), raising=False)
    assert fingerprint.checksum_of_code("mine") not in (before, changed)
    assert fingerprint.checksum_of_code("backprop") == fingerprint.checksum_of_code("local-errors")


def test_further_files_belong_to_the_code(tmp_path):
    own = tmp_path / "study.py"
    own.write_text("RATE = 1")
    first = fingerprint.checksum_of_code("backprop", [own])
    assert fingerprint.checksum_of_code("backprop", [own]) == first
    own.write_text("RATE = 2")
    assert fingerprint.checksum_of_code("backprop", [own]) != first
    assert fingerprint.checksum_of_code("backprop") != first


def test_a_topology_that_was_changed_under_its_name_is_trained_again(
    tmp_path, monkeypatch, trained
):
    def ring(neighbors):
        def make(rewire: float, *, seed: int):
            return graphs.small_world(16, neighbors, rewire, seed=seed)

        return Kind(make)

    options = {**FAST, "topologies": ["ring:rewire=0.5"], "out": tmp_path}
    monkeypatch.setitem(KINDS, "ring", ring(4))
    compare(**options)
    monkeypatch.setitem(KINDS, "ring", ring(4))
    compare(**options)
    assert len(trained) == 2
    monkeypatch.setitem(KINDS, "ring", ring(6))
    assert "they were made with another connectome" in told(**options)
    assert len(trained) == 4


def test_a_data_set_that_was_changed_under_its_name_is_trained_again(
    tmp_path, monkeypatch, trained
):
    options = {**FAST, "data": "mine", "out": tmp_path}
    monkeypatch.setitem(DATASETS, "mine", lambda folder: images())
    compare(**options)
    monkeypatch.setitem(DATASETS, "mine", lambda folder: images())
    compare(**options)
    assert len(trained) == 2
    monkeypatch.setitem(DATASETS, "mine", lambda folder: images(0.1))
    assert "they were made with other images" in told(**options)
    assert len(trained) == 4


def test_labels_sheet_and_classes_belong_to_the_images():
    first = images()
    others = [
        replace(first, train_y=1 - first.train_y),
        replace(first, test_x=first.test_x.flip(0)),
        replace(first, sheet=(2, 8)),
        replace(first, num_classes=3),
    ]
    assert len({each.checksum for each in [first, *others]}) == 5
    assert images().checksum == first.checksum


def test_results_that_do_not_tell_what_they_were_made_of_are_trained_again(tmp_path, trained, rows):
    compare(**FAST, out=tmp_path)
    for name in ("results.csv", "curves.csv"):
        columns = [each for each in rows(tmp_path / name)[0] if not each.endswith("_checksum")]
        lines = [",".join(row[c] for c in columns) for row in rows(tmp_path / name)]
        text = "\n".join([",".join(columns), *lines, ""])
        text = text.replace(FAST["topologies"][0], f'"{FAST["topologies"][0]}"')
        (tmp_path / name).write_text(text)
    assert "what they were made of is not known. They are trained again" in told(
        **FAST, out=tmp_path
    )
    assert len(trained) == 4
    assert len(rows(tmp_path / "results.csv")) == 4


@pytest.mark.parametrize(
    "folder", ["learning_rules", "learning_rules/mnist", "reproduction/mnist-5-seeds"]
)
def test_committed_results_can_be_read(tmp_path, folder):
    for name in ("results.csv", "curves.csv"):
        shutil.copy(EXAMPLES / folder / name, tmp_path / name)
    results = Results(tmp_path)
    assert len(results.outcomes) >= 25
    assert not any(outcome.diverged for outcome in results.outcomes.values())


def test_other_processes_take_the_users_own_and_find_the_same(tmp_path):
    """Out of a script, whose classes and functions no other process can import."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import torch
import graphs
from pathlib import Path
from sparsebrain.experiments.comparison import compare
from sparsebrain.experiments.datasets import DATASETS, Images
from sparsebrain.experiments.kinds import KINDS, Kind
from sparsebrain.learning import RULES, Backprop

SCALE = 0.5

def scaled(loss):
    return SCALE * loss

class Mine(Backprop):
    @torch.no_grad()
    def note(self):
        return {{"a", "b", "c"}}

    def forward(self, x, y):
        return scaled(super().forward(x, y))

def load(folder):
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(60, 8, generator=draw), torch.arange(60) % 2
    return Images("mine", 2, (4, 4), x[:40], y[:40], x[40:], y[40:])

def ring(*, seed: int) -> object:
    return graphs.small_world(16, 4, 0.5, seed=seed)

if __name__ == "__main__":
    RULES["mine"], DATASETS["mine"] = Mine, load
    KINDS["ring"] = Kind(ring)
    for jobs in (2, 1):
        compare(data="mine", rules=["mine"], topologies=["ring"], seeds=2, epochs=1, loops=1,
                jobs=jobs, out=Path({str(tmp_path / "out")!r}))
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # In this process as well: a second one of each would have another checksum.
    assert (tmp_path / "out" / "results.csv").read_text().count("\n") == 3


def test_a_training_that_finds_something_else_is_refused(tmp_path, monkeypatch):
    count = iter(range(1000))
    monkeypatch.setitem(
        KINDS,
        "moody",
        Kind(lambda: graphs.small_world(16, 4, 0.5, seed=next(count))),
    )
    with pytest.raises(ValueError, match="another connectome than the command began with; let its"):
        compare(**{**FAST, "topologies": ["moody"]}, out=tmp_path)
    monkeypatch.setitem(DATASETS, "mine", lambda folder: images(next(count)))
    held = load_anew("mine")
    assert load_once("mine", checksum=held.checksum) is held
    with pytest.raises(ValueError, match="data 'mine' is not what the command began with"):
        load_once("mine", checksum="of something else")


def test_nothing_is_left_out_of_the_code_that_a_training_imports():
    command = (
        "import sys, sparsebrain.experiments.training as t; "
        "print(*[getattr(m, '__file__', '') for n, m in sys.modules.items() "
        "if n.startswith('sparsebrain')], sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    root = Path(sparsebrain.__file__).parent
    loaded = [Path(line) for line in done.stdout.split()]
    assert root / "experiments" / "training.py" in loaded
    for each in fingerprint.NOT_TRAINED_BY:
        left_out = root / each
        assert left_out.exists(), each
        assert not [path for path in loaded if left_out in (path, *path.parents)], each


def test_old_and_new_runs_differ_in_their_checksums_alone():
    known = {"data": "digits", "topology": "none", "checksum": "", "synapses_wanted": 0}
    known |= {"loops": 1, "variant": "relu", "epochs": 1, "batch_size": 64}
    run = Run(**known, learning_rate=0.1, seed=0)
    (sealed,) = fingerprint.seal([run], images())
    assert replace(sealed, images_checksum="", code_checksum="") == run
    assert len(sealed.images_checksum) == len(sealed.code_checksum) == 16


def test_values_of_the_same_content_have_the_same_checksum():
    same = [
        lambda: [1, 2.5, "a", None, b"b", {"k": (1, 2)}],
        lambda: {"b", "a", "c"},
        lambda: torch.arange(3.0),
        lambda: functools.partial(mine, 2),
        torch.nn.ReLU,
    ]
    assert [checksum_of(make()) for make in same] == [checksum_of(make()) for make in same]
    others = [1, 1.0, True, "1", b"1", (1,), {1: 1}, torch.ones(1), torch.ones(1, 1), torch.ones(2)]
    assert len({checksum_of(each) for each in others}) == len(others)
    itself = []
    itself.append(itself)
    assert checksum_of(itself) != checksum_of([])


class Slots:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


class Loss(torch.nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate


@pytest.mark.parametrize(
    "make",
    [
        np.float32,
        np.int64,
        Decimal,
        Slots,
        Loss,
        lambda rate: torch.nn.Sequential(Loss(rate)),
        lambda rate: torch.nn.CrossEntropyLoss(label_smoothing=rate),
        lambda rate: torch.nn.HuberLoss(delta=rate + 1),
        lambda rate: SimpleNamespace(rate=rate),
        lambda rate: deque([rate]),
        slice,
        lambda rate: bytearray([int(rate)]),
        lambda rate: timedelta(days=float(rate)),
        lambda rate: re.compile(str(rate)),
    ],
)
def test_what_an_object_of_a_library_holds_belongs_to_the_code(make):
    one, same, other = (checksum_of(make(rate)) for rate in (0, 0, 1))
    assert one == same != other
