"""From a job folder through a run of netx.  Imports lava-dl: only the worker loads this."""

import json
from pathlib import Path

import numpy as np
from lava.lib.dl.netx.blocks.process import Input
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from qif2hw.errors import InputError
from qif2hw_lava.job import read_arrays, write_arrays
from qif2hw_slayer.netx import register


def execute(folder: Path) -> AbstractProcess:
    """Run a job, write ``results`` into its folder, and return the network, to be stopped."""
    register()
    x = read_arrays(folder, "inputs")["x"]
    samples, steps = x.shape[:2]
    # netx sends a sample's first spikes in step 2: with an offset of 1 every layer is reset when they reach it.
    network = Network(
        net_config=json.loads((folder / "job.json").read_text(encoding="utf-8"))["net"],
        input_shape=x.shape[:1:-1],
        reset_interval=steps,
        reset_offset=1,
    )
    if isinstance(network.in_layer, Input):
        raise InputError("netx does not connect an input layer that has neurons")
    total = samples * steps + len(network)
    # Width, height, channels, time.
    data = np.zeros((*network.inp.shape, total), np.int32)
    data[..., : samples * steps] = x.reshape(samples * steps, *x.shape[2:]).transpose()
    Source(data=data).s_out.connect(network.inp)
    sinks = []
    for layer in network.layers:
        sinks.append(Sink(shape=layer.out.shape, buffer=total))
        layer.out.connect(sinks[-1].a_in)
    network.run(condition=RunSteps(num_steps=total), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    found = {}
    for k, sink in enumerate(sinks):
        # Layer k runs k + 1 steps behind the inputs.
        spikes = sink.data.get()[..., k + 1 : k + 1 + samples * steps].transpose()
        found[f"layer{k}"] = spikes.reshape(samples, steps, -1) > 0
    write_arrays(folder, "results", found)
    return network
