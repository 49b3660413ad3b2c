"""From a job folder to Lava Processes, and through their run.  Imports lava: only the worker loads this."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from qif2hw.ir.program import Program, ProgramPopulation
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
class Source:
    """The ports by which an input group or a population sends."""

    flag: OutPort
    payload: OutPort
    message: OutPort
    square: OutPort

    @classmethod
    def of(cls, process: AbstractProcess) -> "Source":
        """Those of a Process that has all four."""
        return cls(process.flag, process.payload, process.message, process.square)


def modular(job: Job, folder: Path) -> AbstractProcess:
    """The graph of a program; returns one of its Processes, from which Lava finds the others."""
    program = job.program
    common = {"job": str(folder), "steps": program.steps, "rounds": job.rounds, "copies": job.copies}
    kept = {"keep": job.keep, "samples": job.samples}
    sources: dict[str, Source] = {}
    inputs: list[SpikeInput] = []
    step_in, late_in = job.batches()
    for encoder in program.encoders:
        parts = [a[:, :, program.columns[encoder.name]].reshape(job.rounds, -1) for a in (step_in, late_in)]
        bits = program.message_bits(encoder.name) or 0
        sent = SpikeInput(
            name=encoder.name, packed_bits=bits, grid=program.grid, step_in=parts[0], late_in=parts[1], common=common
        )
        if inputs:
            inputs[-1].after.connect(sent.before)
        inputs.append(sent)
        sources[encoder.name] = Source.of(sent)
    index = {population.name: k for k, population in enumerate(program.populations)}

    def neurons_of(population: ProgramPopulation) -> PhaseNeurons:
        return PhaseNeurons(
            population=population,
            grid=program.grid,
            file=f"spikes{index[population.name]}",
            packed_bits=program.message_bits(population.name) or 0,
            common=common | kept,
        )

    connected = populations(program, sources, neurons_of, job.copies)
    for k, name in enumerate(program.output_populations):
        neurons, size = connected[name], program.population(name).size
        readout = FirstSpikeReadout(name=f"{name}: first spikes", size=size, file=f"first{k}", common=common)
        neurons.flag.connect(readout.flag)
        neurons.payload.connect(readout.payload)
    return connected[program.populations[-1].name]


def populations(
    program: Program,
    sources: dict[str, Source],
    neurons_of: Callable[[ProgramPopulation], PhaseNeurons],
    copies: int,
) -> dict[str, PhaseNeurons]:
    """All populations of a program, connected with each other and with the input groups.

    Parameters
    ----------
    program
        Its projections become Lava's Dense, Sparse or Conv: one for every kind of sum that a population takes.
    sources
        Of the input groups, by name.
    neurons_of
        Makes the Process of a population.
    copies
        Networks side by side.
    """
    sources, found = dict(sources), {}
    for population in program.populations:
        neurons = neurons_of(population)
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
                connect(out, projection, message_bits=message_bits, copies=copies).connect(into)
        sources[population.name] = Source.of(neurons)
        found[population.name] = neurons
    return found
