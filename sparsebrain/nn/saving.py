"""Saving and loading of layers by state_dict and pickle, with a fingerprint of the synapses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.nn import MessagePassing

from sparsebrain.kernels import Structure
from sparsebrain.nn.connectome import fingerprint
from sparsebrain.nn.fingerprinted import Fingerprinted
from sparsebrain.nn.gains import Gain


class Saved(Fingerprinted, MessagePassing):
    """A PyG layer that is only loaded into the same synapses."""

    structure: Structure
    weight_index: Tensor | None
    _populations: Tensor | None
    _fingerprint: Tensor | None = None

    @property
    def has_plain_messages(self) -> bool:
        """Whether messages are weight times state and are summed, as the kernels compute them."""
        raise NotImplementedError

    def _sign(self) -> Tensor | None:
        raise NotImplementedError

    def _gain(self) -> Gain | None:
        raise NotImplementedError

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the synapses and all that is fixed, for state_dict."""
        if self._fingerprint is None:
            gain = self._gain()
            self._fingerprint = fingerprint(
                self.structure,
                self.weight_index,
                self._sign(),
                populations=self._populations,
                # float() so that layer.double() has the same fingerprint, + 0.0 for that of -0.0.
                strength=None if gain is None else gain.value.float() + 0.0,
                gains=None if gain is None else gain.groups,
                free_gains=None if gain is None else gain.free,
            )
        return self._fingerprint

    def _size(self) -> str:
        return (
            f"{self.structure.num_nodes} neurons, {self.structure.num_edges} synapses, their "
            "order, shared types, populations, fixed strengths and fixed signs"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle parametrized layers too, whose class torch generates and does not pickle."""
        if not parametrize.is_parametrized(self):
            return super().__reduce_ex__(protocol)
        state = self.__dict__.copy()
        state["_modules"] = dict(state["_modules"])
        parametrized = state["_modules"].pop("parametrizations")
        return _rebuild, (
            parametrize.type_before_parametrizations(self),
            state,
            {name: (steps.original, list(steps)) for name, steps in parametrized.items()},
        )


def _rebuild(
    cls: type[Saved],
    state: dict[str, Any],
    parametrized: dict[str, tuple[nn.Parameter, list[nn.Module]]],
) -> Saved:
    layer = cls.__new__(cls)
    layer.__setstate__(state)
    for name, (free, steps) in parametrized.items():
        # Torch calls the first step's right_inverse, which needs a possible value.
        with torch.no_grad():
            layer.register_parameter(name, nn.Parameter(steps[0](free)))
        for step in steps:
            parametrize.register_parametrization(layer, name, step, unsafe=True)
        layer.parametrizations[name].original = free
    return layer
