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
        if name not in self._rules:
            raise KeyError(f"{name!r} is not a learning rule; use one of {', '.join(self._rules)}")
        rule = self._rules[name]
        if isinstance(rule, str):
            module, _, attribute = rule.partition(":")
            rule = getattr(importlib.import_module(module), attribute, None) or rule
            self._rules[name] = rule = _check_rule(name, rule)
        return rule

    def __setitem__(self, name: str, rule: type[Rule] | str) -> None:
        module, _, attribute = rule.partition(":") if isinstance(rule, str) else ("", "", "")
        self._rules[name] = rule if module and attribute else _check_rule(name, rule)

    def __delitem__(self, name: str) -> None:
        del self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)


def _check_rule(name: str, rule: object) -> type[Rule]:
    if isinstance(rule, type) and issubclass(rule, Rule):
        return rule
    raise TypeError(
        f"the rule {name!r} must be a subclass of sparsebrain.learning.Rule, got {rule!r:.60}; "
        "pass the class, or its location as 'module:Class'."
    )
