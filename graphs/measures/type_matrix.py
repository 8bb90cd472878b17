"""Connections between the types of neurons."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array
from torch_geometric.data import Data

from graphs import frames
from graphs.contract import Index, checked
from graphs.partitions import named_groups
from graphs.weights import weights

# Types in a table of text, and the width of a name.
_SHOWN, _WIDTH = 12, 10


@dataclass(frozen=True, kw_only=True, eq=False)
class TypeMatrix:
    """The connections between types, as :func:`graphs.by_type` returns them.

    Rows of matrices are sending types, and columns receiving ones.

    Attributes:
        names: The names of the K types.
        num_nodes: Number of neurons of each type, [K] int64.
        synapses: Number of synapses between two types, sparse [K, K] int64.
        weight: Sum of their weights, sparse [K, K] float64, with the same entries stored.
    """

    names: list[str]
    num_nodes: Index
    synapses: csr_array
    weight: csr_array

    def input_shares(self) -> csr_array:
        """Return the share of each type in the input weight of the receiving type.

        Returns:
            Sparse [K, K] float64, whose columns have the sum 1, or 0 without input.
        """
        received = np.asarray(self.weight.sum(axis=0))
        shares = self.weight.copy()
        shares.data = shares.data / np.where(received, received, 1)[shares.indices]
        return shares

    def to_dataframe(self, library: frames.Library = "pandas") -> Any:
        """Return the matrices as a dataframe, which requires narwhals and the library of the frame.

        Args:
            library: "pandas", "polars" or "pyarrow".

        Returns:
            One row per connected pair of types, with the columns source, target, synapses, weight
            and input_share.

        Raises:
            ValueError: If ``library`` is none of these.
            ModuleNotFoundError: If narwhals or the library is not installed.
        """
        pairs = self.synapses.tocoo()
        columns = {
            "source": [self.names[each] for each in pairs.row],
            "target": [self.names[each] for each in pairs.col],
            "synapses": pairs.data,
            "weight": self.weight.data,
            "input_share": self.input_shares().data,
        }
        return frames.make(columns, library)

    def __str__(self) -> str:
        """Return the weights as a table, of the types with the most neurons if there are many."""
        shown = np.sort(np.argsort(-self.num_nodes, kind="stable")[:_SHOWN])
        names = [self.names[each][:_WIDTH] for each in shown]
        lines = [["", *names]]
        for name, row in zip(names, self.weight[shown][:, shown].toarray(), strict=True):
            lines.append([name, *(f"{value:.4g}" if value else "." for value in row)])
        width = max(len(cell) for line in lines for cell in line)
        table = "\n".join(
            "  ".join([line[0].ljust(width), *(cell.rjust(width) for cell in line[1:])]).rstrip()
            for line in lines
        )
        left = len(self.names) - len(shown)
        return f"{table}\nand {left} more types" if left else table


def by_type(
    data: Data, partition: ArrayLike | None = None, *, weight: str | None = "edge_weight"
) -> TypeMatrix:
    r"""Return the numbers and weights of the synapses between the types of neurons.

    .. math:: W_{ab} = \sum_{s \in a,\, t \in b} w_{st}

    Args:
        data: A connectome. Self-loops and parallel synapses count. The field of weights is read as
            stored, without ``edge_sign`` and ``node_sign``; for the sum of signed weights set
            ``data.signed = torch.from_numpy(graphs.signed_weights(data))`` and pass
            ``weight="signed"``.
        partition: The type of each neuron, [N] integers or text, such as the communities or a
            list of labels. The default is ``node_type``, with its ``node_type_names``.
        weight: The name of a field of weights, which may be negative; or None, which counts
            synapses. A connectome without ``edge_weight`` has weights of 1.

    Returns:
        The matrices ``synapses`` and ``weight``, the ``names`` of the types and their
        ``num_nodes``, with the methods ``input_shares()`` and ``to_dataframe()``.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, ``partition`` is missing or has the wrong size,
            or there is no field ``weight``.

    See Also:
        :func:`graphs.collapse`: the same as a connectome, with signed weights.

    Note:
        O(N + E) time and memory; the matrices are sparse.

    Example:
        >>> import graphs
        >>> found = graphs.by_type(graphs.layered([2, 3]), ["in", "in", "out", "out", "out"])
        >>> found.names, found.num_nodes.tolist(), found.synapses.toarray().tolist()
        (['in', 'out'], [2, 3], [[0, 6], [0, 0]])
    """
    _, (source, target), *_ = checked(data)
    group, names = named_groups(data, partition)
    values = weights(data, weight, negative=True)
    synapses = _between(group[source], group[target], np.ones(len(source), np.int64), len(names))
    summed = _between(
        group[source],
        group[target],
        np.ones(len(source)) if values is None else values,
        len(names),
    )
    return TypeMatrix(
        names=names,
        num_nodes=np.bincount(group, minlength=len(names)),
        synapses=synapses,
        weight=summed,
    )


def _between(source: Index, target: Index, values: NDArray[Any], types: int) -> csr_array:
    return coo_array((values, (source, target)), shape=(types, types)).tocsr()
