"""Every command refuses every kind of bad text for every option, in one clear sentence.

Commands and options come from the app, topologies and their options from their table.
"""

import functools
import inspect
import re
import typing
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import joblib
import pytest
import torch
import typer

import graphs
from sparsebrain import cli
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments import runner, texts
from sparsebrain.experiments.datasets import DATASETS, Images
from sparsebrain.experiments.error_diffusion_study import kept, xor
from sparsebrain.experiments.kinds import KINDS
from sparsebrain.experiments.neuron_options import SpikingOptions
from sparsebrain.experiments.one_shot_study import study as one_shot_study
from sparsebrain.experiments.pipeline_study import study as pipeline_study
from sparsebrain.experiments.plasticity_study import (
    pitch,
    sparse_training,
    spiking_digits,
    visual_features,
)
from sparsebrain.experiments.reward_study import study as reward_study
from sparsebrain.experiments.wiring_study import study as wiring_study

LONG = "x" * 5000
HUGE = str(10**20)
# Each is bad for every option but those of ALLOWED.
TEXTS = {
    "empty": "",
    "blank": " ",
    "word": "abc",
    "negative": "-1",
    "zero": "0",
    "fraction": "1.5",
    "nan": "nan",
    "inf": "inf",
    "-inf": "-inf",
    "10^20": HUGE,
    "2^63": str(2**63),
    "digits": "9" * 4000,
    "list": "1,2,3",
    "words": "grid, none",
    "unicode": "zwölf ½ 日本",
    "undecodable": "a\udcffb",
    "None": "None",
    "expression": "[1]",
    "too long": LONG,
    "missing file": "missing.npz",
    "folder": "folder",
    "folder.npz": "folder.npz",
    "file": "file.txt",
    "damaged file": "damaged.npz",
    "damaged table": "damaged.csv",
    "in a file": "file.txt/a.npz",
    "in no folder": "nowhere/a.npz",
}
PATHS = {"file", "damaged file", "damaged table", "folder", "folder.npz"}
# A new folder may have nearly any name, and a new file any that has a suffix.
FOLDERS = {*TEXTS} - {"empty", "blank", "too long", "file", "damaged file", "damaged table"}
ALLOWED = {
    "--learning-rate": {"fraction", "10^20", "2^63"},
    "--seed": {"zero"},
    "--jobs": {"negative"},
}


class Param(NamedTuple):
    """An option or argument of a command, and its first name."""

    command: str
    name: str
    flag: bool
    positional: bool

    def given(self, text: str) -> list[str]:
        """The arguments that give it a text."""
        return [text] if self.positional else [f"{self.name}={text}"]


def params_of(command: typer.models.CommandInfo) -> list[Param]:
    name = command.name or command.callback.__name__
    hints = typing.get_type_hints(command.callback, include_extras=True)
    found = []
    for argument in inspect.signature(command.callback).parameters:
        hint, info = typing.get_args(hints[argument])[:2]
        positional = isinstance(info, typer.models.ArgumentInfo)
        # The first of several declarations is kept in the place of a default.
        declared = info.default if isinstance(info.default, str) else None
        option = declared or f"--{argument.replace('_', '-')}"
        told = info.metavar if positional else option
        found.append(Param(name, told, hint is bool, positional))
    return found


PARAMS = [each for command in cli.app.registered_commands for each in params_of(command)]
COMMANDS = [each.name or each.callback.__name__ for each in cli.app.registered_commands]


made_once = functools.cache(typer.main.get_command)


class ReachedError(Exception):
    """The command began its work."""


