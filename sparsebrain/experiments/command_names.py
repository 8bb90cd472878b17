"""Names of data sets, rules and topologies on the command line.

Names are checked without torch, whose import takes seconds, so that a typo is reported at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from graphs import arguments, paths
from sparsebrain import locations
from sparsebrain.experiments import help_texts, options, sample_paths
from sparsebrain.experiments import texts as read_texts


def _find_module(name: str, location: str) -> None:
    locations.add_working_directory()
    try:
        locations.check_module(location)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def data(name: str, text: str) -> str:
    """Return the name of a data set."""
    return arguments.option(name, text, help_texts.names("datasets"))


def any_data(name: str, text: str) -> str:
    """Return the name of a data set, the path of a file, or the location of a function."""
    if sample_paths.is_file(text):
        try:
            paths.file(name, sample_paths.place(text).path, f"pass {name}=mine.csv of a file")
        except FileNotFoundError as error:
            raise ValueError(f"{name}: {error}") from None
    elif locations.is_location(text):
        _find_module(name, text)
        from sparsebrain.experiments.datasets import DATASETS  # noqa: PLC0415

        DATASETS.choose(name, text)
    else:
        data(name, text)
    return text


def rules(name: str, texts: Sequence[str]) -> Sequence[str]:
    """Return the names and locations of rules."""
    if located := _located(name, texts, "rules"):
        from sparsebrain.learning import RULES  # noqa: PLC0415

        options.names(name, located, RULES)
    return texts


def nulls(name: str, texts: Sequence[str]) -> Sequence[str]:
    """Return the names and locations of null models."""
    if located := _located(name, texts, "nulls"):
        from sparsebrain.experiments.nulls import NULLS  # noqa: PLC0415

        options.names(name, located, NULLS)
    return texts


def _located(name: str, texts: Sequence[str], table: str) -> list[str]:
    """Return the locations among texts, and refuse others that are no names of a table."""
    options.once(name, texts)
    located = [text for text in texts if locations.is_location(text)]
    for text in texts:
        if text not in located:
            arguments.option(name, text, help_texts.names(table))
    for text in located:
        _find_module(name, text)
    return located


def topologies(name: str, texts: Sequence[str]) -> Sequence[str]:
    """Return the texts of topologies."""
    for text in texts:
        _check_kind(name, text)
    options.once(name, [topology(name, text) for text in texts])
    return texts


def topology(name: str, text: str) -> str:
    """Return the text of a topology, with its options in order."""
    _check_kind(name, text)
    from sparsebrain.experiments.topology import TopologyError, parse  # noqa: PLC0415

    try:
        return parse(text).spec
    except TopologyError as error:
        raise ValueError(error.told(name)) from None


def _is_module(name: str) -> bool:
    locations.add_working_directory()
    return find_spec(name) is not None


def _check_kind(name: str, text: str) -> None:
    """Refuse an unknown kind of topology or option, with the nearest one, or a missing file."""
    known = help_texts.options_of_kinds()
    kind, _, rest = text.strip().partition(":")
    location = text.strip().partition(",")[0]
    if kind == "file" and rest:
        options.saved_file(f"{name} {text!r}", options.split_path(rest)[0])
    try:
        if kind in known and kind != "file":
            common = help_texts.COMMON if kind != "none" else ()
            own = (option.rstrip(help_texts.FITTED) for option in known[kind])
            read_texts.read_options(kind, rest, dict.fromkeys([*own, *common], str))
        elif "." in kind and locations.is_location(location):
            locations.add_working_directory()
            locations.check_module(location)
        elif locations.is_location(location) and _is_module(kind):
            return
        elif kind not in help_texts.names("kinds"):
            raise ValueError(read_texts.unknown_kind(kind, help_texts.names("kinds")))
    except ValueError as error:
        raise ValueError(f"{name} {text!r}: {error}") from None
