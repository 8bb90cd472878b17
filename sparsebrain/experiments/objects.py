"""Topologies, rules and data of the caller's own, given as objects instead of names."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Data

from graphs import arguments
from sparsebrain.experiments.datasets import DATASETS, Images
from sparsebrain.experiments.kinds import KINDS, Kind
from sparsebrain.experiments.topology import lattice
from sparsebrain.learning import RULES, Rule

Wiring: TypeAlias = str | Data | Callable[[int], Data]
Wirings: TypeAlias = Sequence[Wiring] | Mapping[str, Wiring]
RuleLike: TypeAlias = str | type[Rule]
Samples: TypeAlias = Any
Function = TypeVar("Function", bound=Callable[..., Any])

_PAIR = "pass data=(x, y) with samples x and labels y"


class Names(NamedTuple):
    """The names under which objects are in the tables.

    Attributes:
        data: The name of the data set.
        topologies: The texts of the topologies.
        rules: The names of the rules.
    """

    data: str
    topologies: list[Any]
    rules: list[Any]


@contextlib.contextmanager
def named(data: Any, topologies: Any, rules: Any) -> Iterator[Names]:
    """Give objects names for the duration of a block, in which the tables hold them.

    Args:
        data: The name of a data set, or samples, see :func:`images_of`.
        topologies: Texts, connectomes and functions from a seed to a connectome, or a mapping from
            labels to these.
        rules: Names and classes of rules.

    Yields:
        The names. What is a name already is left as it is, and checked by the caller.

    Raises:
        TypeError: An object is none of these.
        ValueError: A label is that of something else, or the samples cannot be used.
    """
    with contextlib.ExitStack() as stack:
        texts, classes = topologies, rules
        if isinstance(topologies, Mapping):
            texts = [_wired(stack, label, each) for label, each in topologies.items()]
        elif isinstance(topologies, Sequence) and not isinstance(topologies, str):
            texts = _label_all(stack, topologies)
        if isinstance(rules, Sequence) and not isinstance(rules, str):
            classes = [
                _entered(stack, RULES, "rules", _rule_name(each), each)
                if isinstance(each, type)
                else each
                for each in rules
            ]
        name = data
        if not isinstance(data, str):
            images = images_of(data)
            name = _entered(stack, DATASETS, "data", images.name, _loader(stack, images))
        yield Names(name, texts, classes)


def _label_all(stack: contextlib.ExitStack, topologies: Sequence[Any]) -> list[Any]:
    texts: list[Any] = []
    for each in topologies:
        label = each
        if not isinstance(each, str):
            label = "data" if isinstance(each, Data) else getattr(each, "__name__", "function")
            label = label.strip("<>")
            number = sum(text == label or str(text).startswith(f"{label}-") for text in texts)
            label = _wired(stack, f"{label}-{number + 1}" if number else label, each)
        texts.append(label)
    return texts


def _wired(stack: contextlib.ExitStack, label: Any, wiring: Any) -> str:
    """Put a topology into the table under a label, and return the label; a text stays."""
    if not isinstance(label, str) or not label or set(label) & set(":,"):
        raise ValueError(
            f"topologies has the label {label!r}, which must be a text without colons and commas; "
            "pass for example topologies={'brain': data}"
        )
    if isinstance(wiring, str):
        return wiring
    if isinstance(wiring, Data):
        held = wiring.clone()

        def make() -> Data:
            return held.clone()

        return _entered(stack, KINDS, "topologies", label, Kind(_own(make)))
    if callable(wiring):

        def draw(seed: int) -> Data:
            drawn = wiring(seed)
            if not isinstance(drawn, Data):
                raise TypeError(
                    "the function must return a Data for a seed, got "
                    f"{arguments.described(drawn)}; return for example "
                    "graphs.small_world(100, 10, 0.1, seed=seed)"
                )
            return drawn

        return _entered(stack, KINDS, "topologies", label, Kind(_own(draw)))
    raise TypeError(
        "topologies must hold texts, connectomes (torch_geometric.data.Data) and functions of a "
        f"seed, got {arguments.described(wiring)}; pass for example topologies=['grid', data]"
    )


def _own(function: Function) -> Function:
    """Mark a function as the caller's, so that other processes receive it and not its name."""
    # As objects, because the names in annotations are not sent along.
    function.__annotations__ = get_type_hints(function)
    function.__module__ = "__main__"
    return function


