"""What trained models do with samples: their loops and their spikes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning import Rule
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.spiking import LIF


@torch.no_grad()
def count_loops(rule: Rule, x: Tensor) -> tuple[float, float]:
    """Return the mean number of loops of samples in evaluation, and the share that converged."""
    layers = [each for each in rule.model.modules() if isinstance(each, GraphLayer)]
    made = sum(each.loops for each in layers if isinstance(each.loops, int))
    endless = [each for each in layers if isinstance(each.loops, Equilibrium)]
    if not endless:
        return float(made), 1.0
    rule.eval()
    loops, converged = [], []
    for part in x.split(1024):
        rule.predict(part)
        reports = [each.report for each in endless if each.report is not None]
        loops.append(torch.stack([report.loops for report in reports]).sum(0))
        converged.append(torch.stack([report.converged for report in reports]).all(0))
    return made + float(torch.cat(loops).double().mean()), float(
        torch.cat(converged).double().mean()
    )


@torch.no_grad()
def count_spikes(rule: Rule, x: Tensor) -> float:
    """Return the mean number of spikes of a sample in evaluation, 0 without spiking neurons."""
    layers = [each for each in rule.model.modules() if isinstance(each, LIF)]
    if not layers:
        return 0.0
    total = 0.0

    def count(layer: nn.Module, given: object, result: tuple[Tensor, object]) -> None:
        nonlocal total
        total += float(result[0].sum(dtype=torch.float64))

    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        rule.eval()
        for part in x.split(1024):
            rule.predict(part)
    finally:
        for hook in hooks:
            hook.remove()
    return total / len(x)
