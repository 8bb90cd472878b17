"""Sweeps along the synapses within a stage of an error-diffusion network, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.error_diffusion.bundles import Bundle
from sparsebrain.kernels import Structure

_FEW = 64
"""Synapses per cell up to which the index arrays take less memory than the states of a batch. With
more, the sums of single sweeps take most of the time anyway.
"""


@dataclass(frozen=True)
class Recurrence:
    """All synapses within a stage, from + and - cells, as one matrix."""

    structure: Structure
    """The synapses of all networks, in the order of their strengths."""
    bundles: tuple[Bundle, ...]
    signs: tuple[Tensor, ...]
    """For each bundle, the signs of the weights [E] of one network."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Recurrence:
        """Return the recurrence on a device, with signs of the given dtype."""
        signs = tuple(each.to(device, dtype) for each in self.signs)
        return replace(self, structure=self.structure.to(device), signs=signs)

    def sweep(
        self, strength: Tensor, state: Tensor, drive: Tensor, *, sweeps: int, slope: float
    ) -> Tensor:
        """Return the state after some sweeps.

        Args:
            strength: The strengths of all synapses of the network.
            state: The state of the stage [K, n, B].
            drive: What is added to the sums of every sweep [K, n, B], with the sign of the cell and
                times ``slope``.
            sweeps: The number of sweeps.
            slope: The factor of a sum before the sigmoid.

        Returns:
            The state [K, n, B].
        """
        parts = [
            (each.part(strength).view(each.networks, -1) * (slope * sign)).flatten()
            for each, sign in zip(self.bundles, self.signs, strict=True)
        ]
        (last,) = kernels.loop(
            self.structure,
            torch.cat(parts),
            state.flatten(0, 1),
            loops=sweeps,
            drive=drive.flatten(0, 1),
            activation="sigmoid",
        )
        return last.view(state.shape)


def unite(bundles: Sequence[Bundle], sign: Tensor) -> Recurrence | None:
    """Unite the bundles within a stage, or return None if they are matrices or large.

    Args:
        bundles: The bundles.
        sign: The types of the cells of the stage [n, 1].
    """
    ends, signs = list[Tensor](), list[Tensor]()
    for each in bundles:
        cells = each.networks * each.targets
        if each.structure is None or each.structure.num_nodes != cells or each.size > _FEW * cells:
            return None
        ends.append(each.structure.edge_index)
        targets = each.structure.edge_index[1, : each.size // each.networks]
        signs.append(sign[targets, 0] * (1 if each.positive else -1))
    if not bundles:
        return None
    structure = Structure(torch.cat(ends, 1), bundles[0].networks * bundles[0].targets)
    return Recurrence(structure, tuple(bundles), tuple(signs))
