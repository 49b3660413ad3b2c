"""Adam on one flat vector: for networks this small the cost of a step is the number of torch calls, not their size."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def clip_factor(gradients: Sequence[Tensor], clip: float) -> float:
    """Factor of all gradients, of any shape, that makes their common norm at most ``clip``."""
    norms = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
    return clip / max(float(torch.linalg.vector_norm(norms)), clip)


class FlatAdam:
    """Adam with a clipped gradient norm; the parameters become views of one vector.

    Parameters
    ----------
    groups
        Lists of parameters; each has a learning rate of its own in `step`.
    betas, epsilon
        As published: decay of the moments' averages, and what is added to the denominator.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[nn.Parameter]],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters = [p for group in groups for p in group]
        self.betas, self.epsilon = betas, epsilon
        self.steps = 0
        with torch.no_grad():
            self.values = torch.cat([p.reshape(-1) for p in self.parameters])
            self.mean, self.square = torch.zeros_like(self.values), torch.zeros_like(self.values)
            sizes = [p.numel() for p in self.parameters]
            for p, part in zip(self.parameters, self.values.split(sizes), strict=True):
                p.data = part.view(p.shape)
        self._parts = [sum(p.numel() for p in group) for group in groups]

    def state(self) -> dict[str, Tensor]:
        """State to go on from, to be written and restored in place: all parameters and their moments, (parameters,)."""
        return {"values": self.values, "mean": self.mean, "square": self.square}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, rates: Sequence[float], clip: float) -> None:
        """Move the parameters of each group at its rate; the gradient's norm is clipped at ``clip``."""
        gradient = torch.cat(
            [torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in self.parameters]
        )
        gradient.mul_(clip_factor([gradient], clip))
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = self.square.sqrt().div_((1 - second**self.steps) ** 0.5).add_(self.epsilon)
        move = self.mean.div(spread)
        for part, change, rate in zip(self.values.split(self._parts), move.split(self._parts), rates, strict=True):
            part.add_(change, alpha=-rate / (1 - first**self.steps))
