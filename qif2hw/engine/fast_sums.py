"""What arrives at a population in one step, compiled: sums over the synapses of the sources that sent something.

``weight`` is a `qif2hw.ir.synapses.BySource` of weights, all to all or listed; sums have one entry per neuron.
"""

import numpy as np

from qif2hw.machinecode import compiled


@compiled
def add_spikes(source, late, weight, squares, lateness_bits, a0, a1, a2):  # type: ignore[no-untyped-def]
    """Set ``a0``, ``a1``, ``a2`` to the sums of weights of some spikes, times lateness, and times its square.

    ``a2`` is left alone unless ``squares``.
    """
    if weight.rows.size == 0 or source.size == 0:
        a0[:] = 0
        a1[:] = 0
        if squares:
            a2[:] = 0
    for k in range(source.size):
        j, payload = source[k], late[k]
        square = np.int64(payload) * payload >> lateness_bits
        if weight.rows.size > 0:
            # Most steps bring one spike: the first sets the sums.
            row = weight.rows[j]
            if k == 0:
                for i in range(a0.size):
                    a0[i] = row[i]
                for i in range(a0.size):
                    a1[i] = row[i] * payload
                if squares:
                    for i in range(a0.size):
                        a2[i] = row[i] * square
            else:
                for i in range(a0.size):
                    a0[i] += row[i]
                for i in range(a0.size):
                    a1[i] += row[i] * payload
                if squares:
                    for i in range(a0.size):
                        a2[i] += row[i] * square
        else:
            for s in range(weight.begin[j], weight.begin[j + 1]):
                i, w = weight.post[s], weight.weight[s]
                a0[i] += w
                a1[i] += w * payload
                if squares:
                    a2[i] += w * square


@compiled
def add_payloads(payload, weight, total):  # type: ignore[no-untyped-def]
    """Set ``total`` (neurons,) to the sums of weights times the payloads (pre,) of all sources."""
    total[:] = 0
    for j in range(payload.size):
        if payload[j] == 0:
            continue
        if weight.rows.size > 0:
            for i in range(total.size):
                total[i] += weight.rows[j, i] * payload[j]
        else:
            for s in range(weight.begin[j], weight.begin[j + 1]):
                total[weight.post[s]] += weight.weight[s] * payload[j]
