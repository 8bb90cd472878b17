"""Kill a command at random moments, repeat it, and compare what it leaves with an undisturbed run.

``python -m tests.kills compare 20`` prints one line of figures, or fails where something finished
was lost or repeated, or a file was not whole. Commands are ``CASES``.
"""

import csv
import io
import os
import random
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from PIL import Image

import graphs
from sparsebrain import cli
from sparsebrain.experiments import runner
from sparsebrain.experiments.error_diffusion_study import kept
from sparsebrain.experiments.results import Results

# What differs from one training to the next although all else is the same.
TIMED = "seconds_per_epoch"
MEASURED = ("test_accuracy", "loss", "diverged", TIMED)
SPECS = {".npz": 0, ".graphml": 1, ".csv": 2, ".h5": 3, ".pt": 4}


class Case(NamedTuple):
    """A command that fills a folder.

    Attributes:
        arguments: Of the folder, and of the folder with images.
        trainings: How many it trains.
        backend: That of joblib, in which it trains two at a time.
    """

    arguments: Callable[[str, str], list[str]]
    trainings: int
    backend: str | None = None


def _compare(out: str, _: str, jobs: int = 1) -> list[str]:
    topologies = ["--topology", "none", "--topology", "grid:shape=4x4,distance=1"]
    options = ["--loops", "1", "--epochs", "2", "--seeds", "5", "--jobs", str(jobs)]
    written = ["--save-models", "--report"] if jobs == 1 else []
    return ["compare", *topologies, *options, *written, "--out", out]


def _reproduce(out: str, _: str) -> list[str]:
    options = ["--data", "digits", "--epochs", "1", "--seeds", "1", "--jobs", "1"]
    return ["reproduce", *options, "--out", out]


def _error_diffusion(out: str, images: str) -> list[str]:
    options = ["--only", "rate", "--epochs", "1", "--seeds", "2", "--data-dir", images]
    return ["error-diffusion", *options, "--out", out]


def _generate(out: str, _: str) -> list[str]:
    return ["generate", "coordinate", "--shape", "40x40", "--out", out]


CASES = {
    "compare": Case(_compare, 10),
    "compare in two threads": Case(partial(_compare, jobs=2), 10, "threading"),
    "reproduce": Case(_reproduce, 5),
    "error-diffusion": Case(_error_diffusion, 14),
    "generate": Case(_generate, 0),
}


def start(command: list[str], backend: str | None, log: Path) -> int:
    """Run a command in a forked process, which need not import torch again; return its id."""
    process = os.fork()
    if process:
        return process
    with log.open("ab", buffering=0) as noted, open(os.devnull, "w") as nowhere:
        sys.stdout = nowhere
        for module in (runner, kept):
            module.train = partial(_train, module.train, noted)  # type: ignore[attr-defined]
        context: Any = joblib.parallel_config(backend=backend) if backend else nullcontext()
        try:
            with context:
                cli.main(command)
        except SystemExit as stop:
            os._exit(int(stop.code or 0))
        except BaseException as error:
            print(repr(error), file=sys.stderr)
    os._exit(1)


def _train(train: Callable[..., Any], noted: io.RawIOBase, *arguments: Any) -> Any:
    noted.write(b"training\n")
    return train(*arguments)


def kill_after(process: int, seconds: float, log: Path | None = None) -> bool:
    """Kill a process after a time; return False where it has ended before, and well.

    With a log, the time begins when the log has another training.
    """
    size = log.stat().st_size if log else 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if log and log.stat().st_size == size:
            end = time.monotonic() + seconds
        else:
            log = None
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            assert status == 0, f"the command ended with status {os.waitstatus_to_exitcode(status)}"
            return False
        time.sleep(min(0.01, max(0.0, end - time.monotonic())))
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return status != 0


