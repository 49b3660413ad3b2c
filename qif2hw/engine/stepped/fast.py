"""The stepped machine, compiled: equal to `qif2hw.engine.stepped.spec` bit for bit.

Layer by layer: what a population receives in all steps is one matrix product or convolution, since spikes do not depend
on what comes later; its neurons then run through their steps in one compiled loop.
"""

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.discrete.cuba import DECAY_UNITY, LARGEST
from qif2hw.engine.stepped.spec import shifted
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
from qif2hw.machinecode import compiled

Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

EXACT = 1 << 24
"""Whole numbers below this are exact in float32, and so are their sums."""


def run(program: SteppedProgram, x: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[str, Bool]]:
    """Run the machine on integer inputs; arguments and results as those of `qif2hw.engine.stepped.spec.run`."""
    samples, steps = len(x), program.clock.count
    sent: dict[str, NDArray[Any]] = {name: x[:, :, columns] for name, columns in program.columns.items()}
    spikes: dict[str, Bool] = {}
    totals: dict[str, NDArray[np.int64]] = {}
    for population in program.populations:
        current = np.empty((samples, steps, population.size), np.int32)
        current[:] = population.of_neurons(population.bias)
        for q in program.incoming(population.name):
            given = _late(sent[q.pre], q.delay, steps)
            # Largest magnitude that a sum of these weights and values can reach.
            most = int(q.synapses.sums(np.abs(q.weight.astype(np.int64))).max()) * max(1, int(np.abs(given).max()))
            kind = np.float32 if most < EXACT else np.float64
            flat = given.reshape(-1, given.shape[-1]).astype(kind)
            received = q.synapses.apply(q.weight.astype(kind), flat).astype(np.int32)
            current += shifted(received.reshape(samples, given.shape[1], -1), q.exponent)
        name, arithmetic = population.name, population.arithmetic
        if isinstance(arithmetic, AddUp):
            totals[name] = current.sum(axis=1, dtype=np.int64)
            continue
        fired = np.empty(current.shape, np.bool_)
        last = _LOOPS[type(arithmetic)](population, arithmetic, current, fired)
        if population.spiking:
            sent[name] = spikes[name] = fired
        else:
            assert last is not None
            totals[name] = last
    return np.concatenate([totals[output.population] for output in program.outputs], axis=1), spikes


def _late(sent: NDArray[Any], delay: Int32 | None, steps: int) -> NDArray[Any]:
    """What sources sent, (samples, 1 or time steps, pre), as it arrives after their delays."""
    if delay is None:
        return sent
    late = np.zeros((len(sent), steps, sent.shape[2]), sent.dtype)
    for d in np.unique(delay[delay < steps]):
        sources = delay == d
        late[:, d:, sources] = sent[:, : steps - d, sources]
    return late


def _plane(population: SteppedProgramPopulation, own: PlaneStep, current: Int32, fired: Bool) -> None:
    numbers = [population.of_neurons(values) for values in (own.coupling, own.threshold, own.reset)]
    _run_plane(current, fired, own.decay, own.coupling_shift, *numbers)


def _euler(population: SteppedProgramPopulation, own: EulerStep, current: Int32, fired: Bool) -> None:
    names = (own.curvature, own.distance, own.threshold, own.reset)
    _run_euler(current, fired, *(population.of_neurons(values) for values in names))


def _leak(population: SteppedProgramPopulation, own: LeakStep, current: Int32, fired: Bool) -> None:
    _run_leak(current, fired, own.leak, population.of_neurons(own.threshold), population.of_neurons(own.reset))


def _cuba(population: SteppedProgramPopulation, own: CubaStep, current: Int32, fired: Bool) -> NDArray[np.int64]:
    names = (population.bias, own.current_decay, own.voltage_decay)
    numbers = [population.of_neurons(values) for values in names]
    never = np.full(population.channels, LARGEST, np.int32)
    threshold = population.of_neurons(never if own.threshold is None else own.threshold)
    voltage = np.empty((len(current), population.size), np.int64)
    _run_cuba(current, fired, voltage, *numbers, threshold)
    return voltage


_LOOPS: dict[type, Callable[[SteppedProgramPopulation, Any, Int32, Bool], NDArray[np.int64] | None]] = {
    PlaneStep: _plane,
    EulerStep: _euler,
    LeakStep: _leak,
    CubaStep: _cuba,
}


