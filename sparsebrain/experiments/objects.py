"""Topologies, rules and data of the caller's own, given as objects instead of names."""

from __future__ import annotations

import contextlib
import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints

import torch
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate_as
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.kinds import GIVEN, KINDS, Kind, kind_of
from sparsebrain.experiments.nulls import NULLS, check_null
from sparsebrain.experiments.options import once
from sparsebrain.experiments.samples import Images, images_of
from sparsebrain.experiments.topology import parse
from sparsebrain.learning import RULES, Rule

Wiring: TypeAlias = str | Data | Callable[[int], Data]
Wirings: TypeAlias = Sequence[Wiring] | Mapping[str, Wiring]
RuleLike: TypeAlias = str | type[Rule]
RuleLikes: TypeAlias = Sequence[RuleLike] | Mapping[str, type[Rule]]
Samples: TypeAlias = Any
Function = TypeVar("Function", bound=Callable[..., Any])

_LABELS = "pass for example topologies={'brain': data}"


class Names(NamedTuple):
    """The names under which objects are in the tables.

    Attributes:
        data: The name of the data set.
        topologies: The texts of the topologies.
        rules: The names of the rules.
        nulls: The names of the null models.
        labels: The caller's labels of texts of topologies.
    """

    data: str
    topologies: list[Any]
    rules: list[Any]
    nulls: list[str]
    labels: dict[str, str]


@contextlib.contextmanager
def named(data: Any, topologies: Any, rules: Any, null: Any = ()) -> Iterator[Names]:
    """Give objects names for the duration of a block, in which the tables hold them.

    Args:
        data: The name of a data set, or samples, see
            :func:`~sparsebrain.experiments.samples.images_of`.
        topologies: Texts, connectomes and functions from a seed to a connectome, or a mapping from
            labels to these.
        rules: Names and classes of rules, or a mapping from names to classes.
        null: A null model or several: names, and functions of a connectome and ``seed``.

    Yields:
        The names. What is a name already is left as it is, and checked by the caller.

    Raises:
        TypeError: An object is none of these.
        ValueError: A label is that of something else, or the samples cannot be used.
    """
    with contextlib.ExitStack() as stack:
        texts, labels = _enter_topologies(stack, topologies)
        classes = _enter_rules(stack, rules)
        nulls = _enter_nulls(stack, null)
        name = data
        if not isinstance(data, str):
            images = images_of(data)
            # Data sets of the table keep their names.
            name = images.name if images.name not in DATASETS else f"{images.name} (yours)"
            images = replace(images, name=name)
            _enter(stack, DATASETS, "data", name, _loader(stack, images))
        yield Names(name, texts, classes, nulls, labels)


def _enter_topologies(stack: contextlib.ExitStack, topologies: Any) -> tuple[Any, dict[str, str]]:
    """Return the texts of topologies, and the labels that texts have."""
    if isinstance(topologies, Mapping):
        labels: dict[str, str] = {}
        texts = []
        for label, each in topologies.items():
            _check_label(label)
            if isinstance(each, str):
                spec = parse(each).spec
                labels[spec] = label
                texts.append(spec)
            else:
                texts.append(_enter_wiring(stack, label, each))
        return texts, labels
    if isinstance(topologies, Data) or callable(topologies):
        raise TypeError(
            f"topologies must be a sequence or a mapping, got {arguments.described(topologies)}; "
            "pass topologies=[data]"
        )
    if isinstance(topologies, str) or not isinstance(topologies, Sequence):
        return topologies, {}
    texts = []
    for each in topologies:
        label = each if isinstance(each, str) else _name_of(each)
        if not isinstance(each, str):
            number = sum(text == label or str(text).startswith(f"{label}-") for text in texts)
            label = f"{label}-{number + 1}" if number else label
            label = _enter_wiring(stack, label, each)
        texts.append(label)
    return texts, {}


def _name_of(wiring: Any) -> str:
    if isinstance(wiring, Data):
        return "data"
    function = getattr(wiring, "func", wiring)
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


def _check_label(label: Any) -> None:
    if not isinstance(label, str) or not label.strip() or set(label) & set(":,"):
        raise ValueError(
            f"topologies has the label {label!r:.60}, which must be a text without colons and "
            f"commas; {_LABELS}"
        )


