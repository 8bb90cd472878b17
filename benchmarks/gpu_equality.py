"""The ``triton`` backend against the ``reference`` backend in float64, on any device."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.equality import assert_equal
from benchmarks.power_law import power_law
from sparsebrain import kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.noise import CounterNoise

TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-10}


class _Inputs(NamedTuple):
    weight: Tensor
    state: Tensor
    drive: Tensor | None
    bias: Tensor | None
    leak: Tensor | None

    def learning(self, dtype: torch.dtype) -> _Inputs:
        """Return copies of a dtype that ask for a gradient."""
        return _Inputs(
            *(None if x is None else x.detach().to(dtype).requires_grad_() for x in self)  # type: ignore[arg-type]
        )


def check(device: torch.device, *, tiny: bool) -> dict[str, float]:
    """Return the largest error of every option; WrongResultError if one is not rounding.

    Args:
        device: Where the kernels run.
        tiny: Whether graphs and batches are small enough for Triton's interpreter. Otherwise the
            longest row is so long that it is cut into segments.
    """
    graphs = {name: each.to(device) for name, each in _graphs(tiny=tiny).items()}
    compared = ("ring", "hub") if tiny else tuple(graphs)
    errors = {}
    for name in compared:
        structure = graphs[name]
        for batch in (2,) if tiny else (1, 33):
            for dtype in TOLERANCES:
                options = {"loops": 3, "activation": "tanh"}
                errors[f"{name}, batch {batch}, {dtype}"] = _compare(
                    structure, batch, dtype, options
                )
    hub, ring = graphs["hub"], graphs["ring"]
    for activation in ("none", "gelu") if tiny else ACTIVATIONS:
        options = {"loops": 2, "activation": activation, "keep": True}
        errors[activation] = _compare(hub, 2, torch.float64, options)
    key = torch.tensor(7, device=device)
    for told, structure in (("ring", ring),) if tiny else (("hub", hub), ("ring", ring)):
        for option, value in (
            ("form", "voltage"),
            ("checkpoint", True),
            ("noise", CounterNoise(key, 0.5)),
        ):
            options = {"loops": 4, "activation": "tanh", option: value}
            errors[f"{option}, {told}"] = _compare(
                structure, 2 if tiny else 9, torch.float64, options
            )
    return errors


def _graphs(*, tiny: bool) -> dict[str, Structure]:
    neurons, long = (4, 20) if tiny else (300, 5000)
    draw = torch.Generator().manual_seed(0)
    hub = torch.randint(neurons, (2, long + 2 * neurons), generator=draw)
    hub[1, :long] = 0
    ring = torch.arange(neurons)
    random = torch.randint(neurons, (2, 10 * neurons), generator=draw)
    return {
        "ring": Structure(torch.stack([ring, ring.roll(1)]), neurons),
        "random": Structure(random, neurons),
        "hub": Structure(hub, neurons),
        "power law": Structure(power_law(neurons, neurons**2 // 4), neurons),
        "no synapses": Structure(torch.empty(2, 0, dtype=torch.int64), 5),
    }


def _compare(
    structure: Structure, batch: int, dtype: torch.dtype, options: dict[str, Any]
) -> float:
    inputs = _draw(structure, batch)
    found = _solve(structure, inputs.learning(dtype), "triton", options)
    wanted = _solve(structure, inputs.learning(torch.float64), "reference", options)
    return max(
        assert_equal(f"triton, {options}", f"result {number}", each, right, TOLERANCES[dtype])
        for number, (each, right) in enumerate(zip(found, wanted, strict=True))
        # A largest value of zero would make any error infinite.
        if right.numel() and bool(right.any())
    )


def _draw(structure: Structure, batch: int) -> _Inputs:
    draw = torch.Generator().manual_seed(1)
    nodes, edges = structure.num_nodes, structure.num_edges

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64).to(structure.device)

    bias = normal(nodes)
    scale = max(1, edges / nodes) ** 0.5
    weight = normal(edges) / scale
    return _Inputs(weight, normal(nodes, batch), normal(nodes, batch), bias, bias.sigmoid())


def _solve(
    structure: Structure, inputs: _Inputs, backend: str, options: dict[str, Any]
) -> list[Tensor]:
    weight, state, drive, bias, leak = inputs
    states = kernels.loop(
        structure,
        weight,
        state,
        drive=drive,
        bias=bias,
        leak=leak,
        backend=backend,
        **options,
    )
    loss = sum((each * each.detach().cos()).sum() for each in states)
    assert isinstance(loss, Tensor)
    leaves = [each for each in inputs if each is not None]
    return [*(each.detach() for each in states), *torch.autograd.grad(loss, leaves)]
