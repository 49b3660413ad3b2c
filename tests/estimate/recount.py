"""Counters by hand: from the spike raster, one spike and one synapse at a time."""

from collections import Counter
from typing import Any

import numpy as np

from qif2hw import engine
from qif2hw.engine import stepped
from qif2hw.ir import Conv2d, Program, Sparse
from qif2hw.ir.ptc import second_moment
from qif2hw.ir.stepped_program import SteppedProgram


def full_matrix(projection: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights (post, pre), and where there is a synapse, from the definitions of the synapses."""
    s, w = projection.synapses, projection.weight
    weight, there = np.zeros(s.shape, int), np.zeros(s.shape, bool)
    if isinstance(s, Conv2d):
        (channels, height, width), (out, rows, columns) = s.in_shape, s.out_shape
        for o, i, j in np.ndindex(out, rows, columns):
            group = o // (out // s.groups)
            for c, k, l in np.ndindex(w.shape[1:]):
                y, x = (
                    s.stride[0] * i + s.dilation[0] * k - s.padding[0],
                    s.stride[1] * j + s.dilation[1] * l - s.padding[1],
                )
                if 0 <= y < height and 0 <= x < width:
                    at = (o * rows + i) * columns + j, ((group * w.shape[1] + c) * height + y) * width + x
                    weight[at], there[at] = w[o, c, k, l], True
        assert channels == w.shape[1] * s.groups
    elif isinstance(s, Sparse):
        for i in range(s.shape[0]):
            for k in range(s.indptr[i], s.indptr[i + 1]):
                weight[i, s.indices[k]], there[i, s.indices[k]] = w[k], True
    else:
        weight, there = w.astype(int), np.ones(s.shape, bool)
    return weight, there


def trial_raster(program: Program, run: Any, x: np.ndarray) -> list[tuple[str, str, int, int, int]]:
    """Messages (source, kind, neuron, machine step, value)."""
    step, late = engine.encode(program, x)
    found = [
        (name, "spike", n, int(step[s, columns][n]), int(late[s, columns][n]))
        for name, columns in program.columns.items()
        for s in range(len(x))
        for n in range(program.sizes[name])
    ]
    for p in program.populations:
        spikes = run.step_spikes[p.name]
        for k in range(len(spikes)):
            found.append((p.name, "spike", int(spikes.neuron[k]), int(spikes.step[k]), int(spikes.lateness[k])))
        flush = p.depth + program.grid.trial_steps + 1
        found += [(p.name, "flush", n, flush, 1) for n in range(p.size) for _ in x]
    return found


def stepped_raster(program: SteppedProgram, run: Any, x: np.ndarray) -> list[tuple[str, str, int, int, int]]:
    values = stepped.encode(program, program.check_inputs(x))
    found = []
    for name, columns in program.columns.items():
        for s, t in np.ndindex(len(x), program.clock.count):
            frame = values[s, min(t, values.shape[1] - 1), columns]
            found += [(name, "spike", n, t + 1, int(v)) for n, v in enumerate(frame) if v]
    for name, fired in run.spikes.items():
        for _, t, n in np.argwhere(fired):
            found.append((name, "spike", int(n), int(t) + 1 + program.depth[name], 1))
    return found


def recount(program: Any, run: Any, x: np.ndarray, cores: Any) -> dict[str, Any]:
    """All counters and totals, summed over the samples."""
    trial = isinstance(program, Program)
    raster = trial_raster(program, run, x) if trial else stepped_raster(program, run, x)
    deepest = max(program.depth.values())
    steps = program.grid.trial_steps + 1 + deepest if trial else program.clock.count + deepest
    core_of = {(c.population, n): k for k, c in enumerate(cores) for n in range(c.first, c.stop)}
    matrices = [(p, *full_matrix(p)) for p in program.projections]
    inputs = {e.name for e in program.encoders}
    wide = {name: any(abs(v) > 1 for source, _, _, _, v in raster if source == name) for name in inputs}
    table: dict[str, Any] = {
        name: np.zeros((len(cores), steps), int) for name in ("syn_ops", "dendrite_updates", "axon_out", "spikes_in")
    }
    total: Counter[str] = Counter()
    for k, core in enumerate(cores):
        for n in range(steps):
            for _ in range(core.first, core.stop):
                table["dendrite_updates"][k, n] += len(x)
    for source, kind, neuron, step, value in raster:
        total["input_spikes" if source in inputs else "flush_spikes" if kind == "flush" else "spikes"] += 1
        plain, squared = set(), set()
        for p, weight, there in matrices:
            if p.pre != source:
                continue
            square = trial and kind == "spike" and second_moment(program.population(p.post).ptc) is not None
            for post in np.flatnonzero(there[:, neuron]):
                core = core_of[p.post, int(post)]
                plain.add(core)
                table["syn_ops"][core, step] += 1
                total["flush_syn_ops"] += kind == "flush"
                if square:
                    squared.add(core)
                    table["syn_ops"][core, step] += 1
                if not weight[post, neuron]:
                    continue
                if trial and kind == "spike":
                    packed = program.population(p.post).packed_bits > 0
                    total["accumulates"] += not packed
                    total["multiplies"] += packed or value != 0
                    total["multiplies"] += square and value * value >= 2**program.grid.lateness_bits
                else:
                    total["multiplies" if kind == "flush" or wide.get(source) else "accumulates"] += 1
        for reached in (plain, squared):
            for core in reached:
                table["spikes_in"][core, step] += 1
                if source in inputs:
                    total["inputs"] += 1
                else:
                    table["axon_out"][core_of[source, neuron], step - 1] += 1
    return table | dict(total)
