"""Records of measures as flat tables of numbers and text."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in nested records under joined names.

    Args:
        values: Values by name. Mappings, named tuples and dataclasses are flattened, and None is
            left out. NumPy scalars become those of Python, and others stay as they are.
        prefix: What the names begin with.
    """
    for name, value in values.items():
        fields = as_mapping(value)
        if fields is not None:
            yield from flat(fields, f"{prefix}{name}_")
        elif isinstance(value, np.generic):
            yield f"{prefix}{name}", value.item()
        elif value is not None:
            yield f"{prefix}{name}", value


def as_mapping(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a mapping, a named tuple or a dataclass, or None for other values."""
    if is_dataclass(value) and not isinstance(value, type):
        return vars(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        fields: Mapping[str, Any] = value._asdict()
        return fields
    return value if isinstance(value, Mapping) else None
