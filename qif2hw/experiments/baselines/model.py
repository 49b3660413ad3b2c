"""What all baseline networks share: scaling of inputs and outputs, evaluation chain by chain, a predictor."""

import torch
from torch import Tensor, nn

from qif2hw.experiments.baselines.architecture import Architecture, Rows, take_apart
from qif2hw.ir.arrays import FloatArray
from qif2hw.nn.encoding import activities

CHUNK = 256
"""Samples a predictor works on at a time: few enough for the spikes of all time steps to stay in the cache."""


class ChainModel(nn.Module):
    """A network ``y = offset + scale * combine(chain_k((x_k - centre_k) / spread_k))``; its chains are a subclass's.

    Where the architecture has receptive fields, their activities take the place of the last ``x_k``.

    Parameters
    ----------
    architecture
        Its chains.
    dtype
        Of parameters and results.
    """

    def __init__(self, architecture: Architecture, dtype: torch.dtype) -> None:
        super().__init__()
        self.architecture, self.dtype = architecture, dtype
        for name, start in (("centre", 0.5), ("spread", 0.5)):
            self.register_buffer(name, torch.full((len(architecture.chains),), start, dtype=dtype))
        for name, start in (("offset", 0.0), ("scale", 1.0)):
            self.register_buffer(name, torch.full((architecture.outputs,), start, dtype=dtype))

    centre: Tensor
    spread: Tensor
    offset: Tensor
    scale: Tensor

    def fit_scaling(self, rows: Rows, y: Tensor | None) -> None:
        """Centre and spread of each chain's own inputs; offset and scale of ``y`` (samples, outputs), if given."""
        for k, part in enumerate(rows.parts):
            encoded = self.encoded(k, part)
            self.centre[k], self.spread[k] = encoded.mean(), encoded.std()
        if y is not None:
            self.offset.copy_(y.mean(dim=0))
            self.scale.copy_(y.std(dim=0))

    def encoded(self, k: int, part: Tensor) -> Tensor:
        """Inputs ``part`` (distinct, inputs) of chain ``k``, or the activities of their fields."""
        fields = self.architecture.fields
        last = k == len(self.architecture.chains) - 1
        return activities(fields, part) if last and fields is not None else part

    def scaled(self, k: int, part: Tensor) -> Tensor:
        """Inputs ``part`` (distinct, inputs) of chain ``k`` as its first layer sees them."""
        return (self.encoded(k, part) - self.centre[k]) / self.spread[k]

    def chain(self, k: int, z: Tensor) -> Tensor:
        """Results (distinct, outputs) of chain ``k`` for scaled inputs ``z`` (distinct, inputs of the chain)."""
        raise NotImplementedError

    def on(self, rows: Rows) -> Tensor:
        """Outputs (samples, outputs) of split rows."""
        results = [self.chain(k, self.scaled(k, part)) for k, part in enumerate(rows.parts)]
        return self.offset + self.scale * rows.combine(results)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (samples, outputs) of inputs (samples, inputs) in [0, 1]."""
        return self.on(take_apart(self.architecture, x.to(self.dtype)))

    @torch.no_grad()
    def predict(self, x: FloatArray) -> FloatArray:
        """Outputs (samples, outputs) of inputs (samples, inputs) in [0, 1], as a QIF network gives results."""
        rows = take_apart(self.architecture, torch.from_numpy(x).to(self.dtype))
        results = [
            torch.cat([self.chain(k, self.scaled(k, piece)) for piece in part.split(CHUNK)])
            for k, part in enumerate(rows.parts)
        ]
        return (self.offset + self.scale * rows.combine(results)).double().numpy()