@compiled(inline="always")
def _rounded_shift(value, bits):  # type: ignore[no-untyped-def]
    return (value + ((1 << bits) >> 1)) >> bits


@compiled(inline="always")
def plane_step(p, q, x, decay, shift, coupling):  # type: ignore[no-untyped-def]
    """Registers of a plane vector before the spike test."""
    q -= _rounded_shift(p * coupling, shift)
    p = _rounded_shift(p * decay, DECAY_BITS)
    bits = math.frexp(float(q))[1]
    if bits > SCALE_BITS + 1:
        p, q = p >> (bits - SCALE_BITS - 1), q >> (bits - SCALE_BITS - 1)
    elif bits < SCALE_BITS:
        p, q = p << (SCALE_BITS - bits), q << (SCALE_BITS - bits)
    return p + _rounded_shift(x * q, SCALE_BITS), q


@compiled(inline="always")
def plane_fires(p, q, threshold):  # type: ignore[no-untyped-def]
    """Whether a plane vector has reached the threshold."""
    return p >= _rounded_shift(threshold * q, SCALE_BITS)


@compiled(parallel=True)
def _run_plane(current, fired, decay, shift, coupling, threshold, reset):  # type: ignore[no-untyped-def]
    samples, steps, neurons = current.shape
    for b in numba.prange(samples):
        for i in range(neurons):
            p, q = np.int64(reset[i]), np.int64(1 << SCALE_BITS)
            for n in range(steps):
                p, q = plane_step(p, q, current[b, n, i], decay, shift, coupling[i])
                spike = plane_fires(p, q, threshold[i])
                if spike:
                    p, q = np.int64(reset[i]), np.int64(1 << SCALE_BITS)
                fired[b, n, i] = spike


@compiled
def _clip(value, most):  # type: ignore[no-untyped-def]
    return min(max(value, -most), most)


@compiled(inline="always")
def euler_step(w, x, curvature, distance):  # type: ignore[no-untyped-def]
    """Register of Euler's neuron before the spike test."""
    most = (1 << (FACTOR_BITS - 1)) - 1
    square = _rounded_shift(_clip(w, most) * _clip(w - distance, most), FACTOR_BITS)
    return _clip(w + _rounded_shift(square * curvature, CURVATURE_BITS - FACTOR_BITS) + x, STATE_MAX)


@compiled(parallel=True)
def _run_euler(current, fired, curvature, distance, threshold, reset):  # type: ignore[no-untyped-def]
    samples, steps, neurons = current.shape
    for b in numba.prange(samples):
        for i in range(neurons):
            w = np.int64(reset[i])
            for n in range(steps):
                w = euler_step(w, current[b, n, i], curvature[i], distance[i])
                spike = w >= threshold[i]
                if spike:
                    w = np.int64(reset[i])
                fired[b, n, i] = spike


@compiled(parallel=True)
def _run_leak(current, fired, leak, threshold, reset):  # type: ignore[no-untyped-def]
    samples, steps, neurons = current.shape
    for b in numba.prange(samples):
        for i in range(neurons):
            w = np.int64(reset[i])
            for n in range(steps):
                w = _clip(_rounded_shift(w * leak, DECAY_BITS) + current[b, n, i], STATE_MAX)
                spike = w >= threshold[i]
                if spike:
                    w = np.int64(reset[i])
                fired[b, n, i] = spike


@compiled(inline="always")
def _decayed(value, left):  # type: ignore[no-untyped-def]
    product = value * left
    return product >> 12 if product >= 0 else -(-product >> 12)


@compiled(parallel=True)
def _run_cuba(current, fired, voltage, bias, current_decay, voltage_decay, threshold):  # type: ignore[no-untyped-def]
    samples, steps, neurons = current.shape
    for b in numba.prange(samples):
        for i in range(neurons):
            u, v = np.int64(0), np.int64(0)
            for n in range(steps):
                u = _decayed(u, DECAY_UNITY - current_decay[i]) + current[b, n, i] - bias[i]
                # Modulo 2^24, into (-2^23, 2^23].
                u = ((u + LARGEST) & (2 * LARGEST + 1)) - LARGEST
                v = _clip(_decayed(v, DECAY_UNITY - voltage_decay[i]) + u + bias[i], LARGEST)
                spike = v > threshold[i]
                if spike:
                    v = np.int64(0)
                fired[b, n, i] = spike
            voltage[b, i] = v
