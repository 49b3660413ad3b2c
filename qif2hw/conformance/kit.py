"""The kit: what whoever writes the neuron for a chip needs, in plain files."""

import hashlib
from typing import Any

import numpy as np

from qif2hw import engine, estimate
from qif2hw.bundle import AnyBundle, Bundle
from qif2hw.bundle.container import to_json
from qif2hw.compiler.passes.ranges import range_of
from qif2hw.conformance.operations import SYMBOLS, paths
from qif2hw.conformance.registers import register_map
from qif2hw.conformance.rows import to_csv
from qif2hw.conformance.traces import STIMULUS, TRACE, make_traces
from qif2hw.errors import InputError
from qif2hw.estimate.counts import COUNTERS, Core
from qif2hw.ir import Program, ProgramPopulation
from qif2hw.ir.arrays import IntArray

FORMAT, SCHEMA = "qif2hw conformance kit", 1
SPIKES = ("sample", "population", "neuron", "step", "lateness")
"""Columns of a file of spikes."""
PARTS = (
    "README.txt",
    "golden_counters.json",
    "golden_outputs.csv",
    "golden_spikes.csv",
    "golden_traces.csv",
    "inputs.csv",
    "kit.json",
    "operations.json",
    "operations.txt",
    "program.json",
    "program.safetensors",
    "registers.json",
    "stimuli.csv",
)
"""Files of a kit."""

_README = """\
A kit for whoever writes this network's neurons for a chip. All numbers are integers; docs/conformance.md of qif2hw
describes the files.
operations.txt/json  What a neuron does in each kind of step, operation by operation, with the width of each result.
registers.json       Registers, accumulators, constants and proven ranges by population.
program.*            Weights, tables and initial registers: the program of the bundle (docs/bundle.md).
stimuli.csv          Single neurons: what arrives in every local step.   -> traces.csv
inputs.csv           Inputs of the network: step,lateness of each.       -> spikes.csv, outputs.csv, counters.json
golden_*             What must come out. Write files of the same form, without "golden_", into a folder RESULTS;
                     qif2hw conformance check DIR RESULTS names the first difference.
Nothing here has run on a chip.
"""


def make_kit(bundle: AnyBundle) -> dict[str, bytes]:
    """The files of a kit by name; the same bundle gives the same bytes.

    Raises
    ------
    InputError
        If the bundle has a stepped clock.
    """
    if not isinstance(bundle, Bundle):
        raise InputError("a kit is made of event-driven networks: this bundle has a stepped clock")
    program, golden, parts = bundle.program, bundle.golden, bundle.parts()
    traces = make_traces(program)
    own = [(p, paths(p, program.grid, range_of(program, p.name))) for p in program.populations]
    step, late = engine.encode(program, golden.x)
    machine = golden.machine
    outputs = np.stack([machine.step, machine.lateness, machine.flush], axis=2).reshape(len(golden.x), -1)
    made = {
        "README.txt": _README.encode(),
        "golden_counters.json": to_json({"samples": len(golden.x), "cores": counters(bundle)}),
        "golden_outputs.csv": to_csv(output_columns(outputs.shape[1] // 3), outputs),
        "golden_spikes.csv": to_csv(SPIKES, spike_rows(bundle)),
        "golden_traces.csv": to_csv(TRACE, traces.traces),
        # The form that emitted programs read, which have no header.
        "inputs.csv": to_csv((), np.stack([step, late], axis=2).reshape(len(step), -1))[1:],
        "operations.json": to_json({"operations": SYMBOLS, "populations": [_operations(p, found) for p, found in own]}),
        "operations.txt": "\n\n".join(_listing(p, found) for p, found in own).encode() + b"\n",
        "program.json": parts["program.json"],
        "program.safetensors": parts["program.safetensors"],
        "registers.json": to_json({"populations": register_map(program)}),
        "stimuli.csv": to_csv(STIMULUS, traces.stimuli),
    }
    return made | {"kit.json": to_json(_about(bundle, traces.stimuli, traces.shows, made))}


def _about(
    bundle: Bundle, stimuli: IntArray, shows: tuple[tuple[str, ...], ...], made: dict[str, bytes]
) -> dict[str, Any]:
    program, grid = bundle.program, bundle.program.grid
    first = {int(row[0]): row for row in reversed(stimuli)}
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "target": bundle.options.get("target"),
        "populations": [{"name": p.name, "neurons": p.size, "depth": p.depth} for p in program.populations],
        "inputs": program.inputs,
        "outputs": [
            {"population": name, "neurons": program.population(name).size} for name in program.output_populations
        ],
        "samples": len(bundle.golden.x),
        "machine_steps": program.steps,
        "grid": {
            "trial_steps": grid.trial_steps,
            "lateness_bits": grid.lateness_bits,
            "phase_bits": grid.phase_bits,
            "threshold": grid.threshold,
            "overshoot": {p.name: grid.overshoot(p.depth) for p in program.populations},
        },
        "traces": [
            {"trace": k, "population": int(first[k][1]), "neuron": int(first[k][2]), "shows": list(names)}
            for k, names in enumerate(shows)
        ],
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(made.items())},
    }


def _operations(population: ProgramPopulation, found: Any) -> dict[str, Any]:
    return {
        "population": population.name,
        "paths": [
            {
                "name": path.name,
                "when": path.when,
                "inputs": path.inputs,
                "operations": [
                    {
                        "result": one.result,
                        "operation": one.operation,
                        "arguments": list(one.arguments),
                        "bits": one.bits,
                        "register": one.register,
                    }
                    for one in path.operations
                ],
                "outputs": path.outputs,
            }
            for path in found
        ],
    }


def _listing(population: ProgramPopulation, found: Any) -> str:
    return "\n\n".join([f"population {population.name}", *map(str, found)])


def spike_rows(bundle: Bundle) -> IntArray:
    """Golden spikes as rows (spikes, 5) of `SPIKES`, layer by layer."""
    rows = [
        np.stack([s.sample, np.full(len(s), k), s.neuron, s.step, s.lateness], axis=1)
        for k, s in enumerate(bundle.golden.step_spikes[p.name] for p in bundle.program.populations)
    ]
    return np.concatenate(rows).astype(np.int64)


def output_columns(neurons: int) -> tuple[str, ...]:
    """Columns of a file of outputs."""
    return tuple(f"{name}{k}" for k in range(neurons) for name in ("step", "lateness", "flush"))


def counters(bundle: Bundle) -> list[dict[str, Any]]:
    """Predicted activity of every core, all golden samples together."""
    run = bundle.run(bundle.golden.x)
    counts = estimate.count(bundle.program, run, bundle.golden.x, _cores(bundle))
    totals = {name: getattr(counts, name).sum(axis=1).tolist() for name in COUNTERS}
    return [
        {"population": core.population, "first": core.first, "stop": core.stop}
        | {name: values[k] for name, values in totals.items()}
        for k, core in enumerate(counts.cores)
    ]


def _cores(bundle: Bundle) -> tuple[Core, ...]:
    """As the compiler mapped them; a population each where it did not."""
    program: Program = bundle.program
    fit = bundle.report.get("fit")
    if fit is None or any(share["parts"] > 1 for share in fit["map"]):
        return tuple(Core(p.name, 0, p.size) for p in program.populations)
    return tuple(Core(s["population"], s["first"], s["stop"]) for s in fit["map"])
