"""Samples with labels in files, of which nothing is executed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from graphs.io.archives import check_archive
from graphs.io.limits import check_bytes
from graphs.io.packing import is_packed, plain_name, unpack
from graphs.io.rows import Rows
from sparsebrain.experiments.options import OptionError
from sparsebrain.experiments.sample_paths import DELIMITERS, place
from sparsebrain.experiments.samples import Images, images_of

_MOST_BYTES = 2**30
_X_AND_Y = [("x", "y"), ("X", "y"), ("data", "target")]
_PARTS = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("X_train", "y_train", "X_test", "y_test"),
]


def read(text: str) -> Images:
    """Read samples from a file.

    - ``.csv`` or ``.tsv``, also packed by gzip: a table with a header. The last column has the
      labels, which may be any text, unless ``mine.csv,label=COLUMN`` names another one. All others
      are numbers.
    - ``.npz``: arrays ``x`` and ``y`` (or ``X`` and ``y``, ``data`` and ``target``), or
      ``x_train``, ``y_train``, ``x_test`` and ``y_test`` (or ``train_x``, ...).

    A fifth of each class becomes the test set unless the file has one, as in
    :func:`~sparsebrain.experiments.samples.images_of`.

    Args:
        text: The path, and the column of the labels.

    Returns:
        The samples, under the name ``text``.

    Raises:
        OptionError: The file is missing, damaged or larger than 1 GiB, or its samples cannot be
            used.
    """
    path, label = place(text)
    try:
        with contextlib.ExitStack() as stack:
            file: BinaryIO = stack.enter_context(path.open("rb"))
            if is_packed(path):
                file = unpack(file, _MOST_BYTES, stack)
            suffix = plain_name(path).suffix.lower()
            check_bytes("it has", file.seek(0, 2), _MOST_BYTES)
            file.seek(0)
            if suffix in DELIMITERS:
                data = _read_table(file, DELIMITERS[suffix], label)
            elif label is not None:
                raise ValueError("it has no columns; pass its path alone, without label=")
            else:
                data = _read_npz(file)
        images = images_of(data)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OptionError("data", f"{path} cannot be read: {reason}; pass another file") from None
    except (ValueError, TypeError) as error:
        told = str(error).replace("graphs.load(path, ", "(")
        fix = "" if "; pass" in told or "; write" in told else "; pass another file"
        raise OptionError("data", f"{path} cannot be used: {told}{fix}") from error
    return replace(images, name=text)


def _read_npz(file: BinaryIO) -> Any:
    names = {*check_archive(file, _MOST_BYTES)}
    with np.load(file, allow_pickle=False) as archive:
        for one in _PARTS:
            if {*one} <= names:
                train_x, train_y, test_x, test_y = (archive[name] for name in one)
                return (train_x, train_y), (test_x, test_y)
        for pair in _X_AND_Y:
            if {*pair} <= names:
                return archive[pair[0]], archive[pair[1]]
    raise ValueError(
        f"it has the arrays {', '.join(sorted(names)) or 'none'}; write it with "
        "numpy.savez(path, x=x, y=y)"
    )


def _read_table(file: BinaryIO, delimiter: str, label: str | None) -> Any:
    rows = Rows("the table", file, delimiter, exact=False)
    header = rows.header
    if len(header) < 2 or not any(header):
        raise ValueError(
            f"it has {len(header)} columns; write a header, columns of numbers and a last column "
            "of labels"
        )
    if label is not None and header.count(label) != 1:
        raise ValueError(
            f"it has {header.count(label)} columns {label!r}; pass label= with one of "
            f"{', '.join(header[:20])}"
        )
    at = len(header) - 1 if label is None else header.index(label)
    features = [each for each in range(len(header)) if each != at]
    x: list[NDArray[np.float32]] = [np.empty((0, len(features)), np.float32)]
    # Numbers instead of texts, of which a single long one would take much memory in an array.
    codes: dict[str, int] = {}
    y: list[int] = []
    for piece in rows.pieces([*features, at]):
        *columns, labels = piece
        x.append(
            np.stack(
                [
                    _numbers(header[each], column, rows.size)
                    for each, column in zip(features, columns, strict=True)
                ],
                axis=1,
            )
        )
        if "" in labels:
            row = rows.size + labels.index("") + 1
            raise ValueError(f"row {row} has no label; write one, or delete the row")
        y += [codes.setdefault(each, len(codes)) for each in labels]
    return np.concatenate(x), _in_order(codes)[y]


def _in_order(labels: Iterable[str]) -> NDArray[Any]:
    """Return the rank of each label: by value if all are numbers, else by text."""
    texts = [*labels]
    try:
        values: list[Any] = [float(each) for each in texts]
    except ValueError:
        values = texts
    ranks = np.empty(len(texts), np.int64)
    ranks[sorted(range(len(texts)), key=values.__getitem__)] = np.arange(len(texts))
    return ranks


def _numbers(name: str, texts: tuple[str, ...], before: int) -> NDArray[np.float32]:
    """Return the values of a column; ``before`` counts the rows above them."""
    try:
        values = np.array(texts, np.float64)
    except ValueError:
        values = np.full(len(texts), np.nan)
    if np.isfinite(values).all():
        return values.astype(np.float32)
    for number, text in enumerate(texts):
        try:
            finite = np.isfinite(float(text))
        except ValueError:
            finite = False
        if not finite:
            raise ValueError(
                f"the column {name!r} has {text!r} in row {before + number + 1}; write finite "
                f"numbers, or pass ,label={name} if these are the labels"
            )
    raise AssertionError
