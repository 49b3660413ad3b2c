"""The layer in plain torch operations: a loop over input events, gradients by autograd of the phase formula.

Slow; it is the oracle of `qif2hw.nn.functional.dense.layer` and the place for derivatives of any order.
"""

import math

import torch
from torch import Tensor

from qif2hw.neuron import QIF
from qif2hw.nn.functional.output import LayerOutput


def kick(theta: Tensor, a: Tensor) -> Tensor:
    """Angle after a shear ``a = w / r``, as `qif2hw.neuron.kick`; element by element."""
    s, c = torch.sin(theta), torch.cos(theta)
    return torch.atan2(s, c - a * s)


def layer(times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float) -> LayerOutput:
    """One layer of QIF neurons; arguments and results as those of `qif2hw.nn.functional.dense.layer`."""
    batch, pre, depth = times.shape
    omega = neuron.omega
    flat, order = times.reshape(batch, pre * depth).sort(dim=1, stable=True)
    live = flat.detach() <= trial
    flat = torch.where(live, flat, torch.full_like(flat, trial))
    last = int(live.sum(dim=1).max()) if flat.shape[1] else 0
    theta = (omega * phi0).expand(batch, -1)
    now = torch.zeros((batch, 1), dtype=times.dtype)
    fired: list[Tensor] = []
    for event in range(last + 1):
        until = flat[:, event, None] if event < last else torch.full_like(now, trial)
        reached = theta + omega * (until - now)
        turns = torch.floor(reached.detach() / math.pi)
        for turn in range(1, int(turns.max()) + 1):
            spike = now + (turn * math.pi - theta) / omega
            fired.append(torch.where(turns >= turn, spike, torch.full_like(spike, torch.inf)))
        theta = reached - turns * math.pi
        if event < last:
            source = order[:, event] // depth
            a = torch.where(live[:, event, None], weight.T[source] / neuron.r, torch.zeros_like(theta))
            theta = torch.where(a != 0, kick(theta, a), theta)
        now = until
    theta = kick(theta, psi @ weight.T / neuron.r)
    if fired:
        spikes = torch.stack(fired, dim=2).sort(dim=2).values
        spikes = spikes[:, :, : int(torch.isfinite(spikes.detach()).sum(dim=2).max())]
    else:
        spikes = times.new_empty((batch, weight.shape[0], 0))
    return LayerOutput(spikes, theta / math.pi, trial + (math.pi - theta) / omega)
