"""Sizes, constants and golden spikes of a stepped program, for the C code of the folder ``stepped``."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from qif2hw.bundle import SteppedGolden
from qif2hw.discrete.cuba import DECAY_UNITY, LARGEST
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
from qif2hw.engine.stepped import encode, spec
from qif2hw.ir import Conv2d, ProgramProjection, Sparse
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.stepped_program import (
    CURVATURE_BITS,
    DECAY_BITS,
    FACTOR_BITS,
    SCALE_BITS,
    AddUp,
    CubaStep,
    EulerStep,
    LeakStep,
    PlaneStep,
    SteppedProgram,
    SteppedProgramPopulation,
)

_KINDS = {PlaneStep: "plane", EulerStep: "euler", LeakStep: "leak", CubaStep: "cuba", AddUp: "add_up"}
_GAIN_BITS = 38
"""Width of the gains that make outputs in different units comparable: products with 24 bits fit 64."""


def parts(program: SteppedProgram, golden: SteppedGolden, x: FloatArray | None) -> dict[str, str]:
    """The generated files; ``x`` are inputs (samples, 1 or time steps, inputs) for ``inputs.csv``."""
    made = {"sizes.h": _sizes(program), "data.c": _data(program), "golden.c": _golden(program, golden)}
    if x is not None:
        made["inputs.csv"] = csv(encode(program, x).reshape(len(x), -1))
    return made


def _registers(program: SteppedProgram) -> list[int]:
    return [spec.start(p).size for p in program.populations]


def _slots(program: SteppedProgram) -> list[int]:
    """How many of the last steps of each group are kept."""
    count = dict.fromkeys(program.sizes, 1)
    for q in program.projections:
        if q.delay is not None:
            within = q.delay[q.delay < program.clock.count]
            count[q.pre] = max(count[q.pre], 1 + int(within.max(initial=0)))
    return list(count.values())


def _sent(program: SteppedProgram) -> list[int]:
    """Values kept of each group."""
    return [size * slots for size, slots in zip(program.sizes.values(), _slots(program), strict=True)]


def _sizes(program: SteppedProgram) -> str:
    macros = {
        "INPUT_GROUPS": len(program.encoders),
        "POPULATIONS": len(program.populations),
        "GROUPS": len(program.parts),
        "PROJECTIONS": len(program.projections),
        "INPUTS": program.inputs,
        "READOUTS": len(program.outputs),
        "OUTPUTS": program.results,
        "REGISTERS": sum(_registers(program)),
        "SENT": sum(_sent(program)),
        "STEPS": program.clock.count,
        "STATE_MAX": STATE_MAX,
        "DECAY_BITS": DECAY_BITS,
        "SCALE_BITS": SCALE_BITS,
        "CURVATURE_BITS": CURVATURE_BITS,
        "FACTOR_BITS": FACTOR_BITS,
        "CUBA_BITS": DECAY_UNITY.bit_length() - 1,
        "CUBA_UNITY": DECAY_UNITY,
        "CUBA_LARGEST": LARGEST,
    }
    return header(macros, index_type(program.sizes))


def _data(program: SteppedProgram) -> str:
    names = [part.name for part in program.parts]
    incoming = [program.incoming(p.name) for p in program.populations]
    text, populations = ["/* Constants of this network. */\n", '#include "qif.h"\n'], []
    sites = zip(
        program.populations, places(_registers(program)), places([len(q) for q in incoming]), incoming, strict=False
    )
    for k, (p, registers, first, own) in enumerate(sites):
        kind = _KINDS[type(p.arithmetic)]
        text += [comment(p.name), array("int32_t", f"bias_{k}", p.bias), *_arithmetic(k, p)]
        about = {
            "size": p.size,
            "channel_size": p.size // p.channels,
            "registers": registers,
            "bias": f"bias_{k}",
            "bias_size": p.size // p.bias.size,
            "projections": first,
            "projection_count": len(own),
            "arithmetic": f"QIF_{kind.upper()}",
            "own": record({"plane": 0} if kind == "add_up" else {kind: f"&own_{k}"}),
        }
        populations.append(record(about))
    synapses = []
    for k, q in enumerate(q for own in incoming for q in own):
        text += [comment(f"{q.pre} -> {q.post}"), *_synapses(k, q, program.clock.count)]
        synapses.append(record({"source": names.index(q.pre), **_fields(k, q)}))
    largest = {e.name: e.largest for e in program.encoders}
    groups = [
        record({"size": size, "largest": largest.get(name, 1), "slots": slots, "sent": sent})
        for (name, size), slots, sent in zip(
            program.sizes.items(), _slots(program), places(_sent(program)), strict=False
        )
    ]
    order = [p.name for p in program.populations]
    text += [
        records("qif_group", "qif_groups[QIF_GROUPS]", groups),
        records("qif_population", "qif_populations[QIF_POPULATIONS]", populations),
        records("qif_projection", "qif_projections[QIF_PROJECTIONS]", synapses),
        array("int32_t", "qif_outputs", [order.index(output.population) for output in program.outputs], public=True),
        array("int64_t", "qif_output_gains", _gains(program), public=True),
    ]
    return "\n".join(text)


def _arithmetic(k: int, population: SteppedProgramPopulation) -> Iterator[str]:
    """What the neurons of a population do, with its arrays by channel."""
    own = population.arithmetic
    if isinstance(own, AddUp):
        return
    arrays: dict[str, Any] = {name: value for name, value in vars(own).items() if isinstance(value, np.ndarray)}
    if isinstance(own, CubaStep) and own.threshold is None:
        arrays["threshold"] = np.full(population.channels, LARGEST)
    for name, values in arrays.items():
        yield array("int32_t", f"{name}_{k}", values)
    numbers = {name: value for name, value in vars(own).items() if isinstance(value, int)}
    yield constant(f"qif_{_KINDS[type(own)]}_step", f"own_{k}", numbers | {name: f"{name}_{k}" for name in arrays})


def _synapses(k: int, projection: ProgramProjection, steps: int) -> Iterator[str]:
    """Arrays of a projection."""
    synapses = projection.synapses
    yield array("int8_t", f"weight_{k}", halves(projection.weight))
    if projection.delay is not None:
        # Nothing arrives within the time steps after so long.
        yield array("uint16_t", f"delay_{k}", np.minimum(projection.delay, steps))
    if isinstance(synapses, Sparse):
        yield array("int32_t", f"begin_{k}", synapses.indptr)
        yield array("qif_index", f"pre_{k}", synapses.indices)
    if isinstance(synapses, Conv2d):
        sides = ("channels", "height", "width")
        about: dict[str, Any] = {f"in_{side}": n for side, n in zip(sides, synapses.in_shape, strict=True)}
        about |= {f"out_{side}": n for side, n in zip(sides, synapses.out_shape, strict=True)}
        for name in ("kernel", "stride", "padding", "dilation"):
            about[name] = row(getattr(synapses, name))
        yield constant("qif_conv2d", f"conv_{k}", about | {"groups": synapses.groups})


def _fields(k: int, projection: ProgramProjection) -> dict[str, Any]:
    """Fields of a projection apart from its source."""
    synapses = projection.synapses
    sparse, conv = isinstance(synapses, Sparse), isinstance(synapses, Conv2d)
    return {
        "exponent": projection.exponent,
        "weight": f"weight_{k}",
        "delay": 0 if projection.delay is None else f"delay_{k}",
        "kind": "QIF_SPARSE" if sparse else "QIF_CONV2D" if conv else "QIF_DENSE",
        "begin": f"begin_{k}" if sparse else 0,
        "pre": f"pre_{k}" if sparse else 0,
        "conv": f"&conv_{k}" if conv else 0,
    }


def _units(program: SteppedProgram) -> FloatArray:
    """Real value of one count of each output."""
    return program.decode(np.ones((1, program.results), np.int64))[0]


def _gains(program: SteppedProgram) -> IntArray:
    """Integers in proportion to the units of the outputs: 1 where all have the same."""
    units = _units(program)
    gains = np.rint(units / np.abs(units).max() * 2.0**_GAIN_BITS).astype(np.int64)
    return gains // np.gcd.reduce(gains)


def _golden(program: SteppedProgram, golden: SteppedGolden) -> str:
    counts = encode(program, golden.x)
    spiking = [k for k, p in enumerate(program.populations) if p.spiking]
    packed = [np.packbits(golden.spikes[program.populations[k].name], axis=2) for k in spiking]
    spikes = np.concatenate(packed, axis=2) if packed else np.zeros((0, 0, 0), np.uint8)
    return "\n".join(
        [
            '#include "golden.h"\n',
            f"const int32_t qif_golden_samples = {counts.shape[0]}, qif_golden_frames = {counts.shape[1]};\n",
            f"const int32_t qif_golden_population_count = {len(spiking)};\n",
            array("int32_t", "qif_golden_populations", spiking, public=True),
            array("int32_t", "qif_golden_inputs", counts, public=True),
            array("int32_t", "qif_golden_sums", np.rint(golden.y / _units(program)).astype(np.int64), public=True),
            array("int32_t", "qif_golden_class", golden.y.argmax(axis=1), public=True),
            array("uint8_t", "qif_golden_spikes", spikes, public=True),
        ]
    )
