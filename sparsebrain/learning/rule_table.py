"""A table of rules, some of which are imported only on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

from sparsebrain.locations import OpenTable

Kind = TypeVar("Kind", bound=nn.Module)


class RuleTable(OpenTable[type[Kind]]):
    """Classes of rules by name.

    Args:
        base: The class that all of them are derived from.
        rules: The classes, or their locations as "module:Class". Locations are for rules of
            packages that import this one, and for rules of other packages.
        group: The group of entry points of other packages; "" for none.
    """

    def __init__(
        self, base: type[Kind], rules: Mapping[str, type[Kind] | str], group: str = ""
    ) -> None:
        super().__init__(group, {})
        self._base = base
        self._table: dict[str, Any] = dict(rules)

    def __getitem__(self, name: str) -> type[Kind]:
        rule = self._table.get(name)
        if isinstance(rule, str):
            module, _, attribute = rule.partition(":")
            rule = getattr(importlib.import_module(module), attribute, None) or rule
            self._table[name] = rule = self.adapt(name, rule)
            return rule
        try:
            return super().__getitem__(name)
        except KeyError:
            raise KeyError(
                f"{name!r} is not a learning rule; use one of {', '.join(self)}"
            ) from None

    def __setitem__(self, name: str, rule: type[Kind] | str) -> None:
        module, _, attribute = rule.partition(":") if isinstance(rule, str) else ("", "", "")
        self._table[name] = rule if module and attribute else self.adapt(name, rule)

    def adapt(self, name: str, found: Any) -> type[Kind]:
        """Return the class of a rule; TypeError if it is something else."""
        if isinstance(found, type) and issubclass(found, self._base):
            return found
        package = self._base.__module__.rpartition(".")[0]
        raise TypeError(
            f"the rule {name!r} must be a subclass of {package}.{self._base.__name__}, got "
            f"{found!r:.60}; pass the class, or its location as 'module:Class'."
        )
