"""A table of learning rules, some of which are imported only when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping

from sparsebrain.learning.rule import Rule


class RuleTable(MutableMapping[str, type[Rule]]):
    """Classes of rules by name.

    Args:
        rules: the classes, or where each is, as "module:Class". Rules above this package in the
            order of imports are given by place, and so can be those of other packages.
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
