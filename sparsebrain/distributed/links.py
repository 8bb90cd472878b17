"""Halo exchange: which rows of a state the processes of a group send to each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed

from sparsebrain.distributed.agreement import answering, together


class Travelling:
    """Rows that are on their way from other processes."""

    def __init__(
        self, work: distributed.Work | None, rows: Tensor, sent: Tensor, place: Tensor | None
    ) -> None:
        # The sent rows must live until they have arrived.
        self._work, self._rows, self._sent, self._place = work, rows, sent, place

    def wait(self) -> Tensor:
        """Return the rows once they have arrived."""
        if self._work is not None:
            with answering():
                self._work.wait()
        return self._rows if self._place is None else self._rows.index_select(0, self._place)


class Links:
    """The rows that this process sends to and receives from each other process.

    Each process owns some neurons and reads others, its halo. Construction tells every owner who
    reads which of its neurons; after that, an exchange sends one message between each two processes
    in each direction, and no message carries indices.

    Args:
        group: The processes.
        owned: The numbers of the neurons of this process, ascending, [n] int64.
        wanted: The numbers of the neurons that it reads, [h] int64.
        owner: The process that owns each of these, [h] int64.

    Attributes:
        send: The owned rows that are sent, in the order of the receiving process, [s] int64.
        size: The number of rows h that are received.

    Raises:
        ValueError: In all processes, if one is asked for a neuron that it does not own.
    """

    def __init__(
        self, group: distributed.ProcessGroup, owned: Tensor, wanted: Tensor, owner: Tensor
    ) -> None:
        self.group = group
        parts = distributed.get_world_size(group)
        order = torch.argsort(owner, stable=True)
        self._receive = torch.bincount(owner, minlength=parts).tolist()
        in_order = bool((order == torch.arange(len(order), device=order.device)).all())
        self._order = None if in_order else order
        self._place = None if in_order else torch.argsort(order)
        counts = torch.tensor(self._receive, device=owned.device)
        asked = torch.empty_like(counts)
        with answering():
            distributed.all_to_all_single(asked, counts, group=group)
        self._send: list[int] = asked.tolist()
        numbers = wanted.new_empty(sum(self._send))
        with answering():
            distributed.all_to_all_single(
                numbers, wanted.index_select(0, order), self._send, self._receive, group=group
            )

        def find() -> Tensor:
            rows = torch.searchsorted(owned, numbers).clamp_max(max(len(owned) - 1, 0))
            if len(numbers) and not (len(owned) and bool((owned[rows] == numbers).all())):
                raise ValueError(
                    "part must belong to the same partition in every process, but another process "
                    "reads neurons from this one that it does not own; pass the parts of one "
                    "partition(connectome, parts)"
                )
            return rows

        self.send = together(group, find)
        self.size = len(wanted)

    def start(self, x: Tensor) -> Travelling:
        """Begin to exchange the rows of owned neurons [n, B]; they arrive as [h, B]."""
        sent = x.index_select(0, self.send)
        received = x.new_empty((self.size, *x.shape[1:]))
        with answering():
            work = distributed.all_to_all_single(
                received, sent, self._receive, self._send, group=self.group, async_op=True
            )
        return Travelling(work, received, sent, self._place)

    def start_back(self, halo: Tensor) -> Travelling:
        """Begin the transposed exchange of rows of the halo [h, B]; they arrive as [s, B].

        Add them to the rows ``send`` of the owned neurons.
        """
        sent = halo.contiguous() if self._order is None else halo.index_select(0, self._order)
        received = halo.new_empty((sum(self._send), *halo.shape[1:]))
        with answering():
            work = distributed.all_to_all_single(
                received, sent, self._send, self._receive, group=self.group, async_op=True
            )
        return Travelling(work, received, sent, None)

    def exchange(self, x: Tensor) -> Tensor:
        """Return the halo rows [h, B] of a state [n, B]."""
        return self.start(x).wait()

    def exchange_ragged(self, rows: list[Tensor]) -> list[Tensor]:
        """Send a tensor [k, C] of any k to each process; return what each process sent.

        Args:
            rows: One tensor for each process, of the same dtype and C.
        """
        counts = torch.tensor([len(each) for each in rows], device=rows[0].device)
        coming = torch.empty_like(counts)
        with answering():
            distributed.all_to_all_single(coming, counts, group=self.group)
            sizes = coming.tolist()
            received = rows[0].new_empty((sum(sizes), *rows[0].shape[1:]))
            distributed.all_to_all_single(
                received, torch.cat(rows), sizes, counts.tolist(), group=self.group
            )
        return list(received.split(sizes))

    def readers(self) -> list[Tensor]:
        """Return for each process the owned rows that it reads."""
        return list(self.send.split(self._send))

    def to(self, device: torch.device) -> Links:
        """Move the index arrays to a device, in place."""
        self.send = self.send.to(device)
        self._order = None if self._order is None else self._order.to(device)
        self._place = None if self._place is None else self._place.to(device)
        return self


def total(group: distributed.ProcessGroup) -> Callable[[Tensor], Tensor]:
    """Return the function that adds up a tensor over the processes of a group."""

    def add_up(values: Tensor) -> Tensor:
        added = values.detach().clone(memory_format=torch.contiguous_format)
        with answering():
            distributed.all_reduce(added, group=group)
        return added

    return add_up
