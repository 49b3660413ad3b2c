"""From the job folder of a stepped network through its run on Lava.  Imports lava: only the worker loads this."""

from pathlib import Path

import numpy as np
from lava.magma.core.process.ports.ports import AbstractPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from qif2hw_lava.connection import connect
from qif2hw_lava.processes.stepped import SteppedNetwork
from qif2hw_lava.processes.stepped_modular import Delay, FrameInput, RoundedShift, SteppedNeurons
from qif2hw_lava.stepped import SteppedJob, read_job


def execute(folder: Path) -> AbstractProcess:
    """Run a job; its Processes, one of which is returned to be stopped, leave the results in the folder."""
    job = read_job(folder)
    process = fused(job, folder) if job.mode == "fused" else modular(job, folder)
    process.run(condition=RunSteps(num_steps=job.steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    return process


def fused(job: SteppedJob, folder: Path) -> AbstractProcess:
    """A network as one Process."""
    return SteppedNetwork(program=job.program, x=job.x, copies=job.copies, job=str(folder))


def modular(job: SteppedJob, folder: Path) -> AbstractProcess:
    """The graph of a program; returns one of its Processes, from which Lava finds the others."""
    program, depth = job.program, job.program.depth
    common = {
        "job": str(folder), "steps": job.round_steps, "rounds": len(job.x), "time_steps": program.clock.count,
    }  # fmt: skip
    sources: dict[str, AbstractPort] = {}
    for encoder in program.encoders:
        values = job.x[:, :, program.columns[encoder.name]]
        sources[encoder.name] = FrameInput(name=encoder.name, values=values, common=common).s_out
    largest = {encoder.name: encoder.largest for encoder in program.encoders}
    for k, population in enumerate(program.populations):
        own = depth[population.name]
        neurons = SteppedNeurons(population=population, depth=own, file=f"population{k}", common=common)
        for q in program.incoming(population.name):
            source = sources[q.pre]
            delay = np.full(program.sizes[q.pre], own - 1 - depth[q.pre], np.int32)
            if q.delay is not None:
                delay = delay + q.delay
            if delay.any():
                line = Delay(name=f"{q.pre} -> {q.post}", delay=delay, common=common)
                source.connect(line.s_in)
                source = line.s_out
            graded = q.pre in largest
            total = connect(source, q, message_bits=24 * graded, largest=largest.get(q.pre, 1))
            if q.exponent < 0:
                name = f"{q.pre} -> {q.post}: shift"
                shift = RoundedShift(name=name, size=population.size, bits=-q.exponent, common=common)
                total.connect(shift.a_in)
                total = shift.a_out
            total.connect(neurons.a_in)
        sources[population.name] = neurons.s_out
    return neurons
