r"""The integer machine with a stepped clock, written to be read: what every other execution must equal bit for bit.

Registers are signed integers of 24 bits; ``>>`` is an arithmetic shift (rounds towards minus infinity), and
`rounded_shift` adds half a unit before it, so that what is cut off does not add up from step to step.

In each time step the populations do, in the order of their depth:

1. add up what their sources send in this step: ``x = bias + sum_p (sum_j W_ij s_j) << exponent_p`` (a rounded shift
   to the right where the exponent is negative), ``s`` being spikes 0 and 1, or the integers of an input group, of as
   many steps ago as the projection's delay of source ``j`` says;
2. `step`: relax, take the input, compare with the threshold; send a spike, or nothing.

On a chip a synapse takes one time step: population ``k`` layers from the inputs then runs ``k`` steps behind, which
changes no spike.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.discrete import cuba
from qif2hw.engine.integers import rounded_shift
from qif2hw.ir.program import ProgramProjection
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

Int = NDArray[np.int64]


class StateOverflow(ArithmeticError):
    """A register left its width in checked mode: the compiler's proof was wrong."""


def start(population: SteppedProgramPopulation) -> Int:
    """Registers before the first step, (registers, neurons): the reset state.  The first is what is read out."""
    arithmetic = population.arithmetic
    if isinstance(arithmetic, AddUp):
        return np.zeros((1, population.size), np.int64)
    if isinstance(arithmetic, CubaStep):
        return np.zeros((2, population.size), np.int64)
    reset = population.of_neurons(arithmetic.reset)
    if isinstance(arithmetic, PlaneStep):
        return np.stack([reset, np.full_like(reset, 1 << SCALE_BITS)])
    return reset[None]


def step(population: SteppedProgramPopulation, state: Int, x: Int) -> tuple[Int, Int]:
    """One step: the new registers, (registers, samples, neurons), and spikes 0 and 1, (samples, neurons)."""
    return _STEPS[type(population.arithmetic)](population, population.arithmetic, state, x)


def normalised(p: Int, q: Int) -> tuple[Int, Int]:
    """A plane vector whose ``q`` has `SCALE_BITS` or one more bits: only its direction matters."""
    bits = np.frexp(q.astype(np.float64))[1].astype(np.int64)
    down, up = np.maximum(bits - (SCALE_BITS + 1), 0), np.maximum(SCALE_BITS - bits, 0)
    return p >> down << up, q >> down << up


def _plane(population: SteppedProgramPopulation, own: PlaneStep, state: Int, x: Int) -> tuple[Int, Int]:
    p, q = state
    q = q - rounded_shift(p * population.of_neurons(own.coupling), own.coupling_shift)
    p, q = normalised(rounded_shift(p * own.decay, DECAY_BITS), q)
    p = p + rounded_shift(x * q, SCALE_BITS)
    fired = p >= rounded_shift(population.of_neurons(own.threshold) * q, SCALE_BITS)
    p = np.where(fired, population.of_neurons(own.reset), p)
    return np.stack([p, np.where(fired, 1 << SCALE_BITS, q)]), fired.astype(np.int64)


def _euler(population: SteppedProgramPopulation, own: EulerStep, state: Int, x: Int) -> tuple[Int, Int]:
    (w,) = state
    most = (1 << (FACTOR_BITS - 1)) - 1
    one = np.clip(w, -most, most)
    two = np.clip(w - population.of_neurons(own.distance), -most, most)
    square = rounded_shift(one * two, FACTOR_BITS)
    curved = rounded_shift(square * population.of_neurons(own.curvature), CURVATURE_BITS - FACTOR_BITS)
    return _fire(population, own, w + curved + x)


def _leak(population: SteppedProgramPopulation, own: LeakStep, state: Int, x: Int) -> tuple[Int, Int]:
    (w,) = state
    return _fire(population, own, rounded_shift(w * own.leak, DECAY_BITS) + x)


def _fire(population: SteppedProgramPopulation, own: EulerStep | LeakStep, v: Int) -> tuple[Int, Int]:
    v = np.clip(v, -STATE_MAX, STATE_MAX)
    fired = v >= population.of_neurons(own.threshold)
    return np.where(fired, population.of_neurons(own.reset), v)[None], fired.astype(np.int64)


def _cuba(population: SteppedProgramPopulation, own: CubaStep, state: Int, x: Int) -> tuple[Int, Int]:
    v, u = state
    bias = population.of_neurons(population.bias)
    decays = population.of_neurons(own.current_decay), population.of_neurons(own.voltage_decay)
    u, v = cuba.advance(u, v, x - bias, bias, *decays)
    fired = v > population.of_neurons(own.threshold) if own.threshold is not None else np.zeros(v.shape, np.bool_)
    return np.stack([np.where(fired, 0, v), u]), fired.astype(np.int64)


