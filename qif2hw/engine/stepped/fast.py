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

from qif2hw.engine.stepped.spec import shifted
from qif2hw.ir.ptc import STATE_MAX
from qif2hw.ir.stepped_program import (
    CURVATURE_BITS,
    DECAY_BITS,
    FACTOR_BITS,
    SCALE_BITS,
    AddUp,
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
            given = sent[q.pre]
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
        _LOOPS[type(arithmetic)](population, arithmetic, current, fired)
        sent[name] = spikes[name] = fired
    return np.concatenate([totals[output.population] for output in program.outputs], axis=1), spikes


def _plane(population: SteppedProgramPopulation, own: PlaneStep, current: Int32, fired: Bool) -> None:
    numbers = [population.of_neurons(values) for values in (own.coupling, own.threshold, own.reset)]
    _run_plane(current, fired, own.decay, own.coupling_shift, *numbers)


def _euler(population: SteppedProgramPopulation, own: EulerStep, current: Int32, fired: Bool) -> None:
    names = (own.curvature, own.distance, own.threshold, own.reset)
    _run_euler(current, fired, *(population.of_neurons(values) for values in names))


def _leak(population: SteppedProgramPopulation, own: LeakStep, current: Int32, fired: Bool) -> None:
    _run_leak(current, fired, own.leak, population.of_neurons(own.threshold), population.of_neurons(own.reset))


_LOOPS: dict[type, Callable[[SteppedProgramPopulation, Any, Int32, Bool], None]] = {
    PlaneStep: _plane,
    EulerStep: _euler,
    LeakStep: _leak,
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
