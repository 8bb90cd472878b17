"""What READMEs say of significant differences follows from the results kept beside them."""

import csv
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest

from benchmarks.significance import cases
from sparsebrain.experiments.significance import detectable, differences
from sparsebrain.learning import RULES as RULES_BY_NAME
from tests.examples.test_reproduction import FOLDER as REPRODUCTION
from tests.examples.test_reproduction import MODELS
from tests.test_readme import table_of

ROOT = Path(__file__).parents[1]
RULES = ROOT / "examples" / "learning_rules"
LEVEL = 0.05


def text(path):
    return " ".join(path.read_text(encoding="utf-8").split())


def percent(path, name, **wanted):
    """Accuracies in percent by what ``name`` makes of a row; of rows that have what is wanted."""
    found = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if all(row[key] == value for key, value in wanted.items()):
                found.setdefault(name(row), []).append(100 * float(row["test_accuracy"]))
    return found


def significant(values, pairs=None, *, test_images):
    """Means and intervals of the significant differences; the better one comes first."""
    return {
        (one.first, one.second) if one.mean > 0 else (one.second, one.first): (
            abs(one.mean),
            min(abs(one.low), abs(one.high)),
            max(abs(one.low), abs(one.high)),
        )
        for one in differences(values, pairs, resolution=100 / test_images)
        if one.p_value < LEVEL
    }


def variants():
    return {
        path.parent.name: percent(path, lambda row: MODELS[row["topology"], row["loops"]])
        for path in REPRODUCTION.glob("*/results.csv")
    }


def test_no_reading_of_the_paper_makes_a_graph_better():
    told = text(REPRODUCTION / "README.md")
    found = {name: significant(values, test_images=10_000) for name, values in variants().items()}
    assert not any(worse == "MLP" for pairs in found.values() for _, worse in pairs)
    assert "In no row is a graph layer significantly better than the MLP" in told
    first, again = found.pop("mnist-5-seeds"), found.pop("mnist")
    assert not any(found.values())
    assert set(again) == {("alpha", "Y")}
    gap, low, high = again["alpha", "Y"]
    assert f"in `mnist`, Y is {gap:.2f} points worse than alpha ({low:.2f} to {high:.2f})" in told
    assert set(first) == {("MLP", "Y"), ("alpha", "Y")}
    (gap, low, high), (other_gap, other_low, other_high) = first["MLP", "Y"], first["alpha", "Y"]
    assert f"{gap:.2f}" == f"{other_gap:.2f}"
    assert (
        f"Y is {gap:.2f} points worse than the MLP (95 % confidence interval {low:.2f} to "
        f"{high:.2f}) and than alpha ({other_low:.2f} to {other_high:.2f})"
    ) in told
    assert "no graph layer is significantly better than the MLP" in text(ROOT / "README.md")
    (near,) = (
        one
        for one in differences(variants()["mnist-identity-10-epochs"], resolution=0.01)
        if {one.first, one.second} == {"MLP", "Y"}
    )
    within = max(abs(near.low), abs(near.high))
    assert f"10 epochs, Y is within {within:.2f} points of the MLP" in told


def test_what_the_seeds_of_the_paper_can_show():
    least = {}
    for name, values in variants().items():
        key = len(values["MLP"]), name.startswith("fashion")
        least.setdefault(key, []).append(max(detectable(values, resolution=0.01).values()))
    few = [*least[2, False], *least[2, True]]
    assert (
        f"five seeds find a difference of {min(least[5, False]):.1f} to {max(least[5, False]):.1f} "
        f"points on MNIST and {fmean(least[5, True]):.1f} on Fashion-MNIST; three "
        f"seeds find one of {fmean(least[3, False]):.1f} points on MNIST, and two seeds find one "
        f"of {min(few):.1f} to {max(few):.1f} points"
    ) in text(REPRODUCTION / "README.md")


def compared_rules(path, test_images):
    """Rules significantly worse than backpropagation by topology, none better; what is found."""
    values = percent(path, lambda row: (row["rule"], row["topology"]))
    pairs = [(name, ("backprop", name[1])) for name in values if name[0] != "backprop"]
    assert len(pairs) == 33
    worse = {}
    for better, (rule, topology) in significant(values, pairs, test_images=test_images):
        assert better == ("backprop", topology)
        worse.setdefault(topology, set()).add(rule)
    least = detectable(values, pairs, resolution=100 / test_images).values()
    return worse, min(least)