def _add_up(population: SteppedProgramPopulation, own: AddUp, state: Int, x: Int) -> tuple[Int, Int]:
    return state + x, np.zeros_like(x)


_STEPS: dict[type, Callable[[SteppedProgramPopulation, Any, Int, Int], tuple[Int, Int]]] = {
    PlaneStep: _plane,
    EulerStep: _euler,
    LeakStep: _leak,
    CubaStep: _cuba,
    AddUp: _add_up,
}


def shifted(total: NDArray[Any], exponent: int) -> NDArray[Any]:
    """A sum of weights in units of the potential; element by element."""
    return total << exponent if exponent >= 0 else rounded_shift(total, -exponent)


class State(NamedTuple):
    """What a program holds between two steps.

    Parameters
    ----------
    registers
        By population, (registers, samples, neurons).
    past
        What a source with delays has sent, the latest step first, (longest delay, samples, neurons).
    """

    registers: dict[str, Int]
    past: dict[str, Int]


def start_of(program: SteppedProgram, samples: int) -> State:
    """Before the first step: all populations in their reset state, and nothing sent."""
    longest: dict[str, int] = {}
    for p in program.projections:
        if p.delay is not None:
            longest[p.pre] = max(longest.get(p.pre, 0), int(p.delay.max()))
    return State(
        {p.name: np.repeat(start(p)[:, None], samples, axis=1) for p in program.populations},
        {name: np.zeros((steps, samples, program.sizes[name]), np.int64) for name, steps in longest.items()},
    )


def arriving(projection: ProgramProjection, sent: Int, past: dict[str, Int]) -> Int:
    """What reaches the synapses of a projection, (samples, pre), where its source sends ``sent`` now."""
    if projection.delay is None:
        return sent
    late = np.concatenate([sent[None], past[projection.pre]])
    samples, sources = np.indices(sent.shape, sparse=True)
    return late[projection.delay, samples, sources]


def advance(program: SteppedProgram, state: State, frame: Int) -> tuple[State, dict[str, Int], dict[str, Int]]:
    """One time step of all populations.

    Parameters
    ----------
    program
        What runs.
    state
        Registers before the step.
    frame
        Values of the input groups, (samples, inputs).

    Returns
    -------
    State, dict, dict
        Registers after the step; by population what it sent, and the input sums, (samples, neurons).
    """
    sent = {name: frame[:, columns] for name, columns in program.columns.items()}
    after, totals = {}, {}
    for population in program.populations:
        name = population.name
        total = np.tile(population.of_neurons(population.bias), (len(frame), 1))
        for q in program.incoming(name):
            given = arriving(q, sent[q.pre], state.past)
            total += shifted(q.synapses.apply(q.weight.astype(np.int64), given), q.exponent)
        after[name], sent[name] = step(population, state.registers[name], total)
        totals[name] = total
    past = {name: np.concatenate([sent[name][None], late[:-1]]) for name, late in state.past.items()}
    return State(after, past), {p.name: sent[p.name] for p in program.populations}, totals


def sums(program: SteppedProgram, state: State) -> Int:
    """What is read out: the first register of the outputs' populations, concatenated, (samples, outputs)."""
    return np.concatenate([state.registers[output.population][0] for output in program.outputs], axis=1)


def run(program: SteppedProgram, x: Int, *, checked: bool = False) -> tuple[Int, dict[str, NDArray[np.bool_]]]:
    """Run the machine on integer inputs.

    Parameters
    ----------
    program
        What to run.
    x
        Values of the input groups, (samples, 1 or time steps, inputs).
    checked
        Raise `StateOverflow` when an input sum or a register is larger than `SteppedProgramPopulation.most`.

    Returns
    -------
    array, dict
        `sums` after the last step, and whether neurons spiked, (samples, time steps, neurons) by population.
    """
    state = start_of(program, len(x))
    spikes: dict[str, list[NDArray[np.bool_]]] = {p.name: [] for p in program.populations if p.spiking}
    for n in range(program.clock.count):
        state, sent, totals = advance(program, state, x[:, min(n, x.shape[1] - 1)])
        for name, total in totals.items() if checked else ():
            largest = max(int(np.abs(register).max()) for register in (total, *state.registers[name]))
            if largest > program.population(name).most:
                raise StateOverflow(f"population '{name}' reached {largest} in step {n + 1}")
        for name, found in spikes.items():
            found.append(sent[name] > 0)
    return sums(program, state), {name: np.stack(found, axis=1) for name, found in spikes.items()}
