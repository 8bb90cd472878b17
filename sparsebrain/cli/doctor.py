"""The command that describes the installation, for a report of a problem."""

from __future__ import annotations

import importlib
import os
import platform
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    *("sparsebrain", "torch", "torch-geometric", "numpy", "scipy", "networkx", "scikit-learn"),
    *("triton", "torch-scatter"),
)
# Variables that change the number of threads, the backend or the device.
_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("TRITON_INTERPRET", "CXX", "CXXFLAGS"),
)
_WIDTH = 18

Lines = Iterator[tuple[str, str]]


def doctor() -> None:
    """Print versions, backends, threads, GPU and memory, to paste into a report of a problem.

    For a backend or a compiled part that is missing, the text gives the reason and the remedy. It
    contains no name of your home folder. The first lines appear at once; those that need torch take
    some seconds.
    """
    for title, section in _SECTIONS.items():
        print(title, flush=True)
        for label, text in _read(section):
            print(f"  {label:{_WIDTH}}{without_home(' '.join(text.split()))}", flush=True)


def without_home(text: str) -> str:
    """Return a text with "~" in the place of the user's home folder."""
    try:
        homes = {str(Path.home()), os.path.realpath(Path.home())}
    except RuntimeError:  # there is no home folder
        return text
    for home in sorted(homes, key=len, reverse=True):
        if home != os.path.dirname(home):  # not the root of all folders
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return text


def _read(section: Callable[[], Lines]) -> Lines:
    """Yield the lines of a section, and in the place of what fails the error."""
    try:
        yield from section()
    except Exception as error:  # a broken installation is what the text is for
        yield "failed", f"{type(error).__name__}: {error}"


def _versions() -> Lines:
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def _machine() -> Lines:
    from graphs import memory  # noqa: PLC0415
    from sparsebrain.experiments import machine  # noqa: PLC0415

    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "processor", machine.processor()
    yield "cores", f"{machine.cores()} of {os.cpu_count()}"
    caches = machine.processor_caches()
    yield "processor caches", ", ".join(map(" ".join, caches.items())) or "unknown"
    known = hasattr(os, "sysconf")
    yield "memory", f"{memory.available() / 2**30:.1f} GiB" if known else "unknown"
    found = [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
    yield "environment", ", ".join(found) or "no variable that matters is set"


def _torch() -> Lines:
    import torch  # noqa: PLC0415

    yield "build", str(torch.__version__)
    yield "threads", str(torch.get_num_threads())
    yield "OpenMP", _yes(torch.backends.openmp.is_available())
    yield "MKL", _yes(torch.backends.mkl.is_available())
    yield "CUDA", torch.version.cuda or "not in this build"
    if not torch.cuda.is_available():
        yield "GPU", "none that torch can use"
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        gpu = torch.cuda.get_device_properties(index)
        yield "GPU", f"{gpu.name}, {gpu.total_memory / 2**30:.1f} GiB, sm_{gpu.major}{gpu.minor}"


def _compiled() -> Lines:
    from graphs import compiled  # noqa: PLC0415

    for label, name in (("kernels", "sparsebrain.kernels._native"), ("graphs", "graphs._compiled")):
        module, reason = compiled.load(name, "the compiled code")
        if module is None:
            yield label, f"missing: {reason}"
            continue
        compiler = compiled.build_report(name).get("compiler")
        yield label, "loaded" if compiler is None else f"loaded, built with {compiler}"
        if label == "kernels":
            *others, best = module.instruction_sets()
            yield "instruction set", f"{best} (also {', '.join(others) or 'none'})"
            yield "OpenMP", _yes(module.openmp)


def _backends() -> Lines:
    import torch  # noqa: PLC0415

    from sparsebrain import kernels  # noqa: PLC0415

    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for name, obstacle in kernels.available(device).items():
            yield f"{name} on {device}", "available" if obstacle is None else f"no: {obstacle}"


def _caches() -> Lines:
    pooch = importlib.import_module("pooch")
    yield "downloads", _describe(Path(pooch.os_cache("sparsebrain")))
    triton = os.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton" / "cache"
    yield "triton", _describe(Path(triton))


def _describe(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} (no such folder)"
    files = [Path(root, name) for root, _, names in os.walk(folder) for name in names]
    size = sum(each.lstat().st_size for each in files)
    return f"{folder} ({len(files)} files, {size / 2**20:.1f} MiB)"


def _yes(is_there: bool) -> str:
    return "yes" if is_there else "no"


_SECTIONS: dict[str, Callable[[], Lines]] = {
    "versions": _versions,
    "machine": _machine,
    "torch": _torch,
    "compiled code": _compiled,
    "backends": _backends,
    "caches": _caches,
}
