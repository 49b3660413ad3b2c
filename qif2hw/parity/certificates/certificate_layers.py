"""Certificates population by population: from the errors of what arrives to those of what is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw import neuron
from qif2hw.engine import fast
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.program import Program, ProgramPopulation
from qif2hw.ir.ptc import PlaneVector, second_moment
from qif2hw.ir.spikes import Run
from qif2hw.ir.synapses import AnySynapses, join
from qif2hw.parity.certificates.certificate_kernels import MARGIN, Arriving, Sent, group_events, spread
from qif2hw.parity.certificates.spike_errors import ARITHMETIC, AT_END, CAUSES, CERTIFIED, PAYLOAD, SpikeErrors


@dataclass(frozen=True, eq=False)
class Source:
    """What a group of inputs or a population sends, with its errors.

    ``flush`` are the phases of the flush step in periods, (samples, size), ``ends`` the errors of their angles;
    ``uncertain`` is the time from which on spikes may be missing or extra, (samples,).
    """

    sample: IntArray
    neuron: IntArray
    step: IntArray
    time: FloatArray
    spikes: SpikeErrors
    flush: FloatArray
    ends: SpikeErrors
    uncertain: FloatArray


def inputs(
    program: Program, x: FloatArray, step: NDArray[np.int32], late: NDArray[np.int32], reach: float
) -> Iterator[tuple[str, Source]]:
    """Input spikes of inputs (samples, inputs); their error is that of the encoding."""
    samples = len(x)
    for encoder in program.encoders:
        columns = program.columns[encoder.name]
        time = program.grid.times(step[:, columns], late[:, columns], 0).ravel()
        sample, channel = np.divmod(np.arange(time.size), encoder.size)
        error = np.zeros((time.size, len(CAUSES)))
        if reach == 0:
            error[:, PAYLOAD] = time - encoder.times(x[:, columns]).ravel()
        radius = np.full(time.size, reach + MARGIN * max(1.0, encoder.latest))
        yield encoder.name, Source(
            sample, channel, step[:, columns].ravel().astype(np.int64), time,
            SpikeErrors(error, radius, np.zeros(time.size, np.int8)), np.zeros((samples, encoder.size)),
            SpikeErrors(np.zeros((samples, encoder.size, len(CAUSES))), np.zeros((samples, encoder.size)),
                        np.zeros((samples, encoder.size), np.int8)),
            np.full(samples, np.inf),
        )  # fmt: skip


def population_errors(
    program: Program, population: ProgramPopulation, sources: Mapping[str, Source], run: Run, kept: fast.Registers
) -> Source:
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
    start = population.ptc.start if isinstance(population.ptc, PlaneVector) else local[None]
    error = np.zeros((len(own), len(CAUSES)))
    radius, status = np.zeros(len(own)), np.zeros(len(own), np.int8)
    end_angle, end_radius, unsure = np.empty((samples, size)), np.empty((samples, size)), np.empty(samples)
    end_error = np.empty((samples, size, len(CAUSES)))
    uncertain = np.min([sources[p.pre].uncertain for p in incoming], axis=0)
    spread(
        arriving, sent, shears, kept.step.astype(np.int64), _angles(population, grid.threshold, kept.state),
        model.omega * grid.phi0(population.phase0, population.depth),
        _angles(population, grid.threshold, start[None])[0],
        0.5 * (population.depth - 1) * grid.tick, population.depth, grid.delta, model.omega,
        np.pi / grid.period_steps, grid.tick, grid.trial, second_moment(population.ptc) is not None, uncertain,
        error, radius, status, end_angle, end_error, end_radius, unsure,
    )  # fmt: skip
    flush, ends = _flush(
        population, grid.threshold, [(p.synapses, w, sources[p.pre]) for p, w in zip(incoming, weight, strict=True)],
        end_angle, SpikeErrors(end_error, end_radius, np.zeros((samples, size), np.int8)), kept.flush,
    )  # fmt: skip
    return Source(
        own.sample.astype(np.int64), own.neuron.astype(np.int64), own.step.astype(np.int64), times,
        SpikeErrors(error, radius, status), flush, ends, unsure,
    )  # fmt: skip


def _angles(population: ProgramPopulation, threshold: int, state: NDArray[np.int32] | IntArray) -> FloatArray:
    """Angles of registers (..., registers, neurons)."""
    if isinstance(population.ptc, PlaneVector):
        return np.arctan2(state[..., 1, :].astype(np.float64), state[..., 0, :])
    return state[..., 0, :] * (np.pi / threshold)


def _arriving(parts: list[Source], widths: list[int], samples: int) -> Arriving:
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
    population: ProgramPopulation,
    threshold: int,
    incoming: Sequence[tuple[AnySynapses, FloatArray, Source]],
    angle: FloatArray,
    ends: SpikeErrors,
    payload: IntArray,
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
    turn, change, loose = (np.where(finite, one, 0.0) for one in (turn, change, loose))
    largest = np.abs(a) + change
    low, high = neuron.slope_bounds(
        slope, largest, neuron.steepest(largest), turn + change / np.maximum(largest, 1e-300)
    )
    radius = (
        rise * loose
        + 0.325 * change**2
        + high * ends.radius
        + np.maximum(high - slope, slope - low) * np.abs(ends.estimate)
        + MARGIN * (1.0 + np.abs(a))
    )
    return error, np.where(finite, radius, np.inf)
