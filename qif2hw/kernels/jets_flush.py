"""The extra shear at the trial's end on jets: ``theta' = kick(theta, a)`` with its adjoint, compiled.

Components of a jet are the value, ``n`` first derivatives and one second derivative per pair of directions.
"""

from numba import njit

from qif2hw import neuron
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.machinecode import compiled

_kick_derivatives = njit(inline="always")(neuron.kick_derivatives)
_kick_third_derivatives = njit(inline="always")(neuron.kick_third_derivatives)


@compiled(error_model="numpy")
def forward(theta: FloatArray, shear: FloatArray, left: IntArray, right: IntArray, out: FloatArray) -> None:
    """Jets ``out`` (components, elements) of the angles after a shear; ``left``, ``right`` are the pairs."""
    n = len(theta) - 1 - len(left)
    for k in range(theta.shape[1]):
        value, by_t, by_a, tt, ta, aa = _kick_derivatives(theta[0, k], shear[0, k])
        out[0, k] = value
        for i in range(1, 1 + n):
            out[i, k] = by_t * theta[i, k] + by_a * shear[i, k]
        for p in range(len(left)):
            i, j = 1 + left[p], 1 + right[p]
            ti, tj, ai, aj = theta[i, k], theta[j, k], shear[i, k], shear[j, k]
            curved = tt * ti * tj + ta * (ti * aj + tj * ai) + aa * ai * aj
            out[1 + n + p, k] = by_t * theta[1 + n + p, k] + by_a * shear[1 + n + p, k] + curved


@compiled(error_model="numpy")
def backward(
    theta: FloatArray, shear: FloatArray, left: IntArray, right: IntArray, grad: FloatArray,
    to_theta: FloatArray, to_shear: FloatArray,
) -> None:  # fmt: skip
    """Adjoint of `forward`: gradients (components, elements) by both jets from ``grad``, the one by the result."""
    n = len(theta) - 1 - len(left)
    for k in range(theta.shape[1]):
        _, by_t, by_a, tt, ta, aa = _kick_derivatives(theta[0, k], shear[0, k])
        ttt, tta, taa, aaa = _kick_third_derivatives(theta[0, k], shear[0, k])
        g = grad[0, k]
        t, a = g * by_t, g * by_a
        for i in range(1, 1 + n):
            g, ti, ai = grad[i, k], theta[i, k], shear[i, k]
            t += g * (tt * ti + ta * ai)
            a += g * (ta * ti + aa * ai)
            to_theta[i, k] = g * by_t
            to_shear[i, k] = g * by_a
        for p in range(len(left)):
            i, j = 1 + left[p], 1 + right[p]
            g, tp, ap = grad[1 + n + p, k], theta[1 + n + p, k], shear[1 + n + p, k]
            ti, tj, ai, aj = theta[i, k], theta[j, k], shear[i, k], shear[j, k]
            mixed = ti * aj + tj * ai
            t += g * (ttt * ti * tj + tta * mixed + taa * ai * aj + tt * tp + ta * ap)
            a += g * (tta * ti * tj + taa * mixed + aaa * ai * aj + ta * tp + aa * ap)
            to_theta[i, k] += g * (tt * tj + ta * aj)
            to_theta[j, k] += g * (tt * ti + ta * ai)
            to_shear[i, k] += g * (ta * tj + aa * aj)
            to_shear[j, k] += g * (ta * ti + aa * ai)
            to_theta[1 + n + p, k] = g * by_t
            to_shear[1 + n + p, k] = g * by_a
        to_theta[0, k] = t
        to_shear[0, k] = a
