"""From a job folder to Lava Processes, and through their run.  Imports lava: only the worker loads this."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from qif2hw.ir.ptc import second_moment
from qif2hw_lava.connection import connect
from qif2hw_lava.job import Job, read_job
from qif2hw_lava.processes.fused import FusedNetwork
from qif2hw_lava.processes.modular import FirstSpikeReadout, PhaseNeurons, SpikeInput


def execute(folder: Path) -> AbstractProcess:
    """Run a job; every Process leaves its results in the folder in its last step.

    Returns one Process of the network, which is left to be stopped.
    """
    job = read_job(folder)
    process = fused(job, folder) if job.mode == "fused" else modular(job, folder)
    process.run(condition=RunSteps(num_steps=job.steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    return process


def fused(job: Job, folder: Path) -> AbstractProcess:
    """A fused network as one Process."""
    step_in, late_in = job.batches()
    return FusedNetwork(
        program=job.program, step_in=step_in, late_in=late_in, job=str(folder), keep=job.keep, samples=job.samples
    )


@dataclass(frozen=True)
class _Source:
    flag: Any
    payload: Any
    message: Any
    square: Any


def modular(job: Job, folder: Path) -> AbstractProcess:
    """The graph of a program; returns one of its Processes, from which Lava finds the others."""
    program = job.program
    common = {"job": str(folder), "steps": program.steps, "rounds": job.rounds, "copies": job.copies}
    kept = {"keep": job.keep, "samples": job.samples}
    sources: dict[str, _Source] = {}
    step_in, late_in = job.batches()
    for encoder in program.encoders:
        parts = [a[:, :, program.columns[encoder.name]].reshape(job.rounds, -1) for a in (step_in, late_in)]
        bits = program.message_bits(encoder.name) or 0
        sent = SpikeInput(
            name=encoder.name, packed_bits=bits, grid=program.grid, step_in=parts[0], late_in=parts[1], common=common
        )
        sources[encoder.name] = _Source(sent.flag, sent.payload, sent.message, sent.square)
    for k, population in enumerate(program.populations):
        neurons = PhaseNeurons(
            population=population,
            grid=program.grid,
            file=f"spikes{k}",
            packed_bits=program.message_bits(population.name) or 0,
            common=common | kept,
        )
        for projection in program.incoming(population.name):
            source = sources[projection.pre]
            ways = [(source.flag, neurons.a0, 0), (source.payload, neurons.a1, 24)]
            if population.message_bits is not None:
                ways = [(source.message, neurons.a1, 24)]
            if population.one_message:
                # The same message, seen as a spike without a payload.
                ways.append((source.message, neurons.a0, 0))
            if second_moment(population.ptc) is not None:
                ways.append((source.square, neurons.a2, 24))
            for out, into, message_bits in ways:
                connect(out, projection, message_bits=message_bits, copies=job.copies).connect(into)
        sources[population.name] = _Source(neurons.flag, neurons.payload, neurons.message, neurons.square)
        if population.name in program.output_populations:
            file = f"first{program.output_populations.index(population.name)}"
            name = f"{population.name}: first spikes"
            readout = FirstSpikeReadout(name=name, size=population.size, file=file, common=common)
            neurons.flag.connect(readout.flag)
            neurons.payload.connect(readout.payload)
    return neurons
