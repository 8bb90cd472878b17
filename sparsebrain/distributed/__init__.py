"""One connectome on several processes of torch.distributed.

Each process owns some neurons and all synapses onto them, and exchanges the states of its halo, the
neurons of other processes that it reads, at every loop. Start the processes with ``torchrun`` and
call ``torch.distributed.init_process_group`` in each.
"""

from sparsebrain.distributed import generators
from sparsebrain.distributed.checkpoints import load_checkpoint, save_checkpoint
from sparsebrain.distributed.layer import DistributedGraphLayer
from sparsebrain.distributed.partitions import Partition, PartitionReport, partition
from sparsebrain.distributed.parts import Part
from sparsebrain.distributed.sampling import DistributedGibbs
from sparsebrain.distributed.spikes import DistributedLIF

__all__ = [
    "DistributedGibbs",
    "DistributedGraphLayer",
    "DistributedLIF",
    "Part",
    "Partition",
    "PartitionReport",
    "generators",
    "load_checkpoint",
    "partition",
    "save_checkpoint",
]
