import math
import os
import signal
import subprocess
import sys
import time
from statistics import fmean, stdev
from weakref import WeakKeyDictionary

import pytest
from rich.console import Console

import graphs
from sparsebrain.experiments import compare, runner, training
from sparsebrain.experiments.verdict import tell_differences, tell_rule_differences
from sparsebrain.learning import RULES, Backprop

FAST = {
    "epochs": 2,
    "seeds": 2,
    "loops": 2,
    "topologies": ["grid:shape=6x6,distance=1", "none"],
    "jobs": 1,
}


@pytest.fixture
def trained(monkeypatch):
    """The runs that were really trained, in order."""
    runs = []
    real = runner.train

    def watched(run, *args):
        runs.append((run.topology, run.seed))
        return real(run, *args)

    monkeypatch.setattr(runner, "train", watched)
    return runs


def test_every_run_becomes_one_row_and_the_table_sums_them_up(tmp_path, rows):
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        summed = compare(**FAST, out=tmp_path, console=console)
    found = rows(tmp_path / "results.csv")
    assert [(row["topology"], row["seed"]) for row in found] == [
        ("grid:shape=6x6,distance=1", "0"),
        ("grid:shape=6x6,distance=1", "1"),
        ("none", "0"),
        ("none", "1"),
    ]
    assert all(0 < float(row["test_accuracy"]) <= 1 for row in found)
    assert [row["synapses"] for row in found] == ["256", "256", "0", "0"]
    assert [int(row["epoch"]) for row in rows(tmp_path / "curves.csv")] == [1, 2] * 4
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert [row.label for row in summed] == ["grid:shape=6x6,distance=1", "none"]
    frame = summed.to_dataframe("polars")
    assert frame["label"].to_list() == [row["topology"] for row in found]
    assert frame["seed"].to_list() == [0, 1, 0, 1]
    assert frame["test_accuracy"].to_list() == [float(row["test_accuracy"]) for row in found]
    assert frame.columns[1:] == list(found[0])
    assert len(summed.to_dataframe()) == 4
    mean = sum(float(row["test_accuracy"]) for row in found[:2]) / 2
    assert summed[0].mean("test_accuracy") == pytest.approx(mean)
    text = console.export_text()
    assert f"{100 * mean:.2f} ± " in text
    told = tell_differences(summed, num_test=360)
    assert " ".join(told.split()) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "compare.png",
        "curves.csv",
        "results.csv",
        "run.toml",
    ]


def test_finished_runs_are_not_repeated(tmp_path, trained, rows):
    first = compare(**FAST, out=tmp_path)
    before = (tmp_path / "results.csv").read_bytes()
    assert len(trained) == 4
    again = compare(**FAST, out=tmp_path)
    assert len(trained) == 4
    assert (tmp_path / "results.csv").read_bytes() == before
    assert again[0].outcomes == first[0].outcomes
    compare(**{**FAST, "seeds": 3}, out=tmp_path)
    assert trained[4:] == [("grid:shape=6x6,distance=1", 2), ("none", 2)]
    compare(**{**FAST, "epochs": 1}, out=tmp_path)
    assert len(trained) == 10
    assert len(rows(tmp_path / "results.csv")) == 10


RULES_USED = ["backprop", "direct-feedback-alignment"]


def test_rules_are_crossed_with_topologies(tmp_path, rows, trained):
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        summed = compare(**{**FAST, "epochs": 3}, rules=RULES_USED, out=tmp_path, console=console)
    assert [(row.rule, row.label) for row in summed] == [
        (rule, topology) for rule in RULES_USED for topology in FAST["topologies"]
    ]
    assert len(trained) == len(rows(tmp_path / "results.csv")) == 8
    # Ten classes: 0.1 is chance, with a deviation of 0.016 for 360 images.
    assert all(row.mean("test_accuracy") > 0.2 for row in summed)
    assert all(row.mean("peak_bytes") > 4 * row.mean("parameters") for row in summed)
    text = console.export_text()
    assert "direct-feedback-alignment, none, seed 1: " in text
    table = [
        line.split() for line in text.splitlines() if "direct-feedback" in line and "%" in line
    ]
    # The rule, the topology and its synapses.
    assert ["direct-feedback-alignment", "none", "0"] in [words[:3] for words in table]
    told = tell_rule_differences(summed, num_test=360)
    assert " ".join(told.split()) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    compare(**{**FAST, "epochs": 3}, rules=RULES_USED[1:], out=tmp_path)
    assert len(trained) == 8


