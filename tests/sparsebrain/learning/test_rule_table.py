"""Rules by name, and where they are imported from."""

import subprocess
import sys

import pytest

from sparsebrain import learning
from sparsebrain.learning import RULES, Backprop, ErrorDiffusion
from sparsebrain.learning.rule_table import RuleTable


def test_a_rule_is_given_by_its_class_or_its_place():
    table = RuleTable({"one": Backprop, "other": "sparsebrain.learning.backprop:Backprop"})
    assert [*table] == ["one", "other"]
    assert table["one"] is table["other"] is Backprop
    table["third"] = "sparsebrain.error_diffusion:ErrorDiffusion"
    assert len(table) == 3
    assert table["third"] is ErrorDiffusion
    del table["third"]
    assert "third" not in table


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
