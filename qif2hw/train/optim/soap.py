"""SOAP: Adam in the eigenbasis of each weight array's gradient covariance (Vyas et al. 2024, arXiv:2409.11321)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qif2hw.train.optim.adam import clip_factor

BASIS_EVERY = 10


class Soap:
    r"""SOAP with a clipped gradient norm; vectors move by plain Adam.

    Of a weight array's gradients ``G`` the averages :math:`L = \langle G G^T \rangle` and
    :math:`R = \langle G^T G \rangle` are kept; Adam's second moment belongs to :math:`Q_L^T G Q_R`, with the
    eigenvectors ``Q`` of both refined every ten steps by one step of orthogonal iteration.

    Parameters
    ----------
    groups
        Lists of parameters; each has a learning rate of its own in `step`.
    betas, covariance_beta, epsilon
        Decay of the moments' averages and of the covariances'; what is added to the denominator.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[nn.Parameter]],
        *,
        betas: tuple[float, float] = (0.95, 0.95),
        covariance_beta: float = 0.95,
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters = [p for group in groups for p in group]
        self.betas, self.covariance_beta, self.epsilon = betas, covariance_beta, epsilon
        self.steps = 0
        self._group = [k for k, group in enumerate(groups) for _ in group]
        zeros = torch.zeros_like
        self.mean = [zeros(p) for p in self.parameters]
        self.square = [zeros(p) for p in self.parameters]
        self.sides = [[torch.zeros(n, n, dtype=p.dtype) for n in p.shape if p.ndim == 2] for p in self.parameters]
        self.bases = [[torch.eye(len(side), dtype=side.dtype) for side in sides] for sides in self.sides]

    def state(self) -> dict[str, Tensor]:
        """State from which a run goes on, to be written and restored in place: parameters and averages of their shapes.

        Covariances and bases of an array (rows, columns) are (rows, rows) and (columns, columns).
        """
        state: dict[str, Tensor] = {}
        for k, p in enumerate(self.parameters):
            state |= {f"value{k}": p.data, f"mean{k}": self.mean[k], f"square{k}": self.square[k]}
            for side, covariance, basis in zip("LR", self.sides[k], self.bases[k], strict=False):
                state |= {f"{side}{k}": covariance, f"Q{side}{k}": basis}
        return state

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, rates: Sequence[float], clip: float) -> None:
        """Move the parameters of each group at its rate; the gradient's norm is clipped at ``clip``."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        factor = clip_factor(gradients, clip)
        first, second = self.betas
        self.steps += 1
        for k, (p, raw) in enumerate(zip(self.parameters, gradients, strict=True)):
            g, bases = raw * factor, self.bases[k]
            if bases:
                self._refine(k, g)
            seen = bases[0].T @ g @ bases[1] if bases else g
            self.mean[k].lerp_(g, 1 - first)
            self.square[k].mul_(second).addcmul_(seen, seen, value=1 - second)
            mean = bases[0].T @ self.mean[k] @ bases[1] if bases else self.mean[k]
            spread = self.square[k].sqrt().div_((1 - second**self.steps) ** 0.5).add_(self.epsilon)
            move = mean / spread
            if bases:
                move = bases[0] @ move @ bases[1].T
            p.add_(move, alpha=-rates[self._group[k]] / (1 - first**self.steps))

    def _refine(self, k: int, g: Tensor) -> None:
        left, right = self.sides[k]
        if self.steps == 1:
            left.copy_(g @ g.T)
            right.copy_(g.T @ g)
            for covariance, basis in zip(self.sides[k], self.bases[k], strict=True):
                basis.copy_(torch.linalg.eigh(covariance)[1].flip(1))
            return
        left.lerp_(g @ g.T, 1 - self.covariance_beta)
        right.lerp_(g.T @ g, 1 - self.covariance_beta)
        if self.steps % BASIS_EVERY == 0:
            for axis, (covariance, basis) in enumerate(zip(self.sides[k], self.bases[k], strict=True)):
                turned = covariance @ basis
                order = (basis * turned).sum(0).argsort(descending=True)
                basis.copy_(torch.linalg.qr(turned[:, order])[0])
                self.square[k].copy_(self.square[k].index_select(axis, order))