def test_which_rules_are_worse_than_backpropagation():
    digits, least_digits = compared_rules(RULES / "results.csv", 360)
    assert digits == {
        "none": {"error-diffusion", "dendritic-microcircuit"},
        "grid": {"error-diffusion", "forward-forward"},
        "small-world": {"error-diffusion", "forward-forward"},
        "c-elegans": {"error-diffusion"},
    }
    mnist, least_mnist = compared_rules(RULES / "mnist" / "results.csv", 10_000)
    assert mnist == {
        "none": {"dendritic-microcircuit"},
        "grid": {"forward-forward", "feedback-alignment"},
        "small-world": {"forward-forward", "error-diffusion"},
        "c-elegans": {
            "feedback-alignment",
            "sign-symmetry",
            "kolen-pollack",
            "direct-feedback-alignment",
            "error-diffusion",
            "local-errors",
            "forward-forward",
        },
    }
    readme = text(RULES / "README.md")
    shown = {"none": "layered", "grid": "grid", "small-world": "small world"}
    for topology, name in {**shown, "c-elegans": "C. elegans"}.items():
        cells = re.search(
            rf"\| {re.escape(name)} \|([^|]*)\|([^|]*)\|", readme[readme.index("| | digits") :]
        )
        for cell, worse in zip(cells.groups(), (digits, mnist), strict=True):
            if "all but" in cell:
                told = {each for each, rule in RULES_BY_NAME.items() if not rule.needs_symmetric}
                told -= {"backprop", "dendritic-microcircuit", "weight-mirror"}
                told -= {"random-features", "hebb", "oja", "bcm"}
            else:
                told = set(re.findall("`(.+?)`", cell))
            assert told == worse[topology]
    assert (
        f"detect a difference of {least_digits:.1f} points on digits, or {least_mnist:.1f} on MNIST"
    ) in readme


FEATURE_RULES = ROOT / "examples" / "plasticity"
TOPOLOGIES = {
    "none": ("none",),
    "grid": ("grid",),
    "small-world": ("small-world", "small-world:symmetric=true"),
    "c-elegans": ("c-elegans",),
}


def accuracy_of(rule, topologies, *paths):
    """The mean accuracy in % of a rule in the first of the files that has it, or a dash."""
    for path in paths:
        values = percent(path, lambda row: (row["rule"], row["topology"]))
        for topology in topologies:
            if (rule, topology) in values:
                return f"{fmean(values[rule, topology]):.1f}"
    return "-"


