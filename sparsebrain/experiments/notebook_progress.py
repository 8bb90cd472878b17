"""A progress bar for notebooks, which needs no widgets."""

from __future__ import annotations

import html
import sys
import time
from types import TracebackType
from typing import Any, Self


class NotebookProgress:
    """A bar below a notebook's cell while a block runs, or nothing outside of notebooks.

    It disappears at the end of the block. Notebooks that a program executes have none, so that
    their saved outputs do not depend on it.

    Args:
        total: The number of trainings.
        disable: Whether nothing is shown.
    """

    def __init__(self, total: int, *, disable: bool = False) -> None:
        self._total = total
        self._wanted = bool(total) and not disable and is_notebook()
        self._handle: Any = None
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        if self._wanted:
            from IPython.display import display  # noqa: PLC0415

            self._handle = display(_Html(self._text(0)), display_id=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.update(_Html(""))

    def update(self, completed: int) -> None:
        """Show a number of finished trainings."""
        if self._handle is not None:
            self._handle.update(_Html(self._text(completed)))

    def _text(self, completed: int) -> str:
        seconds = time.monotonic() - self._start
        told = f"{completed} of {self._total} trainings"
        if completed:
            told += f", about {seconds / completed * (self._total - completed):.0f} s left"
        bar = f'<progress value="{completed}" max="{self._total}"></progress>'
        return f"{bar} {html.escape(told)}"


class _Html:
    """What a notebook shows as HTML."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_html_(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return ""


def is_notebook() -> bool:
    """Return whether someone executes a cell of a notebook, and not a program such as nbclient."""
    ipython = sys.modules.get("IPython")
    shell: Any = None if ipython is None else ipython.get_ipython()
    if type(shell).__name__ != "ZMQInteractiveShell":
        return False
    request = shell.kernel.get_parent("shell").get("content", {})
    return bool(request.get("allow_stdin", False))