class Picky(Backprop):
    """Teaches no graph."""

    @classmethod
    def build(cls, connectome, *args, **kwargs):
        if connectome is not None:
            raise ValueError("loops are beyond it; use none.")
        return super().build(connectome, *args, **kwargs)


def test_spiking_neurons_stand_beside_rate_neurons(tmp_path, rows, trained):
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    options = FAST | {"neurons": ["rate", "lif:steps=4"]}
    with console.file:
        rules = ["backprop", "local-errors"]
        found = compare(**options, rules=rules, out=tmp_path, console=console)
    assert [(row.rule, row.label) for row in found] == [
        (rule, topology)
        for rule in ("backprop", "local-errors", "backprop (lif:steps=4)")
        for topology in FAST["topologies"]
    ]
    table = rows(tmp_path / "results.csv")
    kept = {(row["neuron_model"], row["topology"], row["rule"]): row for row in table}
    grid, none = FAST["topologies"]
    for topology in (grid, none):
        rate, lif = kept["rate", topology, "backprop"], kept["lif:steps=4", topology, "backprop"]
        assert (rate["loops"], lif["loops"]) == ("2", "4")
        assert rate["spikes"] == "0.0"
        assert 0 < float(lif["spikes"]) < 36 * 4
        assert rate["synapses"] == lif["synapses"]
    same = [kept[kind, grid, "backprop"]["parameters"] for kind in ("rate", "lif:steps=4")]
    assert same[0] == same[1]
    text = " ".join(console.export_text().split())
    assert "spikes" in text
    assert "local-errors (lif:steps=4) on none: LocalErrors cannot train this model: LIF" in text
    # The same runs are not repeated, and others are different runs.
    count = len(trained)
    compare(**options, out=tmp_path)
    assert len(trained) == count
    alone = compare(**FAST | {"neurons": ["lif:steps=5"]}, out=tmp_path)
    assert len(trained) == count + 4
    assert [row.rule for row in alone] == ["backprop (lif:steps=5)"] * 2


def test_what_a_rule_refuses_is_told_and_the_rest_is_trained(tmp_path, trained, monkeypatch):
    monkeypatch.setitem(RULES, "picky", Picky)
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    options = {**FAST, "epochs": 1, "out": tmp_path, "console": console}
    with console.file:
        summed = compare(**options, rules=["picky", "backprop"])
    assert [(row.rule, row.label) for row in summed] == [
        ("picky", "none"),
        ("backprop", "grid:shape=6x6,distance=1"),
        ("backprop", "none"),
    ]
    assert len(trained) == 6
    text = " ".join(console.export_text().split())
    assert "picky on grid:shape=6x6,distance=1: loops are beyond it; use none." in text
    with pytest.raises(ValueError, match="nothing is left to train: loops are beyond it"):
        compare(**{**FAST, "topologies": FAST["topologies"][:1]}, rules=["picky"], out=tmp_path)


def test_results_without_rules_are_those_of_backpropagation(tmp_path, trained, rows):
    """As older versions wrote them, but for what they were made of."""
    compare(**FAST, out=tmp_path)
    for name in ("results.csv", "curves.csv"):
        found = rows(tmp_path / name)
        later = ("rule", "peak_bytes", "loops_used", "converged", "diverged")
        columns = [each for each in found[0] if each not in later]
        lines = [",".join(row[each] for each in columns) for row in found]
        path = tmp_path / name
        path.write_text(
            "\n".join([",".join(columns), *lines, ""]).replace(
                "grid:shape=6x6,distance=1", '"grid:shape=6x6,distance=1"'
            )
        )
    (again, _) = compare(**FAST, out=tmp_path)
    assert len(trained) == 4
    assert again.rule == "backprop"
    assert math.isnan(again.mean("peak_bytes"))


