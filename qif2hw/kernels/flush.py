"""The extra shear at the trial's end, by the pseudo-phases of the presynaptic neurons."""

from numba import njit

from qif2hw import neuron
from qif2hw.machinecode import compiled
from qif2hw.simd import load, splat, store, width

_shear = njit(inline="always")(neuron.shear)


TOGETHER = 4
"""Samples that go through the last shear together, which reads the weights once for them all."""


@compiled
def last_shear(state, samples, psi, low, a, pad):  # type: ignore[no-untyped-def]
    """Shear the vectors of all neurons of up to `TOGETHER` samples, from row ``low`` of ``psi`` on.

    ``state`` holds the ``x`` and then the ``y`` of each sample, one sample behind the other.
    """
    last = low + samples - 1
    o, p, q, r = psi[low], psi[min(low + 1, last)], psi[min(low + 2, last)], psi[min(low + 3, last)]
    if not _any(psi, low, last + 1):
        return
    for v in range(0, pad, width(a)):
        k = l = m = n = splat(a, 0.0)
        for j in range(psi.shape[1]):
            weight = load(a, j * pad + v)
            k, l = k + splat(a, o[j]) * weight, l + splat(a, p[j]) * weight
            m, n = m + splat(a, q[j]) * weight, n + splat(a, r[j]) * weight
        at = v
        for kick in (k, l, m, n):
            store(state, at, _shear(load(state, at), load(state, at + pad), kick))
            at += 2 * pad


@compiled
def _any(psi, low, high):  # type: ignore[no-untyped-def]
    for b in range(low, high):
        for j in range(psi.shape[1]):
            if psi[b, j] != 0.0:
                return True
    return False
