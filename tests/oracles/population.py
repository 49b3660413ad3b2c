"""Event-driven float64 run of a population with feedback: phases and the phase transition curve, no plane vectors."""

import math

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from qif2hw import neuron as formulas
from qif2hw.ir import Spikes
from qif2hw.neuron import QIF

FloatArray = NDArray[np.float64]

_kick = numba.njit(inline="always")(formulas.kick)


def run_population(
    times: ArrayLike,
    weight: ArrayLike,
    feedback: ArrayLike,
    phi0: ArrayLike,
    *,
    neuron: QIF,
    trial: float,
    delay: float = 0.0,
) -> tuple[Spikes, FloatArray]:
    """Ordinary spikes, and angles (samples, neurons) after the trial, the extra shear included.

    Arguments as those of `qif2hw.nn.functional.recurrent.layer`, without pseudo-phases of the inputs.
    """
    t, w, v, start = (np.ascontiguousarray(a, dtype=np.float64) for a in (times, weight, feedback, phi0))
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
    spikes = (np.concatenate([getattr(p, name) for p in parts]) for name in ("sample", "neuron", "time"))
    return Spikes(*spikes), theta


@numba.njit
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
    now, arrived, returned, spikes = 0.0, 0, 0, 0
    while True:
        outside = event_time[arrived] if arrived < event_time.size else np.inf
        feedback_time = spike_time[returned] + delay if delay > 0.0 and returned < spikes else np.inf
        until = min(outside, feedback_time, trial)
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
        if outside <= min(feedback_time, trial):
            _receive(theta, a[:, event_channel[arrived]])
            arrived += 1
        elif feedback_time <= trial:
            _receive(theta, back[:, spike_neuron[returned]])
            returned += 1
        else:
            return spikes


@numba.njit
def _receive(theta: FloatArray, shears: FloatArray) -> None:
    for n in range(theta.size):
        # Rounding can leave an angle a little past the threshold, where the atan2 would turn negative.
        if theta[n] < math.pi and shears[n] != 0.0:
            theta[n] = _kick(theta[n], shears[n])
