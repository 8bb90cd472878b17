"""A training in which one of two processes is killed while it saves a checkpoint."""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.checkpoint import state_dict_saver as storage

from sparsebrain.distributed import DistributedGraphLayer, partition, save_checkpoint
from tests.sparsebrain.distributed.layers import typed
from tests.sparsebrain.distributed.pool import join

KILLED_AT = 3


def main(rank, folder):
    """Train; process 1 ends without a word in its third checkpoint, when 0 has begun to write."""
    join(rank, f"{folder}/meeting", 2)
    torch.manual_seed(0)
    layer = DistributedGraphLayer(partition(typed(), 2), dtype=torch.float64)
    x = torch.ones(4, layer.num_nodes, dtype=torch.float64)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    save = storage.save
    for step in range(1, 10):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
        if step == KILLED_AT and rank == 1:
            storage.save = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        save_checkpoint(Path(folder) / "saved", layer, optimizer)
        torch.save(layer.weight.detach(), f"{folder}/weight-{step}-{rank}.pt")
    assert save is storage.save
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
