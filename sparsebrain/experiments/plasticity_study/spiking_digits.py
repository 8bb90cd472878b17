"""Spiking neurons that learn digits without labels, by STDP and competition."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import NamedTuple

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import Data

from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.datasets import Images, load
from sparsebrain.experiments.figures import spiking_digits as figure
from sparsebrain.experiments.tables import columns_of, make_folder, write_csv
from sparsebrain.experiments.threads import one_thread
from sparsebrain.plasticity import STDP
from sparsebrain.spiking import LIF, AdaptiveThreshold, Normalization, SpikeTrains

SHOWN = 100
"""The steps of 1 ms in which an image has input spikes."""
RESTING = 60
"""The steps of rest after an image."""
SPIKES = 1000
"""The expected number of input spikes of an image, if no two fall into one step of a pixel."""

_THRESHOLD = 13.0
_INHIBITION = 120.0
_MEAN_WEIGHT = 0.1
_CHUNK = 250
_LABELED = 10_000


@dataclass(frozen=True)
class Learned:
    """What one network has learned.

    Attributes:
        data: The name of the data set.
        seed: The seed.
        neurons: The number of excitatory neurons.
        images: The number of training images, each presented once.
        input_spikes: The mean number of input spikes of a training image.
        spikes: The mean number of spikes of excitatory neurons for a training image.
        train_cpu_s: The processor time of the training in seconds.
        unanswered: The share of test images for which no excitatory neuron spikes.
        test_accuracy: The share of test images that are classified correctly.
    """

    data: str
    seed: int
    neurons: int
    images: int
    input_spikes: float
    spikes: float
    train_cpu_s: float
    unanswered: float
    test_accuracy: float


class Network(NamedTuple):
    """Input neurons, one per pixel, that all send to excitatory neurons, which inhibit each other.

    Attributes:
        pixels: The number of input neurons, which come first.
        neurons: The number of excitatory neurons.
        edge_index: The synapses [2, E]; those of input neurons come first, ordered by source.
        weight: [E], at the start.
        plastic: [E] bool, the synapses of input neurons.
    """

    pixels: int
    neurons: int
    edge_index: Tensor
    weight: Tensor
    plastic: Tensor

    def lif(self, theta: Tensor | None = None) -> LIF:
        """Make the neurons, with thresholds that are higher by theta [pixels + neurons]."""
        excitatory = torch.arange(self.pixels + self.neurons) >= self.pixels
        threshold = torch.where(excitatory, _THRESHOLD, 0.5)
        return LIF(
            Data(edge_index=self.edge_index, num_nodes=len(excitatory)),
            tau=20.0,
            threshold=threshold if theta is None else threshold + theta,
            refractory=torch.where(excitatory, 5.0, 0.0),
            dtype=torch.float32,
        )


def digits_stdp(
    *,
    neurons: int = 100,
    data: str = "mnist",
    images: int | None = None,
    seeds: int = 3,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "digits-stdp",
    console: Console | None = None,
) -> list[Learned]:
    r"""Let spiking neurons learn digits without labels, as in Diehl and Cook's experiment.

    Every pixel has an input neuron. All of them send to all excitatory neurons, and a spike of an
    excitatory neuron lowers the potential of all others by 120. Excitatory neurons have a
    membrane time constant of 20 ms, a threshold of 13 above rest and reset, and are refractory for
    5 ms. A spike raises the threshold of its neuron by 0.3, which decays with 10^6 ms. The synapses
    from the input neurons learn by :class:`~sparsebrain.plasticity.STDP` of nearest pairs with soft
    bounds [0, 1], ``A_+`` 0.02, ``A_-`` 0.0001 and time constants of 20 ms. After every image the
    weights of every neuron are scaled to a mean of 0.1.

    The training images are presented once, in random order. Each has 1000 input spikes in the mean,
    distributed in proportion to the intensities of its pixels and uniformly over 100 steps of 1 ms,
    of which a pixel has at most one in a step; 60 steps without input follow. Then weights and
    thresholds stay, up to 10,000 training images are presented again, and every neuron is labeled
    with the class to which it responds most. The prediction for a test image is the class whose
    neurons have the most spikes on average. Only this readout uses labels.

    The published model differs: synapses change conductances, inhibition runs through as many
    inhibitory neurons, and an image lasts for 350 ms and is repeated at a higher rate if it evokes
    fewer than five spikes.

    Args:
        neurons: The number of excitatory neurons, at most 10,000.
        data: The name of the data set.
        images: The number of training images; None for all.
        seeds: Number of seeds, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        data_dir: The folder of the images, as for ``compare``.
        out: The folder for results.csv and figure.png; it is made if necessary.
        console: Where progress and table are printed; None prints nothing.

    Returns:
        One row per seed.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or the data set is not found.
        OSError: ``out`` cannot be written.

    Source: P. U. Diehl, M. Cook, "Unsupervised learning of digit recognition using
    spike-timing-dependent plasticity", Frontiers in Computational Neuroscience 9 (2015) 99.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import digits_stdp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (row,) = digits_stdp(neurons=10, data="digits", images=50, seeds=1, out=folder)
        >>> row.neurons, row.images
        (10, 50)
    """
    neurons = options.excitatory("neurons", neurons)
    images = None if images is None else options.images("images", images)
    seeds, out = options.seeds("seeds", seeds), options.out_folder("out", out)
    loaded = load(data, options.data_folder("data_dir", data_dir))
    make_folder(out)
    rows, fields = [], []
    for seed in range(seeds):
        row, weight = learn(loaded, neurons, images, seed, console)
        rows.append(row)
        fields.append(weight)
        if console is not None:
            console.print(f"seed {seed}: {100 * row.test_accuracy:.2f}% of the test images")
    write_csv(out / "results.csv", columns_of(Learned), map(astuple, rows))
    drawn = figure.draw(fields[0], loaded.train_x.size(1))
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(rows))
        console.print(f"Wrote results.csv and figure.png into {out}.")
    return rows


def learn(
    images: Images, neurons: int, number: int | None, seed: int, console: Console | None = None
) -> tuple[Learned, Tensor]:
    """Train a network; return the result and the weights [neurons, pixels]."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images.train_x), generator=generator)[:number]
    with one_thread():
        network = make(images.train_x.size(1), neurons, generator)
        begin = time.process_time()
        lif, theta, counts = _train(network, images.train_x[order], generator, console)
        seconds = time.process_time() - begin
        fixed = network.lif(theta)
        fixed.assign_weight(lif.weight.detach())
        labeled = order[:_LABELED]
        responses = respond(network, fixed, images.train_x[labeled], generator)
        labels = label(responses, images.train_y[labeled], images.num_classes)
        responses = respond(network, fixed, images.test_x, generator)
        found = vote(responses, labels, images.num_classes)
    row = Learned(
        data=images.name,
        seed=seed,
        neurons=neurons,
        images=len(order),
        input_spikes=counts[0] / len(order),
        spikes=counts[1] / len(order),
        train_cpu_s=seconds,
        unanswered=float((responses.sum(1) == 0).double().mean()),
        test_accuracy=float((found == images.test_y).double().mean()),
    )
    return row, lif.weight.detach()[network.plastic].view(network.pixels, neurons).t()


