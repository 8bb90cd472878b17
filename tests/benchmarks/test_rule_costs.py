import csv

from benchmarks import rule_costs
from sparsebrain.learning import RULES
from sparsebrain.plasticity import PLASTICITY


def test_every_rule_is_measured(tmp_path, capsys):
    table = tmp_path / "costs.csv"
    options = ["--threads", "1", "--rounds", "1", "--batch", "4", "--csv", str(table)]
    assert rule_costs.main(options) == 0
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["rule"] for line in lines] == [
        *RULES,
        *(f"{name}, plasticity" for name in PLASTICITY),
    ]
    models = {line["rule"]: line["model"] for line in lines}
    assert {name for name in RULES if models[name] != "grid"} == {"dendritic-microcircuit"}
    assert models["stdp, plasticity"] == f"grid, {rule_costs.STEPS} time steps"
    for line in lines:
        assert float(line["median_ms"]) > 0
        # A step holds at least the weights of the grid and their gradients.
        assert int(line["peak_bytes"]) > 2 * 4 * 5476
        assert line["torch"]
    assert float(lines[0]["times_backprop"]) == 1
    assert "error-diffusion" in capsys.readouterr().out


def test_random_images_of_a_size_and_some_rules(capsys):
    """A step of error diffusion needs little memory beside the strengths and their gradient."""
    options = ["--rounds", "1", "--batch", "4", "--side", "12", "--rule", "error-diffusion"]
    found = rule_costs.measure(rule_costs._parse(options))
    backprop, row = found["rows"]
    assert (backprop["rule"], row["rule"], row["model"]) == ("backprop", "error-diffusion", "grid")
    # Ten networks of 144 hidden cells and an output, with 144 paired features and a bias.
    strengths = 4 * 10 * 2 * 144 * 144
    assert row["resident_bytes"] > strengths
    assert strengths < row["peak_bytes"] - row["resident_bytes"] < 2 * strengths
    rule_costs.show(found)
    assert "resident MiB" in capsys.readouterr().out
