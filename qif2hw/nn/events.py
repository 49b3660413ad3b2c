"""What the layer kernels do per sample outside the inner loop: order the input spikes, prepare their angles.

Sines, cosines and arc tangents are polynomials (Cephes, about one unit in the last place), so that they
vectorise.
"""

import math

import numpy as np
from numba import njit

from qif2hw.nn.vector import count_bits, equal, less, load, splat, width

WIDEST = 2.5
"""Largest angle of one rotation; below half a turn, so that a rotation holds at most one crossing."""

_RUN = 64
_MOVES = 4
"""Moves per spike after which an order is made anew: it was not almost sorted."""
_EIGHTH = math.pi / 4


@njit(cache=True)
def arrange(times, trial, key, source, spare, order):  # type: ignore[no-untyped-def]
    """Put the indices of the spikes up to ``trial`` in temporal order; return how many, -1 for a bad time.

    Equal times keep the order of their indices.  ``times`` may be padded with infinity anywhere.
    """
    count = 0
    for q in range(times.size):
        t = times[q]
        if not t >= 0.0:
            return -1
        if t <= trial:
            key[count] = t
            source[count] = q
            count += 1
    lanes = width(key)
    for q in range(count, -(-count // lanes) * lanes):
        key[q] = np.inf
    for low in range(0, count, _RUN):
        _rank(key, low, min(low + _RUN, count), order)
    run = _RUN
    while run < count:
        for low in range(0, count, 2 * run):
            _merge(key, order, spare, low, min(low + run, count), min(low + 2 * run, count))
        order[:count] = spare[:count]
        run *= 2
    for i in range(count):
        order[i] = source[order[i]]
    return count


@njit(cache=True)
def settle(times, trial, key, source, spare, order, count):  # type: ignore[no-untyped-def]
    """As `arrange`, where ``order[:count]`` are the indices of all spikes, and almost sorted already."""
    kept = moves = 0
    for e in range(count):
        q = order[e]
        t = times[q]
        if not t >= 0.0:
            return -1
        if t <= trial:
            at = kept
            while at > 0 and (key[at - 1] > t or (key[at - 1] == t and order[at - 1] > q)):
                key[at], order[at] = key[at - 1], order[at - 1]
                at -= 1
            key[at], order[at] = t, q
            moves += kept - at
            kept += 1
            if moves > _MOVES * kept:
                return arrange(times, trial, key, source, spare, order)
    return kept


@njit(cache=True)
def _rank(key, low, high, order):  # type: ignore[no-untyped-def]
    """Sort a block by counting, for each key, those that come before it."""
    lanes = width(key)
    for own in range(low, high, lanes):
        mine = load(key, own)
        for i in range(own, min(own + lanes, high)):
            ti = splat(key, key[i])
            before = (np.uint64(1) << np.uint64(i - own)) - np.uint64(1)
            rank = low + count_bits(equal(mine, ti) & before)
            for v in range(low, own, lanes):
                other = load(key, v)
                rank += count_bits(less(other, ti) | equal(other, ti))
            for v in range(own, high, lanes):
                rank += count_bits(less(load(key, v), ti))
            order[rank] = i


@njit(cache=True)
def _merge(key, order, merged, low, middle, high):  # type: ignore[no-untyped-def]
    left, right = low, middle
    for at in range(low, high):
        if right >= high or (left < middle and key[order[left]] <= key[order[right]]):
            merged[at] = order[left]
            left += 1
        else:
            merged[at] = order[right]
            right += 1


@njit(cache=True)
def steps(  # type: ignore[no-untyped-def]
    times, order, count, depth, rows, trial, omega, step_time, angle, row, source
):  # fmt: skip
    """Lay out the rotations of a sample: one per input spike, one to the trial's end, more in wide gaps.

    Step ``i`` rotates by ``angle[i]`` up to ``step_time[i]``, then shears by row ``row[i]`` of the weights;
    ``rows`` is the row of zeros.  ``source[i]`` is the index of its spike in ``times``, -1 for none;
    ``depth`` is the number of spikes per neuron that ``times`` has room for.
    """
    now = 0.0
    total = 0
    each = 1.0 / max(depth, 1)
    for i in range(count + 1):
        until = float(times[order[i]]) if i < count else trial
        gap = omega * (until - now)
        while gap > WIDEST:
            now += WIDEST / omega
            gap = omega * (until - now)
            step_time[total] = now
            angle[total] = WIDEST
            row[total] = rows
            source[total] = -1
            total += 1
        step_time[total] = until
        angle[total] = gap
        if i == count:
            row[total], source[total] = rows, -1
        else:
            # The integer quotient, without a division.
            row[total], source[total] = int((order[i] + 0.5) * each), order[i]
        now = until
        total += 1
    return total


@njit(cache=True)
def most_steps(spikes: int, trial: float, omega: float) -> int:
    """Upper bound of the number of `steps` for so many input spikes, with room for a last vector of keys."""
    return spikes + 2 + math.ceil(trial * omega / WIDEST) + 16


@njit(cache=True, fastmath={"contract"})
def turn(angle, count, cosine, sine):  # type: ignore[no-untyped-def]
    """Cosine and sine of ``angle[:count]``, each in [0, pi)."""
    for i in range(count):
        z = angle[i]
        q = z * z
        s = 1.58962301576546568060e-10
        s = s * q - 2.50507477628578072866e-8
        s = s * q + 2.75573136213857245213e-6
        s = s * q - 1.98412698295895385996e-4
        s = s * q + 8.33333333332211858878e-3
        s = s * q - 1.66666666666666307295e-1
        c = -1.13585365213876817300e-11
        c = c * q + 2.08757008419747316778e-9
        c = c * q - 2.75573141792967388112e-7
        c = c * q + 2.48015872888517045348e-5
        c = c * q - 1.38888888888730564116e-3
        c = c * q + 4.16666666666665929218e-2
        sine[i] = z + z * q * s
        cosine[i] = 1.0 - 0.5 * q + q * q * c
    for i in range(count):
        if angle[i] > _EIGHTH:
            sine[i] = math.sin(angle[i])
            cosine[i] = math.cos(angle[i])


@njit(cache=True, fastmath={"contract"})
def polar_angle(x, y):  # type: ignore[no-untyped-def]
    """``atan2(y, x)`` in [0, pi] for ``y >= 0``, without branches."""
    flat = abs(x)
    steep = y > 2.414213562373095 * flat
    middle = y > 0.4142135623730951 * flat
    top = -flat if steep else (y - flat if middle else y)
    bottom = y if steep else (y + flat if middle else flat)
    base = 0.5 * np.pi if steep else (0.25 * np.pi if middle else 0.0)
    t = top / bottom
    z = t * t
    p = -8.750608600031904122785e-1
    p = p * z - 1.615753718733365076637e1
    p = p * z - 7.500855792314704667340e1
    p = p * z - 1.228866684490136173410e2
    p = p * z - 6.485021904942025371773e1
    q = z + 2.485846490142306297962e1
    q = q * z + 1.650270098316988542046e2
    q = q * z + 4.328810604912902668951e2
    q = q * z + 4.853903996359136964868e2
    q = q * z + 1.945506571482613964425e2
    angle = base + (t + t * z * p / q)
    return np.pi - angle if x < 0.0 else angle


@njit(cache=True, error_model="numpy")
def polar_angles(x, y, count, angle):  # type: ignore[no-untyped-def]
    """`polar_angle` of ``count`` vectors."""
    for i in range(count):
        angle[i] = polar_angle(x[i], y[i])
