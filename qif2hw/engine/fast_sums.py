"""What arrives at a population in one step, compiled: sums over the synapses of the sources that sent something.

``weight`` is a `qif2hw.ir.synapses.BySource` of int64 weights, all to all or listed; ``a0``, ``a1`` and ``a2`` have one
entry per neuron.
"""

import numpy as np

from qif2hw.machinecode import compiled


@compiled
def add_spikes(source, late, weight, a0, a1):  # type: ignore[no-untyped-def]
    """Set ``a0`` to the sums of weights of the spikes of one step, ``a1`` to those of weights times lateness."""
    a0[:] = 0
    a1[:] = 0
    if weight.rows.size > 0:
        for k in range(source.size):
            row = weight.rows[source[k]]
            payload = late[k]
            for i in range(a0.size):
                a0[i] += row[i]
                a1[i] += row[i] * payload
        return
    for k in range(source.size):
        payload = late[k]
        for s in range(weight.begin[source[k]], weight.begin[source[k] + 1]):
            i = weight.post[s]
            a0[i] += weight.weight[s]
            a1[i] += weight.weight[s] * payload


@compiled
def add_squares(source, late, weight, lateness_bits, a2):  # type: ignore[no-untyped-def]
    """Set ``a2`` to the sums of weights times squared lateness of the spikes of one step."""
    a2[:] = 0
    for k in range(source.size):
        square = np.int64(late[k]) * late[k] >> lateness_bits
        if square != 0:
            _add(source[k], square, weight, a2)


@compiled
def add_payloads(payload, weight, a1):  # type: ignore[no-untyped-def]
    """Set ``a1`` to the sums of weights times the payloads (pre,) of all sources."""
    a1[:] = 0
    for j in range(payload.size):
        if payload[j] != 0:
            _add(j, payload[j], weight, a1)


@compiled
def _add(source, factor, weight, total):  # type: ignore[no-untyped-def]
    if weight.rows.size > 0:
        for i in range(total.size):
            total[i] += weight.rows[source, i] * factor
        return
    for s in range(weight.begin[source], weight.begin[source + 1]):
        total[weight.post[s]] += weight.weight[s] * factor
