"""The extra shear at the trial's end, by the pseudo-phases of the presynaptic neurons, and the way back through it."""

from numba import njit

from qif2hw import neuron
from qif2hw.machinecode import drop_stale
from qif2hw.nn import vector
from qif2hw.nn.vector import load, splat, store, total, width

_shear = njit(inline="always")(neuron.shear)


@njit(cache=True)
def last_shear(x, y, psi, a, pad):  # type: ignore[no-untyped-def]
    """Shear the vectors ``x``, ``y`` of all neurons."""
    lanes = width(a)
    v = 0
    while v + 4 * lanes <= pad:
        p = q = r = s = splat(a, 0.0)
        for j in range(psi.size):
            if psi[j] != 0.0:
                share = splat(a, psi[j])
                at = j * pad + v
                p = p + share * load(a, at)
                q = q + share * load(a, at + lanes)
                r = r + share * load(a, at + 2 * lanes)
                s = s + share * load(a, at + 3 * lanes)
        for kick in (p, q, r, s):
            store(x, v, _shear(load(x, v), load(y, v), kick))
            v += lanes
    while v < pad:
        kick = splat(a, 0.0)
        for j in range(psi.size):
            if psi[j] != 0.0:
                kick = kick + splat(a, psi[j]) * load(a, j * pad + v)
        store(x, v, _shear(load(x, v), load(y, v), kick))
        v += lanes


@njit(cache=True)
def back_through_last_shear(y, g, psi, a, pad, omega, weights, to_psi):  # type: ignore[no-untyped-def]
    """Add its share to the gradients of weights, and write those of pseudo-phases; ``y``, ``g`` as after it."""
    for v in range(0, pad, width(a)):
        store(g, v, load(y, v) * (load(y, v) * load(g, v)))
    for j in range(psi.size):
        share = splat(y, psi[j])
        change = splat(y, 0.0)
        for v in range(0, pad, width(a)):
            change = change + load(g, v) * load(a, j * pad + v)
            store(weights, j * pad + v, load(weights, j * pad + v) + share * load(g, v))
        to_psi[j] = -total(change) / omega


drop_stale(last_shear, (neuron, vector))
