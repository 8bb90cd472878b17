"""Modules that are only loaded into the same synapses that they were saved with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Fingerprinted:
    """A mixin for modules whose ``state_dict`` contains a fingerprint of their synapses.

    Weights are assigned to synapses by position, so that a ``state_dict`` must not be loaded into a
    module with other synapses. Inherit from this class before ``nn.Module``.
    """

    def get_extra_state(self) -> Tensor:
        """Return a SHA-256 [32] uint8 of the synapses and all that is fixed, for state_dict."""
        raise NotImplementedError

    def set_extra_state(self, state: Tensor) -> None:
        """Do nothing: the fingerprint was compared before any weight was loaded."""

    def _size(self) -> str:
        """Return what the module has, for an error message."""
        raise NotImplementedError

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        found = state_dict.get(f"{prefix}_extra_state")
        own = self.get_extra_state()
        if found is not None and not (isinstance(found, Tensor) and torch.equal(found.cpu(), own)):
            error_msgs.append(
                f"{prefix or 'the layer'} was saved with other synapses than this one has "
                f"({self._size()} count); make it from the connectome that was saved with it."
            )
            return
        super()._load_from_state_dict(  # type: ignore[misc]
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )
