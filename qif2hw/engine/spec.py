r"""The integer machine, written to be read: the specification that every other execution must equal bit for bit.

Registers are signed integers; ``>>`` is an arithmetic shift (rounds towards minus infinity).  `rounded_shift` adds
half a unit first.  Products and sums before a shift fit 64 bits; what is *kept* fits 24 (`qif2hw.ir.ptc.STATE_BITS`).
`qif2hw.engine.integers.keep` names them, so that the compiler can prove it.  Arrays of the functions below are handled
element by element, in any shape (..., neurons).

One machine step ``n = 1, 2, ...``:

1. Every population adds up what was sent to it in step ``n - 1``: ``A0 = sum W flag`` and ``A1 = sum W payload``, in
   two accumulators or, packed, in one (`pack`, `unpack`); or ``A0`` and ``A0 + A1``, where a spike is one message
   that is not packed (`sums`); where it uses the second moment of lateness, also ``A2 = sum W square`` (`square`).
2. Every neuron does `step` for its local step ``m = n - depth`` and sends a flag and a payload, or nothing.

Local steps ``m <= trial_steps`` advance the phase.  The step ``m = trial_steps + 1`` is the *flush*: time stands still,
each neuron receives the pseudo-phases of its sources as one weighted sum in ``A1`` (no flags), and sends its own.
An input channel sends one spike, with its lateness as payload, in the step that its encoded time falls into.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw.engine import plane
from qif2hw.engine.curve import kick, second_order_loss
from qif2hw.engine.integers import Int, keep, rounded_shift
from qif2hw.ir.program import Program, ProgramPopulation, TimeGrid
from qif2hw.ir.ptc import ACCUMULATOR_MAX, PTC, STATE_BITS, STATE_MAX, VECTOR_BITS, PlaneVector, second_moment
from qif2hw.ir.spikes import MachineOutput, StepSpikes


class RegisterOverflow(ArithmeticError):
    """A register left its width in checked mode: the compiler's proof was wrong."""


@dataclass(frozen=True)
class Sent:
    """What the neurons of a population keep and send in one step.

    ``state`` is the new registers, (registers, ..., neurons).  ``flag`` is 1 for an ordinary spike.  ``payload`` is its
    lateness in ticks, or in the flush step the phase shifted right by ``flush_drop`` (with flag 0); 0 otherwise.
    """

    state: Int
    flag: Int
    payload: Int


def pack(flag: Int, payload: Int, bits: int) -> Int:
    """One message for both: ``2^bits flag + payload``."""
    return (flag << bits) + payload


def sums(population: ProgramPopulation, a0: Int, total: Int) -> tuple[Int, Int]:
    """``A0`` and ``A1`` from what one message per spike gave: sums of its weights, and of weights times messages."""
    if population.packed_bits:
        return unpack(total, population.packed_bits)
    return a0, total - a0


def unpack(total: Int, bits: int) -> tuple[Int, Int]:
    """``A0`` and ``A1`` of a ``total`` of packed messages; exact while ``|A1| < 2^(bits - 1)``."""
    a0 = rounded_shift(total, bits)
    return a0, total - (a0 << bits)


def square(flag: Int, payload: Int, grid: TimeGrid) -> Int:
    """Square of a spike's lateness, in ticks per step: ``flag payload^2 >> lateness_bits``."""
    return flag * (payload * payload >> grid.lateness_bits)


def start(population: ProgramPopulation, grid: TimeGrid) -> Int:
    """Registers before the first step, (registers, neurons): the phase, or the two coordinates of the plane vector."""
    curve = population.ptc
    if not isinstance(curve, PlaneVector):
        return population.phase0.astype(np.int64)[None]
    return curve.start.astype(np.int64)


def step(population: ProgramPopulation, grid: TimeGrid, local_step: int, state: Int, a0: Int, a1: Int, a2: Int) -> Sent:
    """One step of a population.

    Parameters
    ----------
    population, grid
        The program's.
    local_step
        ``m``, the machine step minus the population's depth.  In steps before 1 nothing arrives: a phase grows from its
        early start, a plane vector waits.
    state
        Registers, (registers, ..., neurons).
    a0, a1, a2
        What arrived, (..., neurons): sums of weights of the spikes, of weights times payloads, of weights times
        squares; the last is not looked at unless the population uses it.
    """
    if local_step > grid.trial_steps + 1:
        nothing = np.zeros_like(a0)
        return Sent(state, nothing, nothing)
    if isinstance(population.ptc, PlaneVector):
        return _step_vector(population, population.ptc, grid, local_step, state, a0, a1, a2)
    return _step_phase(population, grid, local_step, state, a0, a1, a2)


