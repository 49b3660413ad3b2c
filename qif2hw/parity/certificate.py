r"""A certificate for every spike of the engine: how far it is from the exact one, with the causes.

Everything that the engine did is known.  Each kick's defect, what its register kept less the exact kick of the register
at the times that its inputs stand for, moves later spikes by the exact sensitivities; their signed sum is the error, to
first order, and what it leaves out is bounded (`docs/maths.md`, "How errors travel").  The exact run is not computed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw import neuron
from qif2hw.engine import encode, fast
from qif2hw.engine.host import finish
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.network import check_inputs
from qif2hw.ir.program import Program, ProgramPopulation
from qif2hw.ir.ptc import PlaneVector, second_moment
from qif2hw.ir.readout import Product, Readout
from qif2hw.ir.spikes import Run
from qif2hw.ir.synapses import join
from qif2hw.parity.certificate_kernels import (
    AFTER_END,
    ARITHMETIC,
    AT_END,
    CERTIFIED,
    LOOSE,
    MARGIN,
    PAYLOAD,
    START,
    Arriving,
    Sent,
    group_events,
    spread,
)

CAUSES = ("arithmetic", "order", "payload", "start")
"""Causes of errors: tables or rotation; spikes of unequal lateness in one step, applied together; bits of the lateness,
of phases sent in the flush, and of encoded inputs; initial phases."""
STATUS = {
    CERTIFIED: "certified",
    AT_END: "may lie on either side of the trial's end",
    AFTER_END: "follows a spike that may lie on either side of the trial's end",
    LOOSE: "no finite bound",
}
"""What is known of a spike."""
_BLOCK = 1 << 22
_MOST_SAMPLES = 256


@dataclass(frozen=True, eq=False)
class SpikeErrors:
    """Errors of some spikes: time on the engine minus exact time, in time units.

    Parameters
    ----------
    error
        By cause, (..., causes): the first-order sum of the defects; the columns are those of `CAUSES`.
    radius
        Bound on the difference between the sum of the causes and the error, (...); infinite where there is none.
    status
        Which of `STATUS`, (...).
    """

    error: FloatArray
    radius: FloatArray
    status: NDArray[np.int8]

    @property
    def estimate(self) -> FloatArray:
        """Sum of the causes."""
        return self.error.sum(axis=-1)

    @property
    def bound(self) -> FloatArray:
        """Largest magnitude that the error can have."""
        return np.abs(self.estimate) + self.radius


@dataclass(frozen=True, eq=False)
class Certificate:
    """Errors of all spikes of a run of the engine.

    Parameters
    ----------
    spikes
        Of the ordinary spikes, by population, in the order of `Run.spikes`.
    first
        Of the first spikes of the output neurons, pseudospikes included, (samples, output neurons).
    result
        Of the results, (samples, outputs), in their unit.
    run
        The run.
    """

    spikes: dict[str, SpikeErrors]
    first: SpikeErrors
    result: SpikeErrors
    run: Run


def certify(program: Program, x: ArrayLike) -> Certificate:
    """Run the engine and bound the error of every spike against ``program.network()``.

    Parameters
    ----------
    program
        What to run.
    x
        Inputs (samples, inputs) in [0, 1].

    Raises
    ------
    InputError
        On inputs of a wrong shape or outside [0, 1].
    """
    inputs = check_inputs(x, program.inputs)
    words = 8 * sum(program.sizes.values()) * (8 + max(program.sizes.values()))
    block = max(1, min(_MOST_SAMPLES, _BLOCK // words))
    parts = [_certify(program, inputs[low : low + block]) for low in range(0, len(inputs), block)] or [
        _certify(program, inputs)
    ]
    return _joined(parts)


def _joined(parts: list[Certificate]) -> Certificate:
    from qif2hw.ir.spikes import joined_runs

    def together(found: list[SpikeErrors]) -> SpikeErrors:
        return SpikeErrors(*(np.concatenate([getattr(one, f.name) for one in found]) for f in fields(SpikeErrors)))

    if len(parts) == 1:
        return parts[0]
    lows = np.cumsum([0, *(len(part.run.y) for part in parts)])
    return Certificate(
        {name: together([part.spikes[name] for part in parts]) for name in parts[0].spikes},
        together([part.first for part in parts]),
        together([part.result for part in parts]),
        joined_runs(zip(lows.tolist(), (part.run for part in parts), strict=False), "spikes"),
    )


@dataclass(frozen=True, eq=False)
class _Source:
    """What a group of inputs or a population sends, with its errors; ``flush`` are phases in periods, (samples, size)."""

    sample: IntArray
    neuron: IntArray
    step: IntArray
    time: FloatArray
    spikes: SpikeErrors
    flush: FloatArray
    ends: SpikeErrors
    uncertain: FloatArray


def _certify(program: Program, x: FloatArray) -> Certificate:
    registers: dict[str, fast.Registers] = {}
    step, late = encode(program, x)
    output, step_spikes = fast.run(program, step, late, registers)
    run = finish(program, "engine", output, step_spikes, 0.0)
    sources = dict(_inputs(program, x, step, late))
    for population in program.populations:
        sources[population.name] = _population(program, population, sources, run, registers[population.name])
    first = _first(program, run, sources)
    spikes = {p.name: sources[p.name].spikes for p in program.populations}
    return Certificate(spikes, first, _result(program, run, first), run)


def _inputs(
    program: Program, x: FloatArray, step: NDArray[np.int32], late: NDArray[np.int32]
) -> Iterator[tuple[str, _Source]]:
    """Input spikes; their error is that of the encoding."""
    samples = len(x)
    for encoder in program.encoders:
        columns = program.columns[encoder.name]
        time = program.grid.times(step[:, columns], late[:, columns], 0).ravel()
        sample, channel = np.divmod(np.arange(time.size), encoder.size)
        error = np.zeros((time.size, len(CAUSES)))
        error[:, PAYLOAD] = time - encoder.times(x[:, columns]).ravel()
        radius = np.full(time.size, MARGIN * max(1.0, encoder.latest))
        yield encoder.name, _Source(
            sample, channel, step[:, columns].ravel().astype(np.int64), time,
            SpikeErrors(error, radius, np.zeros(time.size, np.int8)), np.zeros((samples, encoder.size)),
            SpikeErrors(np.zeros((samples, encoder.size, len(CAUSES))), np.zeros((samples, encoder.size)),
                        np.zeros((samples, encoder.size), np.int8)),
            np.full(samples, np.inf),
        )  # fmt: skip


def _population(
    program: Program, population: ProgramPopulation, sources: Mapping[str, _Source], run: Run, kept: fast.Registers
) -> _Source:
    """Errors of what a population sends."""
    grid, samples, size = program.grid, len(run.y), population.size
    model = population.neuron
    incoming = program.incoming(population.name)
    weight = [p.weight * (population.unit * 2.0**p.exponent / model.r) for p in incoming]
    shears = join([p.synapses.by_source(w) for p, w in zip(incoming, weight, strict=True)])
    arriving = _arriving([sources[p.pre] for p in incoming], [program.sizes[p.pre] for p in incoming], samples)
    own, times = run.step_spikes[population.name], run.spikes[population.name].time
    key = own.sample.astype(np.int64) * size + own.neuron
    sent = Sent(
        np.searchsorted(key, np.arange(samples * size + 1)), own.step.astype(np.int64), times,
        _angles(population, grid.threshold, kept.crossing[:, :, None])[:, 0],
    )  # fmt: skip
    local = population.phase0.astype(np.int64) + (population.depth << grid.phase_bits)
    start = population.ptc.start[:, :] if isinstance(population.ptc, PlaneVector) else local[None]
    error = np.zeros((len(own), len(CAUSES)))
    radius, status = np.zeros(len(own)), np.zeros(len(own), np.int8)
    end_angle, end_radius, unsure = np.empty((samples, size)), np.empty((samples, size)), np.empty(samples)
    end_error = np.empty((samples, size, len(CAUSES)))
    uncertain = np.min([sources[p.pre].uncertain for p in incoming], axis=0)
    spread(
        arriving, sent, shears, kept.step.astype(np.int64), _angles(population, grid.threshold, kept.state),
        model.omega * grid.phi0(population.phase0, population.depth), _angles(population, grid.threshold, start[None])[0],
        0.5 * (population.depth - 1) * grid.tick, population.depth, grid.delta, model.omega,
        np.pi / grid.period_steps, grid.tick, grid.trial, second_moment(population.ptc) is not None, uncertain,
        error, radius, status, end_angle, end_error, end_radius, unsure,
    )  # fmt: skip
    flush, ends = _flush(
        population, grid.threshold, [(p.synapses, w, sources[p.pre]) for p, w in zip(incoming, weight, strict=True)],
        end_angle, SpikeErrors(end_error, end_radius, np.zeros((samples, size), np.int8)), kept.flush,
    )  # fmt: skip
    return _Source(
        own.sample.astype(np.int64), own.neuron.astype(np.int64), own.step.astype(np.int64), times,
        SpikeErrors(error, radius, status), flush, ends, unsure,
    )  # fmt: skip


def _angles(population: ProgramPopulation, threshold: int, state: NDArray[np.int32] | IntArray) -> FloatArray:
    """Angles of registers (..., registers, neurons)."""
    if isinstance(population.ptc, PlaneVector):
        return np.arctan2(state[..., 1, :].astype(np.float64), state[..., 0, :])
    return state[..., 0, :] * (np.pi / threshold)


def _arriving(parts: list[_Source], widths: list[int], samples: int) -> Arriving:
    """What several sources send as what a population receives."""
    offset = np.cumsum([0, *widths])
    sample = np.concatenate([part.sample for part in parts])
    channel = np.concatenate([part.neuron + o for part, o in zip(parts, offset, strict=False)])
    # A synapse takes one step.
    step = np.concatenate([part.step for part in parts]) + 1
    time = np.concatenate([part.time for part in parts])
    error = np.concatenate([part.spikes.error for part in parts])
    radius = np.concatenate([part.spikes.radius for part in parts])
    known = np.isfinite(radius)
    exact = time - error.sum(axis=1)
    order = np.lexsort((exact, time, sample))
    start = np.searchsorted(sample[order], np.arange(samples + 1))
    # What is not known follows a spike near the trial's end, from which on nothing is claimed.
    radius = np.where(known, radius, 0.0)[order]
    low, high = (exact[order] - radius), (exact[order] + radius)
    group = group_events(start, low, high)
    groups = int(group[-1]) + 1 if group.size else 0
    sooner, later = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(sooner, group, low)
    np.maximum.at(later, group, high)
    return Arriving(start, channel[order], step[order], time[order], error[order], radius, group, sooner, later)


def _flush(
    population: ProgramPopulation, threshold: int, incoming: list[tuple], angle: FloatArray, ends: SpikeErrors, payload: IntArray
) -> tuple[FloatArray, SpikeErrors]:
    """Phases sent in the flush step, in periods, and the errors of their angles."""
    sent = (payload << population.flush_drop) / threshold
    a, loose = np.zeros(angle.shape), np.zeros(angle.shape)
    known = np.zeros(ends.error.shape)
    for synapses, weight, source in incoming:
        if not source.ends.radius.any():
            continue
        a += synapses.apply(weight, source.flush)
        for c in range(known.shape[-1]):
            known[..., c] += synapses.apply(weight, source.ends.error[..., c]) / np.pi
        finite = np.isfinite(source.ends.radius)
        loose += synapses.apply(np.abs(weight), np.where(finite, source.ends.radius, 0.0)) / np.pi
        loose += np.where(finite.all(axis=1), 0.0, np.inf)[:, None]
    error, radius = _flushed(angle, a, ends, known, loose)
    error[..., ARITHMETIC] += sent * np.pi - angle - neuron.kick_change(angle, a)
    return sent, SpikeErrors(error, radius, np.where(np.isfinite(radius), CERTIFIED, AT_END).astype(np.int8))


def _flushed(
    theta: FloatArray, a: FloatArray, ends: SpikeErrors, known: FloatArray, loose: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Errors of angles after the shear ``a`` of the flush, of those before and of ``a`` itself: by cause, and a bound.

    ``d theta' = H' d theta + sin^2(theta') d a``.  ``sqrt(D)`` changes by at most ``|a|`` per angle and one per ``a``;
    the second derivative by ``a`` is ``2 sin^3 cos <= 0.65``.
    """
    slope = neuron.slope(theta, a)
    rise = np.sin(theta) ** 2 * slope
    error = slope[..., None] * ends.error + rise[..., None] * known
    turn, change = np.abs(ends.estimate) + ends.radius, np.abs(known.sum(axis=-1)) + loose
    finite = np.isfinite(turn + change)
    turn, change = np.where(finite, turn, 0.0), np.where(finite, change, 0.0)
    largest = np.abs(a) + change
    low, high = neuron.slope_bounds(slope, largest, neuron.steepest(largest), turn + change / np.maximum(largest, 1e-300))
    radius = (
        rise * loose
        + 0.325 * change**2
        + high * ends.radius
        + np.maximum(high - slope, slope - low) * np.abs(ends.estimate)
        + MARGIN * (1.0 + np.abs(a))
    )
    return error, np.where(finite, radius, np.inf)


