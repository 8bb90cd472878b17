"""Checksums of values and of code that is loaded: the same in every process, for the same content.

What runs counts and not its text: bytecode, constants, defaults, and what a function of the user's
own finds under the global names that it uses. Comments, and where a file lies, change nothing.
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
# What Python itself notes in a class, and no method reads.
_NOTES = {
    *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
    *("__annotate__", "__annotate_func__", "__annotations_cache__", "__type_params__"),
    # The first is a note of pickle, made when an instance is copied.
    *("__slotnames__", "__parameters__", "__orig_bases__"),
}


def checksum_of(value: Any) -> str:
    """Of a value and all that it is made of: 16 hexadecimal digits.

    Numbers, texts, containers, arrays, tensors and modules count with their content; functions and
    classes with their code, unless they belong to a library, which counts with its version; other
    objects of a user's own class with their attributes. Objects of a library's class, such as an
    open file, count with the name of that class alone.
    """
    walk = _Walk()
    walk.add(value)
    return walk.digest.hexdigest()[:_LENGTH]


def checksum_of_files(paths: Iterable[Path]) -> str:
    """Of the content of files, in that order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            # One of the whole, so that nothing may move from one file to the next.
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:_LENGTH]


def is_of_a_package(thing: Any) -> bool:
    """Whether a class or a function is one of sparsebrain's, or of graphs'."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] in _PACKAGES


class _Walk:
    """Feeds a value to a digest, every part after the name of its kind and its length."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        # Objects that were met, which may hold each other; kept, so that no id is used twice.
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
            # Their order differs from process to process.
            self._add_parts("set", sorted(value, key=_name))
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif id(value) in self._met:
            self._write("again", str(self._met[id(value)][0]).encode())
        else:
            self._met[id(value)] = len(self._met), value
            self._add_object(value)

    def _add_object(self, value: Any) -> None:
        """What may hold itself, and is the same object wherever it is met again."""
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
        # All of its text: which part of it is used cannot be told from its name.
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
                # A name that the function around it has not bound yet.
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
            self.add(type(value))
            if isinstance(value, nn.Module):
                self._add_parts("state", [repr(value), value.state_dict(), *value.children()])
            own = dict(getattr(value, "__dict__", {}))
            for cls in type(value).__mro__:
                slots = vars(cls).get("__slots__", ())
                for name in (slots,) if isinstance(slots, str) else slots:
                    if hasattr(value, name):
                        own[name] = getattr(value, name)
            # What a module holds is in its state; hooks and the like are no settings.
            settings = {name: own[name] for name in sorted(own) if not name.startswith("_")}
            self.add(settings if isinstance(value, nn.Module) else dict(sorted(own.items())))

    def _add_library_object(self, value: Any) -> None:
        """An object of a library's class: its pickle, which holds its settings, or its name."""
        name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
        if isinstance(value, Path | torch.dtype | torch.device):
            name = str(value)
        self._write("object", f"{type(value).__qualname__} {name}".encode())
        try:
            # Of torch's types it is the same in every process; it holds no address.
            content = joblib.hash(value)
        except Exception:
            # Files, locks and other processes' handles have no pickle, and are no settings.
            return
        self._write("content", str(content).encode())


def _names(code: types.CodeType) -> set[str]:
    """The global names that code uses, and the functions within it; attributes are among them."""
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


@functools.cache
def _is_library(name: str) -> bool:
    """Whether a module is one of Python's, of an installed library, or of these packages."""
    top = name.partition(".")[0]
    if top in _PACKAGES or top in sys.stdlib_module_names:
        return True
    module = sys.modules.get(name) or sys.modules.get(top)
    path = getattr(module, "__file__", None)
    if not path or top == "__main__":
        # A script or a notebook of the user's own.
        return False
    paths = [*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), *site.getsitepackages()]
    return any(
        Path(path).is_relative_to(each) for each in (*paths, site.getusersitepackages()) if each
    )


def _name(member: Any) -> tuple[str, str]:
    return type(member).__name__, str(getattr(member, "__qualname__", member))


@functools.cache
def _library(name: str) -> str:
    """The name of a library and its version, as far as it has one."""
    top = name.partition(".")[0]
    try:
        return f"{top} {metadata.version(top)}"
    except metadata.PackageNotFoundError:
        return top