def test_a_learning_rate_overrides_that_of_the_rule(tmp_path, rows):
    compare(**{**FAST, "epochs": 1, "seeds": 1}, learning_rate=0.5, out=tmp_path)
    compare(**{**FAST, "epochs": 1, "seeds": 1}, out=tmp_path)
    found = [float(row["learning_rate"]) for row in rows(tmp_path / "results.csv")]
    assert found == [0.001, 0.5] * 2


def test_a_fitted_topology_is_trained_again_when_its_budget_changes(tmp_path, trained, rows):
    options = {"epochs": 1, "seeds": 1, "loops": 1, "jobs": 1, "out": tmp_path}
    compare(topologies=["grid:shape=6x6,distance=1", "small-world:num_nodes=36"], **options)
    compare(topologies=["grid:shape=6x6,distance=2", "small-world:num_nodes=36"], **options)
    assert trained[1] == trained[3] == ("small-world:num_nodes=36", 0)
    assert [row["synapses"] for row in rows(tmp_path / "results.csv")] == [
        "256",
        "576",
        "252",
        "612",
    ]


def test_a_connectome_from_a_file_sets_the_budget(tmp_path, rows, trained):
    """Without places it is drawn as a matrix; another content of the file is another topology."""
    path = tmp_path / "a,b=c.npz"
    options = {"epochs": 1, "seeds": 2, "loops": 1, "jobs": 1, "out": tmp_path / "out"}
    topologies = [f"file:{path}", "coordinate:num_nodes=40,extent=4x4"]
    for seed in (0, 1):
        graphs.save(_without_pos(graphs.small_world(40, 6, 0.5, seed=seed)), path)
        compare(topologies=topologies, **options)
    found = rows(tmp_path / "out" / "results.csv")
    assert [row["synapses"] for row in found if row["topology"].startswith("file:")] == ["240"] * 4
    assert all(abs(int(row["synapses"]) - 240) < 5 for row in found)
    assert len({row["checksum"] for row in found}) == 3
    assert len(trained) == 6


def _without_pos(data):
    del data.pos
    return data


def test_an_unequal_budget_is_told(tmp_path):
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        compare(
            topologies=["grid:shape=6x6,distance=1", "grid:shape=6x6,distance=2"],
            epochs=1,
            seeds=1,
            loops=1,
            out=tmp_path,
            console=console,
        )
    text = " ".join(console.export_text().split())
    # Of 10 classes, 64 pixels and 36 neurons; 320 synapses more.
    parameters = 64 * 36 + 36 + 2 * 36 + 256 + 2 * 36 + 36 * 10 + 10
    assert (
        "Outside the budget of 36 neurons, 256 synapses and the corresponding parameters: "
        f"grid:shape=6x6,distance=2 +125% synapses, {320 / parameters:+.0%} parameters." in text
    )


