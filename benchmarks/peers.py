"""The layer and its peers: one problem, computed in all the ways that a PyTorch user has."""

# ruff: noqa: D102 -- the abstract Peer documents its methods once for all.

from __future__ import annotations

import contextlib
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.compiler import config as compile_config
from torch.nn import functional
from torch_geometric.nn import MessagePassing

from benchmarks.csr import Rows
from benchmarks.oracle import Solution
from benchmarks.problem import GridProblem, Problem
from sparsebrain import GraphLayer, kernels


class UnavailableError(RuntimeError):
    """A peer cannot run here."""


class Peer(ABC):
    """One way to compute a problem.

    Weight and state are leaves, and the gradient of both is asked of every peer: inside a network
    the layer has something before it that learns too. Inputs lie in the layout that suits the peer;
    bringing them there is not timed.
    """

    title: ClassVar[str]

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.weight = problem.weight.clone().requires_grad_()
        self.state = self.arrange(problem.state).clone().requires_grad_()
        self.grad = self.arrange(problem.grad).clone()

    @abstractmethod
    def run(self) -> Tensor:
        """The output, from ``self.weight`` and ``self.state``, in the peer's layout."""

    def arrange(self, columns: Tensor) -> Tensor:
        """[N, B] in the peer's layout."""
        return columns

    def columns(self, arranged: Tensor) -> Tensor:
        """The peer's layout as [N, B]."""
        return arranged

    def synapses(self, weight_grad: Tensor) -> Tensor:
        """The gradient of ``self.weight`` as [E]."""
        return weight_grad

    def prepare(self) -> float | None:
        """Seconds of compilation, where there is one. UnavailableError if the peer cannot run."""
        return None

    @final
    def _try(self) -> None:
        try:
            self.forward()
            self.forward_backward()
        except (RuntimeError, OSError) as error:
            reason = (str(error).strip() or "no message").splitlines()[0]
            raise UnavailableError(f"{type(error).__name__}: {reason}") from error

    @final
    def forward(self) -> Tensor:
        """The output alone."""
        with torch.no_grad():
            return self.run()

    @final
    def forward_backward(self) -> tuple[Tensor, ...]:
        """The output and the gradients of weight and input."""
        output = self.run()
        return output, *torch.autograd.grad(output, (self.weight, self.state), self.grad)

    @final
    def solution(self) -> Solution:
        """What came out, for comparison."""
        output, weight_grad, state_grad = self.forward_backward()
        return Solution(
            self.columns(output.detach()), self.synapses(weight_grad), self.columns(state_grad)
        )


class Sparsebrain(Peer):
    """The layer as a user calls it, on [B, N]."""

    title = "sparsebrain GraphLayer"
    backend: ClassVar[str] = "auto"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.layer = GraphLayer(
            problem.connectome, problem.loops, activation="tanh", backend=self.backend
        )
        with torch.no_grad():
            self.layer.weight.copy_(problem.weight)
        self.weight = self.layer.weight

    def arrange(self, columns: Tensor) -> Tensor:
        return columns.t().contiguous()

    def columns(self, arranged: Tensor) -> Tensor:
        return arranged.t()

    def run(self) -> Tensor:
        output: Tensor = self.layer(self.state)
        return output


@final
class SparsebrainTorch(Sparsebrain):
    """The layer without the compiled kernels."""

    title = 'sparsebrain GraphLayer(backend="torch")'
    backend = "torch"


@final
class SparsebrainAsNumbered(Sparsebrain):
    """The layer's loops on neurons that stay where the connectome has put them."""

    title = "sparsebrain kernels.loop, never renumbered"

    def arrange(self, columns: Tensor) -> Tensor:
        return columns

    def columns(self, arranged: Tensor) -> Tensor:
        return arranged

    def run(self) -> Tensor:
        (last,) = kernels.loop(
            self.layer.structure,
            self.weight,
            self.state,
            loops=self.problem.loops,
            activation="tanh",
        )
        return last


