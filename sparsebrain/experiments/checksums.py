"""Checksums of values and of loaded code that are equal in every process for equal content.

Code counts as it runs: its bytecode, constants and defaults, and the values of the global names
that a user's function refers to. Comments and the location of a file do not count.
"""

from __future__ import annotations

import functools
import hashlib
import site
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

_PACKAGES = ("sparsebrain", "graphs")
_LENGTH = 16
# Attributes that Python itself sets on a class and that no method reads.
_NOTES = {
    *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
    *("__annotate__", "__annotate_func__", "__annotations_cache__", "__type_params__"),
    # Pickle sets the first one when an instance is copied.
    *("__slotnames__", "__parameters__", "__orig_bases__"),
}


def checksum_of(value: Any) -> str:
    """Return the checksum of a value and of everything that it contains.

    - Numbers, strings, containers, arrays, tensors and modules: their content.
    - Functions and classes: their code; those of a library: its version.
    - Objects of a user's class: their class and their attributes.
    - Objects of a library's class: the name of the class and their pickle. What cannot be pickled,
      such as an open file, counts by the name alone.

    Args:
        value: Any object; it may contain itself.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> from sparsebrain.experiments.checksums import checksum_of
        >>> checksum_of([1, 2.5, "a"])
        '789d48c0af771a09'
    """
    walk = _Walk()
    walk.add(value)
    return walk.digest.hexdigest()[:_LENGTH]


def checksum_of_files(paths: Iterable[Path]) -> str:
    """Return the checksum of the contents of files, in that order.

    Args:
        paths: The files.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            # A digest per file, so that the boundaries between the files count.
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:_LENGTH]


def is_of_a_package(thing: Any) -> bool:
    """Return whether a class or a function belongs to sparsebrain or graphs."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] in _PACKAGES