@pytest.fixture(autouse=True)
def sentinel(monkeypatch, tmp_path):
    """A folder with bad files, tiny images, and work that only says that it was reached."""

    def reached(*args, **kwargs):
        raise ReachedError

    # Making the commands of the app takes longer than running one.
    monkeypatch.setattr(typer.main, "get_command", made_once)
    monkeypatch.chdir(tmp_path)
    graphs.save(graphs.grid_local((2, 2), 1), "whole.npz")
    for module, name in (
        (runner, "train"),
        (kept, "train"),
        (xor, "xor_table"),
        (pitch, "sing"),
        (sparse_training, "train"),
        (visual_features, "measure"),
        (spiking_digits, "learn"),
        (one_shot_study, "_run"),
        (reward_study, "train"),
        (wiring_study, "train"),
        (pipeline_study, "train"),
        (graphs, "summary"),
        (graphs, "save"),
    ):
        monkeypatch.setattr(module, name, reached)
    x, y = torch.rand(8, 16), torch.arange(8) % 2
    tiny = Images("tiny", 2, (4, 4), x, y, x, y)
    for name, load in {**DATASETS}.items():
        monkeypatch.setitem(
            DATASETS,
            name,
            lambda folder, load=load: tiny if folder is None else load(folder),
        )
    for folder in ("folder", "folder.npz"):
        Path(folder).mkdir()
    for file in ("file.txt", "damaged.npz", "damaged.csv"):
        Path(file).write_bytes(b"\x93PK\x03\x04,\xff\n,,,\n1,2,x\n")
    with joblib.parallel_config(backend="sequential"):
        yield


def run(arguments: list[str]) -> tuple[int | None, str]:
    """The exit status and what standard error holds; None where the work was reached."""
    out, err = StringIO(), StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.main(arguments)
    except SystemExit as stop:
        return stop.code, err.getvalue() + out.getvalue()
    except ReachedError:
        return None, ""
    raise AssertionError("main returned")


class Tally:
    """Counts cases, and collects the answers that are silent or not clear."""

    def __init__(self) -> None:
        self.cases = 0
        self.silent: list[str] = []
        self.unclear: list[str] = []

    def expect_refusal(self, arguments: list[str], name: str, *, may_pass: bool = False) -> None:
        """Run a command, whose answer must be status 2 and a sentence on the option `name`."""
        self.cases += 1
        status, told = run(arguments)
        case = f"{' '.join(arguments)[:120]!r}: {status}, {told[:300]!r}"
        if status in (None, 0):
            if not may_pass:
                self.silent.append(case)
        elif status != 2 or not is_clear(told, name, "".join(arguments)):
            self.unclear.append(case)

    def check(self) -> None:
        share = len(self.unclear) / max(self.cases, 1)
        print(f"{self.cases} cases, {len(self.silent)} silent, {share:.2%} unclear")
        assert not self.silent, "\n".join(self.silent)
        assert not self.unclear, "\n".join(self.unclear)


REMEDY = re.compile(r"; (pass|write|choose|see|make|move|use)\b|Did you mean|Possible options")
# A keyword argument of Python, as in max_bytes=3, and not --epochs=3.
KEYWORD = re.compile(r"(?<![-\w])([a-z_]\w*)=")
TEXT_OPTIONS = {
    *(name for kind in KINDS.values() for name in kind.readers),
    *(field.name for field in (*fields(Equilibrium), *fields(SpikingOptions))),
    *("symmetric", "null"),
}


def is_clear(told: str, name: str, given: str) -> bool:
    """One short line with the name of the option, a remedy, and no argument of Python."""
    keywords = {each for each in KEYWORD.findall(told) if f"{each}=" not in given}
    with_options = ("--topology", "SPEC", "--loops", "--neurons")
    allowed = TEXT_OPTIONS | {"option"} if name in with_options else set()
    # The examples of name=value pairs.
    if name in ("--columns", "--neuron-columns", "--signs"):
        allowed = {"name", "weight", "glutamate"}
    return (
        told.startswith("sparsebrain: ")
        and told.count("\n") == 1
        and len(told) < 1200
        and name in told
        and bool(REMEDY.search(told))
        and keywords <= allowed
    )


def arguments_for(param: Param, given: list[str]) -> list[str]:
    """A command that is complete but for what is given."""
    others = {
        "generate": {"SPEC": ["grid"], "--out": ["--out=new.npz"]},
        "measure": {"FILE": ["whole.npz"]},
    }.get(param.command, {})
    kept = [each for name, texts in others.items() if name != param.name for each in texts]
    if param.name == "--data-dir" and param.command == "compare":
        kept.append("--data=mnist")
    return [param.command, *kept, *(["--"] if param.positional else []), *given]


