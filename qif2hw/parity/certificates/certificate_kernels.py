r"""Compiled loops of the certificate: errors of one population, from the registers that a run has kept.

Angles count half turns: a neuron's k-th spike is the angle ``k pi``.  Between kicks the *offset*,
``angle - omega t``, is constant.  The engine's and the exact neuron's offsets differ by ``sum_c error_c + rho``,
``|rho| <= radius``: the errors are added up to first order, by cause, and the radius bounds what that leaves out.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.synapses import BySource
from qif2hw.machinecode import compiled
from qif2hw.parity.certificates.spike_errors import (
    AFTER_END,
    ARITHMETIC,
    AT_END,
    CERTIFIED,
    LOOSE,
    ORDER,
    PAYLOAD,
    START,
)

_change = numba.njit(inline="always")(neuron.kick_change)
_slope_bounds = numba.njit()(neuron.slope_bounds)
_steepest = numba.njit()(neuron.steepest)
_swap_bound = numba.njit()(neuron.swap_bound)
_edge_bound = numba.njit()(neuron.edge_bound)
_late_kick = numba.njit(inline="always")(neuron.late_kick)
_commutator = numba.njit(inline="always")(neuron.commutator)
_unequal_kick = numba.njit(inline="always")(neuron.unequal_kick)

MARGIN = 2.0**-44
"""What a rounded evaluation of a kick may miss, in radians, times ``1 + |a|`` and one plus the angle."""
_GROWTH = 1.0 + 2.0**-40
"""What rounding may take from a radius in one kick."""
_ROUNDS = 8


class Arriving(NamedTuple):
    """Spikes that reach a population, sorted by sample, decoded time, and where these are equal, estimated exact time.

    Parameters
    ----------
    start
        Those of sample ``b`` are ``start[b]:start[b + 1]``.
    channel, step, time
        Source, machine step of arrival, decoded time.
    error, radius
        Time minus exact time: by cause, (events, causes), and the bound on what these leave out.
    group
        Spikes of one number, which are consecutive, may have another order among themselves; any other two have not.
    sooner, later
        By group: bounds of the exact times.
    """

    start: IntArray
    channel: IntArray
    step: IntArray
    time: FloatArray
    error: FloatArray
    radius: FloatArray
    group: IntArray
    sooner: FloatArray
    later: FloatArray


class Sent(NamedTuple):
    """Spikes of a population, sorted by sample, neuron, step.

    Parameters
    ----------
    start
        Those of neuron ``i`` in sample ``b``: ``start[b size + i]`` to the next.
    step, time, crossing
        Machine step, decoded time, and the angle past ``k pi`` that the register had at the end of that step.
    """

    start: IntArray
    step: IntArray
    time: FloatArray
    crossing: FloatArray


@compiled
def group_events(start: IntArray, low: FloatArray, high: FloatArray) -> NDArray[np.int64]:
    """Numbers (events,) of the groups of events whose exact times, in ``low`` to ``high``, may be in another order."""
    group = np.zeros(low.size, np.int64)
    number = 0
    for b in range(start.size - 1):
        first, last = start[b], start[b + 1]
        if first == last:
            continue
        least = low[first:last].copy()
        for k in range(last - first - 2, -1, -1):
            least[k] = min(least[k], least[k + 1])
        most = -math.inf
        for k in range(first, last):
            if k > first and most <= least[k - first]:
                number += 1
            group[k] = number
            most = max(most, high[k])
        number += 1
    return group


@compiled
def _shears(shears: BySource, source: int, row: FloatArray) -> None:
    """Fill ``row`` with the shears of one source on all neurons."""
    if shears.rows.size > 0:
        row[:] = shears.rows[source]
        return
    row[:] = 0.0
    for k in range(shears.begin[source], shears.begin[source + 1]):
        row[shears.post[k]] += shears.weight[k]


@compiled
def _shear(shears: BySource, source: int, i: int) -> float:
    if shears.rows.size > 0:
        return shears.rows[source, i]
    total = 0.0
    for k in range(shears.begin[source], shears.begin[source + 1]):
        if shears.post[k] == i:
            total += shears.weight[k]
    return total


@compiled
def _near(
    arriving: Arriving, first: int, last: int, p: int, low: float, high: float, shears: Any, i: int, omega: float
) -> float:
    """Bound on the time that spikes near an output spike between ``low`` and ``high`` move it, if they may cross it.

    ``p`` is the number of events that were taken to come before it.  Infinite if there is no bound.
    """
    moved = 0.0
    for _ in range(_ROUNDS):
        begin, end = p, p
        while begin > first and (
            arriving.later[arriving.group[begin - 1]] >= low - moved
            or (begin < last and arriving.group[begin - 1] == arriving.group[begin])
        ):
            begin -= 1
        while end < last and (
            arriving.sooner[arriving.group[end]] <= high + moved
            or (end > first and arriving.group[end - 1] == arriving.group[end])
        ):
            end += 1
        if begin == end:
            return 0.0
        reach = max(
            arriving.later[arriving.group[end - 1]] - low, high - arriving.sooner[arriving.group[begin]], high - low
        )
        found = 0.0
        for k in range(begin, end):
            a = _shear(shears, arriving.channel[k], i)
            found += 2.0 * _edge_bound(a, 2.0 * omega * reach) / omega
        if not found <= reach:
            return math.inf
        if found <= moved:
            return moved
        moved = 2.0 * found
    return math.inf


@compiled
def _swapped(
    arriving: Arriving, first: int, end: int, rows: FloatArray, i: int, omega: float, theta: float, reach: float
) -> float:
    """Bound on what another order of the events ``first:end``, a group, changes in a neuron's angle.

    ``theta`` is the exact angle before them, turned to the middle of the group's times, known within ``reach``.
    """
    total, load, moved = 0.0, 0.0, 0.0
    for k in range(first, end):
        a = rows[k - first, i]
        if a == 0.0:
            continue
        total += a
        load += abs(a)
        latest = arriving.time[k] - _sum(arriving.error[k]) + arriving.radius[k]
        for j in range(k + 1, end):
            apart = latest - (arriving.time[j] - _sum(arriving.error[j]) - arriving.radius[j])
            if apart > 0.0:
                moved += abs(a * rows[j - first, i]) * omega * apart
    if moved == 0.0:
        return 0.0
    group = arriving.group[first]
    window = 0.5 * omega * (arriving.later[group] - arriving.sooner[group])
    return _swap_bound(theta, reach, total, load, window, moved)


@compiled
def _sum(values: FloatArray) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@compiled(parallel=True)
def spread(  # type: ignore[no-untyped-def]
    arriving, sent, shears, step, angle, phi0, angle0, lag, depth, delta, omega, lam, tick, trial, second, uncertain,
    error, radius, status, end_angle, end_error, end_radius, uncertain_out,
):  # fmt: skip
    """Errors of all spikes of a population, and of its angles at the trial's end.

    Parameters
    ----------
    arriving, sent, shears
        What reaches it, what it sent, and ``w / r`` by source.
    step, angle
        Machine steps whose registers are kept (samples, kept), and their angles (samples, kept, neurons) in [0, pi].
    phi0, angle0
        Exact initial angles ``omega phi0``, and those of the registers, at local step 0, (neurons,).
    lag
        How far the population's clock is behind at the end of local step 0.
    depth, delta, omega, lam, tick, trial, second
        Depth, step, angular speed, angle of a step, tick, trial; whether the second moment is used.
    uncertain
        Time from which on the exact run may have received other spikes, (samples,).
    error, radius, status
        Filled: time minus exact time of each spike by cause, bound on the rest, and what is known.
    end_angle, end_error, end_radius
        Filled: angle of the register at the trial's end, in [0, pi], and how far it is from the exact one.
    uncertain_out
        Filled: like ``uncertain`` for what it sends.
    """
    size, causes = phi0.size, error.shape[1]
    margin = MARGIN * (1.0 + omega * trial)
    for b in numba.prange(step.shape[0]):
        first, last = arriving.start[b], arriving.start[b + 1]
        offset, before, off, wide = np.empty(size), np.empty(size), np.empty((size, causes)), np.empty(size)
        a0, a1, m2 = np.empty(size), np.empty(size), np.empty(size)
        row, nxt, group_angle, group_wide = np.empty(size), np.empty(size, np.int64), np.empty(size), np.empty(size)
        unsure = uncertain[b]
        for i in range(size):
            offset[i] = angle0[i] + omega * lag
            off[i] = 0.0
            off[i, START] = angle0[i] + omega * lag - phi0[i]
            wide[i] = margin
            nxt[i] = sent.start[b * size + i]
        rows = np.empty((1, size))
        event, slot, group_first, group_end = first, 0, first, first
        while True:
            local = step[b, slot] - depth
            now = local * delta - lag
            final = slot + 1 == step.shape[1] or step[b, slot + 1] <= step[b, slot]
            for i in range(size):
                before[i] = offset[i]
                a0[i] = a1[i] = m2[i] = 0.0
            while event < last and arriving.step[event] <= step[b, slot]:
                t = arriving.time[event]
                if event == group_first:
                    group_end = event + 1
                    while group_end < last and arriving.group[group_end] == arriving.group[event]:
                        group_end += 1
                    if group_end - event > 1:
                        rows = np.empty((group_end - event, size))
                        for k in range(event, group_end):
                            _shears(shears, arriving.channel[k], rows[k - event])
                        middle = 0.5 * (arriving.sooner[arriving.group[event]] + arriving.later[arriving.group[event]])
                        for i in range(size):
                            group_angle[i] = offset[i] - _sum(off[i]) + omega * middle
                            group_wide[i] = wide[i]
                _shears(shears, arriving.channel[event], row)
                known, loose = _sum(arriving.error[event]), arriving.radius[event]
                late = omega * (now - t)
                for i in range(size):
                    begin = sent.start[b * size + i]
                    while nxt[i] < sent.start[b * size + i + 1] and sent.time[nxt[i]] <= t:
                        unsure = min(unsure, _read(
                            arriving, sent, shears, nxt[i], i, nxt[i] - begin + 1, first, last, event,
                            offset[i], before[i], off[i], wide[i], omega, delta, lag, depth, trial, uncertain[b],
                            error, radius, status,
                        ))  # fmt: skip
                        nxt[i] += 1
                    a = row[i]
                    if a == 0.0:
                        continue
                    theta = offset[i] + omega * t
                    s, c = math.sin(theta), math.cos(theta)
                    slope = 1.0 / (s * s + (c - a * s) ** 2)
                    turn = _sum(off[i]) + omega * known
                    low, high = _slope_bounds(slope, a, _steepest(a), abs(turn) + wide[i] + omega * loose)
                    wide[i] = (
                        high * wide[i]
                        + omega * loose * max(abs(high - 1.0), abs(low - 1.0))
                        + max(high - slope, slope - low) * abs(turn)
                        + margin * (1.0 + abs(a))
                    ) * _GROWTH
                    for k in range(causes):
                        off[i, k] = slope * off[i, k] + (slope - 1.0) * omega * arriving.error[event, k]
                    offset[i] += _change(theta, a)
                    a0[i] += a
                    a1[i] += a * late
                    m2[i] += a * late * late / lam
                event += 1
                if event == group_end:
                    if group_end - group_first > 1:
                        for i in range(size):
                            wide[i] += _swapped(
                                arriving, group_first, group_end, rows, i, omega, group_angle[i], group_wide[i]
                            )
                    group_first = event
            for i in range(size):
                begin = sent.start[b * size + i]
                while nxt[i] < sent.start[b * size + i + 1] and sent.step[nxt[i]] <= step[b, slot]:
                    unsure = min(unsure, _read(
                        arriving, sent, shears, nxt[i], i, nxt[i] - begin + 1, first, last, event,
                        offset[i], before[i], off[i], wide[i], omega, delta, lag, depth, trial, uncertain[b],
                        error, radius, status,
                    ))  # fmt: skip
                    nxt[i] += 1
                kept = angle[b, slot, i] + math.pi * (nxt[i] - begin)
                own = offset[i] + omega * now
                order = 0.0
                if a0[i] != 0.0 or a1[i] != 0.0:
                    order = _by_sums(before[i] + omega * now, own, a0[i], a1[i], m2[i], lam, second)
                at = trial if final else now
                missed = kept - offset[i] - omega * at
                off[i, ORDER] += order
                off[i, ARITHMETIC] += missed - order
                wide[i] += margin
                offset[i] += missed
            if final:
                break
            slot += 1
        for i in range(size):
            begin, end = sent.start[b * size + i], sent.start[b * size + i + 1]
            end_angle[b, i] = angle[b, slot, i]
            end_radius[b, i] = wide[i]
            for k in range(causes):
                end_error[b, i, k] = off[i, k]
            # The spike that the exact neuron may have sent before the trial's end.
            exact = ((end - begin + 1) * math.pi - offset[i] + _sum(off[i])) / omega
            low, high = exact - wide[i] / omega, exact + wide[i] / omega
            moved = _near(arriving, first, last, last, low, high, shears, i, omega)
            if not low - moved > trial:
                unsure = min(unsure, low - moved)
            if not wide[i] < math.inf or (end > begin and status[end - 1] != CERTIFIED):
                end_radius[b, i] = math.inf
        uncertain_out[b] = unsure
        if not unsure > trial:
            end_radius[b] = math.inf


@compiled
def _read(  # type: ignore[no-untyped-def]
    arriving, sent, shears, spike, i, k, first, last, p, offset, before, off, wide, omega, delta, lag, depth, trial,
    uncertain, error, radius, status,
):  # fmt: skip
    """Error of a spike, the k-th of its neuron; the earliest time at which it makes the exact run uncertain."""
    own = (k * math.pi - offset) / omega
    crossed = (sent.step[spike] - depth) * delta - lag - sent.crossing[spike] / omega
    kept = (k * math.pi - before) / omega
    for c in range(off.size):
        error[spike, c] = -off[c] / omega
    error[spike, PAYLOAD] += sent.time[spike] - crossed
    error[spike, ARITHMETIC] += crossed - kept
    error[spike, ORDER] += kept - own
    exact = sent.time[spike] - _sum(error[spike])
    rest = wide / omega
    moved = _near(arriving, first, last, p, exact - rest, exact + rest, shears, i, omega)
    rest = (rest + moved) * _GROWTH + MARGIN * (1.0 + omega * trial) / omega
    radius[spike] = rest
    low, high = exact - rest, exact + rest
    if not rest < math.inf:
        radius[spike] = math.inf
        status[spike] = LOOSE
        return -math.inf
    if high >= uncertain:
        status[spike], radius[spike] = AFTER_END, math.inf
        return low
    if high >= trial:
        status[spike], radius[spike] = AT_END, math.inf
        return low
    return math.inf


@compiled
def _by_sums(start: float, own: float, a0: float, a1: float, m2: float, lam: float, second: bool) -> float:
    """What applying all spikes of a step at its end, by the sums of the machine, adds to the angle."""
    s, c = math.sin(start), math.cos(start)
    if abs(s) < 1e-6:
        return 0.0
    v = -c / s
    if second:
        v = _unequal_kick(v, a0, a1, m2 * lam, _commutator(a0, a1, m2, lam))
    else:
        v = _late_kick(v, a0, a1)
    s, c = math.sin(own), math.cos(own)
    across, along = c + v * s, s - v * c
    return math.atan2(across, along) if along > 0 else math.atan2(-across, -along)
