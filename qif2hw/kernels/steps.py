"""Steps of a sample: the rotations between its input spikes, and their sines and cosines.

Sines, cosines and arc tangents are polynomials (Cephes, about one unit in the last place), so that they
vectorise.
"""

import math

import numpy as np

from qif2hw.machinecode import compiled

WIDEST = 2.5
"""Largest angle of one rotation; below half a turn, so that a rotation holds at most one crossing."""

_EIGHTH = math.pi / 4


@compiled
def steps(  # type: ignore[no-untyped-def]
    times, order, count, depth, rows, trial, omega, step_time, angle, row, source
):  # fmt: skip
    """Lay out the rotations of a sample: one per input spike, one to the trial's end, more in wide gaps.

    Step ``i`` rotates by ``angle[i]`` up to ``step_time[i]``, then shears by row ``row[i]`` of the weights;
    ``rows`` is the row of zeros.  ``source[i]`` is the index of its spike in ``times``, -1 for none;
    ``depth`` is the number of spikes per neuron that ``times`` has room for.
    """
    # The integer quotient by the depth, without a division.
    each = 1.0 / max(depth, 1)
    now = 0.0
    for i in range(count):
        until = float(times[np.uint32(order[i])])
        step_time[i], angle[i] = until, omega * (until - now)
        now = until
    step_time[count], angle[count] = trial, omega * (trial - now)
    wide = False
    for i in range(count + 1):
        wide |= angle[i] > WIDEST
    if not wide:
        for i in range(count):
            row[i], source[i] = int((order[i] + 0.5) * each), order[i]
        row[count], source[count] = rows, -1
        return count + 1
    now = 0.0
    total = np.uint64(0)
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
        row[total] = int((spike + 0.5) * each) if i < count else rows
        now = until
        total += np.uint64(1)
    return np.int64(total)


@compiled
def most_steps(spikes: int, angle: float) -> int:
    """Upper bound of the number of `steps` for ``spikes`` input spikes and a trial that turns neurons by ``angle``."""
    return spikes + 2 + math.ceil(angle / WIDEST)


@compiled(fastmath={"contract"})
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


@compiled(fastmath={"contract"})
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


@compiled(error_model="numpy")
def polar_angles(x, y, count, angle):  # type: ignore[no-untyped-def]
    """`polar_angle` of ``count`` vectors."""
    for i in range(count):
        angle[i] = polar_angle(x[i], y[i])
