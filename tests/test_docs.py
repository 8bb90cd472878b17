"""The Python of the pages in docs/ is executed, block after block, in one namespace."""

import re
from pathlib import Path

import pytest
import torch
from torch import distributed

DOCS = Path(__file__).parents[1] / "docs"


def run(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
    return namespace


def test_pyg():
    namespace = run("pyg.md")
    assert namespace["gradients"]["0.weight"].shape == (32, 600)


@pytest.mark.parametrize(
    "page", ["getting_started", "rules", "spikes", "energy", "memory", "scale"]
)
def test_tasks(page, capsys):
    run(f"{page}.md")


@pytest.mark.filterwarnings("ignore")
def test_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    namespace = run("pyg.md")
    model = torch.nn.Sequential(*namespace["model"])
    namespace["export"](model, namespace["rows"], tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size


def test_tuning():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = run("tuning.md")["study"]
    assert len(study.trials) == 8
    assert study.best_value > 0.8


@pytest.fixture
def alone(monkeypatch):
    """The environment that torchrun gives to a single process."""
    names = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "localhost", "MASTER_PORT": 0}
    for name, value in {**names, "GLOO_SOCKET_IFNAME": "lo"}.items():
        monkeypatch.setenv(name, str(value))
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_more_data():
    namespace = run("more_data.md")
    assert namespace["loss"].isfinite()
    shard, whole = namespace["weights"]["graph.weight"], namespace["model"].graph.weight
    torch.testing.assert_close(shard, whole)
    assert namespace["states"]["state"]["graph.weight"]["step"] == 8


def test_distributed():
    namespace = run("distributed.md")
    assert namespace["layer"].part.num_nodes == 1600
