"""Capacity of Hopfield networks by topology: the same neurons and synapses, wired in three ways.

Random patterns are stored on a torus, a small world and a random graph of 900 neurons with 24
synapses each on average. Measured are the share of wrong neurons after one synchronous step from a
stored pattern, beside its exact expectation, and the overlap with the pattern after 30 sweeps at
temperature 0.05 from a cue in which 10 % of the neurons are wrong.

The field of a neuron with d synapses is d plus the sum of d (K - 1) independent terms of -1 or 1,
so that the first step is wrong with the probability that this sum is below -d, plus half of that
that it equals -d.

    python examples/energy/capacity.py [--out FOLDER] [--seeds 5]
"""

import argparse
import csv
import statistics
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from scipy.stats import binom

import graphs
from sparsebrain.energy import hopfield

SIDE, DEGREE, WRONG = 30, 24, 0.1
PATTERNS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
TOPOLOGIES = {
    "torus": lambda seed: graphs.grid_local((SIDE, SIDE), 2, periodic=True, self_loops=False),
    "small world": lambda seed: graphs.small_world(SIDE**2, DEGREE, 0.1, directed=False, seed=seed),
    "random": lambda seed: graphs.fixed_total(SIDE**2, SIDE**2 * DEGREE, directed=False, seed=seed),
}


def first_step_error(patterns, degrees):
    """The exact probability that a neuron is wrong after one step, averaged over degrees."""
    total = 0.0
    for degree in degrees.tolist():
        terms = degree * (patterns - 1)
        # The sum is 2 k - terms for k terms of 1; it is below -degree for 2 k < terms - degree.
        half = (terms - degree) / 2
        below = binom.cdf(int(half) - (half == int(half)), terms, 0.5) if half >= 0 else 0.0
        equal = binom.pmf(half, terms, 0.5) if half >= 0 and half == int(half) else 0.0
        total += below + 0.5 * equal
    return total / len(degrees)


def measure(topology, seed):
    """The rows of one network for each number of patterns."""
    data = TOPOLOGIES[topology](seed)
    degrees = torch.bincount(data.edge_index[1], minlength=data.num_nodes)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for number in PATTERNS:
        spins = 2.0 * torch.randint(2, (number, data.num_nodes), generator=generator) - 1
        network = hopfield(data, spins, temperature=0.05)
        state = (spins + 1) / 2
        field = network.field(state).detach()
        wrong = (field * spins < -1e-4).float() + 0.5 * (field.abs() <= 1e-4).float()
        flipped = torch.rand(spins.shape, generator=generator) < WRONG
        cue = torch.where(flipped, 1 - state, state)
        found = 2 * network.sample(number, 30, start=cue, generator=generator) - 1
        rows.append(
            {
                "topology": topology,
                "seed": seed,
                "neurons": data.num_nodes,
                "synapses": data.num_edges,
                "patterns": number,
                "first_step_error": float(wrong.mean()),
                "exact_error": first_step_error(number, degrees),
                "overlap": float((found * spins).mean()),
            }
        )
    return rows


def draw(rows, path):
    """Error of the first step, and overlap after settling, over the number of patterns."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for topology in TOPOLOGIES:
        for ax, name in ((left, "first_step_error"), (right, "overlap")):
            found = [
                [row[name] for row in rows if (row["topology"], row["patterns"]) == (topology, k)]
                for k in PATTERNS
            ]
            ax.errorbar(
                PATTERNS,
                [statistics.fmean(each) for each in found],
                [statistics.stdev(each) if len(each) > 1 else 0 for each in found],
                marker="o",
                capsize=2,
                label=topology,
            )
    exact = [first_step_error(number, torch.tensor([DEGREE])) for number in PATTERNS]
    left.plot(PATTERNS, exact, "k--", label="exact, 24 synapses each", zorder=9)
    left.set(xlabel="stored patterns", ylabel="wrong neurons after one step")
    right.set(
        xlabel="stored patterns", ylabel="overlap with the pattern", ylim=(0, 1.05), title="settled"
    )
    left.set_title("first step")
    left.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [
        row
        for topology in TOPOLOGIES
        for seed in range(arguments.seeds)
        for row in measure(topology, seed)
    ]
    with (arguments.out / "capacity.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, arguments.out / "capacity.png")


if __name__ == "__main__":
    main()
