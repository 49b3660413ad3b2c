"""Sizes, constants and golden spikes of an event-driven program, for the C code of the folder ``trial``."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from qif2hw.bundle import Golden
from qif2hw.emit.c99.text import (
    array,
    comment,
    constant,
    csv,
    halves,
    header,
    index_type,
    places,
    record,
    records,
    row,
)
from qif2hw.engine import encode, spec
from qif2hw.ir import (
    CotangentTables,
    PhaseWeightTable,
    PlaneVector,
    Program,
    ProgramPopulation,
    ProgramProjection,
    Table,
)
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.ptc import ANGLE_BITS, CURVATURE_MAX, LATE_FRACTION, VECTOR_BITS, second_moment

_FORMS = {CotangentTables: "cotangent", PhaseWeightTable: "grid", PlaneVector: "plane"}


def parts(program: Program, golden: Golden, x: FloatArray | None) -> dict[str, str]:
    """The generated files; ``x`` are inputs (samples, inputs) for ``inputs.csv``."""
    made = {"sizes.h": _sizes(program), "data.c": _data(program), "golden.c": _golden(program, golden)}
    if x is not None:
        made["inputs.csv"] = csv(np.stack(encode(program, x), axis=2).reshape(len(x), -1))
    return made


def unused(program: Program) -> set[str]:
    """Files of code that no population of the program needs."""
    return {f"{form}.c" for form in set(_FORMS.values()) - _forms(program)}


def _forms(program: Program) -> set[str]:
    return {_FORMS[type(p.ptc)] for p in program.populations}


def _registers(program: Program) -> list[int]:
    return [spec.start(p, program.grid).size for p in program.populations]


def _sizes(program: Program) -> str:
    grid = program.grid
    macros = {
        "INPUT_GROUPS": len(program.encoders),
        "POPULATIONS": len(program.populations),
        "GROUPS": len(program.parts),
        "PROJECTIONS": len(program.projections),
        "INPUTS": program.inputs,
        "OUTPUTS": sum(program.sizes[name] for name in program.output_populations),
        "SENDERS": sum(program.sizes.values()),
        "REGISTERS": sum(_registers(program)),
        "LARGEST": max(p.size for p in program.populations),
        "STEPS": program.steps,
        "TRIAL_STEPS": grid.trial_steps,
        "THRESHOLD": grid.threshold,
        "INCREMENT": grid.increment,
        "PHASE_BITS": grid.phase_bits,
        "LATENESS_BITS": grid.lateness_bits,
        "TICKS": grid.ticks,
        "LATE_FRACTION": LATE_FRACTION,
        "CURVATURE_MAX": CURVATURE_MAX,
        "VECTOR_BITS": VECTOR_BITS,
        "ANGLE_BITS": ANGLE_BITS,
    }
    used = {f"USES_{form.upper()}": int(form in _forms(program)) for form in _FORMS.values()}
    return header(macros | used, index_type(program.sizes))


def _data(program: Program) -> str:
    names = [part.name for part in program.parts]
    incoming = [program.incoming(p.name) for p in program.populations]
    projections = [q for group in incoming for q in group]
    outputs = dict(
        zip(
            program.output_populations,
            places([program.sizes[name] for name in program.output_populations]),
            strict=False,
        )
    )
    text, populations = ["/* Constants of this network. */\n", '#include "qif.h"\n'], []
    sites = zip(
        program.populations, places(_registers(program)), places([len(q) for q in incoming]), incoming, strict=False
    )
    for k, (p, registers, first, own) in enumerate(sites):
        text += [comment(p.name), *_curve(k, p)]
        start = spec.start(p, program.grid)
        text.append(array("int32_t", f"start_{k}", start))
        form = _FORMS[type(p.ptc)]
        about = {
            "size": p.size,
            "depth": p.depth,
            "registers": registers,
            "start": f"start_{k}",
            "start_count": start.size,
            "overshoot": program.grid.overshoot(p.depth),
            "flush_drop": p.flush_drop,
            "packed_bits": p.packed_bits,
            "one_message": int(bool(p.one_message)),
            "output": outputs.get(p.name, -1),
            "projections": first,
            "projection_count": len(own),
            "scales": _scales(k, p),
            "form": f"QIF_{form.upper()}",
            "curve": record({form: f"&curve_{k}"}),
        }
        populations.append(record(about))
    synapses = []
    for k, q in enumerate(projections):
        text.append(comment(f"{q.pre} -> {q.post}"))
        text += _weights(k, q)
        listed = not q.synapses.by_source(q.weight).rows.size
        about = {
            "source": names.index(q.pre),
            "post": program.sizes[q.post],
            "unit": 2 << q.exponent,
            "weight": f"weight_{k}",
            "begin": f"begin_{k}" if listed else 0,
            "neuron": f"neuron_{k}" if listed else 0,
        }
        synapses.append(record(about))
    text += [
        records("qif_population", "qif_populations[QIF_POPULATIONS]", populations),
        records("qif_projection", "qif_projections[QIF_PROJECTIONS]", synapses),
        array("int32_t", "qif_senders", places(list(program.sizes.values())), public=True),
    ]
    return "\n".join(text)


def _curve(k: int, population: ProgramPopulation) -> Iterator[str]:
    """Tables of a population, and its curve."""
    curve, second = population.ptc, second_moment(population.ptc)
    if second is not None:
        yield constant("qif_second_moment", f"second_{k}", asdict(second))
    if isinstance(curve, CotangentTables):
        yield array("int32_t", f"potential_{k}", curve.to_potential.knots)
        yield array("int32_t", f"phase_{k}", curve.to_phase.knots)
        tables = {
            "to_potential": _table(f"potential_{k}", curve.to_potential),
            "to_phase": _table(f"phase_{k}", curve.to_phase),
            "edge": curve.edge,
        }
        yield constant("qif_cotangent", f"curve_{k}", tables)
    elif isinstance(curve, PhaseWeightTable):
        yield array("int32_t", f"shift_{k}", curve.shift)
        yield array("int32_t", f"twist_{k}", curve.twist)
        rows, columns = curve.shift.shape
        about = {"shift": f"shift_{k}", "twist": f"twist_{k}", "rows": rows, "columns": columns}
        spacing = {"phase_spacing": curve.phase_spacing, "kick_spacing": curve.kick_spacing}
        yield constant("qif_grid", f"curve_{k}", about | spacing)
    else:
        yield array("int32_t", f"angles_{k}", curve.angles)
        names = ("cosine", "sine", "back_cosine", "back_sine", "kick_gain", "kick_shift", "tick_gain")
        numbers = {name: getattr(curve, name) for name in (*names, "trig_bits", "shear_drop")}
        yield constant("qif_plane", f"curve_{k}", numbers | {"angles": f"angles_{k}", "angle_count": curve.angles.size})


def _table(name: str, table: Table) -> str:
    about = {"knots": name, "count": table.knots.size}
    return record(about | {"first_octave": table.first_octave, "mantissa_bits": table.mantissa_bits})


def _scales(k: int, population: ProgramPopulation) -> str:
    curve = population.ptc
    return record(
        {
            "kick_bits": 0 if isinstance(curve, PlaneVector) else curve.kick_bits,
            **{name: getattr(curve, name) for name in ("late_gain", "late_shift", "flush_gain", "flush_shift")},
            "second": 0 if second_moment(curve) is None else f"&second_{k}",
        }
    )


def _weights(k: int, projection: ProgramProjection) -> Iterator[str]:
    own = projection.synapses.by_source(halves(projection.weight))
    if own.rows.size:
        yield array("int8_t", f"weight_{k}", own.rows)
        return
    yield array("int8_t", f"weight_{k}", own.weight)
    yield array("int32_t", f"begin_{k}", own.begin)
    yield array("qif_index", f"neuron_{k}", own.post)


def _golden(program: Program, golden: Golden) -> str:
    step, late = encode(program, golden.x)
    # In the order of the machine: steps, then populations from the last to the first, then neurons.
    rows = np.concatenate(
        [
            np.stack([s.sample, np.full(len(s), k), s.neuron, s.step, s.lateness], axis=1)
            for k, s in enumerate(golden.step_spikes[p.name] for p in program.populations)
        ]
    )
    rows = rows[np.lexsort((rows[:, 2], -rows[:, 1], rows[:, 3], rows[:, 0]))]
    output = np.stack([golden.machine.step, golden.machine.lateness, golden.machine.flush], axis=2)
    return "\n".join(
        [
            '#include "golden.h"\n',
            f"const int32_t qif_golden_samples = {len(step)}, qif_golden_spike_count = {len(rows)};\n",
            array("int32_t", "qif_golden_step", step, public=True),
            array("int32_t", "qif_golden_lateness", late, public=True),
            records("qif_output", "qif_golden_output[]", map(row, output.reshape(-1, 3).tolist())),
            records("qif_spike", "qif_golden_spikes[]", map(row, rows.tolist() or [[0] * 5])),
        ]
    )
