"""From a job folder to the graph for the chip, and through its run.  Imports lava: only the worker loads this.

    SampleSource -> InAdapter -> synapses -> CountdownInput -> synapses -> PhaseNeurons -> synapses -> ...
    PhaseNeurons -> synapses -> FirstSpikeLatch -> OutAdapter -> SampleSink
    PhaseNeurons -> OutAdapter -> SpikeRecorder                                            (where all spikes are wanted)

What stands between the adapters is on the chip; one run takes all samples.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import AbstractPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg, RunConfig
from lava.proc.dense.process import Dense
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import identity

from qif2hw.ir.program import ProgramPopulation
from qif2hw_deploy.loihi2 import half
from qif2hw_deploy.loihi2.processes.adapters import InAdapter, NxInAdapter, NxOutAdapter, OutAdapter
from qif2hw_deploy.loihi2.processes.chip import CountdownInput, FirstSpikeLatch
from qif2hw_deploy.loihi2.processes.host import (
    PySampleSink,
    PySampleSource,
    PySpikeRecorder,
    SampleSink,
    SampleSource,
    SpikeRecorder,
)
from qif2hw_deploy.loihi2.profile import make_profilers, read_profilers
from qif2hw_deploy.loihi2.rounds import Rounds, input_words
from qif2hw_lava.job import Job, read_job, write_text
from qif2hw_lava.network import Source, populations
from qif2hw_lava.processes.modular import PhaseNeurons


def execute(folder: Path) -> AbstractProcess:
    """Run a job; the host's Processes leave the results in the folder, one is returned to be stopped."""
    job = read_job(folder)
    how = json.loads((folder / "chip.json").read_text(encoding="utf-8"))
    rounds = Rounds(job.program.steps, how["input_delay"], how["output_delay"])
    process = graph(job, rounds, folder)
    steps = job.rounds * rounds.steps
    if how["simulated"]:
        process.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        return process
    profilers = make_profilers(how["profile"], steps)
    process.run(condition=RunSteps(num_steps=steps), run_cfg=hardware(half.load(), profilers))
    write_text(folder / "profile.json", json.dumps(read_profilers(profilers)))
    return process


def hardware(vendor: half.VendorHalf, profilers: dict[str, Any]) -> RunConfig:
    """The run configuration for a chip.  Every Process has its model named: Lava's own choice is not relied upon."""
    from lava.proc.dense.ncmodels import NcModelDense
    from lava.proc.sparse.ncmodel import NcModelSparse

    models: dict[type, type] = {
        SampleSource: PySampleSource,
        SampleSink: PySampleSink,
        SpikeRecorder: PySpikeRecorder,
        InAdapter: NxInAdapter,
        OutAdapter: NxOutAdapter,
        Dense: NcModelDense,
        Sparse: NcModelSparse,
    }
    return Loihi2HwCfg(exception_proc_model_map=models | dict(vendor.models()), callback_fxs=list(profilers.values()))


def graph(job: Job, rounds: Rounds, folder: Path) -> AbstractProcess:
    """The graph of a program; returns one of the host's Processes, from which Lava finds the others."""
    program = job.program
    common = {"job": str(folder), "steps": rounds.steps, "rounds": job.rounds, "copies": job.copies}
    words = input_words(job)
    sources: dict[str, Source] = {}
    hosts: list[SampleSource] = []
    for encoder in program.encoders:
        own = words[:, :, program.columns[encoder.name]].reshape(job.rounds, -1)
        host = SampleSource(name=f"{encoder.name}: host", words=own, common=common)
        adapter = InAdapter(name=f"{encoder.name}: adapter", size=own.shape[1], common=common)
        if hosts:
            hosts[-1].after.connect(host.before)
        hosts.append(host)
        host.word.connect(adapter.word)
        bits = program.message_bits(encoder.name) or 0
        inputs = CountdownInput(
            name=encoder.name, size=own.shape[1], packed_bits=bits, grid=program.grid, common=common
        )
        one_to_one(adapter.out, own.shape[1], f"{encoder.name}: words").connect(inputs.word)
        sources[encoder.name] = Source.of(inputs)

    def neurons_of(population: ProgramPopulation) -> PhaseNeurons:
        return PhaseNeurons(
            population=population,
            grid=program.grid,
            file=None,
            packed_bits=program.message_bits(population.name) or 0,
            common=common,
            lead=rounds.lead,
        )

    connected = populations(program, sources, neurons_of, job.copies)
    for k, population in enumerate(program.populations):
        name, neurons = population.name, connected[population.name]
        clock = {
            "depth": population.depth,
            "grid": program.grid,
            "lead": rounds.lead,
            "packed_bits": program.message_bits(name) or 0,
            "size": population.size,
        }
        if job.keep == "spikes":
            recorder = SpikeRecorder(
                name=f"{name}: recorder", file=f"spikes{k}", delay=rounds.output_delay, clock=clock, common=common
            )
            to_host(neurons.message, f"{name}: all spikes", common).connect(recorder.message)
        if name in program.output_populations:
            latch = FirstSpikeLatch(name=f"{name}: latch", clock=clock, sent=rounds.first_spikes_sent, common=common)
            one_to_one(neurons.message, job.copies * population.size, f"{name}: to the latch").connect(latch.message)
            sink = SampleSink(
                name=f"{name}: first spikes",
                file=f"first{program.output_populations.index(name)}",
                size=population.size,
                grid=program.grid,
                arrives=rounds.first_spikes_sent + rounds.output_delay,
                common=common,
            )
            to_host(latch.word, f"{name}: outputs", common).connect(sink.word)
    return hosts[0]


def one_to_one(source: AbstractPort, size: int, name: str) -> OutPort:
    """Synapses that hand each message on to one neuron, as it is: weight 2, shifted right by one.  They take a step."""
    process = Sparse(
        weights=2 * identity(size, np.int32, "csr"),
        num_message_bits=24,
        num_weight_bits=8,
        weight_exp=-1,
        sign_mode=SignMode.MIXED,
        name=name,
    )
    source.connect(process.s_in)
    return process.a_out


def to_host(source: OutPort, name: str, common: dict[str, Any]) -> OutPort:
    """The port on the host where messages from the chip arrive."""
    adapter = OutAdapter(name=name, size=source.shape[0], common=common)
    source.connect(adapter.message)
    return adapter.out
