"""The steps of the compiler for a stepped network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.compiler.stepped.arithmetic import lower
from qif2hw.compiler.stepped.ranges import Range, ranges_of
from qif2hw.compiler.stepped.scales import scale
from qif2hw.errors import InputError
from qif2hw.ir import ProgramProjection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.ir.stepped_program import ProgramFrames, SteppedProgram, SteppedProgramPopulation


@dataclass(frozen=True)
class SteppedOptions:
    """What a user may choose for a stepped network.

    Parameters
    ----------
    weight_bits
        Bits of a weight, 2 to 8.
    input_bits
        Signed bits of an input value.
    thresholds
        ``channel``: every channel of a population has a unit of its own, so that its weights use the whole grid;
        ``layer``: one unit per population.
    """

    weight_bits: int = 8
    input_bits: int = 9
    thresholds: str = "channel"

    def __post_init__(self) -> None:
        if self.thresholds not in ("channel", "layer"):
            raise InputError(f"thresholds = {self.thresholds}: channel and layer are possible")


def compile_stepped(
    network: SteppedNetwork, calibration: ArrayLike, options: SteppedOptions | None = None
) -> tuple[SteppedProgram, dict[str, Range]]:
    """Compile a stepped network.

    Parameters
    ----------
    network
        What to compile.
    calibration
        Inputs that are typical for its use: they choose the range of the integer inputs.
    options
        How.

    Returns
    -------
    SteppedProgram, dict of Range
        The program, and the proven ranges of its populations.

    Raises
    ------
    InputError
        If an option is out of range or the network cannot be put on the machine; the message says why.
    """
    options = options or SteppedOptions()
    frames = _frames(network, network.check_inputs(calibration), options.input_bits)
    units = {f.name: f.unit for f in frames}
    populations: list[SteppedProgramPopulation] = []
    projections: dict[int, ProgramProjection] = {}
    for population in network.order:
        made = scale(network, population, options.weight_bits, options.thresholds == "channel", units)
        per_neuron = np.repeat(made.unit, population.size // population.shape[0]).reshape(population.shape)
        shape = (-1,) + (1,) * (population.bias.ndim - 1)
        unit = made.unit.reshape(shape) if population.bias.ndim == 1 else per_neuron
        populations.append(
            SteppedProgramPopulation(
                population.name,
                population.shape,
                lower(population.neuron, made.unit),
                np.rint(population.bias / unit).astype(np.int64),
                made.unit,
            )
        )
        projections |= {id(p): q for p, q in zip(network.incoming(population.name), made.projections, strict=True)}
    program = SteppedProgram(
        network.clock, frames, tuple(populations), tuple(projections[id(p)] for p in network.projections),
        network.outputs,
    )  # fmt: skip
    return program, ranges_of(program)


def _frames(network: SteppedNetwork, calibration: FloatArray, bits: int) -> tuple[ProgramFrames, ...]:
    """Integer inputs: those of a group with a unit, or with the range of the calibration inputs."""
    made = []
    for e in network.encoders:
        if e.unit is not None:
            made.append(ProgramFrames(e.name, e.shape, e.unit, e.bits))
            continue
        largest = float(np.abs(calibration[:, :, network.columns[e.name]]).max()) or 1.0
        made.append(ProgramFrames(e.name, e.shape, largest / ((1 << (bits - 1)) - 1), bits))
    return tuple(made)
