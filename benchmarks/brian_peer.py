"""Brian2 on the network of benchmarks.spiking, run by the Python that has Brian2.

It reads a .npz of the network and its input events, and prints one line of JSON: the seconds of
building, which include compiling and the first step, and of the run. The spikes are written to a
file beside the .npz.
"""

import json
import sys
import time

import brian2 as b2
import numpy as np


def main(path: str, target: str) -> None:
    b2.prefs.codegen.target = target
    given = np.load(path)
    b2.defaultclock.dt = 0.1 * b2.ms
    constants = {
        "v0": -52 * b2.mV,
        "tau": 20 * b2.ms,
        "tau_synapse": 5 * b2.ms,
        "threshold": -45 * b2.mV,
    }
    begin = time.perf_counter()
    neurons = b2.NeuronGroup(
        int(given["num_nodes"]),
        "dv/dt = (v0 - v + g) / tau : volt (unless refractory)\n"
        "dg/dt = -g / tau_synapse : volt (unless refractory)\nrefractory_time : second",
        threshold="v > threshold",
        reset="v = v0; g = 0 * mV",
        refractory="refractory_time",
        method="exact",
        namespace=constants,
    )
    neurons.v, neurons.refractory_time = constants["v0"], 2.2 * b2.ms
    synapses = b2.Synapses(neurons, neurons, "w : volt", on_pre="g += w", delay=1.8 * b2.ms)
    synapses.connect(i=given["source"], j=given["target"])
    synapses.w = given["weight"] * b2.mV
    # A generator spikes before the threshold of its step; an input comes after it.
    inputs = b2.SpikeGeneratorGroup(
        int(given["num_nodes"]), given["neuron"], given["step"] * 0.1 * b2.ms
    )
    drive = b2.Synapses(inputs, neurons, on_pre="v += 68.75 * mV")
    drive.connect(j="i")
    monitor = b2.SpikeMonitor(neurons)
    network = b2.Network(neurons, synapses, inputs, drive, monitor)
    network.run(0 * b2.ms)
    network.run(0.1 * b2.ms)
    built = time.perf_counter() - begin
    before, clock = time.perf_counter(), time.process_time()
    network.run((float(given["duration"]) - 0.1) * b2.ms)
    seconds, cpu = time.perf_counter() - before, time.process_time() - clock
    np.savez(path + ".spikes.npz", step=np.rint(monitor.t / b2.ms * 10), neuron=monitor.i)
    print(json.dumps({"built": built, "seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