def test_what_each_rule_costs_and_gives():
    """Every cell but the last, which says what an update waits for."""
    with (ROOT / "benchmarks" / "measured" / "rule-costs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    digits = [RULES / "results.csv", RULES / "symmetric" / "results.csv"]
    digits.append(FEATURE_RULES / "digits.csv")
    mnist = RULES / "mnist" / "results.csv", FEATURE_RULES / "mnist.csv"
    wanted = []
    for row in rows:
        name, _, plastic = row["rule"].partition(", ")
        cells = [f"`{name}`, no readout" if plastic and name in RULES_BY_NAME else f"`{name}`"]
        cells.append(f"{int(row['peak_bytes']) / 2**20:.1f}")
        cells += [f"{float(row['median_ms']):.1f}", f"{float(row['times_backprop']):.1f}"]
        for topologies in TOPOLOGIES.values():
            pair = [accuracy_of(name, topologies, *paths) for paths in (digits, mnist)]
            cells.append("" if plastic or set(pair) == {"-"} else " / ".join(pair))
        wanted.append(cells)
    told = table_of(RULES / "README.md", "## What each rule costs and gives")
    assert [line[:-1] for line in told] == wanted
    assert all(line[-1] for line in told)
    by_name = {row["rule"]: row for row in rows}
    readouts = {"random-features", "hebb", "oja", "bcm"}
    taught = [name for name in RULES_BY_NAME if by_name[name]["model"] == "grid"]
    taught = [by_name[name] for name in taught if name not in readouts]
    memory = {row["rule"]: int(row["peak_bytes"]) for row in taught}
    times = {row["rule"]: float(row["times_backprop"]) for row in taught}
    assert min(memory.values()) >= 0.9 * memory["backprop"]
    assert min(times.values()) == times["backprop"]
    readme = text(RULES / "README.md")
    most = memory["error-diffusion"] / memory["backprop"]
    assert f"has a network for each class and takes {most:.0f} times as much" in readme
    slow = times["equilibrium-propagation"]
    assert f"equilibrium propagation takes {slow:.0f} times as long" in readme


def test_the_equilibrium_is_better_than_twenty_loops():
    values = percent(ROOT / "benchmarks/measured/equilibrium.csv", lambda row: row["loops"])
    gap, low, high = significant(values, test_images=10_000)["equilibrium", "20"]
    assert (
        f"significantly better, by {gap:.2f} points (95 % confidence interval {low:.2f} to "
        f"{high:.2f})"
    ) in text(ROOT / "benchmarks/measured/README.md")


# Of the digits 4 and 9, with 3 layers and the article's cells.
ERROR_DIFFUSION = ROOT / "examples" / "error_diffusion"
ARTICLE = {
    "types": "alternating",
    "inputs": "paired",
    "density": "1.0",
    "initial": "signed",
    "largest": "0.0",
    "layers": "3",
}
DIGITS = 1991


def teachers(**wanted):
    """Of error diffusion, and of backpropagation at its better rate, by activation and units."""
    found = percent(
        ERROR_DIFFUSION / "results.csv",
        lambda row: (row["rule"], row["activation"], int(row["units"]), row["rate"]),
        **ARTICLE,
        batch_size="64",
    )
    values = {}
    for (rule, activation, units, _), accuracies in sorted(found.items(), key=lambda one: one[0]):
        if rule == "backprop":
            best = max(accuracies, values.get((activation, units), accuracies), key=fmean)
            values[activation, units] = best
    for units in (1, 2, 4, 8, 16, 32, 64):
        values["diffusion", units] = found["error-diffusion", "sigmoid", units, "0.01"]
    values["diffusion", "0.1"] = found["error-diffusion", "sigmoid", 16, "0.1"]
    return values


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_error_diffusion_beside_backpropagation(activation):
    values = teachers()
    widths = (1, 2, 4, 8, 16, 32, 64)
    pairs = [((activation, units), ("diffusion", units)) for units in widths]
    used = {name: values[name] for pair in pairs for name in pair}
    found = significant(used, pairs, test_images=DIGITS)
    told = text(ERROR_DIFFUSION / "README.md")
    if activation == "sigmoid":
        assert not found
        assert (
            "No difference from sigmoid units is significant with five seeds, at any width" in told
        )
    else:
        assert sorted(units for (_, units), _ in found) == [4, 8, 16, 32, 64]
        gaps = [gap for gap, _, _ in found.values()]
        assert f"from 4 units on, by {min(gaps):.1f} to {max(gaps):.1f} points" in told


def test_error_diffusion_at_another_rate():
    values = teachers()
    names = [("diffusion", "0.1"), ("diffusion", 16), ("relu", 16), ("sigmoid", 16)]
    found = significant({name: values[name] for name in names}, test_images=DIGITS)
    told = text(ERROR_DIFFUSION / "README.md")
    assert f"at the rate 0.1 it stays {found[names[2], names[0]][0]:.1f} points below" in told
    assert f"0.1 is {found[names[0], names[1]][0]:.1f} points better" in told
    assert not {(names[0], names[3]), (names[3], names[0])} & set(found)


def test_error_diffusion_by_batch_and_initial_weights():
    path = ERROR_DIFFUSION / "results.csv"
    usual = {"rule": "error-diffusion", "rate": "0.01", "units": "16"}
    batches = percent(path, lambda row: row["batch_size"], **ARTICLE, **usual)
    assert len(batches) == 7
    assert not significant(batches, test_images=DIGITS)
    free = {key: value for key, value in ARTICLE.items() if key not in ("initial", "largest")}
    starts = percent(
        path, lambda row: (row["initial"], row["largest"]), **free, **usual, batch_size="64"
    )
    found = significant(starts, test_images=DIGITS)
    usual = "signed", "0.0"
    assert f"{found[usual, ('free', '1.0')][0]:.0f}" == "8"
    assert f"{found[usual, ('signed', '1.0')][0]:.0f}" == "3"
    assert (usual, ("free", "0.0")) not in found


IMBALANCES = ("1", "3", "9", "30", "100")
UNBALANCED = {
    "error diffusion": ("error-diffusion", "sigmoid", "0.01", "none"),
    "error diffusion, rate 0.1": ("error-diffusion", "sigmoid", "0.1", "none"),
    "backprop, sigmoid": ("backprop", "sigmoid", "1.0", "none"),
    "backprop, ReLU": ("backprop", "relu", "1.0", "none"),
    "error diffusion, loss weights": ("error-diffusion", "sigmoid", "0.01", "loss weights"),
    "error diffusion, resampling": ("error-diffusion", "sigmoid", "0.01", "resampling"),
    "error diffusion, threshold": ("error-diffusion", "sigmoid", "0.01", "threshold"),
    "backprop, ReLU, loss weights": ("backprop", "relu", "1.0", "loss weights"),
    "backprop, ReLU, resampling": ("backprop", "relu", "1.0", "resampling"),
}


def mean_and_spread(values):
    return f"{fmean(values):.1f} ± {stdev(values):.1f}"


def unbalanced(measure="test_accuracy"):
    """Percentages by line and imbalance."""
    names = {setting: line for line, setting in UNBALANCED.items()}
    found = {}
    with (ERROR_DIFFUSION / "unbalanced" / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            line = names[row["rule"], row["activation"], row["rate"], row["remedy"]]
            found.setdefault((line, row["imbalance"]), []).append(100 * float(row[measure]))
    return found


def test_the_table_of_unbalanced_classes():
    values = unbalanced()
    wanted = [
        [line, *(mean_and_spread(values[line, each]) for each in IMBALANCES)] for line in UNBALANCED
    ]
    assert table_of(ERROR_DIFFUSION / "README.md", "## Unbalanced classes") == wanted


def test_what_is_said_of_unbalanced_classes():
    values, recalls, ranking = unbalanced(), unbalanced("recall_of_9"), unbalanced("ranking")
    assert all(len(each) == 3 for each in values.values())
    for line in ("error diffusion", "backprop, sigmoid"):
        assert min(recalls[line, "3"]) > 80
        assert all(max(recalls[line, each]) == 0 for each in ("9", "30", "100"))
    for each in ("9", "30"):
        pair = ("error diffusion, rate 0.1", each), ("backprop, ReLU", each)
        assert not significant({one: values[one] for one in pair}, test_images=DIGITS)
        assert max(recalls["error diffusion, rate 0.1", "100"]) == 0
        assert max(recalls["backprop, ReLU", "100"]) == 0
    for remedy in ("loss weights", "resampling"):
        line = f"error diffusion, {remedy}"
        lost = {
            each: fmean(values["error diffusion", "1"]) - fmean(values[line, each])
            for each in ("3", "9", "30", "100")
        }
        assert max(lost["3"], lost["9"], lost["30"]) < 1.05
        assert f"{lost['100']:.0f}" == "3"
    mended = [("error diffusion, resampling", "100"), ("backprop, ReLU, resampling", "100")]
    assert f"{fmean(values['backprop, ReLU', '1']) - fmean(values[mended[1]]):.0f}" == "11"
    assert not significant({one: values[one] for one in mended}, test_images=DIGITS)
    assert max(values["backprop, ReLU, loss weights", "100"]) < 51
    assert fmean(values["error diffusion, threshold", "9"]) > 85
    told = text(ERROR_DIFFUSION / "README.md")
    fallen = [fmean(ranking["error diffusion", each]) / 100 for each in ("9", "30")]
    assert f"falls from {fallen[0]:.2f} to {fallen[1]:.2f}" in told


PRECISIONS = {
    "error diffusion": ("error-diffusion", "full"),
    "error diffusion, ternary": ("error-diffusion", "ternary"),
    "error diffusion, ternary, pairs cancelled": ("error-diffusion", "ternary, pairs cancelled"),
    "backprop, ReLU": ("backprop", "full"),
    "backprop, ReLU, ternary": ("backprop", "ternary"),
}
TERNARY_TABLES = {
    "Digits, 64 hidden units": ("ternary", "digits", "rate"),
    "The digits 4 and 9 of MNIST, as above": ("ternary", "4 and 9", "layers"),
    "MNIST, 32 hidden units": ("ternary/mnist", "mnist", "epochs"),
}


def ternary(sentence):
    """Percentages by line and what varies, and its values in order."""
    folder, task, varies = TERNARY_TABLES[sentence]
    names = {setting: line for line, setting in PRECISIONS.items()}
    values = percent(
        ERROR_DIFFUSION / folder / "results.csv",
        lambda row: (names[row["rule"], row["weights"]], row[varies]),
        task=task,
    )
    return values, sorted({each for _, each in values}, key=float)


@pytest.mark.parametrize("sentence", TERNARY_TABLES)
def test_the_tables_of_ternary_weights(sentence):
    values, columns = ternary(sentence)
    seeds = 1 if sentence.startswith("MNIST") else 3
    assert all(len(each) == seeds for each in values.values())
    wanted = [
        [
            line,
            *(
                mean_and_spread(values[line, each]) if seeds > 1 else f"{values[line, each][0]:.1f}"
                for each in columns
            ),
        ]
        for line in PRECISIONS
    ]
    assert table_of(ERROR_DIFFUSION / "README.md", sentence) == wanted


def test_what_is_said_of_ternary_weights():
    digits, rates = ternary("Digits, 64 hidden units")
    best = {line: max(fmean(digits[line, each]) for each in rates) for line in PRECISIONS}
    deep, layers = ternary("The digits 4 and 9 of MNIST, as above")
    few = [each for each in layers if int(each) <= 4]

    def lost(line, full, at):
        gaps = [fmean(deep[full, each]) - fmean(deep[line, each]) for each in at]
        return f"{min(gaps):.1f} to {max(gaps):.1f}"

    plain, rounded, mended, backprop, straight = PRECISIONS
    told = text(ERROR_DIFFUSION / "README.md")
    assert f"costs error diffusion {best[plain] - best[rounded]:.1f} points on digits**" in told
    gaps = [fmean(deep[plain, each]) - fmean(deep[rounded, each]) for each in layers]
    assert f"and {min(gaps):.0f} to {max(gaps):.0f} points on 4 and 9." in told
    assert f"costs backpropagation {best[backprop] - best[straight]:.1f} points on digits" in told
    assert f"and {lost(straight, backprop, few)} on 4 and 9 in up to four layers" in told
    assert f"then {best[plain] - best[mended]:.1f} points on digits" in told
    assert f"digits and {lost(mended, plain, layers)} on 4 and 9." in told
    assert min(deep[mended, "8"]) > 95
    assert max(deep[straight, "8"]) < 51


def test_the_table_of_topologies_has_no_significant_difference():
    with (ROOT / "examples" / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = percent(ROOT / "examples" / "compare.csv", lambda row: row["topology"])
    told = (ROOT / "README.md").read_text(encoding="utf-8")
    for topology, accuracies in values.items():
        (line,) = (line for line in told.splitlines() if line.startswith(f"| {topology} "))
        assert f"| {fmean(accuracies):.2f} ± {stdev(accuracies):.2f} % |" in line
        parameters = {row["parameters"] for row in rows if row["topology"] == topology}
        assert all(f"| {number} |" in line for number in parameters)
    assert not significant(values, test_images=360)
    least = detectable(values, resolution=100 / 360)["grid", "none"]
    told = text(ROOT / "README.md")
    assert "no difference is significant at the 5 % level" in told
    assert f"a difference of {least:.2f} points would be found in 80 % of comparisons" in told


def test_false_alarms_and_power_are_what_was_measured():
    path = ROOT / "benchmarks" / "measured" / "significance.csv"
    with path.open(newline="") as file:
        shares = {
            (
                int(row["num_seeds"]),
                int(row["groups"]),
                int(row["test_images"]),
                row["spreads"],
                float(row["spread"]),
                float(row["gap"]),
            ): 100 * float(row["found"])
            for row in csv.DictReader(file)
        }
    assert set(shares) == {tuple(case) for case in cases()}
    wanted = []
    for seeds in (2, 3, 5, 10):
        unequal = [
            shares[seeds, 4, images, spreads, 0.25, 0.0]
            for images in (360, 10_000)
            for spreads in ("one noisy", "rising")
        ]
        alarms = [*(shares[seeds, 4, images, "equal", 0.25, 0.0] for images in (360, 10_000))]
        powers = [
            shares[seeds, 4, 10_000, "equal", spread, gap]
            for gap, spread in ((0.5, 0.25), (1.0, 0.4), (2.0, 0.25))
        ]
        wanted.append(
            [
                str(seeds),
                *(f"{value:.1f}" for value in (*alarms, max(unequal))),
                *(f"{value:.0f}" for value in powers),
            ]
        )
    told = (ROOT / "benchmarks" / "measured" / "README.md").read_text(encoding="utf-8")
    table = told[told.index("## Comparisons") :].partition("|---")[2].splitlines()[1:5]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in table] == wanted
    alike = max(value for key, value in shares.items() if key[3] == "equal" and not key[5])
    apart = max(value for key, value in shares.items() if key[3] != "equal")
    told = " ".join(told.split())
    assert (
        f"there are at most {alike:.1f} % false alarms where all spreads are equal, and "
        f"{apart:.1f} % where one group"
    ) in told
    # The level within its sampling error, and useful power.
    assert shares[5, 4, 10_000, "equal", 0.25, 2.0] > 90
    assert shares[5, 4, 10_000, "equal", 0.4, 1.0] > 60
    assert alike < 5 + 4 * 100 * (0.05 * 0.95 / 4000) ** 0.5