def _first(program: Program, run: Run, sources: Mapping[str, _Source]) -> SpikeErrors:
    """Errors of the first spikes of the output neurons."""
    parts = []
    for name in program.output_populations:
        source, omega = sources[name], program.population(name).neuron.omega
        samples, size = source.ends.radius.shape
        # Pseudospikes, in place of which ordinary ones are put.
        error, radius, status = -source.ends.error / omega, source.ends.radius / omega, source.ends.status.copy()
        new = np.ones(source.sample.size, bool)
        new[1:] = (np.diff(source.sample) != 0) | (np.diff(source.neuron) != 0)
        at = source.sample[new], source.neuron[new]
        error[at], radius[at], status[at] = (getattr(source.spikes, f.name)[new] for f in fields(SpikeErrors))
        parts.append(SpikeErrors(error, radius, status))
    return SpikeErrors(*(np.concatenate([getattr(p, f.name) for p in parts], axis=1) for f in fields(SpikeErrors)))


def _result(program: Program, run: Run, first: SpikeErrors) -> SpikeErrors:
    """Errors of the results."""
    column, start = {}, 0
    for name in program.output_populations:
        column[name] = slice(start, start + program.population(name).size)
        start += program.population(name).size

    def read(readout: Readout) -> tuple[FloatArray, FloatArray, FloatArray]:
        part = column[readout.population]
        error, radius = first.error[:, part], first.radius[:, part]
        time = run.spike_time[:, part]
        difference = readout.scale[:, None] * (error[:, readout.stop] - error[:, readout.start])
        return readout.decode(time), difference, np.abs(readout.scale) * (
            radius[:, readout.stop] + radius[:, readout.start]
        )

    errors, radii = [], []
    for output in program.outputs:
        if isinstance(output, Product):
            (left, by_left, left_radius), (right, by_right, right_radius) = read(output.left), read(output.right)
            errors.append(output.scale * (right[..., None] * by_left + left[..., None] * by_right).sum(axis=1)[:, None])
            left_bound = np.abs(by_left.sum(axis=-1)) + left_radius
            right_bound = np.abs(by_right.sum(axis=-1)) + right_radius
            rest = np.abs(right) * left_radius + np.abs(left) * right_radius + left_bound * right_bound
            radii.append(abs(output.scale) * rest.sum(axis=1)[:, None])
        else:
            _, error, radius = read(output)
            errors.append(error)
            radii.append(radius)
    radius = np.concatenate(radii, axis=1)
    return SpikeErrors(np.concatenate(errors, axis=1), radius, np.where(np.isfinite(radius), CERTIFIED, LOOSE).astype(np.int8))