def _step_phase(
    population: ProgramPopulation, grid: TimeGrid, local_step: int, state: Int, a0: Int, a1: Int, a2: Int
) -> Sent:
    tables, threshold, phase = population.ptc, grid.threshold, state[0]
    assert not isinstance(tables, PlaneVector)
    nothing = np.zeros_like(a1)
    if local_step > grid.trial_steps:
        pull = rounded_shift(keep("flush product", a1 * tables.flush_gain), tables.flush_shift)
        kicked = kick(tables, threshold, phase, pull, nothing, nothing)
        return Sent(kicked[None], np.zeros_like(phase), rounded_shift(kicked, population.flush_drop))

    advanced = keep("phase", phase + grid.increment, STATE_BITS)
    fired = advanced >= threshold
    crossed = np.where(fired, advanced - threshold, advanced)
    late = _lateness(tables, a1)
    m2 = nothing if second_moment(tables) is None else _lateness(tables, a2)
    kicked = kick(tables, threshold, crossed, keep("kick", a0 << tables.kick_bits), late, m2)
    if local_step == grid.trial_steps:
        # The trial ends inside this step: turn the phase back to its end, and un-fire what crossed after it.
        overshoot = grid.overshoot(population.depth)
        after = fired & (crossed < overshoot)
        fired = fired & ~after
        turned = keep("phase", kicked - overshoot, STATE_BITS)
        kicked = np.clip(turned + np.where(after, threshold, 0), 0, threshold - 1)
    flag = fired.astype(np.int64)
    return Sent(kicked[None], flag, flag * (crossed >> (grid.phase_bits - grid.lateness_bits)))


def _lateness(curve: PTC, total: Int) -> Int:
    """A sum of weights times lateness, or its square, with ``LATE_FRACTION`` fraction bits."""
    return rounded_shift(keep("lateness product", total * curve.late_gain), curve.late_shift)


def _step_vector(
    population: ProgramPopulation, curve: PlaneVector, grid: TimeGrid, local_step: int, state: Int, a0: Int, a1: Int,
    a2: Int,
) -> Sent:  # fmt: skip
    x, y = state
    nothing = np.zeros_like(a0)
    if local_step < 1:
        return Sent(state, nothing, nothing)
    if local_step > grid.trial_steps:
        pull = rounded_shift(keep("flush product", a1 * curve.flush_gain), curve.flush_shift)
        x, y = plane.normalise(*plane.shear(x, y, pull, nothing, nothing, curve.shear_drop))
        phase = plane.phase_of(curve, grid.threshold, x, y)
        return Sent(np.stack([x, y]), nothing, rounded_shift(phase, population.flush_drop))

    x, y, fired = plane.cross(*plane.rotate(x, y, curve.cosine, curve.sine, curve.trig_bits))
    late = plane.ticks_late(curve, x, y, grid.ticks - 1)
    kick0 = rounded_shift(keep("kick product", a0 * curve.kick_gain), curve.kick_shift)
    kick1, kick2 = _lateness(curve, a1), nothing
    if curve.second is not None:
        m2 = _lateness(curve, a2)
        kick2 = rounded_shift(keep("square product", m2 * curve.second.own_gain), curve.second.own_shift)
        kick0 = kick0 - second_order_loss(curve.second, kick0, kick1, m2)
    x, y = plane.normalise(*plane.shear(x, y, kick0, kick1, kick2, curve.shear_drop))
    if local_step == grid.trial_steps:
        # The trial ends inside this step: turn back to its end; a spike that this undoes came after it.
        x, y, undone = plane.cross(*plane.rotate(x, y, curve.back_cosine, -curve.back_sine, curve.trig_bits))
        # What fired in an earlier step and is undone stays fired: it sends no pseudo-phase.
        stays = (undone > 0) & (fired == 0)
        x, y = np.where(stays, 1 << (VECTOR_BITS - 1), x), np.where(stays, 0, y)
        fired = fired * (1 - undone)
    return Sent(np.stack([x, y]), fired, fired * late)


