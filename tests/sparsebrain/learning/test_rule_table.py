"""Rules by name, and where they are imported from."""

import subprocess
import sys

import pytest

from sparsebrain import learning
from sparsebrain.learning import RULES, Backprop, ErrorDiffusion, Rule
from sparsebrain.learning.rule_table import RuleTable


def test_a_rule_is_given_by_its_class_or_its_place():
    table = RuleTable(Rule, {"one": Backprop, "other": "sparsebrain.learning.backprop:Backprop"})
    assert [*table] == ["one", "other"]
    assert table["one"] is table["other"] is Backprop
    table["third"] = "sparsebrain.error_diffusion:ErrorDiffusion"
    assert len(table) == 3
    assert table["third"] is ErrorDiffusion
    del table["third"]
    assert "third" not in table


def test_what_is_no_rule_is_refused():
    table = RuleTable(
        Rule, {"one": Backprop, "missing": "sparsebrain.learning.backprop:Forwardprop"}
    )
    with pytest.raises(KeyError, match="'backprob' is not a learning rule; use one of backprop, "):
        RULES["backprob"]
    assert "backprob" not in RULES
    for wrong in (dict, Backprop.forward, "sparsebrain.learning", "", None):
        with pytest.raises(TypeError, match=r"'two' must be a subclass of .*'module:Class'"):
            table["two"] = wrong
    with pytest.raises(TypeError, match="'missing' must be .*got 'sparsebrain.*Forwardprop'"):
        table["missing"]


def test_all_names_are_there():
    for name in learning.__all__:
        assert getattr(learning, name).__doc__
    assert RULES["error-diffusion"] is ErrorDiffusion
    with pytest.raises(AttributeError, match="has no attribute 'Diffusion'"):
        _ = learning.Diffusion


@pytest.mark.parametrize(
    "module",
    [
        "sparsebrain.error_diffusion",
        "sparsebrain.error_diffusion.rule",
        "sparsebrain.learning",
        "sparsebrain.models",
    ],
)
def test_either_package_can_be_imported_first(module):
    program = (
        f"import {module}\n"
        "from sparsebrain.learning import RULES, ErrorDiffusion\n"
        "assert RULES['error-diffusion'] is ErrorDiffusion\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=120)
