"""Fast Hebbian weights, which store a pair of patterns in one step."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from graphs import arguments, tensors
from sparsebrain.kernels import propagate
from sparsebrain.nn.connectome import read_structure

Write = Literal["hebb", "delta"]

# The elements of the products of keys in one call of `propagate`.
_MOST_ELEMENTS = 2**22


class FastWeights(nn.Module):
    r"""Synapses of a connectome that store pairs of key and value, each in one step.

    With A[t, s] the number of synapses from s to t, writing a key k and a value v changes the
    weights by

    .. math:: W \leftarrow \lambda W + \eta \, (e k^T) \odot A,

    where e is v for ``write="hebb"``, and :math:`v - \lambda W k`, the error of what the key
    recalls, for ``write="delta"``. The weights are never formed. Reading the P pairs computes

    .. math:: (W k)_t = \sum_\tau \eta \lambda^{P - \tau} e_{\tau t} \, (A (k_\tau \odot k))_t

    Several brains can store at once: leading dimensions of keys and values number them, and each
    has weights of its own. The pairs are kept by ``to`` but are not part of ``state_dict``.

    Args:
        connectome: The synapses between N neurons; their weights are not read.
        rate: :math:`\eta`. With "delta", a stored value is recalled exactly if the rate is
            1 / (A (k * k)) at its targets.
        decay: :math:`\lambda`, from 0 to 1; 1 forgets nothing.
        write: The rule, "hebb" or "delta".

    Attributes:
        keys: The stored keys [P, ..., N].
        errors: The stored e [P, ..., N].

    Shape:
        ``write(key, value)``: [..., N] each, float32 or float64, the same shape in every call.
        ``read(key)``: [..., N]; for a single brain any shape, for several their shape, possibly
        with further leading dimensions. A read takes O(P E) time, and the memory is O(P N) for each
        brain, in place of O(E).

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range, or the connectome breaks the contract.

    Sources: J. Ba et al., "Using fast weights to attend to the recent past", NeurIPS (2016); the
    delta rule: I. Schlag, K. Irie, J. Schmidhuber, "Linear transformers are secretly fast weight
    programmers", ICML (2021).

    Example:
        >>> import graphs, torch
        >>> from sparsebrain.plasticity import FastWeights
        >>> memory = FastWeights(graphs.layered([2, 1]))
        >>> memory.write(torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 5]))
        >>> memory.read(torch.tensor([1.0, 2, 0]))
        tensor([0., 0., 5.])
    """

    keys: Tensor | None
    errors: Tensor | None

    def __init__(
        self, connectome: Data, rate: float = 1.0, decay: float = 1.0, write: Write = "hebb"
    ) -> None:
        super().__init__()
        self.rate = arguments.real("rate", rate)
        self.decay = arguments.real("decay", decay, at_most=1)
        self.rule = arguments.option("write", write, get_args(Write))
        self.structure = read_structure(connectome)
        self.num_nodes = self.structure.num_nodes
        self.register_buffer("keys", None, persistent=False)
        self.register_buffer("errors", None, persistent=False)

    @property
    def num_pairs(self) -> int:
        """P, the number of stored pairs."""
        return 0 if self.keys is None else len(self.keys)

    def write(self, key: Tensor, value: Tensor) -> None:
        """Store a pair.

        Args:
            key: k [..., N].
            value: v [..., N], in the same shape, dtype and device.

        Raises:
            TypeError: A tensor has the wrong type, or not the dtype of the stored pairs.
            ValueError: A tensor has the wrong shape, or not that of the stored pairs.
        """
        first = self._checked("key", key)
        shape = tuple(first.shape if self.keys is None else self.keys.shape[1:])
        if tuple(key.shape) != shape:
            raise ValueError(
                f"key must have the shape {list(shape)} of the stored pairs, got "
                f"{list(key.shape)}; call clear(), or make another FastWeights for other brains"
            )
        value = tensors.tensor(
            "value", value, shape, dtypes=(key.dtype,), device=key.device, finite=True, like="key"
        )
        if self.rule == "delta" and self.num_pairs:
            value = value - self.decay * self.read(key)
        stored = (self.keys, key), (self.errors, value)
        self.keys, self.errors = (
            # A copy, since the caller may write to the tensors of the first pair.
            new.unsqueeze(0).clone() if old is None else torch.cat([old, new.unsqueeze(0)])
            for old, new in stored
        )

    def read(self, key: Tensor) -> Tensor:
        """Return W k [..., N], what a key k [..., N] recalls; zero before the first pair.

        Raises:
            TypeError: ``key`` has a wrong type, or not the dtype of the stored pairs.
            ValueError: ``key`` has a wrong shape.
        """
        key = self._checked("key", key)
        recalled = torch.zeros_like(key)
        if self.keys is None or self.errors is None:
            return recalled
        brains = self.keys.shape[1:-1]
        if key.shape[key.dim() - 1 - len(brains) : -1] != brains or key.dim() <= len(brains):
            raise ValueError(
                f"key must be of shape {tensors.text((..., *brains, self.num_nodes))}, as the "
                f"stored keys, got {list(key.shape)}; pass one key for each brain"
            )
        pairs = max(1, _MOST_ELEMENTS // max(key.numel(), 1))
        self.structure = self.structure.to(key.device)
        age = torch.arange(self.num_pairs - 1, -1, -1, device=key.device)
        strengths = self.rate * torch.pow(self.decay, age.to(key.dtype))
        # More dimensions of the key come before those of the brains.
        between = (1,) * (key.dim() - 1 - len(brains))
        for part in torch.arange(self.num_pairs, device=key.device).split(pairs):
            stored, errors = (
                each[part].reshape(-1, *between, *each.shape[1:])
                for each in (self.keys, self.errors)
            )
            product = stored * key
            columns = product.reshape(-1, self.num_nodes).T.contiguous()
            ones = columns.new_ones(self.structure.num_edges)
            heard = propagate(self.structure, ones, columns).T.reshape(product.shape)
            weighted = errors * strengths[part].reshape(-1, *(1,) * key.dim())
            recalled = recalled + (weighted * heard).sum(0)
        return recalled

    def clear(self) -> None:
        """Forget all pairs."""
        self.keys = self.errors = None

    def _checked(self, name: str, value: Tensor) -> Tensor:
        """Return a tensor [..., N] with the dtype and device of the stored pairs."""
        like = self.keys
        return tensors.tensor(
            name,
            value,
            (..., self.num_nodes),
            dtypes=tensors.FLOATS if like is None else (like.dtype,),
            device=None if like is None else like.device,
            finite=True,
            like=None if like is None else "the stored keys",
        )

    def extra_repr(self) -> str:
        """Return the options and the number of pairs."""
        return (
            f"{self.num_nodes}, rate={self.rate:g}, decay={self.decay:g}, write={self.rule!r}, "
            f"num_pairs={self.num_pairs}"
        )
