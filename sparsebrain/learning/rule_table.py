"""A table of rules, some of which are imported only on first use."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Generic, TypeVar

from torch import nn

Kind = TypeVar("Kind", bound=nn.Module)


class RuleTable(MutableMapping[str, type[Kind]], Generic[Kind]):
    """Classes of rules by name.

    Args:
        base: The class that all of them are derived from.
        rules: The classes, or their locations as "module:Class". Locations are for rules of
            packages that import this one, and for rules of other packages.
    """

    def __init__(self, base: type[Kind], rules: Mapping[str, type[Kind] | str]) -> None:
        self._base = base
        self._rules = dict(rules)

    def __getitem__(self, name: str) -> type[Kind]:
        if name not in self._rules:
            raise KeyError(f"{name!r} is not a learning rule; use one of {', '.join(self._rules)}")
        rule = self._rules[name]
        if isinstance(rule, str):
            module, _, attribute = rule.partition(":")
            rule = getattr(importlib.import_module(module), attribute, None) or rule
            self._rules[name] = rule = self._check(name, rule)
        return rule

    def __setitem__(self, name: str, rule: type[Kind] | str) -> None:
        module, _, attribute = rule.partition(":") if isinstance(rule, str) else ("", "", "")
        self._rules[name] = rule if module and attribute else self._check(name, rule)

    def __delitem__(self, name: str) -> None:
        del self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def _check(self, name: str, rule: object) -> type[Kind]:
        if isinstance(rule, type) and issubclass(rule, self._base):
            return rule
        package = self._base.__module__.rpartition(".")[0]
        raise TypeError(
            f"the rule {name!r} must be a subclass of {package}.{self._base.__name__}, got "
            f"{rule!r:.60}; pass the class, or its location as 'module:Class'."
        )
