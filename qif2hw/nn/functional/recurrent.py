"""Recurrent populations: the exact gradient through a population's own spikes."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.kernels import recurrent
from qif2hw.neuron import QIF
from qif2hw.nn.functional import eager
from qif2hw.nn.functional.dense import LayerOutput


def _array(tensor: Tensor) -> FloatArray:
    return tensor.detach().contiguous().numpy()


class _Spikes(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, weight: Tensor, feedback: Tensor, phi0: Tensor, neuron: QIF, trial: float,
        delay: float, capacity: int,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        batch, pre, depth = times.shape
        size = len(phi0)
        angle = neuron.omega * _array(phi0)
        layer = recurrent.Recurrent(
            _array(times).reshape(batch, pre * depth), _array(weight.T) / neuron.r, _array(feedback.T) / neuron.r,
            np.stack([np.cos(angle), np.sin(angle)]), depth, neuron.omega, trial, delay,
        )  # fmt: skip
        room = pre * depth + 2 * size * capacity + 1
        while True:
            out = np.empty((batch, size, capacity)), np.empty((batch, size))
            log = recurrent.Log(
                np.empty((batch, room), np.int8), np.empty((batch, room), np.int32), np.empty((batch, room)),
                np.empty(batch, np.int64), np.empty((batch, room), np.int32),
            )  # fmt: skip
            spikes, events = recurrent.forward(layer, *out, log)
            if spikes < 0:
                raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
            if spikes <= capacity and events <= room:
                break
            capacity, room = max(capacity, spikes), max(room, events)
        ctx.saved = layer, log, neuron.r
        return torch.from_numpy(out[0]), torch.from_numpy(out[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layer, log, r = ctx.saved
        to = [np.empty_like(v) for v in (layer.times, layer.a, layer.feedback, layer.start[0])]
        recurrent.backward(layer, log, *(_array(g) for g in grads), *to)
        times, weight, feedback, phi0 = (torch.from_numpy(v) for v in to)
        times = times.reshape(len(times), len(weight), layer.depth)
        return times, weight.T / r, feedback.T / r, phi0, None, None, None, None


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

    Parameters
    ----------
    feedback
        (neurons, neurons), from columns to rows.
    delay
        In units of time, not negative.

    References
    ----------
    C. Klos and R.-M. Memmesheimer, *Smooth exact gradient descent learning in spiking neural networks*, 2025
    (instantaneous interaction).
    """
    size = len(phi0)
    if times.ndim != 3 or weight.shape != (size, times.shape[1]) or feedback.shape != (size, size):
        raise InputError(
            f"recurrent population of {size}: times {tuple(times.shape)}, weight {tuple(weight.shape)} and feedback "
            f"{tuple(feedback.shape)} do not fit; (batch, pre, K), ({size}, pre) and ({size}, {size}) are needed"
        )
    if not (math.isfinite(delay) and delay >= 0):
        raise InputError(f"delay = {delay:g}: zero or a positive time is needed")
    if not (math.isfinite(trial) and trial > 0):
        raise InputError(f"trial T = {trial:g}: a positive length is needed")
    kind = times.dtype
    times, weight, feedback, phi0 = (t.double() for t in (times, weight, feedback, phi0))
    if delay == 0:
        feedback = feedback - torch.diag(feedback.diagonal())
    spikes, theta = _Spikes.apply(times, weight, feedback, phi0, neuron, float(trial), float(delay), max(1, capacity))
    if psi is not None:
        theta = eager.kick(theta, psi.double() @ weight.T / neuron.r)
    if delay == 0:
        theta = eager.kick(theta, theta @ feedback.T / (math.pi * neuron.r))
    return LayerOutput(spikes.to(kind), (theta / math.pi).to(kind), (trial + (math.pi - theta) / neuron.omega).to(kind))


class RecurrentQIFLayer(nn.Module):
    """QIF neurons with synapses from their inputs and among themselves.

    Parameters
    ----------
    pre, size
        Number of presynaptic channels and of neurons.
    trial, delay, neuron
        Length of a trial; time that a spike takes back to the population; parameters of the neurons.
    spread, feedback_spread
        Weights start uniform in ``+-spread / sqrt(pre)`` and ``+-feedback_spread / sqrt(size)``.
    phases
        Initial phases start uniform in this range.
    dtype
        float64 or float32; computed in float64.
    """

    def __init__(
        self,
        pre: int,
        size: int,
        *,
        trial: float,
        delay: float = 0.0,
        neuron: QIF | None = None,
        spread: float = 0.9,
        feedback_spread: float = 0.5,
        phases: tuple[float, float] = (2.0, 5.0),
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        if pre < 1 or size < 1:
            raise InputError(f"a population of {size} neurons with {pre} inputs: at least one of each is needed")
        self.neuron, self.trial, self.delay = neuron or QIF(), trial, delay
        self.capacity = 2

        def uniform(low: float, high: float, *shape: int) -> nn.Parameter:
            drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
            return nn.Parameter((low + (high - low) * drawn).to(dtype))

        bound, back = spread / pre**0.5, feedback_spread / size**0.5
        self.weight = uniform(-bound, bound, size, pre)
        self.feedback = uniform(-back, back, size, size)
        self.phi0 = uniform(*phases, size)

    def forward(self, times: Tensor, psi: Tensor | None = None) -> LayerOutput:
        """Spikes of the population for input spike times (batch, pre, K), padded with infinity."""
        out = layer(
            times, psi, self.weight, self.feedback, self.phi0, neuron=self.neuron, trial=self.trial,
            delay=self.delay, capacity=self.capacity,
        )  # fmt: skip
        self.capacity = out.times.shape[2]
        return out
