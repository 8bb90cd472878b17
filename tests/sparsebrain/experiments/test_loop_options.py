import pytest

from sparsebrain import Equilibrium
from sparsebrain.experiments.loop_options import parse_loops


@pytest.mark.parametrize(
    ("given", "spec", "value"),
    [
        (5, 5, 5),
        (" 20", 20, 20),
        ("equilibrium", "equilibrium", Equilibrium()),
        (
            "equilibrium:constraint=norm, tol=1e-3,bound=0.8",
            "equilibrium:tol=1e-3,constraint=norm,bound=0.8",
            Equilibrium(tol=1e-3, constraint="norm", bound=0.8),
        ),
        (
            "equilibrium:solver=anderson,depth=3,max_loops=50,gradient=jacobian-free",
            "equilibrium:max_loops=50,solver=anderson,depth=3,gradient=jacobian-free",
            Equilibrium(max_loops=50, solver="anderson", depth=3, gradient="jacobian-free"),
        ),
    ],
)
def test_numbers_and_texts_are_read(given, spec, value):
    assert parse_loops(given) == (spec, value)
    assert parse_loops(spec) == (spec, value)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("endless", "loops must be an integer >= 1 or equilibrium.*got 'endless'"),
        ("", "loops must be an integer >= 1 or equilibrium"),
        ("-1", "loops must be an integer >= 1, got -1"),
        ("1.5", "loops must be an integer >= 1 or equilibrium"),
        (0, "loops must be an integer >= 1, got 0"),
        ("0", "loops must be an integer >= 1, got 0"),
        ("equilibrium:tolerance=1", "with the options tol=, max_loops="),
        ("equilibrium:tol=small", "tol='small' is not a number"),
        ("equilibrium:tol=2", "loops='equilibrium:tol=2': tol must be between 0 and 1"),
        ("equilibrium:solver=newton", "solver must be one of 'fixed-point', 'anderson'"),
        ("equilibrium:tol=0.1,tol=0.2", "tol is given twice"),
    ],
)
def test_what_cannot_be_read_is_told(given, match):
    with pytest.raises(ValueError, match=match):
        parse_loops(given)


def test_a_number_must_be_whole():
    with pytest.raises(TypeError, match="loops must be an integer >= 1, got"):
        parse_loops(1.5)
