"""What the layer kernels do per sample outside the inner loop: order the input spikes, prepare their angles.

Sines, cosines and arc tangents are polynomials (Cephes, about one unit in the last place), so that they
vectorise.
"""

import math

import numpy as np
from numba import njit

from qif2hw.nn.vector import count_bits, less, load, ones_where_less, splat, store, width

WIDEST = 2.5
"""Largest angle of one rotation; below half a turn, so that a rotation holds at most one crossing."""

_RUN = 64

KEYS = 2 * _RUN
"""Numbers that an array of keys has room for besides the spikes' own."""

_EIGHTH = math.pi / 4


@njit(cache=True)
def arrange(times, trial, key, source, spare, order):  # type: ignore[no-untyped-def]
    """Put the indices of the spikes up to ``trial`` in temporal order; return how many, -1 for a bad time.

    Equal times keep the order of their indices.  ``times`` may be padded with infinity anywhere.  ``key`` has room for
    `KEYS` numbers more than there are spikes.
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
    for low in range(0, count, _RUN):
        _rank(key, low, min(low + _RUN, count), order, _RUN * -(-count // _RUN))
    run = _RUN
    while run < count:
        for low in range(0, count, 2 * run):
            _merge(key, order, spare, low, min(low + run, count), min(low + 2 * run, count))
        order[:count] = spare[:count]
        run *= 2
    for i in range(count):
        order[i] = source[np.uint32(order[i])]
    return count


@njit(cache=True)
def settle(times, trial, key, source, spare, order, sequence, count):  # type: ignore[no-untyped-def]
    """As `arrange`, where ``sequence[:count]`` are the indices of all spikes, and almost sorted already.

    ``key`` has room for as many numbers once more.
    """
    lanes = width(key)
    given, found = key[lanes:], key[2 * lanes + count :]
    falls = 0
    for e in range(count):
        given[e] = times[np.uint32(sequence[e])]
    for e in range(count - 1):
        falls += given[e] > given[e + 1]
    if 20 * falls > 9 * count:
        return arrange(times, trial, key, source, spare, order)
    for e in range(lanes):
        key[e], given[count + e] = -np.inf, np.inf
    for e in range(count):
        found[e] = np.nan
    # Each finds its place among its neighbours.  If all places are taken and in order, it is the place among all.
    for e in range(count):
        t = splat(key, given[e])
        place = np.uint64(e - count_bits(less(t, load(key, e))) + count_bits(less(load(given, e + 1), t)))
        found[place], order[place] = given[e], sequence[e]
    settled = count == 0 or (found[0] >= 0.0 and found[count - 1] <= trial)
    for e in range(count - 1):
        settled &= found[e] < found[e + 1]
    return count if settled else arrange(times, trial, key, source, spare, order)


@njit(cache=True)
def _rank(key, low, high, order, ranks):  # type: ignore[no-untyped-def]
    """Sort a block by counting, for each key, those that come before it; ``key[ranks:]`` is free."""
    lanes = width(key)
    for own in range(0, high - low, 4 * lanes):
        at = low + own
        k, l, m, n = load(key, at), load(key, at + lanes), load(key, at + 2 * lanes), load(key, at + 3 * lanes)
        p = q = r = s = splat(key, 0.0)
        for i in range(low, high):
            t = splat(key, key[i])
            p, q = p + ones_where_less(t, k), q + ones_where_less(t, l)
            r, s = r + ones_where_less(t, m), s + ones_where_less(t, n)
        at = ranks + own
        for rank in (p, q, r, s):
            store(key, at, rank)
            at += lanes
    taken = np.uint64(0)
    for i in range(high - low):
        rank = np.uint64(key[ranks + i])
        order[np.uint64(low) + rank] = low + i
        taken |= np.uint64(1) << rank
    if count_bits(taken) == high - low:
        return
    for i in range(low, high):
        rank = low + int(key[ranks + i - low])
        for other in range(low, i):
            rank += key[other] == key[i]
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
    total = np.uint64(0)
    each = 1.0 / max(depth, 1)
    for i in range(count + 1):
        spike = order[i] if i < count else -1
        until = float(times[np.uint32(spike)]) if i < count else trial
        gap = omega * (until - now)
        while gap > WIDEST:
            now += WIDEST / omega
            gap = omega * (until - now)
            step_time[total], angle[total], row[total], source[total] = now, WIDEST, rows, -1
            total += np.uint64(1)
        step_time[total], angle[total], source[total] = until, gap, spike
        # The integer quotient, without a division.
        row[total] = int((spike + 0.5) * each) if i < count else rows
        now = until
        total += np.uint64(1)
    return np.int64(total)


@njit(cache=True)
def most_steps(spikes: int, angle: float) -> int:
    """Upper bound of the number of `steps` for so many input spikes and a trial that turns neurons by ``angle``."""
    return spikes + 2 + math.ceil(angle / WIDEST)


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