def make(pixels: int, neurons: int, generator: torch.Generator) -> Network:
    """Make a network with uniform weights of the input synapses, which the first image scales."""
    inputs, excitatory = torch.arange(pixels), torch.arange(pixels, pixels + neurons)
    forward = torch.stack([inputs.repeat_interleave(neurons), excitatory.repeat(pixels)])
    pairs = torch.cartesian_prod(excitatory, excitatory).t()
    lateral = pairs[:, pairs[0] != pairs[1]]
    weight = torch.full((forward.size(1) + lateral.size(1),), -_INHIBITION)
    plastic = torch.arange(len(weight)) < forward.size(1)
    drawn = torch.rand(forward.size(1), generator=generator).view(pixels, neurons)
    weight[plastic] = (drawn * _MEAN_WEIGHT * pixels / drawn.sum(0)).flatten()
    return Network(pixels, neurons, torch.cat([forward, lateral], 1), weight, plastic)


def _train(
    network: Network, x: Tensor, generator: torch.Generator, console: Console | None
) -> tuple[LIF, Tensor, tuple[int, int]]:
    """Present images; return the neurons, their theta, and the spikes of inputs and others."""
    lif = network.lif()
    lif.assign_weight(network.weight)
    excitatory = torch.arange(lif.num_nodes) >= network.pixels
    adaptation = AdaptiveThreshold(lif, torch.where(excitatory, 0.3, 0.0), tau=1e6)
    rule = STDP(
        lif, 0.02, 1e-4, pairing="nearest", bounds="soft", w_max=1.0, synapses=network.plastic
    )
    normalization = Normalization(
        lif, _MEAN_WEIGHT * network.pixels, every=SHOWN + RESTING, synapses=network.plastic
    )
    inputs = others = 0
    with _progress(len(x), console) as show:
        for part in x.split(_CHUNK):
            found = lif.simulate(
                len(part) * (SHOWN + RESTING),
                events=_as_one_run(part, generator),
                plasticity=rule,
                adaptation=adaptation,
                normalization=normalization,
            )
            spikes = int((found.neuron < network.pixels).sum())
            inputs, others = inputs + spikes, others + len(found.neuron) - spikes
            show(len(part))
    return lif, adaptation.theta, (inputs, others)