def printed(command, **options):
    """What a command prints, in one line."""
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        found = command(**options, console=console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    return found, " ".join(text.split())


def test_a_file_sets_neurons_synapses_and_the_width_of_the_perceptron(tmp_path, rows):
    path = tmp_path / "mine.npz"
    graphs.save(graphs.small_world(500, 8, 0.3, seed=0), path)
    topologies = ["coordinate", "none", f"file:{path}", "small-world:num_nodes=100"]
    options = {"epochs": 1, "seeds": 1, "loops": 1, "jobs": 1, "out": tmp_path / "out"}
    _, text = printed(compare, topologies=topologies, **options)
    found = {row["topology"].partition(":")[0]: row for row in rows(tmp_path / "out/results.csv")}
    assert {kind: int(row["neurons"]) for kind, row in found.items()} == {
        "coordinate": 500,
        "none": 500,
        "file": 500,
        "small-world": 100,
    }
    assert {kind: row["neurons_wanted"] for kind, row in found.items()} == {
        "coordinate": "500",
        "none": "500",
        "file": "0",
        "small-world": "0",
    }
    assert abs(int(found["coordinate"]["synapses"]) - 4000) <= 80
    _, _, told = text.partition("Outside the budget of 500 neurons, 4000 synapses")
    assert "none -11% parameters; small-world:num_nodes=100 -80% neurons" in told
    assert "coordinate" not in told.partition(".")[0]
    # What follows names it as not compared, with one seed.
    assert "file:" not in told.partition("Not compared")[0]


def test_runs_that_all_diverge_are_no_result(tmp_path, rows, trained):
    summed, text = printed(compare, **FAST, learning_rate=1e30, out=tmp_path)
    assert [row.accuracy() for row in summed] == ["diverged"] * 2
    assert [row["diverged"] for row in rows(tmp_path / "results.csv")] == ["1"] * 4
    assert [row["test_accuracy"] for row in rows(tmp_path / "results.csv")] == ["nan"] * 4
    assert len(rows(tmp_path / "curves.csv")) == 4
    assert "Every run diverged, so there is nothing to compare." in text
    assert "none in epoch 1 (seed 0, 1)" in text
    assert "±" not in text
    assert "significant" not in text
    # They are kept, as what they are.
    _, again = printed(compare, **FAST, learning_rate=1e30, out=tmp_path)
    assert len(trained) == 4
    assert "Every run diverged" in again


def explode(monkeypatch, *lost):
    """Let the runs of these topologies and seeds diverge in their second epoch."""
    real = training._train_epoch
    calls = WeakKeyDictionary()  # ids of rules that are gone would be used again

    def exploding(rule, optimizer, images, batch_size, order):
        loss = real(rule, optimizer, images, batch_size, order)
        calls[rule] = calls.get(rule, 0) + 1
        graph = any(name.startswith("model.graph") for name, _ in rule.named_parameters())
        if ("grid" if graph else "none", order.initial_seed()) in lost and calls[rule] == 2:
            next(rule.parameters()).data[0] = math.inf
        return loss

    monkeypatch.setattr(training, "_train_epoch", exploding)


def test_a_run_that_diverges_is_left_out_of_means_and_tests(tmp_path, rows, monkeypatch):
    """Its seed as well where rows are compared seed by seed."""
    explode(monkeypatch, ("grid", 1))
    (grid, none), text = printed(compare, **{**FAST, "seeds": 3}, out=tmp_path)
    found = rows(tmp_path / "results.csv")
    assert [row["diverged"] for row in found] == ["0", "2", "0", "0", "0", "0"]
    left = [100 * float(found[place]["test_accuracy"]) for place in (0, 2)]
    assert grid.mean("test_accuracy") == pytest.approx(sum(left) / 200)
    assert grid.accuracy() == f"{fmean(left):.2f} ± {stdev(left):.2f} %\n1 of 3 diverged"
    assert "1 of 3 diverged" in text
    told = (
        "Diverged and left out of means and tests: grid:shape=6x6,distance=1 in epoch 2 (seed 1)."
    )
    assert told in text
    assert len(none.finished.runs) == 3
    assert "Compared over the common seeds: 0, 2." in text
    assert "2 seeds" in text
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_rows_that_diverge_at_every_seed_leave_the_others_to_be_compared(tmp_path, monkeypatch):
    explode(monkeypatch, ("grid", 0), ("grid", 1))
    (grid, _), text = printed(compare, **FAST, rules=RULES_USED[:1], out=tmp_path)
    assert grid.accuracy() == "diverged"
    assert grid.mean("parameters") > 0
    assert math.isnan(grid.mean("test_accuracy"))
    assert "Not compared, because fewer than two seeds finished: grid:shape=6x6,distance=1." in text
    assert "Nothing to compare" in text


def test_a_run_that_breaks_off_leaves_the_finished_ones(tmp_path, monkeypatch, rows):
    real = runner.train

    def stops(run, *given):
        if run.topology == "none":
            raise KeyboardInterrupt
        return real(run, *given)

    monkeypatch.setattr(runner, "train", stops)
    with pytest.raises(KeyboardInterrupt):
        compare(**FAST, out=tmp_path)
    assert len(rows(tmp_path / "results.csv")) == 2
    monkeypatch.setattr(runner, "train", real)
    assert len(compare(**FAST, out=tmp_path)) == 2
    assert len(rows(tmp_path / "results.csv")) == 4


def has_rows(path):
    return path.exists() and path.read_bytes().count(b"\n") > 1


def test_a_killed_process_leaves_only_whole_runs(tmp_path, rows):
    command = [sys.executable, "-m", "sparsebrain.cli", "compare", "--out", str(tmp_path)]
    command += ["--topology", "none", "--epochs", "3", "--seeds", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 600
        while not has_rows(tmp_path / "results.csv") and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.7)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = rows(tmp_path / "results.csv")
    assert done
    assert all(None not in row.values() for row in done)
    curves = rows(tmp_path / "curves.csv")
    for row in done:
        epochs = [epoch["epoch"] for epoch in curves if epoch["seed"] == row["seed"]]
        assert epochs == ["1", "2", "3"]
    more = str(len(done) + 1)
    command[-1] = more
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{len(done)} of {more} runs are already in" in again.stdout
    assert [row["seed"] for row in rows(tmp_path / "results.csv")] == [
        str(seed) for seed in range(int(more))
    ]


def test_two_processes_may_write_into_one_folder(tmp_path, rows):
    command = [sys.executable, "-m", "sparsebrain.cli", "compare", "--out", str(tmp_path)]
    command += ["--epochs", "2", "--seeds", "4", "--loops", "1", "--topology"]
    both = [
        subprocess.Popen([*command, topology], stdout=subprocess.DEVNULL)
        for topology in ("none", "grid:shape=5x5,distance=1")
    ]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    found = sorted((row["topology"], row["seed"]) for row in rows(tmp_path / "results.csv"))
    assert found == [
        (topology, str(seed))
        for topology in ("grid:shape=5x5,distance=1", "none")
        for seed in range(4)
    ]


def test_a_run_without_its_curve_is_trained_again(tmp_path, trained, rows):
    compare(**FAST, out=tmp_path)
    (tmp_path / "curves.csv").unlink()
    compare(**FAST, out=tmp_path)
    assert len(trained) == 8
    assert len(rows(tmp_path / "results.csv")) == 4


def test_processes_side_by_side_find_what_one_finds(tmp_path):
    compare(**FAST, out=tmp_path / "one")
    compare(**{**FAST, "jobs": 2}, out=tmp_path / "two")
    one, two = (
        (tmp_path / name / "curves.csv").read_text(encoding="utf-8") for name in ("one", "two")
    )
    assert one == two


def test_loops_to_the_equilibrium_stand_beside_numbers_of_them(tmp_path, rows, trained):
    """In one folder, numbers first; each is known again by its text."""
    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    options = {**FAST, "seeds": 1, "out": tmp_path}
    with console.file:
        for loops in ("equilibrium:constraint=norm,tol=0.01", 20, "5"):
            compare(**{**options, "loops": loops}, console=console)
    found = rows(tmp_path / "results.csv")
    spec = "equilibrium:tol=0.01,constraint=norm"
    assert [row["loops"] for row in found] == ["5", "20", spec] * 2
    assert [row["converged"] for row in found] == ["1.0"] * 6
    assert [float(row["loops_used"]) for row in found[:2]] == [5, 20]
    assert 1 < float(found[2]["loops_used"]) < 20
    text = " ".join(console.export_text().split())
    told = f"grid:shape=6x6,distance=1 {float(found[2]['loops_used']):.1f}."
    assert f"Mean loops to the equilibrium over the test images: {told}" in text
    assert len(trained) == 6
    compare(**{**options, "loops": "equilibrium:tol=0.01,constraint=norm"})
    assert len(trained) == 6


@pytest.mark.parametrize("name", ["results.csv", "curves.csv"])
def test_a_row_that_a_kill_cut_short_is_told_and_trained_again(tmp_path, trained, name, rows):
    compare(**FAST, out=tmp_path)
    before = rows(tmp_path / "results.csv")
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-3])
    _, text = printed(compare, **FAST, out=tmp_path)
    # The path is as long as the test's folder, so that the line may break within the name.
    told = f"{name} ended in an incomplete row, as a killed command leaves it."
    assert "".join(told.split()) in "".join(text.split())
    assert "3 of 4 runs are already in" in text
    assert trained[4:] == [("none", 1)]
    assert rows(tmp_path / "results.csv")[:3] == before[:3]
    assert len(rows(tmp_path / "curves.csv")) == 8
    _, text = printed(compare, **FAST, out=tmp_path)
    assert "incomplete row" not in text


