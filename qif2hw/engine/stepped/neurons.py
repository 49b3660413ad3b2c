"""Compiled loops of neurons over all their time steps: `qif2hw.engine.stepped.spec.step`, bit for bit.

A loop takes a block of neurons of one sample through all steps, so that registers stay in the nearest memory; inside,
it goes from neuron to neuron without branches, so that it compiles to vector instructions.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.discrete.cuba import DECAY_UNITY, LARGEST
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.stepped_program import (
    CURVATURE_BITS,
    DECAY_BITS,
    FACTOR_BITS,
    SCALE_BITS,
    CubaStep,
    EulerStep,
    LeakStep,
    PlaneStep,
    SteppedProgramPopulation,
)
from qif2hw.machinecode import compiled
from qif2hw.simd import bit_length

Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]

BLOCK = 512
"""Neurons of a block."""


def fire(population: SteppedProgramPopulation, current: Int32, fired: Bool) -> Int:
    """Run the neurons of a population from their reset state.

    Parameters
    ----------
    population
        Whose neurons run.
    current
        Input sums, bias included, (samples, 1 or time steps, neurons); one holds for all steps.
    fired
        Where spikes are written, (samples, time steps, neurons).

    Returns
    -------
    array
        The first register of each neuron after the last step, (samples, neurons).
    """
    last = np.empty((len(fired), population.size), np.int64)
    _LOOPS[type(population.arithmetic)](population, population.arithmetic, current, fired, last)
    return last


def _plane(population: SteppedProgramPopulation, own: PlaneStep, current: Int32, fired: Bool, last: Int) -> None:
    numbers = [population.of_neurons(values) for values in (own.coupling, own.threshold, own.reset)]
    _run_plane(current, fired, last, own.decay, own.coupling_shift, *numbers)


def _euler(population: SteppedProgramPopulation, own: EulerStep, current: Int32, fired: Bool, last: Int) -> None:
    names = (own.curvature, own.distance, own.threshold, own.reset)
    _run_euler(current, fired, last, *(population.of_neurons(values) for values in names))


def _leak(population: SteppedProgramPopulation, own: LeakStep, current: Int32, fired: Bool, last: Int) -> None:
    _run_leak(current, fired, last, own.leak, population.of_neurons(own.threshold), population.of_neurons(own.reset))


def _cuba(population: SteppedProgramPopulation, own: CubaStep, current: Int32, fired: Bool, last: Int) -> None:
    never = np.full(population.channels, LARGEST, np.int32)
    values = (population.bias, own.current_decay, own.voltage_decay, never if own.threshold is None else own.threshold)
    _run_cuba(current, fired, last, *(population.of_neurons(v) for v in values))


_LOOPS: dict[type, Callable[[SteppedProgramPopulation, Any, Int32, Bool, Int], None]] = {
    PlaneStep: _plane,
    EulerStep: _euler,
    LeakStep: _leak,
    CubaStep: _cuba,
}


@compiled(inline="always")
def _rounded_shift(value, bits):  # type: ignore[no-untyped-def]
    return (value + ((1 << bits) >> 1)) >> bits


@compiled(inline="always")
def _clip(value, most):  # type: ignore[no-untyped-def]
    return min(max(value, -most), most)


@compiled(inline="always")
def _block(job, neurons):  # type: ignore[no-untyped-def]
    """Sample of a job, and the first and last neuron of its block."""
    blocks = -(-neurons // BLOCK)
    low = job % blocks * BLOCK
    return job // blocks, low, min(low + BLOCK, neurons)


@compiled(inline="always")
def plane_step(p, q, x, decay, shift, coupling):  # type: ignore[no-untyped-def]
    """Registers of a plane vector before the spike test."""
    q = q - _rounded_shift(p * coupling, shift)
    p = _rounded_shift(p * decay, DECAY_BITS)
    bits = bit_length(q)
    down, up = max(bits - (SCALE_BITS + 1), 0), max(SCALE_BITS - bits, 0)
    p, q = p >> down << up, q >> down << up
    return p + _rounded_shift(x * q, SCALE_BITS), q


@compiled(inline="always")
def plane_fires(p, q, threshold):  # type: ignore[no-untyped-def]
    """Whether a plane vector has reached the threshold."""
    return p >= _rounded_shift(threshold * q, SCALE_BITS)


@compiled(inline="always")
def euler_step(w, x, curvature, distance):  # type: ignore[no-untyped-def]
    """Register of Euler's neuron before the spike test."""
    most = (1 << (FACTOR_BITS - 1)) - 1
    square = _rounded_shift(_clip(w, most) * _clip(w - distance, most), FACTOR_BITS)
    return _clip(w + _rounded_shift(square * curvature, CURVATURE_BITS - FACTOR_BITS) + x, STATE_MAX)