def finished(folder: Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The trainings of a results.csv by what they are, an incomplete last row left out.

    Fails where a training is there twice, or a row in front of the last is not whole.
    """
    path = folder / "results.csv"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    columns, *rows = csv.reader(io.StringIO(whole, newline=""), strict=True) if whole else [[]]
    found = {}
    for row in rows:
        assert len(row) == len(columns), f"{path} holds the broken row {row}"
        named = dict(zip(columns, row, strict=True))
        measured = tuple(named.pop(each) for each in MEASURED if each in named)
        key = tuple(named.values())
        assert key not in found, f"{path} holds {key} twice"
        found[key] = measured
    return found


def check_whole(folder: Path) -> None:
    """Fail where a file is not whole, but for those that no reader knows."""
    for path in folder.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            check_whole(path)
        elif path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".html":
            assert path.read_text(encoding="utf-8").endswith("</html>\n")
        elif path.name.startswith("."):
            assert path.name in (".lock", ".claims") or path.name.startswith(".part-"), path
        elif path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.name == "curves.csv":
            Results(folder)
        elif path.suffix == ".csv":
            finished(folder) if path.name == "results.csv" else path.read_text().index("\n")
        else:
            torch.load(path, weights_only=True)


def kill_trainings(case: Case, kills: int, work: Path) -> str:
    """Kill a command that trains; return the figures."""
    images = work / "images"
    images.mkdir()
    _write_images(images / "mnist.npz")
    reference = work / "reference"
    begin = time.monotonic()
    log = work / "log"
    run = partial(start, backend=case.backend, log=log)
    assert not kill_after(run(case.arguments(str(reference), str(images))), 3600)
    took = time.monotonic() - begin
    expected = finished(reference)
    assert len(expected) == case.trainings
    made, rounds, kept_after, started = 0, 0, [], 0
    while made < kills:
        rounds += 1
        folder, before = work / f"round{rounds}", {}
        command = case.arguments(str(folder), str(images))
        log.write_bytes(b"")
        killed = 0
        while made < kills:
            # Half of the moments are anywhere, the others while it trains or draws.
            anywhere = made % 2
            moment = random.uniform(0, (0.7 if anywhere else 0.3) * took)
            if not kill_after(run(command), moment, None if anywhere else log):
                break
            made, killed = made + 1, killed + 1
            if folder.exists():
                check_whole(folder)
                now = finished(folder)
                assert {key: now.get(key) for key in before} == before, "a training was lost"
                before = now
            kept_after.append(len(before))
        # Undisturbed, if it was not already.
        assert not kill_after(run(command), 3600)
        check_whole(folder)
        now = finished(folder)
        assert {key: now[key] for key in before} == before, "a training was lost or repeated"
        assert [*now] == [*expected]
        for key, measured in now.items():
            assert measured[:-1] == expected[key][:-1], key
        assert {path.name for path in folder.iterdir()} == {p.name for p in reference.iterdir()}
        in_round = log.read_bytes().count(b"\n")
        # A thread begins its next training while the result of the one before waits to be written.
        unwritten = 4 if case.backend else 1
        assert in_round <= case.trainings + unwritten * killed, "a finished training was repeated"
        started += in_round
    return (
        f"{made} kills in {rounds} rounds of {case.trainings} trainings; {started} trainings were "
        f"started for {rounds * case.trainings} results; finished at the kills: {kept_after}"
    )


def _write_images(path: Path) -> None:
    draw = np.random.default_rng(0)
    arrays = {}
    for part, number in (("train", 2000), ("test", 200)):
        arrays[f"x_{part}"] = draw.integers(0, 256, (number, 28, 28)).astype(np.uint8)
        arrays[f"y_{part}"] = draw.integers(0, 10, number).astype(np.uint8)
    np.savez(path, **arrays)


def kill_generation(case: Case, kills: int, work: Path) -> str:
    """Kill a command that writes a connectome over another one; return the figures."""
    log = work / "log"
    made, finished_first, left = 0, 0, {"old": 0, "new": 0}
    for number in range(10**6):
        if made == kills:
            break
        suffix = [*SPECS][number % len(SPECS)]
        folder = work / f"{number}"
        folder.mkdir()
        path = folder / f"graph{suffix}"
        command = case.arguments(str(path), "")
        begin = time.monotonic()
        assert not kill_after(start([*command, "--seed", "0"], None, log), 3600)
        took, names = time.monotonic() - begin, {each.name for each in folder.iterdir()}
        old = graphs.load(path)
        # Late moments, at which it writes, are more frequent.
        moment = took * random.random() ** 0.5
        if not kill_after(start([*command, "--seed", "1"], None, log), moment):
            finished_first += 1
            continue
        made += 1
        found = graphs.load(path)
        is_old = found.edge_index.equal(old.edge_index)
        assert not kill_after(start([*command, "--seed", "1"], None, log), 3600)
        new = graphs.load(path)
        assert is_old or found.edge_index.equal(new.edge_index)
        assert not new.edge_index.equal(old.edge_index)
        assert {each.name for each in folder.iterdir()} == names
        left["old" if is_old else "new"] += 1
    return (
        f"{made} kills over {len(SPECS)} formats, {finished_first} came too late; the file was "
        f"whole each time, {left['old']} times the old one and {left['new']} times the new one"
    )


def main(name: str, kills: int) -> None:
    """Print the figures of a case."""
    # A fork inherits the threads' locks, but not the threads.
    torch.set_num_threads(1)
    seed = random.randrange(2**32)
    random.seed(seed)
    print(f"{name}, seed {seed}: ", end="", flush=True)
    case = CASES[name]
    with tempfile.TemporaryDirectory() as work:
        kill = kill_trainings if case.trainings else kill_generation
        print(kill(case, kills, Path(work)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
