"""Layers of a baseline network: one chain, or the two chains of a DeepONet, and the rows of inputs for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.train.objective import batch_of


@dataclass(frozen=True)
class Architecture:
    """Sizes of the chains.

    Parameters
    ----------
    chains
        One chain from inputs to outputs; or two, branch and trunk: they share the inputs out in this order, and the
        inner product of what they give is the only output.
    fields
        Encode each input of the last chain, whose first size counts them all; None for inputs as they are.
    """

    chains: tuple[tuple[int, ...], ...]
    fields: ReceptiveFields | None = None

    def __post_init__(self) -> None:
        if len(self.chains) not in (1, 2) or any(len(sizes) < 2 or min(sizes) < 1 for sizes in self.chains):
            raise InputError(f"layers {self.chains}: one or two chains of at least two positive sizes are needed")
        if len({sizes[-1] for sizes in self.chains}) > 1:
            raise InputError(f"layers {self.chains}: the two chains must end in the same number of features")
        if self.fields is not None and self.chains[-1][0] % self.fields.count:
            raise InputError(f"layers {self.chains}: {self.fields.count} receptive fields for each input are needed")

    @property
    def columns(self) -> tuple[int, ...]:
        """Columns of each chain's input."""
        *others, last = (sizes[0] for sizes in self.chains)
        return (*others, last if self.fields is None else last // self.fields.count)

    @property
    def inputs(self) -> int:
        """Columns of the network's input."""
        return sum(self.columns)

    @property
    def outputs(self) -> int:
        """Columns of the network's output."""
        return self.chains[0][-1] if len(self.chains) == 1 else 1


@dataclass(frozen=True)
class Rows:
    """Input rows split by chain: the distinct inputs of each chain, and their index for every row.

    Parameters
    ----------
    parts
        Inputs of each chain (distinct, inputs of the chain).
    where
        Row of the chain's results for each row of the network's; empty where there is one chain, whose results are the
        network's.
    """

    parts: tuple[Tensor, ...]
    where: tuple[Tensor, ...]

    def combine(self, results: Sequence[Tensor]) -> Tensor:
        """Network outputs (samples, outputs) from what the chains gave for ``parts``."""
        if len(results) == 1:
            return results[0]
        branch, trunk = (result[at] for result, at in zip(results, self.where, strict=True))
        return (branch * trunk).sum(dim=1, keepdim=True)

    def batch(self, size: int | None, seed: int, step: int) -> "tuple[Rows, Tensor | slice]":
        """The rows of a training step, and their indices (rows,); with two chains ``size`` counts branch inputs."""
        chosen = batch_of(len(self.parts[0]), size, seed, step)
        if chosen is None:
            return self, slice(None)
        if not self.where:
            return Rows((self.parts[0][chosen],), ()), chosen
        position = torch.full((len(self.parts[0]),), -1)
        position[chosen] = torch.arange(len(chosen))
        rows = torch.nonzero(position[self.where[0]] >= 0)[:, 0]
        return Rows((self.parts[0][chosen], self.parts[1]), (position[self.where[0][rows]], self.where[1][rows])), rows


def take_apart(architecture: Architecture, x: Tensor) -> Rows:
    """Split inputs (samples, inputs) by chain; inputs that several rows share are kept once.

    Raises
    ------
    InputError
        If ``x`` has another shape.
    """
    if x.dim() != 2 or x.shape[1] != architecture.inputs:
        raise InputError(f"inputs of shape {tuple(x.shape)}: (samples, {architecture.inputs}) is needed")
    if len(architecture.chains) == 1:
        return Rows((x,), ())
    columns = x.split(architecture.columns, dim=1)
    parts, where = zip(*(torch.unique(part, dim=0, return_inverse=True) for part in columns), strict=True)
    return Rows(parts, where)
