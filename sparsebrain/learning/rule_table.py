"""A table of learning rules, some of which are imported only on first use."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping

from sparsebrain.learning.rule import Rule


class RuleTable(MutableMapping[str, type[Rule]]):
    """Classes of rules by name.

    Args:
        rules: The classes, or their locations as "module:Class". Locations are for rules of
            packages that import this one, and for rules of other packages.
    """

    def __init__(self, rules: Mapping[str, type[Rule] | str]) -> None:
        self._rules = dict(rules)

    def __getitem__(self, name: str) -> type[Rule]:
        rule = self._rules[name]
        if isinstance(rule, str):
            module, _, attribute = rule.partition(":")
            rule = getattr(importlib.import_module(module), attribute)
            self._rules[name] = rule
        return rule

    def __setitem__(self, name: str, rule: type[Rule] | str) -> None:
        self._rules[name] = rule

    def __delitem__(self, name: str) -> None:
        del self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)
