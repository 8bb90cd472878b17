"""Groups of processes of torch.distributed over gloo, on this machine alone."""

import os
from pathlib import Path

import torch
from torch import distributed, multiprocessing


def run(checks, folder, size):
    """What each of ``size`` processes finds; all are started once, for all checks.

    A check is a function of a module, ``check(rank, folder)``; its name is the key of what it
    returns.
    """
    multiprocessing.spawn(_work, (str(folder), size, checks), nprocs=size)
    return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(size)]


def _work(rank, folder, size, checks):
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size
    )
    found = {check.__name__.strip("_"): check(rank, folder) for check in checks}
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()