class WeightedConv(MessagePassing):
    """The smallest PyG layer with a weight for each edge."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
        """One loop without activation."""
        out: Tensor = self.propagate(edge_index, x=x, weight=weight)
        return out

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """What an edge carries."""
        return weight.unsqueeze(-1) * x_j


@final
class PyGStatic(Peer):
    """One graph, the batch as the features of its nodes."""

    title = "PyG MessagePassing, static [N, B]"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.conv = WeightedConv()

    def run(self) -> Tensor:
        x = self.state
        for _ in range(self.problem.loops):
            x = self.conv(x, self.problem.connectome.edge_index, self.weight).tanh()
        return x


@final
class PyGRepeated(Peer):
    """One graph for each sample, as a PyG ``DataLoader`` batches them: [B * N, 1]."""

    title = "PyG MessagePassing, edges repeated per sample"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.conv = WeightedConv()
        num_nodes, self.copies = problem.state.shape
        offset = num_nodes * torch.arange(self.copies).view(1, -1, 1)
        edge_index = problem.connectome.edge_index
        self.edge_index = (edge_index.unsqueeze(1) + offset).view(2, -1)

    def arrange(self, columns: Tensor) -> Tensor:
        return columns.t().reshape(-1, 1)

    def columns(self, arranged: Tensor) -> Tensor:
        return arranged.view(self.copies, -1).t()

    def run(self) -> Tensor:
        x, weight = self.state, self.weight.repeat(self.copies)
        for _ in range(self.problem.loops):
            x = self.conv(x, self.edge_index, weight).tanh()
        return x


class TorchSparse(Peer):
    """A CSR tensor as the parameter, from index arrays made once.

    Made from the weights at every call it would be differentiated by way of a dense [N, N] matrix,
    as torch's profiler tells: 77 GB for a fly.
    """

    title = "torch.sparse CSR, torch.sparse.mm"
    reduce: ClassVar[tuple[str, ...]] = ()

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        rows = Rows(problem.connectome.edge_index, problem.neurons, self.index(problem))
        self.weight = rows.matrix(problem.weight.clone()).requires_grad_()

    def index(self, problem: Problem) -> torch.dtype:
        """The dtype of the index arrays: the one that is fastest and right."""
        return torch.int32

    @final
    def prepare(self) -> None:
        # Torch built without MKL lacks some of these products.
        self._try()

    @final
    def synapses(self, weight_grad: Tensor) -> Tensor:
        return weight_grad.values()

    @final
    def run(self) -> Tensor:
        x = self.state
        for _ in range(self.problem.loops):
            x = torch.sparse.mm(self.weight, x, *self.reduce).tanh()
        return x


@final
class TorchSparseReduce(TorchSparse):
    """The same through torch's own reducing kernel, whose backward pass is another one."""

    title = 'torch.sparse CSR, torch.sparse.mm(..., "sum")'
    reduce = ("sum",)

    @final
    def index(self, problem: Problem) -> torch.dtype:
        # Its backward pass numbers the entries of the full matrix in the dtype of the index: with
        # int32 its gradients were wrong, without a word, from 46,341 neurons on.
        return torch.int64 if problem.neurons**2 > torch.iinfo(torch.int32).max else torch.int32


class Window(Peer):
    """Shifted slices of a padded image times the weights of that shift, added up.

    The batch comes last, [side, side, B]: with the batch first the slices have rows of one line of
    the image, and everything took longer (plain 1.2 times, compiled 2.5 times).
    """

    title = "shifted window, plain"

    def __init__(self, problem: Problem) -> None:
        if not isinstance(problem, GridProblem):
            raise TypeError("a window needs a GridProblem; call draw_grid.")
        # Before the rest: the base arranges the state.
        self.side, self.reach = problem.side, problem.distance
        super().__init__(problem)
        self.step: Callable[[Tensor, Tensor], Tensor] = self.loop
        connectome = problem.connectome
        self.place = connectome.edge_type * problem.neurons + connectome.edge_index[1]

    @final
    def arrange(self, columns: Tensor) -> Tensor:
        return columns.reshape(self.side, self.side, -1)

    @final
    def columns(self, arranged: Tensor) -> Tensor:
        return arranged.reshape(self.problem.neurons, -1)

    @final
    def loop(self, x: Tensor, window: Tensor) -> Tensor:
        """One loop; ``window`` [shifts, side, side, 1] is zero where a source is off the grid."""
        side, reach = self.side, self.reach
        padded = functional.pad(x, (0, 0, reach, reach, reach, reach))
        total = torch.zeros_like(x)
        for number, weight in enumerate(window.unbind()):
            # The shift is target - source, so that a source stands before its target by it.
            top, left = (2 * reach - shift for shift in divmod(number, 2 * reach + 1))
            total = total + padded[top : top + side, left : left + side] * weight
        return total.tanh()

    @final
    def run(self) -> Tensor:
        side, shifts = self.side, (2 * self.reach + 1) ** 2
        empty = self.weight.new_zeros(shifts * side * side)
        window = empty.index_put((self.place,), self.weight).view(shifts, side, side, 1)
        x = self.state
        for _ in range(self.problem.loops):
            x = self.step(x, window)
        return x


@final
class WindowCompiled(Window):
    """One loop under torch.compile.

    All 20 loops as one graph compile ten times longer, for a fifth less forward and a fifth more
    forward and backward.
    """

    title = "shifted window, torch.compile"

    def prepare(self) -> float:
        compile_: Any = torch.compile
        self.step = compile_(self.loop, fullgraph=True, dynamic=False)
        start = time.perf_counter()
        with _fresh_compilation():
            self._try()
        return time.perf_counter() - start


@contextlib.contextmanager
def _fresh_compilation() -> Iterator[None]:
    """Compile without the caches on disk: an earlier run would make compilation look free."""
    before = compile_config.force_disable_caches
    compile_config.force_disable_caches = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")
            yield
    finally:
        compile_config.force_disable_caches = before


@final
class Dense(Peer):
    """The [N, N] matrix, zero where there is no synapse, built from the weights at every call."""

    title = "dense masked matrix"

    def run(self) -> Tensor:
        x = self.state
        num_nodes = x.size(0)
        source, target = self.problem.connectome.edge_index
        matrix = self.weight.new_zeros(num_nodes, num_nodes)
        matrix = matrix.index_put((target, source), self.weight)
        for _ in range(self.problem.loops):
            x = (matrix @ x).tanh()
        return x


OURS = "sparsebrain"

AS_NUMBERED = "sparsebrain-as-numbered"
PEERS: dict[str, Callable[[Problem], Peer]] = {
    OURS: Sparsebrain,
    "sparsebrain-torch": SparsebrainTorch,
    AS_NUMBERED: SparsebrainAsNumbered,
    "pyg": PyGStatic,
    "pyg-repeated": PyGRepeated,
    "torch-sparse": TorchSparse,
    "torch-sparse-reduce": TorchSparseReduce,
    "window": Window,
    "window-compiled": WindowCompiled,
    "dense": Dense,
}
"""Every peer by the name that the command knows it by, ours first."""
