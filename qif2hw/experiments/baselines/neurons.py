r"""Integrate-and-fire neurons in discrete time, trained through a surrogate of the spike's derivative.

For an input current :math:`I_t` and a leak :math:`\beta` (1: none), with threshold 1 and a soft reset:

    :math:`V_t = \beta V_{t-1} + I_t - s_{t-1}, \qquad V_0 = v, \; s_0 = 0`

A leaky neuron spikes (:math:`s_t = 1`) where :math:`V_t > 1`, exactly as ``snntorch.Leaky`` does.  A bipolar one
also spikes downwards: :math:`s_t = \pm 1` where :math:`\pm V_t \geq 1`.  The derivative of a spike with respect to
its potential is taken to be :math:`1 / (1 + (\pi (V_t - 1))^2)`, snnTorch's arctangent, with :math:`|V_t|` for a
bipolar neuron; the reset is held constant.
"""

from typing import Any

import torch
from torch import Tensor


def leaky(current: Tensor, steps: int, beta: float) -> Tensor:
    """Spikes (steps, samples, neurons) of leaky neurons in {0, 1}.

    ``current`` has shape (steps, samples, neurons), or (1, samples, neurons) where it is constant.
    """
    return _IntegrateAndFire.apply(current, None, steps, beta, False)


def bipolar(current: Tensor, steps: int, start: Tensor | None = None) -> Tensor:
    """Spikes (steps, samples, neurons) in {-1, 0, 1} of neurons without leak; ``start`` (neurons,) is the potential v.

    Under a constant current the sum of a neuron's spikes is ``trunc(I t + v)``, as long as one spike a step is enough.
    """
    return _IntegrateAndFire.apply(current, start, steps, 1.0, True)


class _IntegrateAndFire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, start: Tensor | None, steps: int, beta: float, signed: bool) -> Tensor:
        potential = current.new_empty((steps, *current.shape[1:]))
        spikes = torch.empty_like(potential)
        arriving = current.expand_as(potential).unbind()
        # The largest number below the threshold: what exceeds it reaches the threshold.
        below = 1 - torch.finfo(current.dtype).eps / 2
        before: Tensor | None = None
        for t, (v, s) in enumerate(zip(potential.unbind(), spikes.unbind(), strict=True)):
            if before is None:
                v.copy_(arriving[t])
                if start is not None:
                    v.add_(start, alpha=beta)
            else:
                torch.mul(before, beta, out=v).add_(arriving[t]).sub_(spikes[t - 1])
            if signed:
                torch.hardshrink(v, below, out=s).clamp_(-1, 1)
            else:
                torch.gt(v, 1.0, out=s)
            before = v
        ctx.save_for_backward(potential)
        ctx.constant, ctx.beta, ctx.signed = len(current) == 1, beta, signed
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (potential,) = ctx.saved_tensors
        distance = potential.abs() if ctx.signed else potential.clone()
        slope = distance.sub_(1).mul_(torch.pi).square_().add_(1).reciprocal_().mul_(gradients[0])
        parts = slope.unbind()
        for t in range(len(parts) - 2, -1, -1):
            parts[t].add_(parts[t + 1], alpha=ctx.beta)
        return slope.sum(dim=0, keepdim=True) if ctx.constant else slope, None, None, None, None
