"""Backward pass over a stored trajectory: the phase before every event is kept, the chain rule goes back over them."""

from typing import Any

import numpy as np
import torch
from nn.cases import Case, loss
from numpy.typing import NDArray

from qif2hw.neuron import kick
from qif2hw.nn.functional.output import LayerOutput

Array = NDArray[np.float64]


def stored_gradients(case: Case) -> list[Array]:
    """Gradients of `nn.cases.loss` to times, pseudo-phases, weights and initial phases."""
    with torch.no_grad():
        plain = case.run()
    leaves = [t.clone().requires_grad_() for t in plain]
    loss(LayerOutput(*leaves)).backward()
    g_times, g_psi, g_next = (np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in leaves)
    times, psi, weight, phi0 = (t.numpy() for t in case.tensors)
    to = [np.zeros_like(a) for a in (times, psi, weight, phi0)]
    for b in range(len(times)):
        _sample(case, times[b], psi[b], weight, phi0, (g_times[b], g_psi[b], g_next[b]), to, b)
    return to


def _kick_slopes(theta: Array, a: Any) -> tuple[Array, Array]:
    s = np.sin(theta)
    stretch = s * s + (np.cos(theta) - a * s) ** 2
    return 1.0 / stretch, s * s / stretch


def _sample(
    case: Case, times: Array, psi: Array, weight: Array, phi0: Array, grads: tuple[Array, ...], to: list[Array], b: int
) -> None:
    omega, r = case.neuron.omega, case.neuron.r
    flat = times.ravel()
    order = [int(q) for q in np.argsort(flat, kind="stable") if flat[q] <= case.trial]
    g_times, g_psi, g_next = grads
    theta, now = omega * phi0, 0.0
    fired = np.zeros(len(phi0), int)
    tape: list[tuple[int, Array, Array]] = []
    for q in [*order, -1]:
        until = case.trial if q < 0 else flat[q]
        reached = theta + omega * (until - now)
        turns = np.floor(reached / np.pi).astype(int)
        pull = np.zeros(len(phi0))
        for n in range(len(phi0)):
            pull[n] = g_times[n, fired[n] : fired[n] + turns[n]].sum()
        fired += turns
        before = reached - np.pi * turns
        tape.append((q, before, pull))
        theta, now = (before, until) if q < 0 else (kick(before, weight[:, q // times.shape[1]] / r), until)
    a = weight @ psi / r
    slope, by_a = _kick_slopes(theta, a)
    after = g_psi / np.pi - g_next / omega
    to[1][b] += (after * by_a) @ weight / r
    to[2] += np.outer(after * by_a, psi) / r
    back = after * slope
    # ``back`` is the loss's derivative with respect to the angle before the event; ``pull`` that of the gap's spikes.
    for k in range(len(tape) - 1, -1, -1):
        q, _, pull = tape[k]
        if q >= 0:
            to[0][b].ravel()[q] += omega * back.sum()
        previous = tape[k - 1][0] if k else None
        if previous is not None:
            to[0][b].ravel()[previous] += (pull - omega * back).sum()
        after = back - pull / omega
        if previous is None:
            to[3] += omega * after
        else:
            j = previous // times.shape[1]
            slope, by_a = _kick_slopes(tape[k - 1][1], weight[:, j] / r)
            to[2][:, j] += after * by_a / r
            back = after * slope
