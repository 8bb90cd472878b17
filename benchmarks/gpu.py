"""The layer on a GPU: equality of the triton kernels first, then times beside peers.

The triton backend is compared with the reference in float64 for several graphs and every option.
Then x <- tanh(W x), float32, is timed without and with a backward pass: layer Y, a random graph, a
graph with hubs, small graphs, and at last a fly's brain of 15 million synapses. The peers are
torch.sparse (CSR) and PyG's MessagePassing. Each of them is compared with float64 before it is
timed. For the layer, several sizes of the tiles are timed as well.

It takes less than ten minutes on one GPU. Without a GPU, ``--tiny`` runs a few small cases in
Triton's interpreter: TRITON_INTERPRET=1 python -m benchmarks.gpu --tiny.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

import graphs
from benchmarks import command, environment, gpu_equality, report
from benchmarks.csr import Rows
from benchmarks.equality import TOLERANCES, assert_equal
from benchmarks.peers import WeightedConv
from benchmarks.power_law import power_law
from benchmarks.problem import Problem, draw
from benchmarks.timing import Timing, interleaved
from sparsebrain import GraphLayer, kernels
from sparsebrain.kernels.triton_launch import ELEMENTS

PASSES = ("forward", "forward_backward")
TILES = (256, 512, 1024, 2048)
OURS = "sparsebrain"


class Case(NamedTuple):
    """A graph, its loops and its batch."""

    graph: str
    connectome: Callable[[], Data]
    loops: int
    batch: int


class Candidate(NamedTuple):
    """One way to compute a problem: leaves for weight and state, and what brings results back."""

    run: Callable[[], Tensor]
    weight: Tensor
    state: Tensor
    grad: Tensor
    columns: Callable[[Tensor], Tensor]
    synapses: Callable[[Tensor], Tensor]

    def forward(self) -> Tensor:
        """Return the output alone."""
        with torch.no_grad():
            return self.run()

    def forward_backward(self) -> tuple[Tensor, ...]:
        """Return the output and the gradients of weight and state."""
        output = self.run()
        return output, *torch.autograd.grad(output, (self.weight, self.state), self.grad)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = _parse(argv)
    device = torch.device("cpu" if arguments.tiny else "cuda")
    obstacle = kernels.available(device)["triton"]
    if obstacle is not None:
        advice = "run TRITON_INTERPRET=1 python -m benchmarks.gpu --tiny to try it without a GPU"
        print(f"error: no GPU can be measured here, since {obstacle}; {advice}", file=sys.stderr)
        return 2
    return command.run(arguments, measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Check, then measure the cases for which there is time."""
    start = time.perf_counter()
    device = torch.device("cpu" if arguments.tiny else "cuda")
    errors = gpu_equality.check(device, tiny=arguments.tiny)
    print(f"triton equals the reference in {len(errors)} cases", flush=True)
    rows: list[dict[str, Any]] = []
    left_out = []
    for case in _cases(tiny=arguments.tiny):
        if time.perf_counter() - start > arguments.seconds:
            left_out.append(case.graph)
            continue
        rows += _rows(case, device, arguments.rounds)
        print(f"{case.graph}: {time.perf_counter() - start:.0f} s", flush=True)
    return {
        "benchmark": "gpu",
        "parameters": {"rounds": arguments.rounds, "activation": "tanh", "dtype": "float32"},
        "machine": {**environment.machine(), "gpu": _gpu(device)},
        "versions": environment.versions("triton"),
        "errors": errors,
        "left_out": left_out,
        "rows": rows,
    }


def _gpu(device: torch.device) -> str:
    if device.type == "cpu":
        return "none (Triton's interpreter)"
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"


def _cases(*, tiny: bool) -> Iterator[Case]:
    def grid(side: int) -> Callable[[], Data]:
        return lambda: graphs.grid_local((side, side), 2)

    def random(neurons: int, synapses: int) -> Callable[[], Data]:
        return lambda: graphs.erdos_renyi(neurons, synapses / neurons**2, directed=True, seed=0)

    def hubs(neurons: int, synapses: int) -> Callable[[], Data]:
        return lambda: Data(edge_index=power_law(neurons, synapses), num_nodes=neurons)

    if tiny:
        yield Case("layer Y", grid(2), 2, 2)
        yield Case("small", random(5, 10), 2, 1)
        yield Case("hubs", hubs(6, 9), 2, 2)
        return
    yield Case("layer Y", grid(28), 20, 128)
    for neurons in (50, 200, 1000):
        for batch in (1, 8):
            yield Case("small", random(neurons, 10 * neurons), 5, batch)
    yield Case("random", random(10_000, 1_000_000), 5, 128)
    yield Case("hubs", hubs(10_000, 1_000_000), 5, 128)
    yield Case("fly", hubs(139_255, 15_000_000), 3, 32)


