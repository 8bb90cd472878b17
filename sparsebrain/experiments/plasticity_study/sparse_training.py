"""Sparse networks whose synapses are rewired while they learn, against dense ones of equal size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

import graphs
from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.datasets import Images, load
from sparsebrain.experiments.figures import sparse_training as figure
from sparsebrain.experiments.significance import differences
from sparsebrain.experiments.tables import columns_of, make_folder, write_csv
from sparsebrain.experiments.threads import one_thread
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.plasticity import Rewiring

HIDDEN = 256
DENSITY = 0.1
FIXED = "sparse, fixed"
DENSE = "dense, equal parameters"
WIDE = "dense, equal neurons"
METHODS = {"sparse, set": "set", "sparse, deep-r": "deep-r", "sparse, rigl": "rigl"}
MODELS = (DENSE, WIDE, FIXED, *METHODS)
"""The models that are compared."""

_RATE = 3e-3
_BATCH = 64
# Rewiring ends early, so that the last synapses have time to learn.
_REWIRED = 0.75
_FRACTION = {"set": 0.2, "rigl": 0.2}
_DECAY = 2e-3


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        model: The name of the model.
        seed: The seed.
        epochs: The number of epochs.
        hidden: The number of hidden neurons.
        parameters: The number of weights and biases.
        replaced: How many synapses were replaced in total.
        test_accuracy: The share of test images that are classified correctly after the last epoch.
    """

    model: str
    seed: int
    epochs: int
    hidden: int
    parameters: int
    replaced: int
    test_accuracy: float


