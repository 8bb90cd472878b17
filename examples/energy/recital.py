"""A dynamic Boltzmann machine recites, and is compared with other models of time series.

A word as a sequence of bitmap columns and a tune of 8 notes are learned and continued from a cue.
On the rows of the 8 x 8 digits of scikit-learn as binary series of 8 steps, the machine is compared
with a vector autoregression of order 4 with logistic output and with an LSTM; each has 264
parameters. The last picture is what a pair of spikes changes in a synapse.

    python examples/energy/recital.py [--out FOLDER] [--seeds 5] [--steps 800]
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch_geometric.data import Data

import graphs
from sparsebrain.energy import DynamicBoltzmannMachine
from sparsebrain.experiments.datasets import load

WORD = (
    ".###. ####. ..#.. ####. #...#",
    "#.... #...# .#.#. #...# #...#",
    "#.... #...# #...# #...# #...#",
    "#.### ####. #...# ####. #####",
    "#...# #.#.. ##### #.... #...#",
    "#...# #..#. #...# #.... #...#",
    ".###. #...# #...# #.... #...#",
)
NOTES = ("C", "D", "E", "F", "G", "A", "B", "C'")
TUNE = ["C", "C", "G", "G", "A", "A", "G", "G", "F", "F", "E", "E", "D", "D", "C", "C"]
LAGS = range(-15, 16)


def all_to_all(neurons):
    """Synapses between all neurons, self-loops included."""
    return graphs.erdos_renyi(neurons, 1.0, self_loops=True, seed=0)


def word():
    """The columns of the bitmap, [1, 29, 7]."""
    return torch.tensor([[float(at == "#") for at in row] for row in WORD]).t()[None]


def tune():
    """One neuron per note, [1, 16, 8]."""
    return torch.eye(8)[[NOTES.index(note) for note in TUNE]][None]


def fit(module, loss, steps, rate):
    """Minimize a loss of all samples with Adam."""
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
    return float(value)


def recite(x, cue, steps, longest, seed=0):
    """Learn a series, and continue its first ``cue`` steps by the likelier values.

    The delays of the synapses are drawn from 1 to ``longest`` steps.
    """
    data = all_to_all(x.size(2))
    generator = torch.Generator().manual_seed(seed)
    delay = torch.randint(1, longest + 1, (data.num_edges,), generator=generator)
    machine = DynamicBoltzmannMachine(data, delay, decays=(0.0, 0.5, 0.8), ltd_decays=(0.7,))
    fit(machine, lambda: -machine.log_prob(x).mean(), steps, 0.1)
    found = machine.generate(x.size(1) - cue, x[:, :cue], temperature=1e-3)
    return torch.cat([x[:, :cue], found], 1)


class Autoregression(nn.Module):
    """Bernoulli variables whose logits are linear in the last four steps."""

    def __init__(self, width, order=4):
        super().__init__()
        self.order = order
        self.linear = nn.Linear(width * order, width)

    def forward(self, x):
        """The logits of each step, from those before."""
        padded = nn.functional.pad(x, (0, 0, self.order, 0))
        past = [padded[:, at : at + x.size(1)] for at in range(self.order)]
        return self.linear(torch.cat(past, 2))


class Memory(nn.Module):
    """An LSTM whose output is the logits of the next step."""

    def __init__(self, width, hidden=4):
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, width)

    def forward(self, x):
        """The logits of each step, from those before."""
        before = nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
        return self.linear(self.lstm(before)[0])


def series():
    """Rows of binary digits, [B, 8, 8], for training and for the test."""
    images = load("digits")
    return [(part > 0.5).float().view(-1, 8, 8) for part in (images.train_x, images.test_x)]


def compare(seed, steps):
    """Test log-likelihoods in nats per image."""
    train, test = series()
    torch.manual_seed(seed)
    dynamic = DynamicBoltzmannMachine(
        all_to_all(8), delay=1, decays=(0.0, 0.5, 0.8), ltd_decays=(0.5,)
    )
    chosen = torch.randperm(len(train))[:1000]
    train = train[chosen]
    rows = []
    for name, module in (
        ("dynamic Boltzmann machine", dynamic),
        ("vector autoregression", Autoregression(8)),
        ("LSTM", Memory(8)),
    ):

        def loss(x, module=module):
            if isinstance(module, DynamicBoltzmannMachine):
                return -module.log_prob(x).mean()
            logits = module(x)
            return binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)

        fit(module, lambda loss=loss: loss(train), steps, 0.03)
        with torch.no_grad():
            rows.append(
                {
                    "model": name,
                    "seed": seed,
                    "parameters": sum(each.numel() for each in module.parameters()),
                    "train_log_likelihood": -float(loss(train)),
                    "test_log_likelihood": -float(loss(test)),
                }
            )
    return rows


def window(delay=3):
    """The gradient of the log-likelihood by u and v that a pair of spikes adds, for each lag."""
    data = Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2)
    machine = DynamicBoltzmannMachine(data, delay, decays=(0.7,), ltd_decays=(0.7,))

    def gradient(*spikes):
        x = torch.zeros(1, 60, 2)
        for step, neuron in spikes:
            x[0, step, neuron] = 1
        found = torch.autograd.grad(machine.log_prob(x).sum(), [machine.ltp, machine.ltd])
        return torch.tensor([float(each.sum()) for each in found])

    # What both spikes add to what each of them does alone.
    alone = gradient((30, 0))
    found = [gradient((30, 0), (30 + lag, 1)) - alone - gradient((30 + lag, 1)) for lag in LAGS]
    return torch.stack(found)


def draw(recited, path):
    """The word, the tune, and the window."""
    figure = plt.figure(figsize=(9, 5), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    axes = [*top.subplots(2, 1), *bottom.subplots(1, 2)]
    for ax, (name, (x, cue)) in zip(axes, recited.items(), strict=False):
        ax.imshow(x[0].t(), cmap="gray_r", aspect="auto")
        ax.axvspan(-0.5, cue - 0.5, color="C0", alpha=0.25)
        ax.set(xticks=[], yticks=[], ylabel=name)
    axes[2].set(yticks=range(8), yticklabels=NOTES, ylabel="", title="the tune, from its cue")
    axes[0].set(ylabel="learned")
    axes[1].set(ylabel="recited")
    found = window()
    axes[3].axhline(0, color="0.7", lw=1)
    axes[3].plot(LAGS, found[:, 0], "o-", ms=3, label="potentiation u")
    axes[3].plot(LAGS, found[:, 1], "o-", ms=3, label="depression v")
    axes[3].set(
        xlabel="steps from the presynaptic to the postsynaptic spike",
        ylabel="gradient of ln p",
        title="a synapse with a delay of 3 steps",
    )
    axes[3].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--steps", type=int, default=800, metavar="N")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [row for seed in range(arguments.seeds) for row in compare(seed, arguments.steps)]
    with (arguments.out / "series.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    recited = {"word": (word(), 0), "recited": (recite(word(), 6, 600, 12), 6)}
    recited["tune"] = (recite(tune(), 3, 300, 8), 3)
    for name, x in (("recited", word()), ("tune", tune())):
        wrong = int((recited[name][0] != x).sum())
        print(f"{name}: {wrong} of {x.numel()} values differ from what was learned")
    draw(recited, arguments.out / "recital.png")


if __name__ == "__main__":
    main()
