"""Pass: prove that 24 bits hold the sums and registers of a stepped program."""

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.state import Section, SteppedState
from qif2hw.discrete.cuba import DECAY_UNITY
from qif2hw.engine.stepped.spec import shifted
from qif2hw.errors import InputError
from qif2hw.ir.arrays import IntArray
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.stepped_program import (
    DECAY_BITS,
    SCALE_BITS,
    AddUp,
    CubaStep,
    PlaneStep,
    SteppedProgram,
    SteppedProgramPopulation,
)


@dataclass(frozen=True)
class Range:
    """Least and largest input sum of a neuron of a population, and largest magnitude of its registers."""

    low: int
    high: int
    register: int


@dataclass(frozen=True)
class SteppedRanges:
    """Ranges by population."""

    populations: dict[str, Range]


@dataclass(frozen=True)
class ProveSums:
    """Bound every input sum and register, for any spikes and any inputs; what is kept must fit 24 bits."""

    name: ClassVar[str] = "ranges"
    reads: ClassVar[tuple[type, ...]] = (SteppedProgram,)
    writes: ClassVar[tuple[type, ...]] = (SteppedRanges,)

    def run(self, state: SteppedState) -> SteppedState:
        """See `ranges_of`."""
        return state.having(SteppedRanges(ranges_of(state[SteppedProgram])))

    def report(self, state: SteppedState) -> Section:
        """Least and largest input sum, and the largest magnitude of a register, by population."""
        return {"populations": {name: asdict(found) for name, found in state[SteppedRanges].populations.items()}}


def ranges_of(program: SteppedProgram) -> dict[str, Range]:
    """Bounds by population, for any spikes and any inputs.

    Raises
    ------
    InputError
        If a sum or a register could become larger than `SteppedProgramPopulation.most`.
    """
    found = {}
    largest = {e.name: e.largest for e in program.encoders}
    for population in program.populations:
        low, high = _sums(program, population, largest)
        register = _register(population, program.clock.count, int(low.min()), int(high.max()))
        found[population.name] = Range(int(low.min()), int(high.max()), register)
        for what, value in (("input", max(-int(low.min()), int(high.max()))), ("register", register)):
            if value > population.most:
                raise InputError(
                    f"the {what} of population '{population.name}' may reach {value}, more than "
                    f"{population.most.bit_length() + 1} bits hold: use fewer weight bits or smaller weights"
                )
    return found


def _sums(
    program: SteppedProgram, population: SteppedProgramPopulation, largest: dict[str, int]
) -> tuple[IntArray, IntArray]:
    """Least and largest input of each neuron."""
    low = population.of_neurons(population.bias).copy()
    high = low.copy()
    for p in program.incoming(population.name):
        weight = p.weight.astype(np.int64)
        up, down = p.synapses.sums(np.maximum(weight, 0)), p.synapses.sums(np.maximum(-weight, 0))
        if p.pre in largest:
            up = down = (up + down) * largest[p.pre]
        low += shifted(-down, p.exponent)
        high += shifted(up, p.exponent)
    return low, high


def _register(population: SteppedProgramPopulation, steps: int, low: int, high: int) -> int:
    """Largest magnitude of a register."""
    own = population.arithmetic
    if isinstance(own, AddUp):
        return steps * max(-low, high)
    if isinstance(own, CubaStep):
        return _cuba_register(own, steps, max(-low, high), int(np.abs(population.bias).max()))
    if not isinstance(own, PlaneStep):
        return min(STATE_MAX, int(own.threshold.max()) + max(-low, high))  # Clipped to the state.
    decay = own.decay / (1 << DECAY_BITS)
    coupling = own.coupling / 2.0**own.coupling_shift / (1 << SCALE_BITS)
    # Without input a potential comes from below the threshold and goes no lower than -decay / coupling.
    top = decay * own.threshold / (1 - coupling * own.threshold)
    bottom = decay / np.maximum(coupling, 1e-300)
    # p = u q / 2^SCALE_BITS with q below twice that; four units for rounding.
    return int(2 * max(min(float(bottom.max()), 2.0**62) - low, float(top.max()) + high)) + 4


def _cuba_register(own: CubaStep, steps: int, largest: int, bias: int) -> int:
    """Largest magnitude of current and voltage; one more than 24 bits hold where the current may wrap around."""

    def settled(decay: NDArray[np.int32], given: float) -> float:
        """Bound of a register that receives at most ``given`` in each step."""
        left = 1 - decay.min() / DECAY_UNITY
        return given * (steps if left == 1 else (1 - left**steps) / (1 - left))

    current = settled(own.current_decay, largest)
    if current > STATE_MAX:
        return STATE_MAX + 1
    return int(max(current, min(STATE_MAX, settled(own.voltage_decay, current + bias))))