class _Walk:
    """Feeds a value to a digest; the name of its kind and its length precede every part."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        # Objects seen before, since objects can contain each other. References keep them alive, so
        # that no id is used twice.
        self._met: dict[int, tuple[int, Any]] = {}

    def add(self, value: Any) -> None:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self._write(type(value).__name__, repr(value).encode())
            return
        if isinstance(value, torch.Tensor | np.ndarray):
            self._add_array(value)
        elif isinstance(value, tuple):
            self._add_parts("sequence", value)
        elif isinstance(value, set | frozenset):
            # Their order differs between processes.
            self._add_parts("set", sorted(value, key=_name))
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif id(value) in self._met:
            self._write("again", str(self._met[id(value)][0]).encode())
        else:
            self._met[id(value)] = len(self._met), value
            self._add_object(value)

    def _add_object(self, value: Any) -> None:
        """Add an object that can contain itself or occur several times."""
        if isinstance(value, Mapping):
            self._add_parts("mapping", [part for item in value.items() for part in item])
        elif isinstance(value, list):
            self._add_parts("sequence", value)
        elif isinstance(value, types.ModuleType):
            self._add_module(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        else:
            self._add_other(value)

    def _write(self, kind: str, content: bytes) -> None:
        self.digest.update(f"{kind} {len(content)} ".encode())
        self.digest.update(content)

    def _add_parts(self, kind: str, parts: Iterable[Any]) -> None:
        parts = list(parts)
        self._write(kind, str(len(parts)).encode())
        for part in parts:
            self.add(part)

    def _add_array(self, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            if value.dtype == torch.bfloat16:
                value = value.float()
            value = value.resolve_conj().resolve_neg().numpy()
        self._write("array", f"{value.dtype.str} {value.shape}".encode())
        if value.dtype.hasobject:
            self._add_parts("objects", value.ravel().tolist())
        else:
            self.digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)

    def _add_code(self, code: types.CodeType) -> None:
        self._write("code", code.co_code)
        counts = (code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags)
        self._add_parts("counts", counts)
        self._add_parts("names", [*code.co_names, *code.co_varnames, *code.co_freevars])
        self._add_parts("constants", code.co_consts)

    def _add_module(self, module: types.ModuleType) -> None:
        if _is_library(module.__name__):
            self._write("library", _library(module.__name__).encode())
            return
        # The whole source, because the name does not show which part is used.
        path = getattr(module, "__file__", None)
        text = Path(path).read_bytes() if path and Path(path).is_file() else b""
        self._write("module", text)

    def _add_class(self, cls: type) -> None:
        if _is_library(cls.__module__):
            self._write("class", f"{cls.__qualname__} {_library(cls.__module__)}".encode())
            return
        self._write("class", cls.__name__.encode())
        self._add_parts("bases", cls.__bases__)
        for name, value in sorted(vars(cls).items()):
            if name not in _NOTES:
                self._write("attribute", name.encode())
                self.add(value)

    def _add_function(self, function: types.FunctionType) -> None:
        if _is_library(function.__module__ or ""):
            name = f"{function.__qualname__} {_library(function.__module__)}"
            self._write("function", name.encode())
            return
        self.add(function.__code__)
        self._add_parts("defaults", function.__defaults__ or ())
        self._add_parts("keywords", [function.__kwdefaults__ or {}, vars(function)])
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                # The enclosing function has not assigned this name yet.
                continue
            self.add(content)
        for name in sorted(_names(function.__code__) & function.__globals__.keys()):
            self._write("global", name.encode())
            self.add(function.__globals__[name])

    def _add_other(self, value: Any) -> None:
        if isinstance(value, staticmethod | classmethod):
            self.add(value.__func__)
        elif isinstance(value, types.MethodType):
            self._add_parts("method", [value.__func__, value.__self__])
        elif isinstance(value, functools.cached_property):
            self.add(value.func)
        elif hasattr(value, "cache_parameters"):
            self.add(value.__wrapped__)
        elif isinstance(value, property):
            self._add_parts("property", [value.fget, value.fset, value.fdel])
        elif isinstance(value, functools.partial):
            self._add_parts("partial", [value.func, value.args, value.keywords])
        elif _is_library(type(value).__module__) and not isinstance(value, nn.Module):
            self._add_library_object(value)
        else:
            self._add_instance(value)

    def _add_instance(self, value: Any) -> None:
        """Add an object by its class and its attributes."""
        self.add(type(value))
        own = dict(getattr(value, "__dict__", {}))
        for cls in type(value).__mro__:
            slots = vars(cls).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, name):
                    own[name] = getattr(value, name)
        if isinstance(value, nn.Module):
            self._add_parts("state", [repr(value), value.state_dict(), *value.children()])
            # The state covers what a module contains; hooks and the like are not settings.
            self.add({name: own[name] for name in sorted(own) if not name.startswith("_")})
        elif own:
            self.add(dict(sorted(own.items())))
        else:
            # A compiled class of a library that lies elsewhere keeps its values out of sight.
            self._add_library_object(value)

    def _add_library_object(self, value: Any) -> None:
        """Add an object by its name and by its pickle, which has its settings."""
        name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
        if isinstance(value, Path | torch.dtype | torch.device):
            name = str(value)
        self._write("object", f"{type(value).__qualname__} {name}".encode())
        try:
            # For torch's types it is equal in every process, as it contains no address.
            content = joblib.hash(value)
        except Exception:
            # Files, locks and handles cannot be pickled, and are not settings.
            return
        self._write("content", str(content).encode())


def _names(code: types.CodeType) -> set[str]:
    """Return the global names that code and its inner functions use, and attribute names."""
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


@functools.cache
def _is_library(name: str) -> bool:
    """Return whether a module belongs to Python, an installed library or these packages."""
    top = name.partition(".")[0]
    if top in _PACKAGES or top in sys.stdlib_module_names:
        return True
    module = sys.modules.get(name) or sys.modules.get(top)
    path = getattr(module, "__file__", None)
    if not path or top == "__main__":
        # A script or a notebook of the user.
        return False
    paths = [*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), *site.getsitepackages()]
    return any(
        Path(path).is_relative_to(each) for each in (*paths, site.getusersitepackages()) if each
    )


def _name(member: Any) -> tuple[str, str]:
    return type(member).__name__, str(getattr(member, "__qualname__", member))


@functools.cache
def _library(name: str) -> str:
    """Return the name of a library and, if it has one, its version."""
    top = name.partition(".")[0]
    try:
        return f"{top} {metadata.version(top)}"
    except metadata.PackageNotFoundError:
        return top
