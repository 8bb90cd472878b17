"""Looking longer on images that are partly hidden: accuracy by loop, and loops by confidence.

A neuron a pixel, each of which sends two pixels each way, and only those in the middle, the fovea,
are read. A square hides a part of every image, at another place each time it is seen. What the
fovea cannot see itself must come to it along the synapses, loop by loop. Test images are told apart
in thirds, by how much of the ink in the fovea is hidden: the hard ones have to be looked at longer.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import graphs
from benchmarks import command, environment, report
from benchmarks.equality import assert_finite
from sparsebrain import GraphLayer
from sparsebrain.experiments.datasets import DATASETS, Images, load
from sparsebrain.experiments.occlusion import occlude
from sparsebrain.models import AnytimeClassifier

LOOPS = 8
DISTANCE = 2
THIRDS = ("easy", "middle", "hard")
CONFIDENCES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)

_BATCH_SIZE = 128
_LEARNING_RATE = 2e-3


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return command.run(_parse(argv), measure, show, lambda found: found["rows"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train with every seed, and answer the test images in every way."""
    machine = environment.machine()
    images = load(arguments.data, arguments.data_dir)
    # Of MNIST the neurons are the pixels; the sheet of smaller images is larger than they are.
    side = round(images.train_x.size(1) ** 0.5)
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        model = train(images, side, seed=seed, epochs=arguments.epochs)
        given = {"data": arguments.data, "seed": seed, "epochs": arguments.epochs}
        rows += [{**given, **row} for row in evaluate(model, images, side)]
    return {
        "benchmark": "second look",
        "parameters": {"data": arguments.data, "epochs": arguments.epochs, "hidden": _size(side)},
        "machine": machine,
        "versions": environment.versions(),
        "rows": rows,
    }


def fovea(side: int) -> Tensor:
    """The neurons [side * side] bool in the middle of the image: three sevenths of it each way."""
    width = _size(side)
    first = (side - width) // 2
    middle = torch.zeros(side, side, dtype=torch.bool)
    middle[first : first + width, first : first + width] = True
    return middle.flatten()


def train(images: Images, side: int, *, seed: int, epochs: int) -> AnytimeClassifier:
    """A classifier that has seen every training image once an epoch, hidden anew each time."""
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = GraphLayer(
            graphs.grid_local((side, side), DISTANCE),
            LOOPS,
            activation="tanh",
            bias=True,
            inject=True,
        )
        model = AnytimeClassifier(layer, images.num_classes, outputs=fovea(side))
    optimizer = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    for _ in range(epochs):
        for batch in torch.randperm(len(images.train_x), generator=draw).split(_BATCH_SIZE):
            x, _hidden = occlude(images.train_x[batch], (side, side), _size(side), generator=draw)
            optimizer.zero_grad()
            loss = model.loss(x, images.train_y[batch])
            assert_finite(f"seed {seed}", loss.item())
            loss.backward()
            optimizer.step()
    return model


@torch.no_grad()
def evaluate(model: AnytimeClassifier, images: Images, side: int) -> list[dict[str, Any]]:
    """Accuracy and mean loops of each third of the test images, for every loop and confidence."""
    whole, y = images.test_x, images.test_y
    seen = occlude(whole, (side, side), _size(side), generator=torch.Generator().manual_seed(0))
    order = seen.share(whole, fovea(side)).argsort(stable=True)
    thirds = dict(zip(THIRDS, order.tensor_split(3), strict=True))
    ways: dict[str, tuple[Tensor, Tensor]] = {}
    for number, scores in enumerate(model(seen.x), start=1):
        ways[f"loop {number}"] = scores.argmax(1), torch.full_like(y, number)
    for confidence in CONFIDENCES:
        classes, loops, _ = model.predict(seen.x, confidence)
        ways[f"confidence {confidence}"] = classes, loops
    return [
        {
            "third": third,
            "until": until,
            "accuracy": float((classes[part] == y[part]).double().mean()),
            "loops": float(loops[part].double().mean()),
        }
        for until, (classes, loops) in ways.items()
        for third, part in {"all": order, **thirds}.items()
    ]


def show(found: dict[str, Any]) -> None:
    """Print what was measured, means over the seeds."""
    given = found["parameters"]
    print(environment.describe(found["machine"], found["versions"]))
    print(
        f"{given['data']}, a square of {given['hidden']} pixels hidden, {given['epochs']} epochs; "
        "accuracy in % (mean loops)"
    )
    rows = []
    for until in dict.fromkeys(row["until"] for row in found["rows"]):
        cells = []
        for third in ("all", *THIRDS):
            these = [row for row in found["rows"] if (row["until"], row["third"]) == (until, third)]
            accuracy = statistics.fmean(row["accuracy"] for row in these)
            loops = statistics.fmean(row["loops"] for row in these)
            cells.append(f"{100 * accuracy:.1f} ({loops:.1f})")
        rows.append([until, *cells])
    report.table("a second look", ("until", "all", *THIRDS), rows)


def _size(side: int) -> int:
    return round(3 * side / 7)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("second_look", __doc__, rounds=None)
    parser.add_argument("--data", choices=DATASETS, default="mnist")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="as for sparsebrain compare")
    parser.add_argument("--seeds", type=command.positive, default=3, metavar="N")
    parser.add_argument("--epochs", type=command.positive, default=8, metavar="N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
