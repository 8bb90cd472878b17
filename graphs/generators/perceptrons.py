"""Layered perceptrons as graphs, the contrast to a brain."""

import itertools
from collections.abc import Sequence

import numpy as np
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import build


def layered(sizes: Sequence[int]) -> Data:
    r"""Return a layered perceptron: all neurons of a layer send to all neurons of the next.

    There are no synapses within a layer, backward, or across more than one layer. The clustering
    coefficient is therefore exactly 0, and every strongly connected component is a single neuron.
    The model is that of [1]_. Takes O(N + E) time and memory.

    Args:
        sizes: Number of neurons of each layer, input first; at least one layer.

    Returns:
        ``edge_index`` int64 [2, E] with :math:`E = \sum_l n_l n_{l+1}`; ``pos`` float32 [N, 2], the
        layer and the position in the layer counted from its center; ``node_type`` int64 [N], the
        layer; and ``node_type_names``. Neurons are numbered layer by layer.

    Raises:
        TypeError: `sizes` is not a sequence of int.
        ValueError: `sizes` is empty, a size is < 1, or the graph does not fit into memory.

    References:
        .. [1] F. Rosenblatt, "The perceptron: a probabilistic model for information storage and
           organization in the brain", Psychological Review 65 (1958) 386-408.

    Example:
        >>> import graphs
        >>> data = graphs.layered([2, 3, 1])
        >>> data.num_nodes, data.num_edges
        (6, 9)
        >>> data.node_type.tolist()
        [0, 0, 1, 1, 1, 2]
    """
    widths = arguments.counts("sizes", sizes, "[784, 100, 10]")
    synapses = sum(one * other for one, other in itertools.pairwise(widths))
    memory.check("sizes", "pass smaller layers", neurons=sum(widths), synapses=synapses)
    layer = np.repeat(np.arange(len(widths)), widths)
    first = np.concatenate(([0], np.cumsum(widths)))
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start, middle, end in zip(first[:-2], first[1:-1], first[2:], strict=True):
        sources.append(np.tile(np.arange(start, middle), end - middle))
        targets.append(np.repeat(np.arange(middle, end), middle - start))
    unit = np.arange(len(layer)) - first[layer]
    height = unit - (np.array(widths)[layer] - 1) / 2
    return build(
        len(layer),
        np.concatenate(sources),
        np.concatenate(targets),
        pos=np.stack((layer.astype(float), height), axis=1),
        node_type=layer,
        node_type_names=[f"layer {number}" for number in range(len(widths))],
    )
