from types import SimpleNamespace

import pytest
import torch

from sparsebrain.experiments import compare
from sparsebrain.experiments.devices import check_device
from sparsebrain.experiments.training import Run

FAST = {"topologies": ["none"], "epochs": 1, "seeds": 1, "jobs": 1}


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two devices of CUDA, as far as torch tells."""
    found = SimpleNamespace(
        current_accelerator=lambda check_available=False: torch.device("cuda"),
        device_count=lambda: 2,
    )
    monkeypatch.setattr(torch, "accelerator", found)


@pytest.fixture
def no_gpus(monkeypatch):
    found = SimpleNamespace(current_accelerator=lambda check_available=False: None)
    monkeypatch.setattr(torch, "accelerator", found)


@pytest.mark.parametrize("given", ["cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu(no_gpus, given):
    assert check_device("device", given) == "cpu"


@pytest.mark.parametrize(
    ("given", "found"),
    [("cuda", "cuda"), ("cuda:1", "cuda:1"), (torch.device("cuda", 0), "cuda:0")],
)
def test_an_accelerator(two_gpus, given, found):
    assert check_device("device", given) == found


@pytest.mark.parametrize("given", ["cuda", "cuda:0", "mps", "xpu", "meta", "cpu:1"])
def test_devices_that_the_machine_does_not_have(no_gpus, given):
    told = rf"device is '{given}', which cannot train on this machine; pass device='cpu'$"
    with pytest.raises(ValueError, match=told):
        check_device("device", given)


def test_a_number_of_a_device_that_is_too_high(two_gpus):
    with pytest.raises(ValueError, match="pass device='cpu' or 'cuda:0' or 'cuda:1'$"):
        check_device("device", "cuda:2")


def test_other_names_and_types(no_gpus):
    with pytest.raises(ValueError, match="device must be a device, got 'gpu'.*; pass device='cpu'"):
        check_device("device", "gpu")
    for wrong in (0, None, True, [], torch.ones(1)):
        with pytest.raises(TypeError, match="device must be the name of a device.*; pass device="):
            check_device("device", wrong)


def test_the_device_is_kept_with_the_results_and_older_results_are_of_the_cpu(tmp_path):
    (row,) = compare(**FAST, device=torch.device("cpu"), out=tmp_path)
    assert row.runs[0].device == Run.device == "cpu"
    assert "device" in (tmp_path / "results.csv").read_text().splitlines()[0].split(",")
    with pytest.raises(ValueError, match="device is 'meta'"):
        compare(**FAST, device="meta", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()
