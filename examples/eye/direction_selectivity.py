"""Direction selectivity of the trained networks of the fly's visual system.

ON and OFF edges move over the whole eye in twelve directions. Written are, for every network and
cell type, the direction selectivity index and the preferred direction for both contrasts
(direction_selectivity.csv), and the peak responses of T4 to ON edges and of T5 to OFF edges
(tuning.csv). Networks that the files already have are not run again.

    python examples/eye/direction_selectivity.py [--out FOLDER] [--networks 50] [--radius 15]
        [--speed 19]
"""

import argparse
import csv
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from sparsebrain.models import FlyEye, direction_tuning

MOTION = [f"T{kind}{direction}" for kind in (4, 5) for direction in "abcd"]
#: The direction in which a subtype responds most, in degrees of the eye's plane.
EXPECTED = {"a": 180, "b": 0, "c": 90, "d": 270}
NAMES = {"a": "front to back", "b": "back to front", "c": "upward", "d": "downward"}
ANGLES = tuple(range(0, 360, 30))
INDEX = ["network", "radius", "speed", "cell_type", "on", "off", "preferred_on", "preferred_off"]
TUNING = ["network", "cell_type", "contrast", *map(str, ANGLES)]
BEST = 10


def measure(network, radius, speed):
    """The rows of both files for one network."""
    tuning = direction_tuning(FlyEye(network, radius), angles=ANGLES, speeds=(speed,))
    index, preferred = tuning.selectivity.tolist(), tuning.preferred.tolist()
    indexes = [
        [network, radius, speed, name, *(f"{one[at]:.4f}" for one in index)]
        + [f"{one[at]:.1f}" for one in preferred]
        for at, name in enumerate(tuning.cell_types)
    ]
    peaks = []
    for name in MOTION:
        contrast = int(name[1] == "5")
        peak = tuning.peak[contrast, 0, :, tuning.cell_types.index(name)].tolist()
        peaks.append([network, name, ("on", "off")[contrast], *(f"{each:.4f}" for each in peak)])
    return indexes, peaks


def read(path):
    """The rows of a file, or none."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path, heading, rows):
    """Add rows to a file, which begins with the heading."""
    begins = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([heading, *rows] if begins else rows)


def is_right(row):
    """Whether the preferred direction of a T4 or T5 cell is nearest to the expected one."""
    name = row["cell_type"]
    found = float(row["preferred_on" if name[1] == "4" else "preferred_off"])
    apart = abs((found - EXPECTED[name[2]] + 180) % 360 - 180)
    return apart < 45


def own(row):
    """The index of a T4 cell for ON edges, of a T5 cell for OFF edges."""
    return float(row["on" if row["cell_type"][1] == "4" else "off"])


def draw(indexes, peaks, path):
    """The tuning of T4 and T5 above, and the index of every cell type below."""
    figure = plt.figure(figsize=(13, 8.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = above.subplots(2, 4, subplot_kw={"projection": "polar"})
    turn = np.radians([*ANGLES, 360])
    for ax, name in zip(axes.flat, MOTION, strict=True):
        rows = [row for row in peaks if row["cell_type"] == name and int(row["network"]) < BEST]
        for row in rows:
            values = np.array([float(row[str(angle)]) for angle in ANGLES])
            values = values / max(values.max(), 1e-9)
            ax.plot(turn, [*values, values[0]], color="#0072B2", alpha=0.45, lw=1.2)
        ax.plot([math.radians(EXPECTED[name[2]])] * 2, [0, 1.15], color="#D55E00", lw=2.5)
        ax.set_title(
            f"{name}, {'ON' if name[1] == '4' else 'OFF'} edges: {NAMES[name[2]]}", fontsize=9
        )
        ax.set_xticks(np.radians([0, 90, 180, 270]))
        ax.set_yticks([0.5, 1.0], ["", ""])
        ax.tick_params(labelsize=7)
    above.suptitle(
        f"Peak response by direction of motion, first {BEST} networks (blue; each divided by its "
        "maximum), and the known preferred direction (orange)",
        fontsize=10,
    )
    ax = below.subplots()
    names = list(dict.fromkeys(row["cell_type"] for row in indexes))
    for side, (key, color, label) in enumerate(
        (("on", "#E69F00", "ON edges"), ("off", "#000000", "OFF edges"))
    ):
        columns = [[float(r[key]) for r in indexes if r["cell_type"] == name] for name in names]
        places = np.arange(len(names)) + 0.36 * side - 0.18
        low, middle, high = np.percentile(np.array(columns), (25, 50, 75), axis=1)
        ax.vlines(places, low, high, color=color, lw=2.5, alpha=0.5)
        ax.plot(places, middle, "o", color=color, ms=4, label=f"{label}: median and quartiles")
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    for tick, name in zip(ax.get_xticklabels(), names, strict=True):
        if name in MOTION:
            tick.set_color("#D55E00")
    ax.set_xlim(-1, len(names))
    ax.set_ylim(0, 1)
    ax.set_ylabel("direction selectivity index")
    count = len({row["network"] for row in indexes})
    ax.set_title(
        f"Direction selectivity of the central cell of every type, {count} networks", fontsize=10
    )
    ax.legend(frameon=False, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def summarize(indexes):
    """Print the table of the README."""
    print("| cell | index, all networks | first 10 | right direction, all | first 10 |")
    print("|---|---:|---:|---:|---:|")
    for name in MOTION:
        rows = [row for row in indexes if row["cell_type"] == name]
        best = [row for row in rows if int(row["network"]) < BEST]
        cells = [f"{np.median([own(row) for row in some]):.2f}" for some in (rows, best)]
        cells += [f"{sum(map(is_right, some))} of {len(some)}" for some in (rows, best)]
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    """Measure, draw and summarize."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder of the files"
    )
    parser.add_argument(
        "--networks", type=int, default=50, help="how many networks, from the first"
    )
    parser.add_argument("--radius", type=int, default=15, help="rings of columns of the eye")
    parser.add_argument("--speed", type=float, default=19.0, help="columns per second")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    paths = [options.out / name for name in ("direction_selectivity.csv", "tuning.csv")]
    known = {int(row["network"]) for row in read(paths[1])}
    for network in range(options.networks):
        if network in known:
            continue
        found = measure(network, options.radius, options.speed)
        for path, heading, rows in zip(paths, (INDEX, TUNING), found, strict=True):
            append(path, heading, rows)
        print(f"network {network}", flush=True)
    indexes, peaks = map(read, paths)
    draw(indexes, peaks, options.out / "direction_selectivity.png")
    summarize(indexes)


if __name__ == "__main__":
    main()
