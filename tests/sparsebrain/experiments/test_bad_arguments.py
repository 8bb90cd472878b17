"""Functions of experiments refuse every kind of bad value for every argument, in clear words.

The arguments come from the signatures; test_bad_options.py does the same for the command line.
"""

import inspect
import re

import joblib
import numpy as np
import pytest
import torch

from sparsebrain.experiments import compare, datasets, reproduce, runner
from sparsebrain.experiments.datasets import DATASETS, Images, load
from sparsebrain.experiments.error_diffusion_study import kept, study
from sparsebrain.experiments.generation import generate
from sparsebrain.experiments.recall import delayed_recall

VALUES = {
    "None": None,
    "bool": True,
    "zero": 0,
    "negative": -1,
    "fraction": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "10^20": 10**20,
    "2^63": 2**63,
    "complex": 1j,
    "text": "abc",
    "empty": "",
    "zero byte": "a\0b",
    "bytes": b"abc",
    "list": [1, 2],
    "texts": ["abc"],
    "nothing": [],
    "dict": {"a": 1},
    "object": object(),
    "class": int,
    "array": np.ones(3),
    "array of one": np.ones(1),
    "tensor": torch.ones(3),
    "meta": torch.ones(2, device="meta"),
    "generator": np.random.default_rng(0),
}
FUNCTIONS = {
    compare: {"data": "digits"},
    reproduce: {},
    study.run: {},
    generate: {"spec": "grid", "out": "new.npz", "shape": "4x4"},
    load: {"name": "digits"},
    delayed_recall: {"samples": 2},
}
# Meant, and therefore accepted.
ALLOWED = {
    "null": {"nothing"},
    "learning_rate": {"None", "fraction", "10^20", "2^63"},
    "data_dir": {"None"},
    "folder": {"None"},
    "jobs": {"negative"},
    "seed": {"zero"},
    "noise": {"zero", "fraction", "10^20", "2^63"},
    "delay": {"zero"},
    "console": {*VALUES},
    "out": {"text"},
    "save_models": {"bool"},
    "report": {"bool"},
    "callbacks": {"nothing"},
}
ALSO_ALLOWED = {(reproduce, "out"): {"None"}, (generate, "out"): set()}
CASES = [
    (function, name) for function in FUNCTIONS for name in inspect.signature(function).parameters
]


class ReachedError(Exception):
    """Work began."""


@pytest.fixture(autouse=True)
def sentinel(monkeypatch, tmp_path):
    def reached(*args, **kwargs):
        raise ReachedError

    for module in (runner, kept):
        monkeypatch.setattr(module, "train", reached)
    monkeypatch.setattr(study, "_repeat_xor", reached)
    monkeypatch.setattr(datasets, "fetch_openml", reached)
    monkeypatch.chdir(tmp_path)
    x, y = torch.rand(8, 16), torch.arange(8) % 2
    tiny = Images("tiny", 2, (4, 4), x, y, x, y)
    for name in DATASETS:
        monkeypatch.setitem(DATASETS, name, lambda folder: tiny)
    with joblib.parallel_config(backend="sequential"):
        yield


@pytest.mark.parametrize(
    ("function", "name"), CASES, ids=[f"{each.__name__}-{name}" for each, name in CASES]
)
def test_every_bad_value_of_every_argument_is_refused(function, name):
    allowed = ALLOWED.get(name, set()) | ALSO_ALLOWED.get((function, name), set())
    if function is generate and name == "out":
        allowed = set()
    unclear = []
    for label, value in VALUES.items():
        if label in allowed:
            continue
        try:
            function(**{**FUNCTIONS[function], name: value})
        except (TypeError, ValueError) as error:
            told = str(error)
            clear = re.search(rf"\b{name}\b|\btopology '", told) and re.search(
                r"; (pass|write|choose|use)", told
            )
            if not clear or len(told) > 1000:
                unclear.append(f"{label}: {told[:300]}")
        except ReachedError:
            unclear.append(f"{label} is accepted")
        else:
            unclear.append(f"{label} is accepted")
    assert not unclear, "\n".join(unclear)