@pytest.mark.parametrize("name", ["results.csv", "curves.csv"])
def test_results_of_before_reading_was_called_variant_are_told(tmp_path, trained, name):
    """Their columns are not taken for others; with the new name they go on."""
    options = {**FAST, "seeds": 1, "out": tmp_path}
    compare(**options)
    new = (tmp_path / name).read_text()
    (tmp_path / name).write_text(new.replace(",variant,", ",reading,", 1))
    with pytest.raises(ValueError, match=f"{name} .*its column reading is now called variant; ren"):
        compare(**options)
    (tmp_path / name).write_text(new)
    compare(**options)
    assert len(trained) == 2


@pytest.mark.parametrize(
    "damage", ["first line", "foreign", "binary", "no share", "not a number", "short row"]
)
def test_a_damaged_results_file_is_told_and_left_as_it_is(tmp_path, damage):
    compare(**FAST, out=tmp_path)
    file = tmp_path / "results.csv"
    whole = file.read_text()
    file.write_bytes(
        {
            "first line": whole[:30].encode(),
            "foreign": b"a,b\n1,2\n",
            "binary": b"\xff\xfe\x00\x01" * 20,
            "no share": whole[: whole.index("none")].replace(",0.", ",7.").encode(),
            "not a number": whole.replace(",256,", ",many,").encode(),
            "short row": (whole + "digits\n").encode(),
        }[damage]
    )
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"out: .*results.csv cannot be read .*another folder"):
        compare(**FAST, out=tmp_path)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"topologies": []}, "topologies must not be empty; pass"),
        ({"topologies": ["none", "none"]}, "topologies has 'none' twice"),
        ({"rules": []}, "rules must not be empty; pass"),
        ({"rules": ["backprop", "backprop"]}, "rules has 'backprop' twice"),
        ({"rules": ["backprob"]}, r"rules\[0\] must be one of 'backprop', 'feedback-alignment'"),
        ({"topologies": ["small-world:neighbors=3"]}, "neighbors must be even"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number > 0"),
        ({"batch_size": 1}, "batch_size must be an integer >= 2"),
        (
            {"topologies": ["coordinate:num_nodes=0"]},
            "num_nodes=0': it has no neurons",
        ),
        (
            {"topologies": ["grid:distance=1", "grid:distance=1,"]},
            "has 'grid:distance=1' twice",
        ),
        ({"jobs": 0}, "jobs must be an integer >= 1, got 0; .* jobs=-1 for one"),
        ({"seeds": 0}, "seeds must be an integer >= 1"),
        ({"loops": 0}, "loops must be an integer >= 1"),
        ({"loops": "forever"}, "loops must be an integer >= 1 or equilibrium"),
        ({"loops": "equilibrium:tol=3"}, "tol must be between 0 and 1"),
        ({"data": "cifar"}, "data must be one of 'digits', 'mnist'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        compare(**{**FAST, **options}, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