class Perceptron(nn.Module):
    """Pixels, hidden neurons with relu, and classes, with sparse or complete connections.

    Args:
        sizes: The number of pixels, hidden neurons and classes.
        density: The share of all pairs that have a synapse.
        generator: The source of the synapses.
    """

    def __init__(self, sizes: Sequence[int], density: float, generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        pairs = [graphs.layered(each) for each in (sizes[:2], sizes[1:])]
        self.pairs = [each.edge_index for each in pairs]
        self.below, self.above = (
            GraphLayer(_thinned(each, density, generator), activation=f, bias=True)
            for each, f in zip(pairs, ("relu", None), strict=True)
        )

    @property
    def layers(self) -> tuple[GraphLayer, GraphLayer]:
        """The layers of synapses onto hidden neurons and onto classes."""
        return self.below, self.above

    @property
    def num_parameters(self) -> int:
        """The number of synapses and of biases of neurons that have inputs."""
        return sum(each.structure.num_edges for each in self.layers) + sum(self.sizes[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores [B, classes] of x [B, pixels]."""
        for layer, width in zip(self.layers, self.sizes, strict=False):
            x = layer(functional.pad(x, (0, layer.num_nodes - width)))[:, width:]
        return x


def rewiring(
    *,
    epochs: int = 40,
    seeds: int = 5,
    out: str | os.PathLike[str] = "rewiring",
    console: Console | None = None,
) -> list[Trained]:
    """Compare sparse networks, fixed or rewired, with dense ones on scikit-learn's digits.

    The sparse networks have 256 hidden neurons and 10 % of all synapses; one dense network has as
    many parameters, the other as many neurons. All learn by backpropagation with Adam. Rewiring
    ends after three quarters of the epochs.

    Args:
        epochs: Epochs per training, at most 1,000,000.
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        out: The folder for results.csv, curves.csv and figure.png; it is made if necessary.
        console: Where the table is printed; None prints nothing.

    Returns:
        One row per model and seed.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
        OSError: ``out`` cannot be written.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import rewiring
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = rewiring(epochs=1, seeds=1, out=folder)
        >>> {row.parameters for row in rows if row.model.startswith("sparse")}
        {2160}
    """
    epochs, seeds = options.epochs("epochs", epochs), options.seeds("seeds", seeds)
    out = options.out_folder("out", out)
    make_folder(out)
    images = load("digits")
    rows, curves = [], {}
    for seed in range(seeds):
        for model in MODELS:
            row, curves[model, seed] = train(model, images, epochs, seed)
            rows.append(row)
            if console is not None:
                console.print(f"{model}, seed {seed}: {100 * row.test_accuracy:.2f}%")
    write_csv(out / "results.csv", columns_of(Trained), map(astuple, rows))
    points = (
        (model, seed, epoch, accuracy)
        for (model, seed), curve in curves.items()
        for epoch, accuracy in enumerate(curve, 1)
    )
    write_csv(out / "curves.csv", ("model", "seed", "epoch", "test_accuracy"), points)
    drawn = figure.draw({name: [curves[name, seed] for seed in range(seeds)] for name in MODELS})
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(rows, seeds, len(images.test_x)))
        console.print(f"Wrote results.csv, curves.csv and figure.png into {out}.")
    return rows


def train(name: str, images: Images, epochs: int, seed: int) -> tuple[Trained, list[float]]:
    """Train a model, and return the result and the test accuracy after each epoch."""
    generator = torch.Generator().manual_seed(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make(name, images, generator)
        optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
        method = METHODS.get(name)
        changing = [] if method is None else _rewirings(model, optimizer, method, generator)
        curve, replaced = [], 0
        for epoch in range(1, epochs + 1):
            rewired = epoch <= _REWIRED * epochs
            replaced += _train_epoch(model, optimizer, images, generator, changing * rewired)
            curve.append(_evaluate(model, images))
    row = Trained(
        model=name,
        seed=seed,
        epochs=epochs,
        hidden=model.sizes[1],
        parameters=model.num_parameters,
        replaced=replaced,
        test_accuracy=curve[-1],
    )
    return row, curve


def make(name: str, images: Images, generator: torch.Generator) -> Perceptron:
    """Make the untrained model of that name."""
    pixels, classes = images.train_x.size(1), images.num_classes
    if name == WIDE:
        return Perceptron((pixels, HIDDEN, classes), 1.0, generator)
    sparse = Perceptron((pixels, HIDDEN, classes), DENSITY, generator)
    if name != DENSE:
        return sparse
    # A hidden neuron has a bias and a synapse with every pixel and class.
    width = round((sparse.num_parameters - classes) / (pixels + classes + 1))
    return Perceptron((pixels, width, classes), 1.0, generator)


def _thinned(data: Data, density: float, generator: torch.Generator) -> Data:
    """Keep a share of the synapses of a connectome, drawn uniformly."""
    kept = torch.randperm(data.num_edges, generator=generator)[: round(density * data.num_edges)]
    return Data(edge_index=data.edge_index[:, kept.sort().values], num_nodes=data.num_nodes)


def _rewirings(
    model: Perceptron, optimizer: torch.optim.Optimizer, method: str, generator: torch.Generator
) -> list[Rewiring]:
    return [
        Rewiring(
            layer,
            optimizer,
            method,
            fraction=_FRACTION.get(method, 0.0),
            candidates=pairs,
            l1=_DECAY,
            generator=generator,
        )
        for layer, pairs in zip(model.layers, model.pairs, strict=True)
    ]


def _train_epoch(
    model: Perceptron,
    optimizer: torch.optim.Optimizer,
    images: Images,
    generator: torch.Generator,
    changing: Sequence[Rewiring],
) -> int:
    """Train for an epoch, and return the number of synapses that were replaced."""
    replaced = 0
    batches = torch.randperm(len(images.train_x), generator=generator).split(_BATCH)
    for number, batch in enumerate(batches, 1):
        last = number == len(batches)
        observed = [each for each in changing if last and each.method == "rigl"]
        optimizer.zero_grad()
        _descend(model, images.train_x[batch], images.train_y[batch], observed)
        optimizer.step()
        for each in changing:
            if last or each.method == "deep-r":
                replaced += each.step().replaced
    return replaced


def _descend(model: Perceptron, x: Tensor, y: Tensor, observed: Sequence[Rewiring]) -> None:
    if observed:
        with observed[0].observe():
            _descend(model, x, y, observed[1:])
    else:
        functional.cross_entropy(model(x), y).backward()


@torch.no_grad()
def _evaluate(model: Perceptron, images: Images) -> float:
    right = int((model(images.test_x).argmax(1) == images.test_y).sum())
    return right / len(images.test_y)


def _tabulate(rows: Sequence[Trained], seeds: int, num_test: int) -> Table:
    values = {
        name: [100 * row.test_accuracy for row in rows if row.model == name] for name in MODELS
    }
    pairs = [(name, FIXED) for name in MODELS if name != FIXED]
    found = {}
    if seeds > 1:
        compared = differences(values, pairs, resolution=100 / num_test)
        found = {each.first: each for each in compared}
    table = Table(title="digits", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("", "hidden", "parameters", "test accuracy, %", f"p, against {FIXED}"):
        table.add_column(column)
    for name, accuracies in values.items():
        first = next(row for row in rows if row.model == name)
        accuracy = torch.tensor(accuracies)
        spread = f" ± {float(accuracy.std()):.2f}" if seeds > 1 else ""
        p = f"{found[name].p_value:.2g}" if name in found else ""
        table.add_row(
            name,
            str(first.hidden),
            str(first.parameters),
            f"{float(accuracy.mean()):.2f}{spread}",
            p,
        )
    return table
