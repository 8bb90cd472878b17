"""Train one recurrent layer on several processes, each of which reads its own part from disk.

    sparsebrain generate grid:distance=2 --shape 64x64 --parts 2 -o parts
    torchrun --nproc-per-node 2 examples/distributed/train.py parts

Every process owns some neurons. The task: from a picture of noise, loops must produce the picture
blurred by its neighbors. The loss is a sum over neurons, so each process adds up its own share. The
training saves checkpoints and goes on from the last one, on any number of processes.
"""

import argparse
import os
from datetime import timedelta

import torch
from torch import distributed

from sparsebrain.distributed import (
    DistributedGraphLayer,
    load_checkpoint,
    save_checkpoint,
)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", help="the folder that sparsebrain generate --parts wrote")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--checkpoints", default="checkpoints", help="a folder")
    options = parser.parse_args()

    # A process that hangs ends the others after this time; one that dies ends them at once.
    distributed.init_process_group(timeout=timedelta(seconds=60))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    torch.manual_seed(0)
    layer = DistributedGraphLayer.load(
        options.parts, 4, activation="tanh", bias=True, device=device
    )
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    if os.path.isdir(options.checkpoints):
        load_checkpoint(options.checkpoints, layer, optimizer)
    first = distributed.get_rank() == 0
    if first:
        print(layer)
    for step in range(1, options.steps + 1):
        # The same samples in every process; each takes the columns of its own neurons.
        generator = torch.Generator().manual_seed(step)
        pictures = torch.randn(16, layer.part.num_nodes, generator=generator)
        wanted = (pictures + pictures.roll(1, 1) + pictures.roll(-1, 1)) / 3
        x, y = (each[:, layer.owned].to(device) for each in (pictures, wanted))
        optimizer.zero_grad()
        loss = (layer(x) - y).square().sum() / pictures.numel()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            total = loss.detach()
            distributed.all_reduce(total)
            if first:
                print(f"step {step}: loss {float(total):.4f}")
    save_checkpoint(options.checkpoints, layer, optimizer)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
