"""README's Python is executed, block after block, in one namespace."""

import csv
import inspect
import re
import statistics
from pathlib import Path
from statistics import fmean

import pytest

import graphs
from benchmarks.recipes import RECIPES
from graphs import generators
from sparsebrain.experiments.topology import build, parse
from sparsebrain.learning import RULES
from sparsebrain.plasticity.feature_rules import RandomFeatures
from tests.sparsebrain.learning.conftest import MODELS as TEACHABLE
from tests.sparsebrain.learning.conftest import REFUSED

README = Path(__file__).parents[1] / "README.md"


def test_the_python_of_the_readme_runs(capsys):
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    namespace = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    assert namespace["y"].shape == (32, 784)
    assert namespace["out"].shape == (2 * 784, 3)
    assert namespace["scores"].shape == (32, 3)
    assert "18,032" in capsys.readouterr().out


def test_the_generators_are_counted():
    number = sum(map(inspect.isfunction, map(vars(generators).get, generators.__all__)))
    assert f"{number} generators" in README.read_text(encoding="utf-8")


def test_the_table_shows_what_the_command_builds():
    """Accuracies and times are measured; all else follows from the code."""
    seeds = range(5)
    text = README.read_text(encoding="utf-8")
    for kind in ("grid", "coordinate", "small-world"):
        cells = next(line for line in text.splitlines() if line.startswith(f"| {kind} |")).split(
            "|"
        )
        _, _, neurons, synapses, length, clustering, parameters, *_ = (
            cell.strip() for cell in cells
        )
        built = [build(parse(kind), (16, 16), num_edges=5476, seed=seed) for seed in seeds]
        measured = [graphs.summary(data) for data in built]
        assert int(neurons) == 256
        assert synapses == f"{fmean(data.num_edges for data in built):.0f}"
        assert length == f"{fmean(each.path_length for each in measured):.2f}"
        assert clustering == f"{fmean(each.clustering for each in measured):.3f}"
        assert int(parameters) == int(synapses) + 20234


RULE_TABLES = {
    "On digits, 20 epochs": ("results.csv", False),
    "On MNIST, a single epoch": ("mnist/results.csv", True),
}
SYMMETRIC = ("grid", "coordinate:symmetric=true", "small-world:symmetric=true")
RULES_README = README.parent / "examples" / "learning_rules" / "README.md"


@pytest.mark.parametrize("sentence", RULE_TABLES)
def test_the_tables_of_rules_are_what_was_measured_and_what_the_tests_run_over(sentence):
    path, has_costs = RULE_TABLES[sentence]
    with (RULES_README.parent / path).open(newline="") as file:
        rows = list(csv.DictReader(file))

    def values(rule, topology, name):
        keys = rule, topology
        return [float(row[name]) for row in rows if (row["rule"], row["topology"]) == keys]

    lines = table_of(RULES_README, sentence)
    # Features without labels, and rules on symmetric graphs, have tables of their own.
    rules = [
        name
        for name, rule in RULES.items()
        if not issubclass(rule, RandomFeatures) and not rule.needs_symmetric
    ]
    assert [line[0].strip("`") for line in lines] == rules
    for (_, *answers), rule in zip(lines, rules, strict=True):
        shown = [answers.pop(), answers.pop()] if has_costs else []
        told = {}
        topologies = ("none", "grid", "small-world", "c-elegans")
        for model, topology, answer in zip(TEACHABLE, topologies, answers, strict=True):
            assert answer.startswith("no: ") == ((rule, model) in REFUSED), (rule, model)
            if not answer.startswith("no: "):
                percent = [100 * each for each in values(rule, topology, "test_accuracy")]
                assert len(percent) == 3
                assert answer == f"{fmean(percent):.1f} ± {statistics.stdev(percent):.1f}"
                assert min(percent) > 50
                told[topology] = topology
        costs = told.get("grid", "none")
        mebibytes = fmean(values(rule, costs, "peak_bytes")) / 2**20
        seconds = fmean(values(rule, costs, "seconds_per_epoch"))
        assert shown == ([f"{mebibytes:.1f}", f"{seconds:.1f}"] if has_costs else [])


