"""A coloring of neurons that are spread over processes, equal to that of the whole graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, distributed

from sparsebrain.distributed.agreement import answering
from sparsebrain.distributed.links import Links
from sparsebrain.distributed.parts import Part


class _Neighbors(NamedTuple):
    """The neighbors of the owned neurons, in both directions of the synapses.

    Attributes:
        links: The exchange of values of remote neighbors.
        degree: The synapses of each local neuron, incoming and outgoing, [K] int64.
        nodes: The global numbers of the owned neurons and, after them, the remote ones, [K] int64.
        pairs: An owned neuron and a neighbor of it, as positions in ``nodes``, [2, P] int64.
    """

    links: Links
    degree: Tensor
    nodes: Tensor
    pairs: Tensor


def color_together(part: Part, links: Links) -> tuple[Tensor, Tensor, int]:
    """Color the neurons of all parts as ``Structure.colors`` does those of the whole graph.

    Neurons are colored by falling degree, and those of equal degree by ascending number; each takes
    the lowest color that no neighbor before it has. A process colors what it can, and sends the
    colors to its neighbors, until all processes are done.

    Args:
        part: The part.
        links: The exchange of its halo.

    Returns:
        The colors of the owned neurons [n] and of the halo [h], and the number of colors of the
        whole graph.
    """
    near = _neighbors(part, links)
    count = len(part.owned)
    one, other = near.pairs
    before = (near.degree[other] > near.degree[one]) | (
        (near.degree[other] == near.degree[one]) & (near.nodes[other] < near.nodes[one])
    )
    earlier: list[list[int]] = [[] for _ in range(count)]
    later: list[list[int]] = [[] for _ in range(len(near.nodes))]
    for neuron, neighbor in near.pairs[:, before].t().tolist():
        earlier[neuron].append(neighbor)
        later[neighbor].append(neuron)
    waiting = [len(each) for each in earlier]
    color = torch.full((len(near.nodes),), -1)
    colors: list[int] = color.tolist()
    ready = [neuron for neuron in range(count) if not waiting[neuron]]
    while True:
        while ready:
            neuron = ready.pop()
            taken = {colors[each] for each in earlier[neuron]}
            colors[neuron] = next(c for c in range(len(taken) + 1) if c not in taken)
            _release(later[neuron], waiting, ready)
        own = torch.tensor(colors[:count], dtype=torch.int64)
        left = (own < 0).sum().reshape(1)
        with answering():
            distributed.all_reduce(left, group=links.group)
        remote = near.links.exchange(own).tolist()
        for place, each in enumerate(remote, start=count):
            if each >= 0 > colors[place]:
                colors[place] = each
                _release(later[place], waiting, ready)
        if not int(left):
            break
    most = torch.tensor([max(colors[:count], default=-1)])
    with answering():
        distributed.all_reduce(most, distributed.ReduceOp.MAX, links.group)
    return own, links.exchange(own), int(most) + 1


def _release(neurons: list[int], waiting: list[int], ready: list[int]) -> None:
    for neuron in neurons:
        waiting[neuron] -= 1
        if not waiting[neuron]:
            ready.append(neuron)


def _neighbors(part: Part, links: Links) -> _Neighbors:
    source, target = part.nodes[part.data.edge_index]
    owner = part.owner[part.data.edge_index[0]]
    # Tell each owner of a source about the synapses onto this process.
    away = owner != part.rank
    size = distributed.get_world_size(links.group)
    rows = [torch.stack([source, target], 1)[away & (owner == rank)] for rank in range(size)]
    out = links.exchange_ragged(rows)
    counts = torch.tensor([len(each) for each in out])
    reader = torch.repeat_interleave(counts)
    sent = torch.cat(out)
    remote, place = torch.cat([part.halo, sent[:, 1]]).unique(return_inverse=True)
    of_remote = torch.empty_like(remote)
    of_remote[place] = torch.cat([part.owner[~part.is_owned], reader])
    wide = Links(links.group, part.owned, remote, of_remote)
    count = len(part.owned)
    nodes = torch.cat([part.owned, remote])

    def position(numbers: Tensor) -> Tensor:
        if not count:
            return count + torch.searchsorted(remote, numbers)
        here = torch.searchsorted(part.owned, numbers).clamp_max(count - 1)
        there = count + torch.searchsorted(remote, numbers)
        return torch.where(part.owned[here] == numbers, here, there)

    ends = torch.stack([position(target), position(source)])
    outgoing = torch.stack([position(each) for each in sent.t().contiguous()])
    local = ends[:, ends[1] < count].flip(0)
    ends_of_each = torch.cat([ends[0], local[0], outgoing[0]])
    degree = torch.bincount(ends_of_each, minlength=count)[:count]
    pairs = torch.cat([ends, local, outgoing], 1)
    pairs = pairs[:, pairs[0] != pairs[1]].unique(dim=1)
    return _Neighbors(wide, torch.cat([degree, wide.exchange(degree)]), nodes, pairs)
