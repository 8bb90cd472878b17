"""One connectome on several processes of torch.distributed.

Each process owns some neurons and all synapses onto them, and exchanges the states of its halo, the
neurons of other processes that it reads, at every loop. Start the processes with ``torchrun`` and
call ``torch.distributed.init_process_group`` in each.
"""

from sparsebrain.distributed.layer import DistributedGraphLayer
from sparsebrain.distributed.partitions import Partition, PartitionReport, partition
from sparsebrain.distributed.parts import Part

__all__ = [
    "DistributedGraphLayer",
    "Part",
    "Partition",
    "PartitionReport",
    "partition",
]
