"""Populations with feedback as a torch function: the exact gradient through a population's own spikes."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.kernels import recurrent as kernels
from qif2hw.neuron import QIF
from qif2hw.nn.functional import compiled, eager
from qif2hw.nn.functional.arguments import check
from qif2hw.nn.functional.compiled import array
from qif2hw.nn.functional.output import LayerOutput


class _Spikes(compiled.Kernel):
    """Ordinary spike times, and the angles at the trial's end before the extra shear."""

    def __init__(
        self, neuron: QIF, trial: float, delay: float, times: Tensor, weight: Tensor, feedback: Tensor, phi0: Tensor
    ) -> None:
        batch, self.pre, depth = times.shape
        angle = neuron.omega * array(phi0)
        self.r = neuron.r
        self.layer = kernels.Recurrent(
            array(times).reshape(batch, self.pre * depth), array(weight.T) / neuron.r, array(feedback.T) / neuron.r,
            np.stack([np.cos(angle), np.sin(angle)]), depth, neuron.omega, trial, delay,
        )  # fmt: skip

    def forward(self, rooms: tuple[int, ...]) -> tuple[int, ...]:
        capacity, events = rooms
        batch, size = len(self.layer.times), len(self.layer.feedback)
        self.times, self.theta = np.empty((batch, size, capacity)), np.empty((batch, size))
        self.log = kernels.Log(
            np.empty((batch, events), np.int8), np.empty((batch, events), np.int32), np.empty((batch, events)),
            np.empty(batch, np.int64), np.empty((batch, events), np.int32),
        )  # fmt: skip
        needed: tuple[int, int] = kernels.forward(self.layer, self.times, self.theta, self.log)
        return needed

    def results(self) -> tuple[Any, ...]:
        return torch.from_numpy(self.times), torch.from_numpy(self.theta)

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        layer = self.layer
        to = [np.empty_like(v) for v in (layer.times, layer.a, layer.feedback, layer.start[0])]
        kernels.backward(layer, self.log, *(array(g) for g in grads), *to)
        times, weight, feedback, phi0 = (torch.from_numpy(v) for v in to)
        return times.reshape(len(times), self.pre, layer.depth), weight.T / self.r, feedback.T / self.r, phi0


def layer(
    times: Tensor, psi: Tensor | None, weight: Tensor, feedback: Tensor, phi0: Tensor, *, neuron: QIF, trial: float,
    delay: float = 0.0, capacity: int = 2,
) -> LayerOutput:  # fmt: skip
    r"""A population with feedback; arguments not listed and results as those of `qif2hw.nn.functional.dense.layer`.

    A spike of neuron ``j`` at ``t`` adds ``feedback[i, j]`` to the potential of every neuron ``i`` at ``t + delay``.
    With ``delay = 0`` it does so at once, in the strict order of events: the neuron that fires is reset first and does
    not feel its own spike (a finite jump does not move ``V = -inf``), so the diagonal has no effect; no other neuron
    is made to fire by a finite jump either, hence there are no avalanches in zero time.

    After the trial the pseudo-phases of the sources act as in any layer; then, where feedback is instantaneous, those
    that the population has by then act on the population itself, all at once, without a second round.  That is exact
    where feedback runs one way through two groups of neurons; in a loop, what follows the trial jumps by a term of
    second order in the feedback when a spike crosses the trial's end.  With a delay, spikes on their way at the end are
    lost.  Let ordinary spikes carry the answer of a recurrent network.

    float32 arguments give float32 results and gradients: those of the same numbers in float64, rounded.

    Parameters
    ----------
    feedback
        (neurons, neurons), from columns to rows.
    delay
        In units of time, not negative.
    capacity
        Spikes per neuron to make room for; doubled until every spike fits.

    Raises
    ------
    InputError
        On arguments that do not fit each other, a negative delay, and on input times that are negative or not numbers.

    References
    ----------
    C. Klos and R.-M. Memmesheimer, *Smooth exact gradient descent learning in spiking neural networks*, 2025
    (instantaneous interaction).
    """
    size = len(phi0)
    check(times, psi, weight, phi0, trial)
    if feedback.shape != (size, size) or feedback.dtype != weight.dtype:
        raise InputError(
            f"recurrent layer: feedback has shape {tuple(feedback.shape)} and type {feedback.dtype}, "
            f"({size}, {size}) and {weight.dtype} are needed"
        )
    if not (math.isfinite(delay) and delay >= 0):
        raise InputError(f"delay = {delay:g}: zero or a positive time is needed")
    kind = times.dtype
    times, weight, feedback, phi0 = (t.double() for t in (times, weight, feedback, phi0))
    if delay == 0:
        feedback = feedback - torch.diag(feedback.diagonal())
    capacity = max(1, capacity)
    events = times[0].numel() + 2 * size * capacity + 1
    make = partial(_Spikes, neuron, float(trial), float(delay))
    spikes, theta = compiled.run(make, (capacity, events), times, weight, feedback, phi0)
    if psi is not None:
        theta = eager.kick(theta, psi.double() @ weight.T / neuron.r)
    if delay == 0:
        theta = eager.kick(theta, theta @ feedback.T / (math.pi * neuron.r))
    return LayerOutput(spikes.to(kind), (theta / math.pi).to(kind), (trial + (math.pi - theta) / neuron.omega).to(kind))
