r"""One layer of QIF neurons whose synapses are listed: a spike costs the neurons that it reaches, no others.

A neuron's vector ``u`` (see `qif2hw.neuron`) is kept in the frame of time 0, turned back by ``omega t``.  Time then
costs nothing, and an input spike at ``t`` turns the vectors of the neurons it reaches forward, shears them and turns
them back; cosine and sine of ``omega t`` are shared by all of them.  Whether a neuron fired in the meantime is seen
when it is next reached, or at the trial's end.  Gradients are the sums of `qif2hw.kernels.dense`, by replay.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels.sorting import arrange, room_for
from qif2hw.kernels.steps import WIDEST
from qif2hw.machinecode import compiled, for_one_thread_and_all
from qif2hw.simd import Ints

_shear = njit(inline="always")(neuron.shear)
_rotate = njit(inline="always")(neuron.rotate)
_length_change = njit(inline="always")(neuron.length_change)

_LARGE, _SMALL = 2.0**200, 2.0**-200


class SparseLayer(NamedTuple):
    """Inputs and parameters.

    Parameters
    ----------
    times
        Input spike times (batch, pre * depth), infinite where there is none.
    begin, post, a
        Synapses by presynaptic channel: those of ``j`` are ``begin[j]:begin[j + 1]``, each with its neuron and ``w/r``.
    start
        Initial vectors (2, neurons).
    depth, r, omega, trial
        Input spikes per channel; parameters of the neurons; length of the trial.
    """

    times: FloatArray
    begin: IntArray
    post: Ints
    a: FloatArray
    start: FloatArray
    depth: int
    r: float
    omega: float
    trial: float


class SparseRecord(NamedTuple):
    """Temporal order of the input spikes and their number; squared length and exponent at output spikes and the end.

    The end comes last: (batch, neurons, K + 1).
    """

    order: Ints
    events: Ints
    length2: FloatArray
    scale: Ints
    number: Ints


@compiled
def _look(x, y, n, time, omega):  # type: ignore[no-untyped-def]
    """Has neuron ``n`` fired by ``time``, at most `WIDEST` after the last look?  Then negate its vector."""
    _, height = _rotate(x[n], y[n], math.cos(omega * time), math.sin(omega * time))
    if height < 0.0:
        x[n], y[n] = -x[n], -y[n]
        return True
    return False


@compiled
def _hit(x, y, n, c, s, a, exponent):  # type: ignore[no-untyped-def]
    """Shear neuron ``n`` in the frame of the time whose angle has cosine ``c`` and sine ``s``."""
    here, height = _rotate(x[n], y[n], c, s)
    x[n], y[n] = _rotate(_shear(here, height, a), height, c, -s)
    largest = max(abs(x[n]), abs(y[n]))
    if largest > _LARGE or largest < _SMALL:
        shift = math.frexp(largest)[1]
        x[n], y[n] = math.ldexp(x[n], -shift), math.ldexp(y[n], -shift)
        exponent[n] += shift


@compiled
def _emit(x, y, n, c, s, time, omega, exponent, times, length2, scale, number):  # type: ignore[no-untyped-def]
    """Note the spike that neuron ``n`` fired before ``time``."""
    here, height = _rotate(x[n], y[n], c, s)
    k = number[n]
    if k < times.shape[1]:
        times[n, k] = time - math.atan2(height, here) / omega
        length2[n, k], scale[n, k] = here * here + height * height, exponent[n]
    number[n] += 1


def _forward(layer, chunks, out_times, out_theta, record):  # type: ignore[no-untyped-def]
    """Run every sample; returns as `dense.forward_layer` does.  ``out_theta``: angles before the extra shear."""
    batch = layer.times.shape[0]
    largest = np.zeros(chunks, np.int64)
    for chunk in prange(chunks):
        largest[chunk] = _forward_share(
            chunk * batch // chunks, (chunk + 1) * batch // chunks, layer, out_times, out_theta, record
        )
    return -1 if largest.min() < 0 else largest.max()


forward, forward_parallel = for_one_thread_and_all(_forward)


@compiled
def _forward_share(low, high, layer, out_times, out_theta, record):  # type: ignore[no-untyped-def]
    times, begin, post, a, start, depth, _, omega, trial = layer
    size, inputs = start.shape[1], times.shape[1]
    room_to_sort = room_for(inputs, times)
    x, y, last, exponent = np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.int32)
    largest = 0
    for b in range(low, high):
        order, number = record.order[b], record.number[b]
        times_b, length2, scale = out_times[b], record.length2[b], record.scale[b]
        count = arrange(times[b], trial, room_to_sort, order)
        if count < 0:
            return -1
        record.events[b] = count
        x[:], y[:] = start[0], start[1]
        last[:] = 0.0
        exponent[:] = 0
        number[:] = 0
        times_b[:] = np.inf
        for i in range(count + 1):
            now = times[b, order[i]] if i < count else trial
            j = order[i] // depth if i < count else -1
            c, s = math.cos(omega * now), math.sin(omega * now)
            for k in range(begin[j] if j >= 0 else 0, begin[j + 1] if j >= 0 else size):
                n = post[k] if j >= 0 else k
                while omega * (now - last[n]) > WIDEST:
                    last[n] += WIDEST / omega
                    if _look(x, y, n, last[n], omega):
                        at = omega * last[n]
                        _emit(
                            x, y, n, math.cos(at), math.sin(at), last[n], omega, exponent,
                            times_b, length2, scale, number,
                        )  # fmt: skip
                last[n] = now
                if s * x[n] + c * y[n] < 0.0:
                    x[n], y[n] = -x[n], -y[n]
                    _emit(x, y, n, c, s, now, omega, exponent, times_b, length2, scale, number)
                if j >= 0:
                    _hit(x, y, n, c, s, a[k], exponent)
        c, s = math.cos(omega * trial), math.sin(omega * trial)
        for n in range(size):
            here, height = _rotate(x[n], y[n], c, s)
            out_theta[b, n] = math.atan2(height, here)
            length2[n, -1], scale[n, -1] = here * here + height * height, exponent[n]
            largest = max(largest, number[n])
    return largest


def _backward(layer, chunks, record, grad_times, grad_theta, to_times, to_a, to_phi0):  # type: ignore[no-untyped-def]
    """Gradients to times, to ``a`` (in the order of ``layer.a``) and to initial phases; sums in a fixed order."""
    batch = layer.times.shape[0]
    weights, phases = np.empty((chunks, to_a.size)), np.empty((chunks, to_phi0.size))
    for chunk in prange(chunks):
        _backward_share(
            chunk * batch // chunks, (chunk + 1) * batch // chunks, layer, record, grad_times, grad_theta,
            to_times, weights[chunk], phases[chunk],
        )  # fmt: skip
    _add_up(weights, phases, layer.omega, to_a, to_phi0)


@compiled
def _add_up(weights, phases, omega, to_a, to_phi0):  # type: ignore[no-untyped-def]
    """Sum the chunks: apart from `_backward`, whose parallel form would start threads for every sum."""
    to_a[:] = 0.0
    to_phi0[:] = 0.0
    for chunk in range(len(phases)):
        for k in range(to_a.size):
            to_a[k] -= weights[chunk, k] / omega
        for n in range(to_phi0.size):
            to_phi0[n] -= phases[chunk, n]


backward, backward_parallel = for_one_thread_and_all(_backward)


@compiled(error_model="numpy")
def _backward_share(low, high, layer, record, grad_times, grad_theta, to_times, weights, phases):  # type: ignore[no-untyped-def]
    times, begin, post, a, start, depth, _, omega, _ = layer
    _, size, capacity = grad_times.shape
    weights[:] = 0.0
    phases[:] = 0.0
    x, y, last, exponent = np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.int32)
    # pull[n, k]: the sum G over the spikes from the k-th on, for lengths in units of 2^unit[n, k].
    pull, unit = np.empty((size, capacity + 1)), np.empty((size, capacity + 1), np.int32)
    done, g = np.empty(size, np.int32), np.empty(size)
    for b in range(low, high):
        order, number = record.order[b], record.number[b]
        for n in range(size):
            k = number[n]
            pull[n, k], unit[n, k] = -omega * grad_theta[b, n] / record.length2[b, n, -1], record.scale[b, n, -1]
            for k in range(number[n] - 1, -1, -1):
                unit[n, k] = record.scale[b, n, k]
                later = math.ldexp(pull[n, k + 1], 2 * (unit[n, k] - unit[n, k + 1]))
                pull[n, k] = grad_times[b, n, k] / record.length2[b, n, k] + later
            x[n], y[n], last[n], exponent[n], done[n] = start[0, n], start[1, n], 0.0, 0, 0
            g[n] = math.ldexp(pull[n, 0], -2 * unit[n, 0])
            phases[n] += g[n]
        to_times[b] = 0.0
        for i in range(record.events[b]):
            now, j = times[b, order[i]], order[i] // depth
            c, s = math.cos(omega * now), math.sin(omega * now)
            change = 0.0
            for k in range(begin[j], begin[j + 1]):
                n = post[k]
                fired = done[n]
                while omega * (now - last[n]) > WIDEST:
                    last[n] += WIDEST / omega
                    done[n] += _look(x, y, n, last[n], omega)
                last[n] = now
                here, height = _rotate(x[n], y[n], c, s)
                if height < 0.0:
                    x[n], y[n], here, height = -x[n], -y[n], -here, -height
                    done[n] += 1
                if done[n] > fired:
                    g[n] = math.ldexp(pull[n, done[n]], 2 * (exponent[n] - unit[n, done[n]]))
                weights[k] += height * (height * g[n])
                change += g[n] * _length_change(here, height, a[k])
                before = exponent[n]
                _hit(x, y, n, c, s, a[k], exponent)
                if exponent[n] != before:
                    g[n] = math.ldexp(pull[n, done[n]], 2 * (exponent[n] - unit[n, done[n]]))
            to_times[b, order[i]] = change


@compiled
def gather(begin, post, a, psi, shear):  # type: ignore[no-untyped-def]
    """``shear[b, n] = sum_j a_nj psi[b, j]``: the argument of the extra shear at the trial's end."""
    shear[:] = 0.0
    for b in range(psi.shape[0]):
        for j in range(psi.shape[1]):
            if psi[b, j] != 0.0:
                for k in range(begin[j], begin[j + 1]):
                    shear[b, post[k]] += a[k] * psi[b, j]


@compiled
def scatter(begin, post, a, psi, grad, to_a, to_psi):  # type: ignore[no-untyped-def]
    """Adjoint of `gather`."""
    to_a[:] = 0.0
    for b in range(psi.shape[0]):
        for j in range(psi.shape[1]):
            total = 0.0
            for k in range(begin[j], begin[j + 1]):
                total += a[k] * grad[b, post[k]]
                to_a[k] += psi[b, j] * grad[b, post[k]]
            to_psi[b, j] = total