def test_the_app_has_the_commands_and_options_that_are_tested():
    assert [
        *("compare", "reproduce", "error-diffusion", "song", "rewiring", "features"),
        *("digits-stdp", "one-shot", "reward", "wiring", "pipeline", "generate", "measure"),
        "doctor",
    ] == COMMANDS
    assert {"--epochs", "--jobs", "--out", "SPEC", "FILE", "--full"} <= {
        each.name for each in PARAMS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_bad_text_for_every_option_is_refused(command):
    tally = Tally()
    for param in PARAMS:
        if param.command != command:
            continue
        allowed = ALLOWED.get(param.name, set())
        if param.name == "--out":
            new_file = {"missing file", "damaged file", "damaged table"}
            allowed = new_file if command == "generate" else FOLDERS - {"in a file"}
        for label, text in TEXTS.items():
            tally.expect_refusal(
                arguments_for(param, param.given(text)), param.name, may_pass=label in allowed
            )
    tally.check()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_misspelt_option_is_refused(command):
    tally = Tally()
    for param in PARAMS:
        if param.command != command or param.positional:
            continue
        name = param.name
        for wrong in (name[:-1], f"{name}x", name.upper(), f"{name}-{LONG}"):
            tally.expect_refusal(arguments_for(param, [f"{wrong}=1"]), wrong[:40])
        if not param.flag:
            tally.expect_refusal(arguments_for(param, [param.name]), param.name)
    whole = {"generate": ["grid", "-o", "a.npz"], "measure": ["whole.npz"]}.get(command, [])
    tally.expect_refusal([command, *whole, "more"], "more")
    tally.check()
    for wrong in (command[:-1], f"{command}x", command.upper()):
        tally.expect_refusal([wrong], wrong)
    tally.check()


def reads_fractions(reader) -> bool:
    try:
        return reader("1.5") == 1.5
    except ValueError:
        return False


def bad_specs(name, readers):
    """Texts with options, and whether each may be accepted."""
    yield f"{name}:", True
    for text in ("abc", "=", "=1", ":", "seed=1", f"{LONG}=1"):
        yield f"{name}:{text}", False
    for option, reader in readers.items():
        yield f"{name}:{option}", False
        yield f"{name}:{option}x=1", False
        yield f"{name}:{option.upper()}=1", False
        yield f"{name}:{option}=1,{option}=1", False
        # A large number that is finite may be meant.
        allowed = {"zero", "fraction", *(["10^20"] if reads_fractions(reader) else [])}
        for label, text in TEXTS.items():
            if label != "2^63" or "10^20" not in allowed:
                yield f"{name}:{option}={text}", label in allowed


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "file"])
def test_every_bad_option_of_a_topology_is_refused(kind):
    tally = Tally()
    for spec, may_pass in bad_specs(kind, KINDS[kind].readers):
        generate = ["generate", "--shape=4x4", "-o", "new.npz", "--", spec]
        tally.expect_refusal(generate, "SPEC", may_pass=may_pass)
        if spec.endswith(("=abc", "=-1")):
            tally.expect_refusal(["compare", f"--topology={spec}"], "--topology")
    tally.check()


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if text != LONG])
def test_every_bad_file_of_a_topology_is_refused(text):
    tally = Tally()
    tally.expect_refusal(["generate", "-o", "new.npz", "--", f"file:{text}"], "SPEC")
    tally.expect_refusal(["compare", f"--topology=file:{text}"], "--topology")
    tally.check()


def test_every_bad_option_of_an_equilibrium_is_refused():
    tally = Tally()
    readers = texts.readers_of(Equilibrium, without=("lipschitz",))
    for spec, may_pass in bad_specs("equilibrium", readers):
        tally.expect_refusal(["compare", f"--loops={spec}"], "--loops", may_pass=may_pass)
    tally.check()


def test_every_bad_option_of_spiking_neurons_is_refused():
    tally = Tally()
    readers = texts.readers_of(SpikingOptions)
    for spec, may_pass in bad_specs("lif", readers):
        tally.expect_refusal(["compare", f"--neurons={spec}"], "--neurons", may_pass=may_pass)
    tally.check()