def _rows(case: Case, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    problem = _on(draw(case.connectome(), case.loops, case.batch), device)
    candidates = {name: make(problem) for name, make in PEERS.items()}
    errors = _compare(problem, candidates)
    told = {
        "graph": case.graph,
        "neurons": problem.neurons,
        "synapses": problem.synapses,
        "batch": problem.batch,
        "loops": problem.loops,
    }
    rows = []
    for one in PASSES:
        calls = {name: _waiting(getattr(each, one), device) for name, each in candidates.items()}
        timings = interleaved(calls, rounds=rounds)
        rows += [
            _row(told, name, one, timing, timings[OURS], errors[name])
            for name, timing in timings.items()
        ]
        rows += _tiles(told, candidates[OURS], one, device, rounds, errors[OURS])
    return rows


def _tiles(
    told: dict[str, Any],
    ours: Candidate,
    one: str,
    device: torch.device,
    rounds: int,
    error: float,
) -> list[dict[str, Any]]:
    """Time the layer with tiles of several sizes, from which the table of the backend is made."""
    if device.type != "cuda":
        return []
    major = torch.cuda.get_device_capability(device)[0]
    usual = ELEMENTS.get(major)

    def with_tile(entries: int) -> Callable[[], object]:
        call = _waiting(getattr(ours, one), device)

        def timed() -> object:
            ELEMENTS[major] = entries
            return call()

        return timed

    try:
        timings = interleaved({f"tile {each}": with_tile(each) for each in TILES}, rounds=rounds)
    finally:
        ELEMENTS.pop(major, None)
        if usual is not None:
            ELEMENTS[major] = usual
    first = timings[f"tile {TILES[1]}"]
    return [_row(told, name, one, timing, first, error) for name, timing in timings.items()]


def _row(
    told: dict[str, Any], name: str, one: str, timing: Timing, ours: Timing, error: float
) -> dict[str, Any]:
    return {
        **told,
        "peer": name,
        "pass": one,
        "median_us": 1000 * timing.median,
        "min_us": 1000 * timing.minimum,
        "times_ours": timing.median / ours.median,
        "largest_error": error,
    }


def _waiting(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return a call that waits for the device, so that its time is that of the result."""
    if device.type == "cpu":
        return call

    def waits() -> object:
        found = call()
        torch.cuda.synchronize(device)
        return found

    return waits


def _on(problem: Problem, device: torch.device) -> Problem:
    return Problem(
        problem.connectome.to(device),
        problem.loops,
        problem.weight.to(device),
        problem.state.to(device),
        problem.grad.to(device),
    )


def _leaves(problem: Problem) -> tuple[Tensor, Tensor]:
    return problem.weight.clone().requires_grad_(), problem.state.clone().requires_grad_()


def _layer(problem: Problem) -> Candidate:
    layer = GraphLayer(problem.connectome, problem.loops, activation="tanh", backend="triton")
    layer = layer.to(problem.weight.device)
    with torch.no_grad():
        layer.weight.copy_(problem.weight)
    state = problem.state.t().contiguous().requires_grad_()
    grad = problem.grad.t().contiguous()
    return Candidate(lambda: layer(state), layer.weight, state, grad, Tensor.t, _same)


def _torch_sparse(problem: Problem) -> Candidate:
    rows = Rows(problem.connectome.edge_index, problem.neurons, torch.int64)
    _, state = _leaves(problem)
    matrix = rows.matrix(problem.weight.clone()).requires_grad_()

    def run() -> Tensor:
        x = state
        for _ in range(problem.loops):
            x = torch.sparse.mm(matrix, x).tanh()
        return x

    return Candidate(run, matrix, state, problem.grad, _same, lambda grad: grad.values())


def _pyg(problem: Problem) -> Candidate:
    conv, edge_index = WeightedConv(), problem.connectome.edge_index
    weight, state = _leaves(problem)

    def run() -> Tensor:
        x = state
        for _ in range(problem.loops):
            x = conv(x, edge_index, weight).tanh()
        return x

    return Candidate(run, weight, state, problem.grad, _same, _same)


def _same(x: Tensor) -> Tensor:
    return x


PEERS: dict[str, Callable[[Problem], Candidate]] = {
    OURS: _layer,
    "torch.sparse": _torch_sparse,
    "PyG MessagePassing": _pyg,
}


def _compare(problem: Problem, candidates: dict[str, Candidate]) -> dict[str, float]:
    """Return the largest errors against torch's sparse products in float64."""
    structure = kernels.Structure(problem.connectome.edge_index, problem.neurons)
    weight, state = (each.detach().double().requires_grad_() for each in _leaves(problem))
    (y,) = kernels.loop(
        structure, weight, state, loops=problem.loops, activation="tanh", backend="torch"
    )
    wanted = (y.detach(), *torch.autograd.grad(y, (weight, state), problem.grad.double()))
    tolerance = TOLERANCES[torch.float32]
    errors = {}
    for name, candidate in candidates.items():
        output, of_weight, of_state = candidate.forward_backward()
        found = {
            "output": candidate.columns(output.detach()),
            "gradient of the weights": candidate.synapses(of_weight),
            "gradient of the state": candidate.columns(of_state),
        }
        errors[name] = max(
            assert_equal(name, what, each, right, tolerance)
            for (what, each), right in zip(found.items(), wanted, strict=True)
        )
    return errors


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(environment.describe(found["machine"], found["versions"]))
    print(f"GPU: {found['machine']['gpu']}")
    print(f"largest error of the equality tests: {max(found['errors'].values()):.1e}")
    names = ("graph", "neurons", "synapses", "batch", "loops", "pass", "peer")
    report.table(
        f"microseconds per call: median of {found['parameters']['rounds']} rounds",
        (*names, "us", "x ours"),
        [
            [
                *(str(row[name]).replace("_", " + ") for name in names),
                report.digits(row["median_us"]),
                f"{row['times_ours']:.2f}",
            ]
            for row in found["rows"]
        ],
    )
    for name in found["left_out"]:
        print(f"{name} was left out, because the time was over; pass more --seconds")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    # torch tells at the first CSR tensor that they are in beta.
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    parser = command.parser("gpu", __doc__, rounds=5)
    parser.add_argument(
        "--tiny", action="store_true", help="tiny graphs on the CPU, in Triton's interpreter"
    )
    parser.add_argument(
        "--seconds",
        type=command.positive,
        default=420,
        metavar="N",
        help="start no case after so many seconds (default 420)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
