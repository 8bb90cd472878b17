"""What the command ``sparsebrain doctor`` prints."""

import os
import platform
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest
import torch

from graphs import compiled
from sparsebrain import cli, kernels
from sparsebrain.cli.doctor import without_home


@pytest.fixture
def told(capsys):
    """Run the command; returns its sections as titles with pairs (label, text)."""

    def run():
        with pytest.raises(SystemExit) as stop:
            cli.main(["doctor"])
        assert stop.value.code == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        sections, title = {}, None
        for line in printed.out.splitlines():
            if line.startswith("  "):
                sections[title].append((line[2:20].strip(), line[20:]))
            else:
                title = line
                sections[title] = []
        return sections

    return run


def test_it_shows_every_section(told, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sections = told()
    assert list(sections) == [
        *("versions", "machine", "torch", "compiled code", "backends", "caches")
    ]
    versions = dict(sections["versions"])
    assert versions["Python"].startswith(platform.python_version())
    for name in ("sparsebrain", "torch", "torch-geometric", "numpy", "scipy"):
        assert versions[name] == metadata.version(name)
    machine, of_torch = dict(sections["machine"]), dict(sections["torch"])
    assert machine["cores"].endswith(f" of {os.cpu_count()}")
    assert machine["memory"].endswith(" GiB")
    assert "OMP_NUM_THREADS=1" in machine["environment"]
    assert of_torch["threads"] == str(torch.get_num_threads())
    assert of_torch["build"] == torch.__version__
    backends = dict(sections["backends"])
    for name, obstacle in kernels.available().items():
        expected = "available" if obstacle is None else f"no: {obstacle}"
        assert backends[f"{name} on cpu"] == expected
    assert [label for label, _ in sections["caches"]] == ["downloads", "triton"]


def test_loaded_parts_name_the_instruction_set_and_the_compiler(told, monkeypatch):
    made = types.SimpleNamespace(instruction_sets=lambda: ["baseline", "avx2"], openmp=False)
    monkeypatch.setattr(compiled, "load", lambda name, what: (made, None))
    monkeypatch.setattr(compiled, "build_report", lambda name: {"compiler": "GNU 11.3.0"})
    assert told()["compiled code"] == [
        ("kernels", "loaded, built with GNU 11.3.0"),
        ("instruction set", "avx2 (also baseline)"),
        ("OpenMP", "no"),
        ("graphs", "loaded, built with GNU 11.3.0"),
    ]


def test_missing_parts_have_a_reason_and_a_remedy(told, monkeypatch):
    for name in ("graphs._compiled", "sparsebrain.kernels._native"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(
        compiled, "build_report", lambda name: {"compiler": "GNU 8.5.0", "error": "no shuffle"}
    )
    for label, text in told()["compiled code"]:
        module = {"kernels": "sparsebrain.kernels._native", "graphs": "graphs._compiled"}[label]
        assert text == (
            f"missing: the compiled code cannot be loaded (import of {module} halted; None in "
            "sys.modules; the build failed with compiler GNU 8.5.0: no shuffle); install with a "
            "C++17 compiler (GCC 9 or newer, or Clang), and call pip install -v . to see why a "
            "build fails"
        )


def test_without_torch_it_shows_what_can_be_read():
    program = "import sys; sys.modules['torch'] = None; from sparsebrain import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "doctor"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert (
        lines.count("failed ModuleNotFoundError: import of torch halted; None in sys.modules") == 2
    )
    for start in ("Python 3.", "torch 2.", "memory ", "graphs ", "downloads ", "triton ~"):
        assert any(line.startswith(start) for line in lines), start
    (kernels_line,) = (line for line in lines if line.startswith("kernels "))
    assert "missing: the compiled code cannot be loaded (import of torch halted" in kernels_line


def test_packages_that_are_not_installed_are_named(told, monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert ("torch-scatter", "not installed") in told()["versions"]


def test_the_home_folder_is_not_in_the_text(told, monkeypatch, tmp_path):
    home = tmp_path / "ann"
    cache = home / ".cache" / "sparsebrain"
    cache.mkdir(parents=True)
    (cache / "brain.csv").write_bytes(bytes(2**20))
    for name in ("XDG_CACHE_HOME", "TRITON_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    sections = told()
    assert sections["caches"] == [
        ("downloads", f"{Path('~', '.cache', 'sparsebrain')} (1 files, 1.0 MiB)"),
        ("triton", f"{Path('~', '.triton', 'cache')} (no such folder)"),
    ]
    assert str(home) not in str(sections)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann", "~"),
        ("in /home/ann/lib, and '/home/ann'", "in ~/lib, and '~'"),
        ("/home/anna/lib /home/ann-b /home/ann.old", "/home/anna/lib /home/ann-b /home/ann.old"),
    ],
)
def test_only_the_whole_name_of_the_home_folder_is_replaced(text, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert without_home(text) == expected


def test_a_home_that_is_the_root_of_all_folders_hides_nothing(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert without_home("/usr/lib") == "/usr/lib"


def test_help_and_wrong_options(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", "--help"])
    assert stop.value.code == 0
    assert "Print versions, backends, threads, GPU and memory" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", "--all"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("sparsebrain: ")
    assert "--all" in error
    assert error.endswith("see sparsebrain doctor --help\n")