def test_the_table_of_symmetric_topologies_is_what_was_measured():
    """Every rule that needs symmetric connectomes, beside backpropagation on the same ones."""
    with (RULES_README.parent / "symmetric" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rules = ["backprop", *(each for each in RULES if RULES[each].needs_symmetric)]
    wanted = []
    for rule in rules:
        told = [f"`{rule}`"]
        for topology in SYMMETRIC:
            found = [row for row in rows if (row["rule"], row["topology"]) == (rule, topology)]
            percent = [100 * float(row["test_accuracy"]) for row in found]
            assert len(percent) == 3
            told.append(f"{fmean(percent):.1f} ± {statistics.stdev(percent):.1f}")
        wanted.append(told)
    synapses = ["synapses"]
    for topology in SYMMETRIC:
        found = [float(row["synapses"]) for row in rows if row["topology"] == topology]
        synapses.append(f"{fmean(found):.0f}")
    assert table_of(RULES_README, "On symmetric connectomes") == [*wanted, synapses]


@pytest.mark.parametrize("path", [README, RULES_README], ids=["project", "rules"])
def test_every_file_that_a_readme_shows_is_there(path):
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        if not link.startswith("#"):
            assert (path.parent / link).is_file(), link


def test_the_readme_stays_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


MODELS = {
    "MLP": ("none", "1"),
    "alpha": ("grid:distance=1", "5"),
    "beta": ("grid:distance=1", "20"),
    "X": ("grid:distance=2", "5"),
    "Y": ("grid:distance=2", "20"),
}
REPRODUCTION = README.parent / "examples" / "reproduction"


def accuracies(name):
    """Mean and standard deviation of every model, as the tables print them."""
    found = {model: [] for model in MODELS}
    with (REPRODUCTION / name / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            model = next(m for m, key in MODELS.items() if key == (row["topology"], row["loops"]))
            found[model].append(100 * float(row["test_accuracy"]))
    return {
        model: f"{statistics.mean(each):.2f} ± {statistics.stdev(each):.2f}"
        for model, each in found.items()
    }


def cells(line):
    return [cell.strip() for cell in line.strip("| \n").split("|")]


MEASURED = README.parent / "benchmarks" / "measured"


def measured(name):
    """Rows of a committed benchmark by (peer, pass)."""
    with (MEASURED / name).open(newline="") as file:
        return {(row["peer"], row["pass"]): row for row in csv.DictReader(file)}


def three_digits(number):
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def test_the_times_are_what_was_measured():
    rows = measured("layer-2-threads.csv")
    wanted = {
        tuple(
            three_digits(float(value))
            for value in (
                rows[peer, "forward"]["median_ms"],
                rows[peer, "forward_backward"]["median_ms"],
                rows[peer, "forward_backward"]["times_ours"],
            )
        )
        for peer, _ in rows
        if peer not in ("sparsebrain-as-numbered", "window")
    }
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| | forward, ms |") :].split("\n\n")[0].splitlines()[2:]
    shown = {tuple(cells(line)[1:]) for line in table}
    assert len(shown) == 5
    assert shown <= wanted
    share = float(rows["sparsebrain", "forward_backward"]["share"])
    assert f"reach {share:.0%}".replace("%", " %") in text


def test_other_calls_are_what_was_measured():
    wanted = {}
    with (MEASURED / "small-calls.csv").open(newline="") as file:
        for neurons in (50, 100, 200, 1000):
            file.seek(0)
            rows = {
                (row["peer"], row["pass"]): 1 / float(row["times_ours"])
                for row in csv.DictReader(file)
                if (row["neurons"], row["batch"]) == (str(neurons), "1")
            }
            pair = rows["torch.sparse.mm", "forward"], rows["dense", "forward_backward"]
            wanted[f"{neurons} neurons, batch 1"] = pair
    with (MEASURED / "sequences.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["peer"] == "sparsebrain" and row["neurons"] == "200":
                name = f"`Recurrent`, 200 neurons, batch {row['batch']}"
                wanted.setdefault(name, []).append(float(row["times_rnn"]))
    with (MEASURED / "options.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name = {
                "noise": "`noise=0.1`",
                "return_states, differentiated": "`return_states=True`, all in the loss",
                "activation=lambda": "a function as activation",
            }.get(row["option"])
            if name:
                wanted.setdefault(name, []).append(float(row["times_plain"]))
    lines = table_of(MEASURED / "README.md", "## Calls other than layer")
    assert {line[0]: line[1:3] for line in lines} == {
        name: [f"{value:.2f}" for value in pair] for name, pair in wanted.items()
    }


def test_the_fly_is_what_was_measured():
    rows = measured("fly.csv")
    ours, *others = (
        {
            "ms": float(rows[peer, "forward_backward"]["median_ms"]),
            "gib": max(
                float(rows[peer, "forward_backward"][peak]) / 1024
                for peak in ("making_peak_mib", "peak_mib")
            ),
        }
        for peer in ("sparsebrain", "torch-sparse", "torch-sparse-reduce")
    )
    text = " ".join((MEASURED / "README.md").read_text(encoding="utf-8").split())
    loops = [
        float(rows["sparsebrain", one]["ms_per_loop"]) for one in ("forward", "forward_backward")
    ]
    assert (
        "takes {} ms forward and {} ms forward and backward".format(*map(three_digits, loops))
        in text
    )
    assert (
        f"{min(each['ms'] for each in others) / ours['ms']:.1f} times as fast as `torch.sparse`"
        in text
    )
    assert (
        f"in {ours['gib']:.1f} GiB of memory instead of {min(each['gib'] for each in others):.1f}"
        in text
    )


def test_the_variants_are_what_was_measured():
    text = (REPRODUCTION / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| [")]
    assert len(lines) == len(list(REPRODUCTION.glob("*/results.csv")))
    for line in lines:
        link, *shown = cells(line)
        assert shown == list(accuracies(re.match(r"\[(.+?)\]", link)[1]).values())
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (REPRODUCTION / link).is_file(), link


def table_of(path, heading):
    """Rows of the first table after a heading, without those that name the columns."""
    text = path.read_text(encoding="utf-8")
    table = text[text.index(heading) :].partition("\n|")[2].partition("\n\n")[0]
    return [cells(line) for line in table.splitlines()[2:]]


def test_training_at_equilibrium_is_what_was_measured():
    with (MEASURED / "equilibrium.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["converged"] == "1.0" for row in rows)
    wanted, accuracy = [], {}
    for loops in ("20", "equilibrium"):
        of_loops = [row for row in rows if row["loops"] == loops]
        values = {
            name: [float(row[name]) for row in of_loops]
            for name in ("test_accuracy", "loops_used", "peak_mib", "seconds_per_epoch")
        }
        percent = [100 * value for value in values["test_accuracy"]]
        accuracy[loops] = f"{statistics.mean(percent):.2f} ± {statistics.stdev(percent):.2f}"
        wanted.append(
            [
                loops,
                accuracy[loops],
                f"{fmean(values['loops_used']):.1f}",
                f"{fmean(values['peak_mib']):.1f}",
                f"{min(values['seconds_per_epoch']):.1f}",
            ]
        )
    assert table_of(MEASURED / "README.md", "## Training at equilibrium") == wanted
    text = " ".join((MEASURED / "README.md").read_text(encoding="utf-8").split())
    few, endless = accuracy["20"], accuracy["equilibrium"]
    assert f"At equilibrium it reaches {endless} %, with 20 loops {few} %" in text
    assert float(endless.split()[0]) >= float(few.split()[0])


def test_the_second_look_is_what_was_measured():
    with (MEASURED / "second-look.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    def mean(until, third, name):
        return fmean(
            float(row[name]) for row in rows if (row["until"], row["third"]) == (until, third)
        )

    for until, *shown in table_of(MEASURED / "README.md", "## A second look"):
        for third, cell in zip(("all", "easy", "middle", "hard"), shown, strict=True):
            told = f"{100 * mean(until, third, 'accuracy'):.1f}"
            if until.startswith("confidence"):
                told += f" ({mean(until, third, 'loops'):.1f})"
            assert cell == told
    gain = {
        third: 100 * (mean("loop 8", third, "accuracy") - mean("loop 1", third, "accuracy"))
        for third in ("easy", "hard")
    }
    text = " ".join((MEASURED / "README.md").read_text(encoding="utf-8").split())
    assert f"add {gain['hard']:.0f} points for the hardest third" in text
    assert f"and {gain['easy']:.0f} for the easiest" in text
    assert (
        f"reach that accuracy with {mean('confidence 0.9', 'all', 'loops'):.1f} loops on average"
        in text
    )
    exits = mean("confidence 0.9", "all", "accuracy")
    assert exits >= mean("loop 8", "all", "accuracy") - 0.001


def test_connectomes_beside_peers_are_what_was_measured():
    with (MEASURED / "graphs.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["neurons"] == "100000"]
    found = {(row["case"], row["peer"]): row for row in rows if row["median_ms"]}

    def ratio(case, peer):
        row = found.get((case, peer))
        if row is None or row["same_work"] != "True":
            return "-"
        number = float(row["ratio"])
        return f"{number:.0f}" if number >= 10 else f"{number:#.2g}"

    wanted = {
        case: [three_digits(float(row["median_ms"])), *ratios]
        for (case, peer), row in found.items()
        if peer == "graphs"
        and set(ratios := [ratio(case, other) for other in ("networkx", "igraph", "scipy")])
        != {"-"}
    }
    shown = table_of(MEASURED / "README.md", "## Connectomes")
    assert {case: values for case, *values in shown} == wanted


def test_rules_at_their_papers_sizes_are_what_was_measured():
    wanted = []
    for name, recipe in RECIPES.items():
        with (MEASURED / "literature" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        after = f" after {recipe.published_epochs}" if recipe.published_epochs else ""
        minutes = sum(float(row["seconds"]) for row in rows) / 60
        error = float(rows[-1]["test_error"])
        told = [f"{recipe.published:.2f}{after}", f"{error:.2f}", str(len(rows)), f"{minutes:.0f}"]
        wanted.append([f"`{name}`", *told])
        assert len(rows) == int(rows[-1]["epochs"]) == recipe.epochs
        assert {row["images"] for row in rows} == {"all"}
        assert abs(error - recipe.published) < 0.5 or recipe.epochs < recipe.published_epochs
    assert table_of(MEASURED / "README.md", "## Learning rules at their papers' sizes") == wanted


def test_steps_of_error_diffusion_are_what_was_measured():
    with (MEASURED / "error-diffusion.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["units"], row["density"], row["peer"]): row for row in rows}
    wanted = []
    for units in dict.fromkeys(row["units"] for row in rows):
        told = [units]
        for density in ("1.0", "0.05"):
            told.append(three_digits(float(found[units, density, "sparsebrain"]["median_ms"])))
            for peer in ("numpy", "lists"):
                number = float(found[units, density, peer]["times_ours"])
                told.append(f"{number:.0f}" if number >= 10 else f"{number:#.2g}")
        wanted.append(told)
    assert table_of(MEASURED / "README.md", "## A step of error diffusion") == wanted