def _drawn(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return the image, step and pixel of the input spikes for images [B, pixels], each [K]."""
    expected = SPIKES * x / x.sum(1, keepdim=True).clamp_min(1e-12)
    counts = torch.poisson(expected, generator=generator).long()
    image, pixel = counts.nonzero(as_tuple=True)
    repeats = counts[image, pixel]
    image, pixel = image.repeat_interleave(repeats), pixel.repeat_interleave(repeats)
    return image, torch.randint(SHOWN, (len(image),), generator=generator), pixel


def _as_one_run(x: Tensor, generator: torch.Generator) -> SpikeTrains:
    """Return the input of images that are presented one after another."""
    image, step, pixel = _drawn(x, generator)
    key = ((image * (SHOWN + RESTING) + step) * x.size(1) + pixel).unique()
    return SpikeTrains(step=key // x.size(1), neuron=key % x.size(1), jump=1.0)


@torch.no_grad()
def respond(network: Network, lif: LIF, x: Tensor, generator: torch.Generator) -> Tensor:
    """Return how often each excitatory neuron spikes for each image [B, neurons], without learning.

    Every image starts from rest.
    """
    found = []
    for part in x.split(_CHUNK):
        image, step, pixel = _drawn(part, generator)
        events = SpikeTrains(step=step, neuron=pixel, jump=1.0, sample=image)
        rates = lif.simulate(SHOWN, events=events, samples=len(part)).rates
        found.append(rates[:, network.pixels :] * (SHOWN / 1000))
    return torch.cat(found).round()


def label(responses: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Return the class with the largest mean response for each neuron [neurons].

    Args:
        responses: [B, neurons].
        y: [B], the classes of the images.
        num_classes: The number of classes.
    """
    of_class = functional.one_hot(y, num_classes).to(responses)
    return (of_class.t() @ responses / of_class.sum(0).clamp_min(1).unsqueeze(1)).argmax(0)


def vote(responses: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return the class whose neurons respond most on average, for each image [B]."""
    of_class = functional.one_hot(labels, num_classes).to(responses)
    return (responses @ of_class / of_class.sum(0).clamp_min(1)).argmax(1)


@contextlib.contextmanager
def _progress(total: int, console: Console | None) -> Iterator[Callable[[int], None]]:
    if console is None:
        yield lambda number: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("training", total=total)
        yield lambda number: bar.advance(task, number)


def _tabulate(rows: list[Learned]) -> Table:
    first = rows[0]
    table = Table(
        title=f"{first.data}, {first.neurons} excitatory neurons, {first.images} images",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
    )
    table.add_column("")
    table.add_column("mean")
    table.add_column("spread")
    lines = {
        "test accuracy, %": [100 * row.test_accuracy for row in rows],
        "test images without a spike, %": [100 * row.unanswered for row in rows],
        "spikes per training image": [row.spikes for row in rows],
        "processor time of the training, s": [row.train_cpu_s for row in rows],
    }
    for name, values in lines.items():
        found = torch.tensor(values, dtype=torch.float64)
        spread = f"{float(found.std()):.2f}" if len(found) > 1 else ""
        table.add_row(name, f"{float(found.mean()):.2f}", spread)
    return table
