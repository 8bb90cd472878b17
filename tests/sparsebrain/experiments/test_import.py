import importlib
import pkgutil
import subprocess
import sys

import pytest

from sparsebrain import experiments


def test_the_functions_are_exported_and_no_module_has_their_name():
    modules = {each.name for each in pkgutil.iter_modules(experiments.__path__)}
    assert modules.isdisjoint(experiments.__all__)
    expected = [
        *("CSVLog", "Callback", "TensorBoardLog"),
        *(
            "compare",
            "differences",
            "digits_stdp",
            "features",
            "load_trained",
            "one_shot",
            "pipeline",
        ),
        *("read_config", "reproduce", "reward", "rewiring", "song", "wiring"),
    ]
    assert dir(experiments) == experiments.__all__ == expected
    for name in experiments.__all__:
        function = getattr(experiments, name)
        assert function.__name__ == name
        assert getattr(importlib.import_module(function.__module__), name) is function
    with pytest.raises(AttributeError, match="has no attribute 'comparison_of'"):
        experiments.comparison_of  # noqa: B018


def test_the_package_is_imported_without_torch():
    program = "import sys, sparsebrain.experiments; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
