"""Neurons in discrete time on a CUDA device, forward and backward over all steps in one pass.

One thread per neuron goes through all steps with its state in a register.  The equations and the order of operations
are those of `qif2hw.kernels.discrete`; the gradients of the parameters are not computed here.
"""

from numba import cuda

from qif2hw.discrete import maps

THREADS = 256
"""Threads of a block."""

_potential = cuda.jit(device=True, inline=True)(maps.potential)
_relax = cuda.jit(device=True, inline=True)(maps.relax)
_relax_slope = cuda.jit(device=True, inline=True)(maps.relax_slope)


def blocks(neurons: int) -> int:
    """Number of blocks of a population."""
    return -(-neurons // THREADS)


@cuda.jit
def forward(x, u, v, s, parameters):  # type: ignore[no-untyped-def]
    """As `qif2hw.kernels.discrete.forward`; ``parameters`` is an array, and a ``v`` of one row may stay unwritten."""
    i = cuda.grid(1)
    if i >= u.size:
        return
    centre, c0, c1, c2, d0, d1 = (
        parameters[0], parameters[1], parameters[2], parameters[3], parameters[4], parameters[5],
    )  # fmt: skip
    gain, threshold, reset = parameters[6], parameters[7], parameters[8]
    state = u[i]
    held = x.shape[0] == 1
    given = x[0, i]
    for t in range(s.shape[0]):
        if not held:
            given = x[t, i]
        y = _potential(_relax(state - centre, c0, c1, c2, d0, d1), given, centre, gain)
        if v.shape[0] == s.shape[0]:
            v[t, i] = y
        if y >= threshold:
            s[t, i] = 1
            state = reset
        else:
            # 0, but not a number where the potential is not finite.
            s[t, i] = y - y
            state = y
    u[i] = state


@cuda.jit
def backward(v, start, g, gu, window, rates, jump, parameters, gx):  # type: ignore[no-untyped-def]
    """As `qif2hw.kernels.discrete.backward`, without ``sums``; ``jump`` is an array of one number."""
    i = cuda.grid(1)
    if i >= start.size:
        return
    centre, c0, c1, c2, d0, d1 = (
        parameters[0], parameters[1], parameters[2], parameters[3], parameters[4], parameters[5],
    )  # fmt: skip
    gain, threshold, reset = parameters[6], parameters[7], parameters[8]
    zero = threshold - threshold
    held = gx.shape[0] == 1
    after, total = gu[i], zero
    for t in range(v.shape[0] - 1, -1, -1):
        y = v[t, i]
        surrogate = rates[t] if abs(y - threshold) < window[t] else zero
        gv = (g[t, i] - after * jump[0]) * surrogate + (zero if y >= threshold else after)
        if held:
            total += gain * gv
        else:
            gx[t, i] = gain * gv
        before = v[t - 1, i] if t > 0 else start[i]
        w = (reset if before >= threshold else before) - centre
        after = gv * _relax_slope(w, _relax(w, c0, c1, c2, d0, d1), c1, c2, d0, d1)
    if held:
        gx[0, i] = total
    gu[i] = after