def run(
    program: Program,
    step_in: NDArray[np.int32],
    late_in: NDArray[np.int32],
    *,
    checked: bool = False,
    watch: Callable[[str, int, Int, Int, Int, Sent], None] | None = None,
) -> tuple[MachineOutput, dict[str, StepSpikes]]:
    """Run the machine on encoded inputs.

    Parameters
    ----------
    program
        What to run.
    step_in, late_in
        Step and lateness of each input channel's spike, (samples, inputs), from `qif2hw.engine.host.encode`.
    checked
        Raise `RegisterOverflow` when a register leaves its width.
    watch
        Called in every machine step of every population: its name, the step, what arrived (``A0``, ``A1``, ``A2``), and
        what it then keeps and sends.

    Returns
    -------
    MachineOutput, dict of StepSpikes
        First spikes of the output neurons, and all ordinary spikes by population.

    Raises
    ------
    RegisterOverflow
        In checked mode, naming the register, the population and the step.
    """
    grid, samples = program.grid, step_in.shape[0]
    state = {}
    for p in program.populations:
        registers = start(p, grid)
        state[p.name] = np.broadcast_to(registers[:, None], (len(registers), samples, p.size))
    weight = {
        (q.pre, q.post): q.synapses.by_source(q.weight.astype(np.int64) << q.exponent) for q in program.projections
    }
    sent: dict[str, Sent] = {}
    spikes: dict[str, list[Int]] = {p.name: [] for p in program.populations}
    first = {name: np.full(state[name].shape[1:], -1, np.int64) for name in program.output_populations}
    first_late = {name: np.zeros_like(first[name]) for name in program.output_populations}
    flush = {name: np.zeros_like(first[name]) for name in program.output_populations}

    for n in range(program.steps + 1):
        arriving, sent = sent, {}
        for group, columns in program.columns.items():
            flag = (step_in[:, columns] == n).astype(np.int64)
            sent[group] = Sent(flag, flag, flag * late_in[:, columns])
        if n == 0:
            continue
        for population in program.populations:
            name, bits, m = population.name, population.message_bits, n - population.depth
            # In the flush step nothing has a flag: the one accumulator holds the pseudo-phases alone.
            packed = population.packed_bits > 0 and m <= grid.trial_steps
            together = bits is not None and m <= grid.trial_steps
            a0 = np.zeros((samples, population.size), np.int64)
            a1, a2 = np.zeros_like(a0), np.zeros_like(a0)
            for q in program.incoming(name):
                got = arriving.get(q.pre)
                if got is None or not (got.flag.any() or got.payload.any()):
                    continue
                own = weight[q.pre, q.post]
                if not packed:
                    own.add(got.flag, a0)
                own.add(pack(got.flag, got.payload, bits or 0) if together else got.payload, a1)
                if second_moment(population.ptc) is not None:
                    own.add(square(got.flag, got.payload, grid), a2)
            if checked:
                _check(name, n, "accumulator", a0, ACCUMULATOR_MAX)
                _check(name, n, "packed accumulator" if packed else "payload accumulator", a1, ACCUMULATOR_MAX)
                _check(name, n, "square accumulator", a2, ACCUMULATOR_MAX)
            if together:
                a0, a1 = sums(population, a0, a1)
            out = step(population, grid, m, state[name], a0, a1, a2)
            if checked:
                _check(name, n, "state", out.state, STATE_MAX)
            if watch is not None:
                watch(name, n, a0, a1, a2, out)
            state[name], sent[name] = out.state, out
            sample, neuron = np.nonzero(out.flag)
            late = out.payload[sample, neuron]
            spikes[name].append(np.stack([sample, neuron, np.full_like(sample, n), late], axis=1))
            if name in first:
                new = (out.flag > 0) & (first[name] < 0)
                first[name] = np.where(new, n, first[name])
                first_late[name] = np.where(new, out.payload, first_late[name])
                if m == grid.trial_steps + 1:
                    flush[name] = out.payload
    names = program.output_populations
    output = MachineOutput(
        *(
            np.concatenate([part[name] for name in names], axis=1).astype(np.int32)
            for part in (first, first_late, flush)
        )
    )
    return output, {name: StepSpikes.of(np.concatenate(rows)) for name, rows in spikes.items()}


def _check(population: str, n: int, register: str, value: Int, limit: int) -> None:
    if np.abs(value).max(initial=0) > limit:
        raise RegisterOverflow(
            f"{register} of population '{population}' reached {int(np.abs(value).max())} in step {n}"
        )
