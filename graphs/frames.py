"""Dataframes of any library, made and read through narwhals, which is optional."""

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal, get_args

from graphs import arguments

Library = Literal["pandas", "polars", "pyarrow"]
LIBRARIES: tuple[Library, ...] = get_args(Library)


def make(columns: Mapping[str, Any], library: Library) -> Any:
    """Return a dataframe.

    Args:
        columns: The values of each column, arrays or lists of one length.
        library: The library of the frame.

    Returns:
        A `pandas.DataFrame`, `polars.DataFrame` or `pyarrow.Table`.

    Raises:
        TypeError: `library` is not a str.
        ValueError: `library` is none of these.
        ModuleNotFoundError: The library or narwhals is not installed.
    """
    library = arguments.option("library", library, LIBRARIES)
    nw = narwhals()
    try:
        importlib.import_module(library)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"a dataframe of {library} needs {library}; call pip install {library}, or pass the "
            "library= that is installed"
        ) from None
    return nw.from_dict(dict(columns), backend=library).to_native()


def narwhals() -> ModuleType:
    """Return the module narwhals.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        import narwhals  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "dataframes need narwhals; call pip install 'sparsebrain[dataframes]' or pip install "
            "narwhals"
        ) from None
    return narwhals
