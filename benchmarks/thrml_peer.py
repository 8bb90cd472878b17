"""thrml on the graph of benchmarks.energy, run by the Python that has thrml, on one core.

It reads a .npz of pairs, weights, biases and colors, and prints one line of JSON: the processor
seconds of building, which include compiling and the first sweep, and the million spin updates a
second of each round. The states of check_chains chains on the small graph are written beside the
.npz, if there are any.
"""

import json
import os
import sys
import time
from typing import Any

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from thrml import Block, SamplingSchedule, SpinNode, sample_states  # noqa: E402
from thrml.models import IsingEBM, IsingSamplingProgram, hinton_init  # noqa: E402


def compiled(given: dict[str, Any], prefix: str, chains: int, sweeps: int) -> Any:
    """A function of a seed, which returns the states [chains, 1, N] after all sweeps."""
    nodes = [SpinNode() for _ in range(len(given[f"{prefix}bias"]))]
    edges = [(nodes[i], nodes[j]) for i, j in given[f"{prefix}pairs"].T.tolist()]
    bias, weight = jnp.asarray(given[f"{prefix}bias"]), jnp.asarray(given[f"{prefix}weight"])
    model = IsingEBM(nodes, edges, bias, weight, jnp.array(1.0))
    names = sorted(name for name in given if name.startswith(f"{prefix}color"))
    blocks = [Block([nodes[i] for i in given[name].tolist()]) for name in names]
    program = IsingSamplingProgram(model, blocks, clamped_blocks=[])
    schedule = SamplingSchedule(sweeps, 1, 1)

    def run(key: Any) -> Any:
        first, second = jax.random.split(key)
        start = hinton_init(first, model, blocks, ())
        return sample_states(second, program, schedule, start, [], [Block(nodes)])[0]

    if chains == 1:
        return jax.jit(lambda seed: run(jax.random.key(seed)))
    return jax.jit(lambda seed: jax.vmap(run)(jax.random.split(jax.random.key(seed), chains)))


def main(
    path: str, chains: int, sweeps: int, rounds: int, check_chains: int, check_sweeps: int
) -> None:
    given = dict(np.load(path))
    if check_chains:
        states = compiled(given, "small_", check_chains, check_sweeps)(0)
        np.savez(f"{path}.states.npz", spins=np.asarray(states)[:, 0])
    begin = time.process_time()
    run = compiled(given, "", chains, sweeps)
    run(0).block_until_ready()
    built = time.process_time() - begin
    rates = []
    for at in range(rounds):
        begin = time.process_time()
        run(at).block_until_ready()
        seconds = time.process_time() - begin
        rates.append((sweeps + 1) * len(given["bias"]) * chains / seconds / 1e6)
    # Building has run once.
    print(json.dumps({"built": built - seconds, "rates": rates}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
