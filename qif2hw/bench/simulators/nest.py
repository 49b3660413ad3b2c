"""NEST on a job, in this process: ``python -m qif2hw.bench.simulators.nest FOLDER``.

Its neuron ``izhikevich`` without recovery (``a = b = d = 0``) is a QIF neuron in other units, ``v = alpha V + beta``::

    dv/dt = 0.04 v^2 + 5 v + 140 + I    with    alpha = 25 / tau, beta = -12.5 (1 / tau + 5), tau in ms.

Euler steps; a spike takes one step from neuron to neuron.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from qif2hw.bench.simulators.job import Job, finish

STEP = 0.1
"""Milliseconds."""


def run(folder: Path) -> None:
    """Run the job in the folder."""
    nest: Any = importlib.import_module("nest")
    nest.ResetKernel()
    nest.resolution = STEP
    job = Job.load(folder)
    v0, source, target, weight = job.copies()
    tau = job.tau * STEP
    alpha, beta = 25 / tau, -12.5 * (1 / tau + 5)
    constant = alpha * job.i0 / tau - (0.04 * beta**2 + 5 * beta + 140)
    neurons = nest.Create("izhikevich", len(v0))
    neurons.set(
        a=0.0, b=0.0, d=0.0, U_m=0.0, I_e=constant, c=-alpha * job.peak + beta, V_th=alpha * job.peak + beta,
        consistent_integration=True,
    )  # fmt: skip
    neurons.set([{"V_m": float(value)} for value in alpha * v0 + beta])
    # Delivered one step later.
    inputs = nest.Create("spike_generator", job.inputs.size)
    inputs.set([{"spike_times": [max(step - 1, 1) * STEP]} for step in job.inputs.ravel().tolist()])
    number = np.concatenate([np.asarray(inputs.tolist()), np.asarray(neurons.tolist())])[source + job.inputs.size]
    nest.Connect(
        number,
        np.asarray(neurons.tolist())[target],
        "one_to_one",
        {"weight": alpha * weight, "delay": np.full(len(weight), STEP)},
    )
    recorder = nest.Create("spike_recorder")
    nest.Connect(neurons, recorder, syn_spec={"delay": STEP})
    nest.Prepare()
    begin = time.perf_counter()
    nest.Run(job.steps * STEP)
    seconds = time.perf_counter() - begin
    nest.Cleanup()
    events = recorder.get("events")
    finish(folder, seconds, np.asarray(events["senders"]) - neurons.tolist()[0], np.rint(events["times"] / STEP))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
