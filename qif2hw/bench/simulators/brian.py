"""Brian 2 on a job, in this process: ``python -m qif2hw.bench.simulators.brian FOLDER``.

Classical Runge-Kutta steps.  Brian records and transmits a spike in the step that ends behind it: one step is added.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.bench.simulators.job import Job, finish

EQUATION = "dv/dt = (v * (v - 1) + i0) / tau : 1"


def run(folder: Path, *, on_lava: bool = False) -> None:
    """Run the job in the folder, on Brian's own runtime or on Lava's CPU simulator."""
    brian: Any = importlib.import_module("brian2")
    if on_lava:
        importlib.import_module("brian2lava")
        brian.set_device("lava", mode="flexible", hardware="CPU")
        # It writes arrays as numpy prints them.
        np.set_printoptions(threshold=sys.maxsize, floatmode="unique")
    job = Job.load(folder)
    v0, source, target, weight = job.copies()
    step = 0.1 * brian.ms
    brian.defaultclock.dt = step
    namespace = {"i0": job.i0, "tau": job.tau * step, "peak": job.peak}
    neurons = brian.NeuronGroup(
        len(v0), EQUATION, threshold="v > peak", reset="v = -peak", method="rk4", namespace=namespace
    )
    neurons.v = v0
    inputs = job.inputs.size
    # What is sent in a step acts at its end.
    source_group = brian.SpikeGeneratorGroup(inputs, np.arange(inputs), (job.inputs.ravel() - 1) * step)
    parts = [neurons, source_group]
    for group, chosen, first in ((source_group, source < 0, inputs), (neurons, source >= 0, 0)):
        synapses = brian.Synapses(group, neurons, "w : 1", on_pre="v_post += w")
        synapses.connect(i=source[chosen] + first, j=target[chosen])
        synapses.w = weight[chosen]
        parts.append(synapses)
    monitor = brian.SpikeMonitor(neurons)
    network = brian.Network(*parts, monitor)
    if not on_lava:
        # Compiles.
        network.store()
        network.run(job.steps * step)
        network.restore()
    begin = time.perf_counter()
    network.run(job.steps * step)
    seconds = time.perf_counter() - begin
    finish(folder, seconds, np.asarray(monitor.i[:]), np.rint(np.asarray(monitor.t[:] / step)) + 1)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