@compiled(parallel=True)
def _run_plane(current, fired, last, decay, shift, coupling, threshold, reset):  # type: ignore[no-untyped-def]
    samples, steps, neurons = fired.shape
    for job in numba.prange(samples * -(-neurons // BLOCK)):
        b, low, high = _block(job, neurons)
        c, th, start = coupling[low:high], threshold[low:high], reset[low:high]
        p, q = start.copy(), np.full(high - low, 1 << SCALE_BITS)
        for n in range(steps):
            x, s = current[b, n % current.shape[1], low:high], fired[b, n, low:high]
            for i in range(high - low):
                u, v = plane_step(p[i], q[i], x[i], decay, shift, c[i])
                s[i] = plane_fires(u, v, th[i])
                p[i] = start[i] if s[i] else u
                q[i] = 1 << SCALE_BITS if s[i] else v
        last[b, low:high] = p


@compiled(parallel=True)
def _run_euler(current, fired, last, curvature, distance, threshold, reset):  # type: ignore[no-untyped-def]
    samples, steps, neurons = fired.shape
    for job in numba.prange(samples * -(-neurons // BLOCK)):
        b, low, high = _block(job, neurons)
        a, d, th, start = curvature[low:high], distance[low:high], threshold[low:high], reset[low:high]
        w = start.copy()
        for n in range(steps):
            x, s = current[b, n % current.shape[1], low:high], fired[b, n, low:high]
            for i in range(high - low):
                v = euler_step(w[i], x[i], a[i], d[i])
                s[i] = v >= th[i]
                w[i] = start[i] if s[i] else v
        last[b, low:high] = w


@compiled(parallel=True)
def _run_leak(current, fired, last, leak, threshold, reset):  # type: ignore[no-untyped-def]
    samples, steps, neurons = fired.shape
    for job in numba.prange(samples * -(-neurons // BLOCK)):
        b, low, high = _block(job, neurons)
        th, start = threshold[low:high], reset[low:high]
        w = start.copy()
        for n in range(steps):
            x, s = current[b, n % current.shape[1], low:high], fired[b, n, low:high]
            for i in range(high - low):
                v = _clip(_rounded_shift(w[i] * leak, DECAY_BITS) + x[i], STATE_MAX)
                s[i] = v >= th[i]
                w[i] = start[i] if s[i] else v
        last[b, low:high] = w


@compiled(inline="always")
def _decayed(value, left):  # type: ignore[no-untyped-def]
    product = value * left
    return product >> 12 if product >= 0 else -(-product >> 12)


@compiled(parallel=True)
def _run_cuba(current, fired, last, bias, current_decay, voltage_decay, threshold):  # type: ignore[no-untyped-def]
    samples, steps, neurons = fired.shape
    for job in numba.prange(samples * -(-neurons // BLOCK)):
        b, low, high = _block(job, neurons)
        add, th = bias[low:high], threshold[low:high]
        left_u, left_v = DECAY_UNITY - current_decay[low:high], DECAY_UNITY - voltage_decay[low:high]
        u, v = np.zeros(high - low, np.int64), np.zeros(high - low, np.int64)
        for n in range(steps):
            x, s = current[b, n % current.shape[1], low:high], fired[b, n, low:high]
            for i in range(high - low):
                # Modulo 2^24, into (-2^23, 2^23].
                u[i] = ((_decayed(u[i], left_u[i]) + x[i] - add[i] + LARGEST) & (2 * LARGEST + 1)) - LARGEST
                w = _clip(_decayed(v[i], left_v[i]) + u[i] + add[i], LARGEST)
                s[i] = w > th[i]
                v[i] = 0 if s[i] else w
        last[b, low:high] = v
