"""Event-driven float64 run of a population with feedback: phases and the phase transition curve, no plane vectors."""

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw import neuron as formulas
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.spikes import Spikes
from qif2hw.machinecode import compiled
from qif2hw.neuron import QIF

_kick = numba.njit(inline="always")(formulas.kick)


@dataclass(frozen=True)
class RecurrentTrace:
    """A trial of a population.

    Parameters
    ----------
    spikes
        Ordinary spikes, ``t <= T``.
    theta
        Angles (samples, neurons) right after the trial, the extra shear at ``T`` included.
    """

    spikes: Spikes
    theta: FloatArray


def trace_recurrent(
    times: ArrayLike,
    weight: ArrayLike,
    feedback: ArrayLike,
    phi0: ArrayLike,
    *,
    neuron: QIF,
    trial: float,
    delay: float = 0.0,
) -> RecurrentTrace:
    r"""Run a population whose spikes come back to it.

    A spike of ``j`` at ``t`` adds ``feedback[i, j]`` to the potential of every ``i`` at ``t + delay``.  With
    ``delay = 0`` it acts at once, in the strict order of events, and not on the neuron that fired, which stands at
    ``V = -inf``; at the trial's end the population's pseudo-phases ``theta_j / pi`` then act on itself, all at once
    and not on their own neuron.  With a delay, spikes on their way at the end are lost.

    Parameters
    ----------
    times
        Input spike times (samples, inputs, K), in [0, T] or infinite where there is none.
    weight, feedback
        (neurons, inputs) and (neurons, neurons), from columns to rows.
    phi0
        Initial phases (neurons,).

    Raises
    ------
    InputError
        On arrays that do not fit, a negative or undefined input time, or a negative delay.
    """
    t, w, v, start = (np.ascontiguousarray(a, dtype=np.float64) for a in (times, weight, feedback, phi0))
    if t.ndim != 3 or start.ndim != 1 or w.shape != (start.size, t.shape[1]) or v.shape != (start.size, start.size):
        raise InputError(f"recurrent population: times {t.shape}, weight {w.shape}, feedback {v.shape} do not fit")
    if not (t >= 0).all():
        raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
    if not (math.isfinite(delay) and delay >= 0):
        raise InputError(f"delay = {delay:g}: zero or a positive time is needed")
    a, back = w / neuron.r, v / neuron.r
    if delay == 0:
        np.fill_diagonal(back, 0.0)
    samples, size = len(t), start.size
    theta = np.empty((samples, size))
    parts = []
    for b in range(samples):
        channel, _ = np.nonzero(np.isfinite(t[b]) & (t[b] <= trial))
        arriving = t[b][np.isfinite(t[b]) & (t[b] <= trial)]
        order = np.argsort(arriving, kind="stable")
        theta[b] = neuron.omega * start
        room = 64
        while True:
            angle = theta[b].copy()
            found = np.empty(room), np.empty(room, np.int32)
            count = _trial(arriving[order], channel[order], a, back, angle, neuron.omega, trial, delay, *found)
            if count <= room:
                break
            room = 2 * room
        theta[b] = angle
        when, who = found[0][:count], found[1][:count]
        by_neuron = np.lexsort((when, who))
        parts.append(Spikes(np.full(count, b, np.int32), who[by_neuron], when[by_neuron]))
    if delay == 0:
        theta = formulas.kick(theta, formulas.pseudo_phase(theta) @ back.T)
    return RecurrentTrace(
        Spikes(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("sample", "neuron", "time"))), theta
    )


@compiled
def _trial(
    event_time: FloatArray,
    event_channel: NDArray[np.int64],
    a: FloatArray,
    back: FloatArray,
    theta: FloatArray,
    omega: float,
    trial: float,
    delay: float,
    spike_time: FloatArray,
    spike_neuron: NDArray[np.int32],
) -> int:
    """One sample: ``theta`` goes from the start to the trial's end; returns the number of spikes, or above the room."""
    now, arrived, heard, spikes = 0.0, 0, 0, 0
    while True:
        outside = event_time[arrived] if arrived < event_time.size else np.inf
        echo = spike_time[heard] + delay if delay > 0.0 and heard < spikes else np.inf
        until = min(outside, echo, trial)
        first = int(np.argmax(theta))
        fires = now + max(math.pi - theta[first], 0.0) / omega
        if fires <= until:
            theta += omega * (fires - now)
            theta[first] = 0.0
            now = fires
            if spikes == spike_time.size:
                return spikes + 1
            spike_time[spikes], spike_neuron[spikes] = now, first
            spikes += 1
            if delay == 0.0:
                _receive(theta, back[:, first])
            continue
        theta += omega * (until - now)
        now = until
        if outside <= min(echo, trial):
            _receive(theta, a[:, event_channel[arrived]])
            arrived += 1
        elif echo <= trial:
            _receive(theta, back[:, spike_neuron[heard]])
            heard += 1
        else:
            return spikes


@compiled
def _receive(theta: FloatArray, shears: FloatArray) -> None:
    for n in range(theta.size):
        # Rounding can leave an angle a little past the threshold, where the atan2 would turn negative.
        if theta[n] < math.pi and shears[n] != 0.0:
            theta[n] = _kick(theta[n], shears[n])
