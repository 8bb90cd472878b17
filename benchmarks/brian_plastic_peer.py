"""Brian2 on the network of benchmarks.plastic_spiking, run by the Python that has Brian2.

It reads a .npz of the network and its input events, and prints one line of JSON: the seconds of
building, which include compiling and the first step, and those of the run. The spikes and weights
are written to a file beside the .npz.
"""

import json
import sys
import time

import brian2 as b2
import numpy as np


def main(path: str, target: str) -> None:
    b2.prefs.codegen.target = target
    given = np.load(path)
    b2.defaultclock.dt = 1 * b2.ms
    constants = {name: float(given[name]) for name in ("a_plus", "a_minus", "w_max")}
    constants["tau"] = 20 * b2.ms
    begin = time.perf_counter()
    neurons = b2.NeuronGroup(
        int(given["num_nodes"]),
        "dv/dt = -v / tau : 1 (unless refractory)",
        threshold="v > 1",
        reset="v = 0",
        refractory=2 * b2.ms,
        method="exact",
        namespace=constants,
    )
    synapses = b2.Synapses(
        neurons,
        neurons,
        "w : 1\ndx/dt = -x / tau : 1 (event-driven)\ndy/dt = -y / tau : 1 (event-driven)",
        on_pre="v_post += w * int(not_refractory_post)\nx += 1\n"
        "w = clip(w - a_minus * y, 0, w_max)",
        on_post="y += 1; w = clip(w + a_plus * x, 0, w_max)",
        namespace=constants,
    )
    synapses.connect(i=given["source"], j=given["target"])
    synapses.w = given["weight"]
    inputs = b2.SpikeGeneratorGroup(int(given["num_nodes"]), given["neuron"], given["step"] * b2.ms)
    drive = b2.Synapses(inputs, neurons, on_pre="v_post += 2 * int(not_refractory_post)")
    drive.connect(j="i")
    monitor = b2.SpikeMonitor(neurons)
    network = b2.Network(neurons, synapses, inputs, drive, monitor)
    network.run(0 * b2.ms)
    network.run(1 * b2.ms)
    built = time.perf_counter() - begin
    before, clock = time.perf_counter(), time.process_time()
    network.run((float(given["duration"]) - 1) * b2.ms)
    found = {
        "built": built,
        "seconds": time.perf_counter() - before,
        "cpu": time.process_time() - clock,
    }
    step = np.rint(monitor.t / b2.ms)
    np.savez(path + ".found.npz", step=step, neuron=monitor.i, weight=synapses.w)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
