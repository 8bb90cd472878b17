"""Four processes that stay alive and run functions of the tests, in groups of 2, 3 or 4."""

import os
import pickle
import tempfile
import traceback
import warnings
from datetime import timedelta
from pathlib import Path

from torch import distributed, multiprocessing

SIZES = (1, 2, 3, 4)
_SECONDS = 300


class Pool:
    """Processes 0 to 3 with a process group of the first 1, 2, 3 and all 4 of them."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory()
        meeting = str(Path(self._folder.name) / "meeting")
        self._ends, self._processes = [], []
        for rank in range(max(SIZES)):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(rank, meeting, there), daemon=True)
            process.start()
            there.close()
            self._ends.append(here)
            self._processes.append(process)

    def run(self, size, function, *arguments):
        """What ``function(group, *arguments)`` returns in each process of a group."""
        message = pickle.dumps((size, function, arguments))
        for end in self._ends[:size]:
            end.send_bytes(message)
        answers = []
        for rank, end in enumerate(self._ends[:size]):
            assert end.poll(_SECONDS), f"process {rank} does not answer"
            answers.append(end.recv())
        for rank, (kind, answer) in enumerate(answers):
            assert kind == "result", f"process {rank}:\n{answer}"
        return [answer for _, answer in answers]

    def close(self):
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(10)
            process.kill()
        self._folder.cleanup()


def join(rank, meeting, size):
    """Initialize torch.distributed over gloo on the loopback interface."""
    import torch

    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{meeting}",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=60),
    )


def _serve(rank, meeting, end):
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", ".*torch.jit.*", DeprecationWarning)
    join(rank, meeting, max(SIZES))
    groups = {size: distributed.new_group(range(size)) for size in SIZES}
    while True:
        try:
            size, function, arguments = pickle.loads(end.recv_bytes())
        except EOFError:
            os._exit(0)
        try:
            end.send(("result", function(groups[size], *arguments)))
        except BaseException:
            end.send(("error", traceback.format_exc()))


def error_of(call):
    """The error of a call as text."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"