def _rule_name(rule: type) -> str:
    known = [name for name in RULES if RULES[name] is rule]
    return known[0] if known else rule.__name__


def _entered(
    stack: contextlib.ExitStack,
    table: MutableMapping[str, Any],
    argument: str,
    name: str,
    entry: Any,
) -> str:
    """Put an entry into a table until the block ends, and return its name."""
    if name in table:
        if table[name] is entry:
            return name
        raise ValueError(
            f"{argument} has an object with the name {name!r}, which is taken; give it another "
            f"name, for example {argument}={{'my-{name}': ...}}"
            if argument == "topologies"
            else f"{argument} has an object with the name {name!r}, which is taken; rename it"
        )
    table[name] = entry
    stack.callback(table.pop, name, None)
    return name


def images_of(data: Any) -> Images:
    """Return samples as a data set of a comparison.

    Args:
        data: ``(x, y)`` with samples x, an array or tensor [n, ...] of real numbers, and labels y
            [n] of any type; a fifth of each class becomes the test set, always the same. Or
            ``(train, test)``, each a pair ``(x, y)`` or a ``torch.utils.data.Dataset`` of such
            pairs. Or one Dataset, or :class:`~sparsebrain.experiments.datasets.Images`. Samples
            [n, height, width] are images, whose size is the sheet of neurons; others are put on
            the lattice that is nearest to a square.

    Raises:
        TypeError: ``data`` is none of these.
        ValueError: Shapes do not fit, values are not finite, or there are too few samples.
    """
    if isinstance(data, Images):
        return data
    if isinstance(data, Dataset):
        data = _stacked(data)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"data must be a name or a pair, got {arguments.described(data)}; {_PAIR}")
    first, second = data
    if isinstance(first, tuple | list | Dataset) and isinstance(second, tuple | list | Dataset):
        parts = [_stacked(each) if isinstance(each, Dataset) else each for each in data]
        (train_x, train_y), (test_x, test_y) = map(_checked, parts)
    else:
        x, y = _checked((first, second))
        counts = np.unique(y, return_counts=True)[1]
        if counts.min() < 2:
            raise ValueError(
                "y must have at least two samples of each class, so that one of them tests; pass "
                "data=((train_x, train_y), (test_x, test_y)) to divide them yourself"
            )
        size = max(len(counts), round(len(y) / 5))
        train_x, test_x, train_y, test_y = train_test_split(
            x, y, test_size=size, random_state=0, stratify=y
        )
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(
            f"samples for training have the shape {train_x.shape[1:]} and those for tests "
            f"{test_x.shape[1:]}; pass samples of one shape"
        )
    shape = train_x.shape[1:]
    sheet = tuple(shape) if len(shape) == 2 else lattice(int(np.prod(shape)), ())
    classes, codes = np.unique(np.concatenate([train_y, test_y]), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must have at least two classes, got {len(classes)}; {_PAIR}")
    tensors = [torch.tensor(each).flatten(1) for each in (train_x, test_x)]
    labels = torch.tensor(codes, dtype=torch.int64).split([len(train_y), len(test_y)])
    return Images("data", len(classes), sheet, tensors[0], labels[0], tensors[1], labels[1])


def _stacked(data: Dataset[Any]) -> tuple[Any, Any]:
    try:
        pairs = [data[number] for number in range(len(data))]  # type: ignore[arg-type]
        x = np.stack([np.asarray(sample) for sample, _ in pairs])
        return x, np.array([_label(label) for _, label in pairs])
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"data must be a Dataset of pairs of a sample and a label: {error}; {_PAIR}"
        ) from None


def _label(label: Any) -> Any:
    return label.item() if isinstance(label, Tensor | np.ndarray) else label


def _checked(pair: Any) -> tuple[Any, Any]:
    """Return samples [n, ...] as float32 and labels [n] as arrays."""
    if len(pair) != 2:
        raise ValueError(f"data must have pairs of samples and labels, got {len(pair)}; {_PAIR}")
    x, y = (np.asarray(each.detach().cpu() if isinstance(each, Tensor) else each) for each in pair)
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise ValueError(
            f"x must be [n, ...] and y [n], got the shapes {x.shape} and {y.shape}; {_PAIR}"
        )
    if x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise ValueError(f"x must hold finite real numbers, got {x.dtype}; {_PAIR}")
    return x.astype(np.float32), y


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
