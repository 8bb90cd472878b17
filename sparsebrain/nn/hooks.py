"""The place in a layer for one function that sees the description of its loops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sparsebrain.nn.recurrence import Recurrence

#: A function of the description of a call's loops that returns the one to run.
LoopHook = Callable[[Recurrence], Recurrence]


class HookPlace:
    """Holds at most one hook, across threads. Deep copies and pickles start without a hook."""

    def __init__(self) -> None:
        self._hook: LoopHook | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[HookPlace], tuple[()]]:
        return HookPlace, ()

    @property
    def is_free(self) -> bool:
        """Whether there is no hook."""
        return self._hook is None

    def apply(self, recurrence: Recurrence) -> Recurrence:
        """Return what the hook makes of ``recurrence``, or ``recurrence`` itself without a hook.

        Raises:
            TypeError: If the hook does not return a description.
            ValueError: If it replaces the weight but keeps an exchange that uses the old weight.
        """
        if self._hook is None:
            return recurrence
        found = self._hook(recurrence)
        if not isinstance(found, Recurrence):
            raise TypeError(
                f"hook must return a Recurrence, got {type(found).__name__}; return its argument, "
                "or use dataclasses.replace(recurrence, ...)"
            )
        exchange = recurrence.exchange
        if found.weight is not recurrence.weight and found.exchange is exchange is not None:
            raise ValueError(
                "hook replaces the weight, but the exchange of this layer, which has its own "
                "messages, uses the old one; use dataclasses.replace with both weight and exchange"
            )
        return found

    @contextmanager
    def held_by(self, hook: LoopHook, layer: object) -> Iterator[None]:
        """Install a hook within a context; RuntimeError, naming the layer, if there is another."""
        with self._lock:
            if self._hook is not None:
                raise RuntimeError(
                    f"the loops of {layer!r} already have a hook, of a diagnostic or of a learning "
                    "rule's step that is running on this model, perhaps in another thread; wait "
                    "until it is done, or use copy.deepcopy(model)"
                )
            self._hook = hook
        try:
            yield
        finally:
            self._hook = None
