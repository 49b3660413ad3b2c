r"""The adjoint of a layer of jets: gradients of a loss on output jets by input jets, weights and initial phases.

Symbols are those of `qif2hw.kernels.jets`.  ``rho = dL/dR^2`` and ``eps = dL/de`` of all later steps enter three
sums per neuron,

.. math:: P_1 = \sum \rho R^2, \quad P_2 = \sum 2 \rho e + \epsilon |Y|^2, \quad P_3 = \sum \epsilon R^2,

(an element of the dual of sl(2)), from which a shear ``a`` and a rotation ``phi`` have the gradients

.. math:: \partial L / \partial a = -2 y Y_y P_1 + y^2 P_2 - Y_y^2 P_3, \qquad
          \partial L / \partial \varphi = -2 e P_1 + R^2 P_2 - |Y|^2 P_3 .

Backward replays one sample at a time and keeps its trajectory; memory does not grow with the batch.
"""

import numpy as np
from numba import prange

from qif2hw.kernels.jets import REBASE_AFTER, advance, angles_of_steps, begin, frame, rebase
from qif2hw.kernels.steps import steps, turn
from qif2hw.machinecode import compiled, for_one_thread_and_all
from qif2hw.simd import below_zero, load, lowest_bit, splat, store, total, width


def _backward(layer, chunks, record, grad_times, grad_theta, to_times, to_weight, to_phi0):  # type: ignore[no-untyped-def]
    """Gradients to times (as jets), weights (pre, post) and initial phases; sums in a fixed order."""
    batch = layer.times.shape[1]
    pad = layer.start.shape[1]
    weights, phases = np.empty((chunks, layer.a.size)), np.empty((chunks, pad))
    for chunk in prange(chunks):
        _backward_share(
            chunk * batch // chunks, (chunk + 1) * batch // chunks, layer, record, grad_times, grad_theta,
            to_times, weights[chunk], phases[chunk],
        )  # fmt: skip
    _add_up(weights, phases, layer.r, layer.omega, to_weight, to_phi0)


@compiled
def _add_up(weights, phases, r, omega, to_weight, to_phi0):  # type: ignore[no-untyped-def]
    """Sum the chunks: apart from `_backward`, whose parallel form would start threads for every sum."""
    pre, post = to_weight.shape
    pad = phases.shape[1]
    to_weight[:] = 0.0
    to_phi0[:] = 0.0
    for chunk in range(len(phases)):
        for j in range(pre):
            for m in range(post):
                to_weight[j, m] += weights[chunk, j * pad + m] / r
        for m in range(post):
            to_phi0[m] += omega * phases[chunk, m]


backward, backward_parallel = for_one_thread_and_all(_backward)


