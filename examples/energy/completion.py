"""Pattern completion: a half-hidden digit and its hidden label are filled in by Gibbs sampling.

Machines of 64 pixels, 10 label neurons and 256 hidden neurons learn the 8 x 8 digits of
scikit-learn by contrastive divergence. Hidden neurons form a grid of 16 x 16 with synapses among
neighbors, and each has synapses with all labels and with the pixels of a window of 5 x 5 around
its place ("local"), with as many drawn at random ("random"), or with all pixels ("dense"). Then the
upper half of each test image is clamped; the mean of the last 40 of 60 sweeps is the completion.

    python examples/energy/completion.py [--out FOLDER] [--seeds 3] [--epochs 40]
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.energy import BoltzmannClassifier, BoltzmannMachine
from sparsebrain.experiments.datasets import load
from sparsebrain.learning import Boltzmann

PIXELS, LABELS, SIDE = 64, 10, 16
WIRINGS = ("local", "random", "dense")
SWEEPS, LAST = 60, 40


def wire(wiring, seed):
    """A symmetric graph of pixels, then labels, then hidden neurons."""
    place = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)) / 2
    pixel = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    near = ((place[:, None] - pixel).abs() <= 2).all(2)
    if wiring == "random":
        generator = torch.Generator().manual_seed(seed)
        order = torch.rand(near.shape, generator=generator).argsort(1).argsort(1)
        near = order < near.sum(1, keepdim=True)
    elif wiring == "dense":
        near = torch.ones_like(near)
    hidden, seen = near.nonzero(as_tuple=True)
    first = PIXELS + LABELS
    everyone = torch.arange(SIDE**2)
    labels = torch.cartesian_prod(PIXELS + torch.arange(LABELS), first + everyone).t()
    grid = graphs.grid_local((SIDE, SIDE), 1, self_loops=False).edge_index + first
    outer = torch.cat([torch.stack([seen, hidden + first]), labels], 1)
    edges = torch.cat([outer, outer.flip(0), grid], 1)
    return Data(edge_index=edges, num_nodes=first + SIDE**2)


def train(wiring, images, seed, epochs):
    """A machine that has learned images and labels."""
    torch.manual_seed(seed)
    machine = BoltzmannMachine(wire(wiring, seed), visible=PIXELS + LABELS)
    with torch.no_grad():
        machine.weight[(machine.pairs < PIXELS + LABELS).any(0)] *= 5
        # The bias of independent pixels is where learning starts.
        share = images.train_x.mean(0).clamp(0.01, 0.99)
        machine.bias[:PIXELS] = torch.logit(share)
        machine.bias[PIXELS : PIXELS + LABELS] = torch.logit(torch.tensor(1 / LABELS))
    rule = Boltzmann(BoltzmannClassifier(machine, LABELS), inputs="free")
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    # A falling rate averages out the noise of the chains.
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(images.train_x)).split(64):
            optimizer.zero_grad()
            rule(images.train_x[batch], images.train_y[batch])
            optimizer.step()
        falling.step()
    return rule


def complete(machine, x, seen, seed):
    """The mean states of all visible neurons, with pixels ``seen`` clamped to x [B, 64]."""
    generator = torch.Generator().manual_seed(seed)
    clamp = (seen, x[:, seen])
    state = machine.sample(len(x), SWEEPS - LAST, clamp=clamp, generator=generator)
    total = torch.zeros_like(state)
    for _ in range(LAST):
        state = machine.sample(len(x), 1, clamp=clamp, start=state, generator=generator)
        total += state
    return total[:, : PIXELS + LABELS] / LAST


def measure(rule, images, seed):
    """Errors of the hidden half and of the label, and the completed images."""
    x, y = (images.test_x > 0.5).float(), images.test_y
    upper, machine = torch.arange(32), rule.model.machine
    found = complete(machine, x, upper, seed)
    whole = complete(machine, x, torch.arange(PIXELS), seed)
    baseline = (images.train_x > 0.5).float().mean(0)
    by_label = torch.stack(
        [(images.train_x[images.train_y == c] > 0.5).float().mean(0) for c in range(LABELS)]
    )
    wrong = {
        "error": found[:, 32:PIXELS],
        "error_mean_image": baseline[32:].expand(len(x), 32),
        "error_class_mean": by_label[y][:, 32:],
    }
    rows = {name: float((each - x[:, 32:]).square().mean()) for name, each in wrong.items()}
    rows["label_from_half"] = float((found[:, PIXELS:].argmax(1) == y).float().mean())
    rows["label_from_all"] = float((whole[:, PIXELS:].argmax(1) == y).float().mean())
    rows["label_by_free_energy"] = float((rule.predict(x).argmax(1) == y).float().mean())
    return rows, found


def draw(pictures, images, path):
    """For one test image of each class: the original, what is seen, and completions."""
    chosen = [int((images.test_y == c).nonzero()[0]) for c in range(LABELS)]
    original = (images.test_x[chosen] > 0.5).float()
    hidden = original.clone()
    hidden[:, 32:] = 0.5
    shown = {"original": original, "given": hidden}
    shown |= {wiring: found[chosen][:, :PIXELS] for wiring, found in pictures.items()}
    figure, axes = plt.subplots(len(shown), LABELS, figsize=(7, 4.2), layout="constrained")
    for row, (name, each) in zip(axes, shown.items(), strict=True):
        for column, (ax, image) in enumerate(zip(row, each, strict=True)):
            ax.imshow(image.view(8, 8), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            if name in pictures:
                label = int(pictures[name][chosen[column], PIXELS:].argmax())
                ax.set_title(str(label), fontsize=8, color="k" if label == column else "r", pad=2)
        row[0].set_ylabel(name)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--epochs", type=int, default=40, metavar="N")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    images, rows, pictures = load("digits"), [], {}
    for wiring in WIRINGS:
        for seed in range(arguments.seeds):
            rule = train(wiring, images, seed, arguments.epochs)
            found, picture = measure(rule, images, seed)
            pictures.setdefault(wiring, picture)
            pairs = rule.model.machine.pairs.size(1)
            rows.append({"wiring": wiring, "seed": seed, "pairs": pairs, **found})
    with (arguments.out / "completion.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(pictures, images, arguments.out / "completion.png")


if __name__ == "__main__":
    main()
