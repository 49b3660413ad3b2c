"""Proof by interval analysis that no register and no product of a population overflows.

The specification's own step runs on intervals: on all states a population can be in and all sums it can receive.  By
induction over the steps of a trial: every step takes the states assumed to some of them, and sends payloads no larger
than those from which the sums were bounded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from qif2hw.compiler.intervals import Register, Registers
from qif2hw.compiler.passes.ranges import PopulationRange
from qif2hw.engine import spec
from qif2hw.engine.integers import PRODUCT_BITS
from qif2hw.engine.plane import LONGEST
from qif2hw.ir import PlaneVector, ProgramPopulation, TimeGrid
from qif2hw.ir.ptc import STATE_BITS, second_moment


class ProofError(RuntimeError):
    """The induction does not close: what was assumed of states or payloads does not hold after a step."""


def prove(
    population: ProgramPopulation, grid: TimeGrid, found: PopulationRange, product_bits: int = PRODUCT_BITS
) -> dict[str, Register]:
    """Every register and product of a population, by name.

    Parameters
    ----------
    population, grid
        What runs.
    found
        What `qif2hw.compiler.passes.ranges` proved that it may receive.
    product_bits
        Width of products.

    Raises
    ------
    ProofError
        If the induction does not close, which a test excludes.
    """
    registers = Registers(product_bits=product_bits)
    given = assumed(registers, population, grid, found)
    state, a0, a1, a2, pull = given.state, given.a0, given.a1, given.a2, given.pull
    nothing = registers.interval([0], [0])
    trial: list[Any] = [spec.step(population, grid, m, state, a0, a1, a2) for m in sorted({1, grid.trial_steps})]
    flush: Any = spec.step(population, grid, grid.trial_steps + 1, trial[-1].state, nothing, pull, nothing)
    if grid.trial_steps > 1:
        _check(population, "state", trial[0].state, int(state.low.min()), int(state.high.max()))
    for sent in trial:
        _check(population, "payload", sent.payload, 0, _latest(grid))
    _check(population, "flush", flush.payload, 0, (grid.threshold >> population.flush_drop) + 1)
    return registers.found


@dataclass(frozen=True)
class Assumed:
    """Intervals of what a step takes: registers, sums of weights, of weights times lateness, its square, the flush."""

    state: Any
    a0: Any
    a1: Any
    a2: Any
    pull: Any


def assumed(registers: Registers, population: ProgramPopulation, grid: TimeGrid, found: PopulationRange) -> Assumed:
    """What the proof assumes of a step of a population's trial; what its accumulators hold is noted."""
    a0, a1, a2, pull = _sums(registers, population, grid, found)
    return Assumed(_states(registers, population, grid), a0, a1, a2, pull)


def fits(
    population: ProgramPopulation, grid: TimeGrid, found: PopulationRange, product_bits: int = PRODUCT_BITS
) -> bool:
    """Whether all registers and products of a population are wide enough."""
    return all(register.fits for register in prove(population, grid, found, product_bits).values())


def widest_product(population: ProgramPopulation, grid: TimeGrid, found: PopulationRange) -> tuple[str, int]:
    """The register or product with the widest number on the way to it, and the bits of that number."""
    proven = prove(population, grid, found)
    name = max(proven, key=lambda name: max(proven[name].bits, proven[name].widest))
    return name, max(proven[name].bits, proven[name].widest)


def _sums(registers: Registers, population: ProgramPopulation, grid: TimeGrid, found: PopulationRange) -> Any:
    """What arrives in one step: weights, weights times lateness, times its square, times flush payloads."""
    load = found.load
    weights = registers.interval([-load.down], [load.up])
    flag, late = registers.interval([0], [1]), registers.interval([0], [_latest(grid)])

    def total(name: str, message: Any) -> Any:
        # A source that is silent adds nothing: messages are bounded from below by 0.
        return (weights * int(message.high.max())).keep(name, STATE_BITS)

    a0, a1 = total("sum of weights", flag), total("weights times lateness", late)
    pull = registers.interval([-found.flush_max], [found.flush_max]).keep("weights times flush", STATE_BITS)
    a2 = registers.interval([0], [0])
    if second_moment(population.ptc) is not None:
        a2 = total("weights times squared lateness", spec.square(flag, late, grid))
    if population.packed_bits:
        total("both sums in one", spec.pack(flag, late, population.packed_bits))
    elif population.one_message:
        total("weights times messages", spec.pack(flag, late, 0))
    return a0, a1, a2, pull


def _states(registers: Registers, population: ProgramPopulation, grid: TimeGrid) -> Any:
    """All registers from the first step of a population's own trial on, up to its last."""
    if isinstance(population.ptc, PlaneVector):
        return registers.interval([[-LONGEST]] * 2, [[LONGEST]] * 2)
    start = np.unique(spec.start(population, grid))[None]
    state = registers.interval(start, start)
    nothing = registers.interval(0 * start[0], 0 * start[0])
    for m in range(1 - population.depth, 1):
        state = spec.step(population, grid, m, state, nothing, nothing, nothing).state
    low, high = min(0, int(state.low.min())), max(grid.threshold - 1, int(state.high.max()))
    # Split where a neuron fires, so that what it does after firing is seen apart from what it does otherwise.
    fires = grid.threshold - grid.increment
    return registers.interval([[low, fires]], [[fires - 1, high]])


def _latest(grid: TimeGrid) -> int:
    """Largest payload of a spike; at least 1, as `qif2hw.compiler.passes.ranges` counts."""
    return max(1, grid.ticks - 1)


def _check(population: ProgramPopulation, what: str, value: Any, low: int, high: int) -> None:
    if value.low.min() < low or value.high.max() > high:
        raise ProofError(
            f"{what} of population '{population.name}' from {value.low.min()} to {value.high.max()}: "
            f"{low} to {high} were assumed"
        )
