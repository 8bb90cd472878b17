"""The weights of a layer's synapses: drawn or measured, shared and constrained."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparsebrain.equilibrium import Equilibrium
from sparsebrain.equilibrium.bounds import Contraction
from sparsebrain.nn.connectome import read_signs, read_weights
from sparsebrain.nn.dale import DaleSign
from sparsebrain.nn.gains import Gain
from sparsebrain.nn.initialization import draw_contraction, draw_weight
from sparsebrain.nn.saving import Saved
from sparsebrain.nn.sharing import share_synapses, value_of_groups
from sparsebrain.nn.weight_setting import set_weight

Step = TypeVar("Step", bound=nn.Module)


class SynapticWeights(Saved):
    """The weights of a layer's synapses: how they are made, drawn, assigned and constrained.

    ``weight`` is one parameter, possibly parametrized: first by gains or fixed signs, then by the
    constraint of an Equilibrium.
    """

    weight: Tensor
    loops: int | Equilibrium
    init: str
    weight_sharing: str
    backend: str
    projections: Tensor | None
    _lipschitz: float
    _initial_weight: Tensor | None

    @property
    def gain(self) -> Tensor | None:
        """The gains, before an Equilibrium's constraint, or None.

        There is one gain for each synapse, type, projection, source or target that shares one.
        """
        step = self._step_of_weight(Gain)
        return None if step is None else step.gain_of(self.parametrizations.weight.original)

    @property
    def gain_sharing(self) -> str | None:
        """Which synapses share a gain, as the argument ``gain``; None without gains."""
        step = self._gain()
        return None if step is None else step.shared_by

    @property
    def keeps_signs(self) -> bool:
        """Whether the layer keeps the signs of its synapses, as the argument ``dale``."""
        gain = self._gain()
        return self._sign() is not None or (gain is not None and gain.keeps_sign)

    @property
    def has_symmetric_weights(self) -> bool:
        """Whether the weights in both directions are equal, W = W^T, under any optimizer."""
        return "pair" in (self.weight_sharing, self.gain_sharing)

    def _make_weights(
        self,
        connectome: Any,
        gain: str | None,
        *,
        dale: bool,
        where: dict[str, Any],
    ) -> None:
        """Make the weight on the device and with the dtype ``where``."""
        structure = self.structure
        self.weight_index, num_weights, self.projections = share_synapses(
            connectome, structure, self.weight_sharing, "weight_sharing"
        )
        # Dale's law accepts zeros for every sign, until the weights are drawn.
        self.weight = nn.Parameter(torch.zeros(num_weights, **where))
        sign = read_signs(connectome) if dale else None
        if sign is not None:
            sign = self._per_weight(sign, "edge_sign").to(self.weight.dtype)
        self._initial_weight = None
        if self.init == "edge_weight":
            measured = read_weights(connectome, self.weight.dtype, for_gain=gain is not None)
            self._initial_weight = self._per_weight(measured, "edge_weight")
        if gain is not None:
            assert self._initial_weight is not None
            groups, count, self.projections = share_synapses(connectome, structure, gain, "gain")
            if gain == "pair":
                for name, values in {
                    "edge_sign": sign,
                    "edge_weight": self._initial_weight,
                }.items():
                    if values is not None and groups is not None:
                        value_of_groups(values, groups, count, _refusal("gain", gain, name))
            if sign is not None:
                # This refuses strengths of the wrong sign, which no gain could correct.
                DaleSign(sign).right_inverse(self._initial_weight)
            step = Gain(self._initial_weight, groups, count, sign=sign, shared_by=gain)
            parametrize.register_parametrization(self, "weight", step)
        elif sign is not None:
            parametrize.register_parametrization(self, "weight", DaleSign(sign))
        self._bound()

    def _bound(self) -> None:
        """Apply the constraint of an Equilibrium to the weights."""
        if not isinstance(self.loops, Equilibrium) or self.loops.constraint is None:
            return
        kind, most = self.loops.constraint, self.loops.bound / self._lipschitz
        if not self.has_plain_messages:
            raise ValueError(
                f"constraint={kind!r} needs aggr='sum' and the layer's own message, aggregate and "
                "update; pass constraint=None"
            )
        bounded = Contraction(self.structure, kind, most, self.weight_index)
        parametrize.register_parametrization(self, "weight", bounded)

    def _reset_weights(self, generator: torch.Generator | None) -> None:
        if self.weight.is_meta or not self.structure.num_edges:
            return
        if self._initial_weight is not None:
            weight = self._initial_weight.to(self.weight)
        elif isinstance(self.loops, Equilibrium):
            weight = draw_contraction(
                self.structure,
                self.weight,
                lipschitz=self._lipschitz,
                types=self.weight_index,
                sign=self._sign(),
                generator=generator,
            )
        else:
            weight = draw_weight(
                self.structure,
                self.weight,
                loops=self.loops,
                types=self.weight_index,
                sign=self._sign(),
                near_identity=self.init == "identity",
                generator=generator,
                backend=self.backend,
            )
        contraction = self._step_of_weight(Contraction)
        if contraction is not None:
            weight = weight * contraction.scale_of(weight)
        self.assign_weight(weight)

    def assign_weight(self, weight: Tensor) -> None:
        """Set ``weight``, in its own shape, whether it is parametrized or not.

        Raises:
            TypeError: If ``weight`` is not a dense tensor of floats.
            ValueError: If it has another shape, or a parametrization (``dale``, ``gain``, a
                constraint) does not allow this value.
        """
        set_weight(self, weight)

    def _per_weight(self, values: Tensor, name: str) -> Tensor:
        """Return values [E] of synapses as values of weights."""
        if self.weight_index is None:
            return values
        refusal = _refusal("weight_sharing", self.weight_sharing, name)
        return value_of_groups(values, self.weight_index, len(self.weight), refusal)

    def _sign(self) -> Tensor | None:
        dale = self._step_of_weight(DaleSign)
        return None if dale is None else dale.value

    def _gain(self) -> Gain | None:
        return self._step_of_weight(Gain)

    def _step_of_weight(self, kind: type[Step]) -> Step | None:
        """Return the parametrization of that class, or None."""
        if not parametrize.is_parametrized(self, "weight"):
            return None
        return next((each for each in self.parametrizations.weight if isinstance(each, kind)), None)

    def _told_weights(self) -> list[str]:
        """Return the non-default options, for ``__repr__``."""
        told = []
        if self.weight_sharing != "synapse":
            told.append(f"weight_sharing={self.weight_sharing!r}")
        if self.gain_sharing is not None:
            told.append(f"gain={self.gain_sharing!r}")
        if self.keeps_signs:
            told.append("dale=True")
        return told


def _refusal(option: str, sharing: str, name: str) -> str:
    """Return the error for values of synapses that share one weight or gain, and differ."""
    remedy = {
        ("pair", "edge_weight"): "graphs.symmetrize(connectome, weight='mean')",
        ("pair", "edge_sign"): (
            "graphs.symmetrize(connectome) if only the sign of a partner is unknown, or dale=False"
        ),
    }.get((sharing, name), f"{option}='synapse'")
    return (
        f"{option}={sharing!r} gives the synapses of a group one weight, but their {name} differ; "
        f"pass {remedy}"
    )