@compiled(error_model="numpy")
def _backward_share(low, high, layer, record, grad_times, grad_theta, to_times, weights, phases):  # type: ignore[no-untyped-def]
    times, a, growth, start, left, right, n, depth, _, omega, trial, most = layer
    size, _, post, _ = grad_times.shape
    pad, pre, rows = start.shape[1], growth.size - 1, 4 + n
    none = left[:0]
    weights[:] = 0.0
    phases[:] = 0.0
    cosine, sine, step_time, angle = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    source, row, rebased = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.bool_)
    now, phi, pull = np.empty((most, size)), np.empty((most, size)), np.empty((most + 1, size))
    path, moved = np.empty((most + 1) * rows * pad), np.empty(rows * pad)
    dual, sums = np.empty((2 + size) * pad), np.empty(size * width(a))
    number, g = np.empty(pad, np.int32), np.empty(size)
    for b in range(low, high):
        many = steps(
            times[0, b], record.order[b], record.events[b], depth, pre, trial, omega, step_time, angle, row, source
        )
        turn(angle, many, cosine, sine)
        angles_of_steps(times, b, many, source, omega, now, phi)
        begin(start, path, pad, rows)
        before, grown = pre * pad, 0.0
        # Row i of the path is the state before step i, in the frame of step i - 1.
        for i in range(many):
            here, there = i * rows * pad, (i + 1) * rows * pad
            rebased[i] = grown > REBASE_AFTER
            if rebased[i]:
                moved[:] = path[here:there]
                rebase(moved, 0, pad, post, n, none, none)
                grown = 0.0
                advance(moved, 0, path, there, a, before, pad, cosine[i], sine[i], phi[i], n, none, none)
            else:
                advance(path, here, path, there, a, before, pad, cosine[i], sine[i], phi[i], n, none, none)
            for v in range(0, pad, width(a)):
                crossed = below_zero(load(path, there + pad + v))
                while crossed != 0:
                    m = v + lowest_bit(crossed)
                    crossed &= crossed - np.uint64(1)
                    for k in range(there + m, there + 4 * pad, pad):
                        path[k] = -path[k]
            before = row[i] * pad
            grown += growth[row[i]]
        dual[:] = 0.0
        pull[: many + 1] = 0.0
        number[:] = 0
        for q in range(record.fired[b]):
            number[record.fired_by[b, q]] += 1
        for m in range(post):
            g[:] = grad_theta[:, b, m]
            _pull_angle(g, record.at_end[b, m], dual, pad, m, n, left, right)
        spike = record.fired[b] - 1
        for i in range(many - 1, -1, -1):
            there = (i + 1) * rows * pad
            if source[i] >= 0:
                _back_through_shear(path, there, dual, pad, a, row[i] * pad, weights)
            while spike >= 0 and record.fired_in[b, spike] == i:
                m = record.fired_by[b, spike]
                number[m] -= 1
                for k in range(size):
                    pull[i, k] += grad_times[k, b, m, number[m]]
                    g[k] = -grad_times[k, b, m, number[m]] / omega
                _pull_angle(g, record.at_spike[b, spike], dual, pad, m, n, left, right)
                spike -= 1
            _back_through_turn(path, there, dual, pad, a, phi[i], n, left, right, sums)
            for k in range(size):
                share = omega * total(load(sums, k * width(a)))
                pull[i, k] += share
                if i > 0:
                    pull[i - 1, k] -= share
            if rebased[i]:
                _back_through_frame(path, i * rows * pad, dual, pad, post, n, left, right)
        for m in range(post):
            phases[m] += dual[pad + m] - dual[2 * pad + m]
        to_times[:, b] = 0.0
        for i in range(many - 2, -1, -1):
            for k in range(size):
                if source[i] >= 0:
                    to_times[k, b, source[i]] = pull[i, k]
                elif i > 0:
                    pull[i - 1, k] += pull[i, k]


@compiled(error_model="numpy")
def _pull_angle(g, at, dual, pad, m, n, left, right):  # type: ignore[no-untyped-def]
    """Add the gradient ``g`` to the jet of an angle to the rows ``P1, P2, P3, dL/dS, dL/dG`` of neuron ``m``."""
    r2, e, dual2 = at[0], at[1], at[2]
    rho = eps = 0.0
    for i in range(n):
        dual[(3 + i) * pad + m] += g[1 + i] / r2
        rho -= g[1 + i] * at[3 + i] / (r2 * r2)
    for p in range(left.size):
        i, j, share = left[p], right[p], g[1 + n + p] / r2
        both = at[3 + i] * at[3 + j] / r2
        dual[(3 + n + p) * pad + m] += share
        dual[(3 + i) * pad + m] -= 2.0 * share * e * at[3 + j] / r2
        dual[(3 + j) * pad + m] -= 2.0 * share * e * at[3 + i] / r2
        rho += share * (4.0 * both * e - at[3 + n + p]) / r2
        eps -= 2.0 * share * both
    dual[m] += rho * r2
    dual[pad + m] += g[0] / r2 + 2.0 * rho * e + eps * dual2
    dual[2 * pad + m] += eps * r2