def _enter_wiring(stack: contextlib.ExitStack, label: str, wiring: Any) -> str:
    """Put a topology into the table under a label, and return the label."""
    if isinstance(wiring, Data):
        held = validate_as(f"topologies, {label!r}", wiring).clone()

        def make() -> Data:
            return held.clone()

        return _enter(stack, KINDS, "topologies", label, Kind(_own(make)))
    if callable(wiring) and not isinstance(wiring, type):
        return _enter(stack, KINDS, "topologies", label, kind_of(_of_a_seed(wiring), label))
    raise TypeError(
        "topologies must hold texts, connectomes (torch_geometric.data.Data) and functions of a "
        f"seed, got {arguments.described(wiring)}; pass for example topologies=['grid', data]"
    )


def _of_a_seed(function: Callable[..., Data]) -> Callable[..., Data]:
    """Return a function whose argument for the seed is named so."""
    parameters = inspect.signature(function).parameters
    others = [
        each
        for name, each in parameters.items()
        if name not in ("seed", *GIVEN) and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    required = [each.name for each in others if each.default is each.empty]
    if len(required) > parameters.keys().isdisjoint(("seed", *GIVEN)):
        name = _name_of(function)
        raise TypeError(
            f"topologies must hold functions of a seed, but {name} requires "
            f"{', '.join(required)}; pass functools.partial({name}, {required[0]}=...)"
        )
    # An argument with a default is an option; only one that the caller has to give is the seed.
    if "seed" in parameters or not required:
        return function

    def draw(seed: int) -> Data:
        return function(seed)

    return _own(draw)


def _own(function: Function) -> Function:
    """Mark a function as the caller's, so that other processes receive it and not its name."""
    # As objects, because the names in annotations are not sent along.
    function.__annotations__ = get_type_hints(function)
    function.__module__ = "__main__"
    return function


def _enter_rules(stack: contextlib.ExitStack, rules: Any) -> Any:
    """Put the classes of rules into the table, and return the names of all."""
    if isinstance(rules, type):
        raise TypeError(
            f"rules must be a sequence, got the class {rules.__name__}; pass "
            f"rules=[{rules.__name__}]"
        )
    if isinstance(rules, Mapping):
        for name, each in rules.items():
            if not isinstance(each, type):
                raise TypeError(
                    f"rules must map names to classes, got {arguments.described(each)} for "
                    f"{name!r:.60}; pass for example rules={{'mine': MyRule}}"
                )
        return [_enter(stack, RULES, "rules", name, each) for name, each in rules.items()]
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        return rules
    return [
        _enter(stack, RULES, "rules", _rule_name(each), each) if isinstance(each, type) else each
        for each in rules
    ]


def _enter_nulls(stack: contextlib.ExitStack, null: Any) -> list[str]:
    """Put null models into the table, and return the names of all."""
    several = [*null] if isinstance(null, list | tuple) else [null]
    names: list[str] = []
    for each in several:
        if isinstance(each, str):
            names.append(NULLS.choose("null", each))
        else:
            function = check_null(each, _name_of(each))
            known = [name for name, one in NULLS.known().items() if one is function]
            name = known[0] if known else _name_of(function)
            number = 2
            while name in NULLS and not known:
                name, number = f"{_name_of(function)}-{number}", number + 1
            names.append(_enter(stack, NULLS, "null", name, function))
    once("null", names)
    return names


def _rule_name(rule: type) -> str:
    # Without importing the rules of other packages.
    known = [name for name, each in RULES.known().items() if each is rule]
    return known[0] if known else rule.__name__


def _enter(
    stack: contextlib.ExitStack,
    table: MutableMapping[str, Any],
    argument: str,
    name: Any,
    entry: Any,
) -> str:
    """Put an entry into a table until the block ends, and return its name."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(
            f"{argument} has the name {name!r:.60}, which must be a text; pass for example "
            f"{argument}={{'mine': ...}}"
        )
    if name in table:
        if table[name] is entry:
            return name
        raise ValueError(
            f"{argument} has an object with the name {name!r}, which is taken; give it another "
            f"name, for example {argument}={{'my-{name}': ...}}"
        )
    table[name] = entry
    stack.callback(table.pop, name, None)
    return name


def _loader(stack: contextlib.ExitStack, images: Images) -> Callable[[Path | None], Images]:
    """Return a loader that finds the images in other processes of this machine as well."""
    # Sent with every training, the images would travel many times.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparsebrain-")))
    torch.save(
        {name: getattr(images, name) for name in ("train_x", "train_y", "test_x", "test_y")},
        folder / "data.pt",
    )
    path = folder / "data.pt"
    name, num_classes, sheet = images.name, images.num_classes, images.sheet

    def load(folder: Path | None) -> Images:
        return Images(name, num_classes, sheet, **torch.load(path, weights_only=True))

    return _own(load)
