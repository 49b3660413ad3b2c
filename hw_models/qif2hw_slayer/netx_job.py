"""From a job folder through a run of netx.  Imports lava-dl: only the worker loads this."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from numpy.typing import NDArray

from qif2hw_lava.job import read_arrays, write_arrays
from qif2hw_slayer.netx import register


def execute(folder: Path) -> AbstractProcess:
    """Run a job, write ``results`` into its folder, and return the network, to be stopped."""
    register()
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    x, steps = read_arrays(folder, "inputs")["x"], int(job["time_steps"])
    # netx sends a sample's first spikes in step 2: with an offset of 1 every layer is reset when they reach it.
    network = Network(
        net_config=job["net"],
        input_shape=None if job["biases"] else x.shape[:1:-1],
        reset_interval=steps,
        reset_offset=1,
    )
    total = len(x) * steps + len(network)
    sinks = []
    for layer in network.layers:
        sinks.append(Sink(shape=layer.out.shape, buffer=total + 1))
        layer.out.connect(sinks[-1].a_in)
    if job["biases"]:
        _run_biases(network, x, steps)
    else:
        _run_spikes(network, x, total)
    found = {}
    for k, sink in enumerate(sinks):
        # Layer k runs k + 1 steps behind the inputs.
        spikes = sink.data.get()[..., k + 1 : k + 1 + len(x) * steps].transpose()
        found[f"layer{k}"] = spikes.reshape(len(x), steps, -1) > 0
    write_arrays(folder, "results", found)
    return network


def _run_spikes(network: Network, x: NDArray[Any], total: int) -> None:
    # Width, height, channels, time.
    data = np.zeros((*network.inp.shape, total), np.int32)
    data[..., : len(x) * x.shape[1]] = x.reshape(-1, *x.shape[2:]).transpose()
    Source(data=data).s_out.connect(network.inp)
    _advance(network, total)


def _run_biases(network: Network, x: NDArray[Any], steps: int) -> None:
    """Set the biases of the input neurons for the steps of each sample; the first are those after the first reset."""
    _advance(network, 1)
    biases = network.in_layer.neuron.bias_mant
    for sample in x:
        biases.set(sample.transpose())
        _advance(network, steps)
    # What is on its way.
    _advance(network, len(network))


def _advance(network: Network, steps: int) -> None:
    network.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
