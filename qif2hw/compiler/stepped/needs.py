"""What the populations of a stepped program ask of a chip."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.mapping import BYTES_PER_WORD, Need, Source, Window
from qif2hw.ir import Conv2d, Dense, ProgramProjection
from qif2hw.ir.stepped_program import (
    AddUp,
    CubaStep,
    EulerStep,
    LeakStep,
    PlaneStep,
    SteppedProgram,
    SteppedProgramPopulation,
)
from qif2hw.ir.weight_grid import weight_bits

PARAMETERS = ("threshold", "reset", "coupling", "curvature", "distance", "current_decay", "voltage_decay")
"""Numbers of an arithmetic that each channel may have for itself."""


def needs_of(program: SteppedProgram) -> tuple[Need, ...]:
    """The populations in order."""
    return tuple(_need(program, population) for population in program.populations)


def _need(program: SteppedProgram, population: SteppedProgramPopulation) -> Need:
    return Need(
        population.name,
        population.size,
        tuple(_source(p) for p in program.incoming(population.name)),
        state_bytes(population) + BYTES_PER_WORD * longest_delay(program.incoming(population.name)),
        0,
        population.size // population.channels,
        channel_bytes(population),
    )


def _source(p: ProgramProjection) -> Source:
    synapses = p.synapses
    bits = weight_bits(p.weight)
    if isinstance(synapses, Dense):
        return Source(p.pre, synapses.shape[1], bits, lists=_distinct(p.weight))
    if not isinstance(synapses, Conv2d):
        return Source(p.pre, synapses.shape[1], bits, synapses.index_bits, synapses.fan_in)
    channels, rows, columns = synapses.in_shape
    window = Window(
        width=synapses.out_shape[2],
        step=synapses.stride[0],
        height=synapses.dilation[0] * (synapses.kernel[0] - 1) + 1,
        row=channels // synapses.groups * columns,
        rows=rows,
        channels=synapses.groups,
    )
    kernels = p.weight.reshape(synapses.groups, synapses.out_channels // synapses.groups, -1)
    kernel = max(_distinct(group) for group in kernels)
    return Source(p.pre, synapses.shape[1], bits, 0, synapses.fan_in, kernel=kernel, window=window)


def _distinct(weight: NDArray[np.int16]) -> int:
    """Number of different columns of a matrix (neurons or channels, sources)."""
    columns = np.ascontiguousarray(weight.T)
    return len(np.unique(columns.view(np.dtype((np.void, columns.itemsize * columns.shape[1])))))


REGISTERS = {AddUp: 0, LeakStep: 1, EulerStep: 1, PlaneStep: 2, CubaStep: 2}
"""Of a neuron's state; an accumulator's is where its input is added up."""


def state_bytes(population: SteppedProgramPopulation) -> int:
    """Memory of one neuron: registers, an accumulator for its input, and a current of its own if it has one."""
    own = population.bias.ndim > 1 and bool(population.bias.any())
    return BYTES_PER_WORD * (REGISTERS[type(population.arithmetic)] + 1 + own)


def longest_delay(projections: Iterable[ProgramProjection]) -> int:
    """Most steps that a spike waits: a neuron has an accumulator for each of them, and for the present one."""
    return max((int(p.delay.max()) for p in projections if p.delay is not None), default=0)


def channel_bytes(population: SteppedProgramPopulation) -> int:
    """Parameters of one channel that differ from channel to channel: the others are part of the neuron's program."""
    values = [getattr(population.arithmetic, name, None) for name in PARAMETERS]
    if population.bias.ndim == 1:
        values.append(population.bias)
    return BYTES_PER_WORD * sum(v is not None and bool((v != v[0]).any()) for v in values)