@compiled
def _back_through_shear(path, at, dual, pad, a, row, weights):  # type: ignore[no-untyped-def]
    two = splat(a, 2.0)
    for v in range(0, pad, width(a)):
        y, dual_y = load(path, at + pad + v), load(path, at + 3 * pad + v)
        p1, p2, p3 = load(dual, v), load(dual, pad + v), load(dual, 2 * pad + v)
        store(weights, row + v, load(weights, row + v) + (y * (y * p2 - two * (dual_y * p1)) - dual_y * dual_y * p3))


@compiled
def _back_through_turn(path, at, dual, pad, a, phi, n, left, right, sums):  # type: ignore[no-untyped-def]
    """Adjoint of the rotation that led to ``path[at:]``; ``sums`` becomes the gradient to the angle's jet, by lane."""
    lanes = width(a)
    sums[:] = 0.0
    two = splat(a, 2.0)
    for v in range(0, pad, lanes):
        x, y = load(path, at + v), load(path, at + pad + v)
        dual_x, dual_y = load(path, at + 2 * pad + v), load(path, at + 3 * pad + v)
        p1, p2, p3 = load(dual, v), load(dual, pad + v), load(dual, 2 * pad + v)
        r2, e2 = x * x + y * y, two * (x * dual_x + y * dual_y)
        dual2 = dual_x * dual_x + dual_y * dual_y
        store(sums, 0, load(sums, 0) + (r2 * p2 - e2 * p1 - dual2 * p3))
        rho, eps = splat(a, 0.0), splat(a, 0.0)
        for i in range(n):
            share = load(dual, (3 + i) * pad + v)
            store(sums, (1 + i) * lanes, load(sums, (1 + i) * lanes) + share * r2)
            rho = rho + splat(a, phi[1 + i]) * share
        for p in range(left.size):
            i, j, k = left[p], right[p], 1 + n + p
            share = load(dual, (2 + k) * pad + v)
            first, other = load(path, at + (4 + i) * pad + v), load(path, at + (4 + j) * pad + v)
            fi, fj = splat(a, phi[1 + i]), splat(a, phi[1 + j])
            curl = share * e2
            store(sums, k * lanes, load(sums, k * lanes) + share * r2)
            store(sums, (1 + i) * lanes, load(sums, (1 + i) * lanes) + curl * other)
            store(sums, (1 + j) * lanes, load(sums, (1 + j) * lanes) + curl * first)
            rho = rho + (splat(a, phi[k]) * share + splat(a, phi[1 + i] * phi[1 + j]) * curl)
            # 2 (phi_i h_j + phi_j h_i), with h from the sums S after the turn.
            eps = eps + two * share * (fi * other + fj * first - splat(a, phi[1 + i] * phi[1 + j]) * r2)
            store(dual, (3 + i) * pad + v, load(dual, (3 + i) * pad + v) + fj * curl)
            store(dual, (3 + j) * pad + v, load(dual, (3 + j) * pad + v) + fi * curl)
        store(dual, v, p1 + rho * r2)
        store(dual, pad + v, p2 + rho * e2 + eps * dual2)
        store(dual, 2 * pad + v, p3 + eps * r2)


@compiled(error_model="numpy")
def _back_through_frame(path, at, dual, pad, post, n, left, right):  # type: ignore[no-untyped-def]
    """Adjoint of `rebase`; ``kappa`` and ``c`` are constants, as no result depends on the frame."""
    for m in range(post):
        kappa, c = frame(path, at, pad, m)
        for p in range(left.size):
            i, j, k = left[p], right[p], (3 + n + p) * pad + m
            dual[(3 + i) * pad + m] += 2.0 * c * path[at + (4 + j) * pad + m] * dual[k]
            dual[(3 + j) * pad + m] += 2.0 * c * path[at + (4 + i) * pad + m] * dual[k]
        for k in range(3, 3 + n + left.size):
            dual[k * pad + m] *= kappa * kappa
        third = dual[2 * pad + m] / (kappa * kappa)
        dual[pad + m] = kappa * kappa * dual[pad + m] - 2.0 * c * dual[m] - c * c * third
        dual[m] += c * third
        dual[2 * pad + m] = third
