"""Layers whose synapses are listed, at the cost of those synapses, as a torch function."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.synapses import Sparse
from qif2hw.kernels import sparse as kernels
from qif2hw.neuron import QIF
from qif2hw.nn.functional import compiled, eager
from qif2hw.nn.functional.arguments import check
from qif2hw.nn.functional.compiled import array
from qif2hw.nn.functional.output import LayerOutput

SPIKE_COST = 4
"""Cost of an input spike at one neuron, in updates of a dense layer, which handles many neurons in one instruction."""


class _Spikes(compiled.Kernel):
    """Ordinary spike times, and the angles at the trial's end before the extra shear."""

    def __init__(
        self, synapses: Sparse, neuron: QIF, trial: float, times: Tensor, weight: Tensor, phi0: Tensor
    ) -> None:
        batch, self.pre, depth = times.shape
        begin, post, self.place = synapses.by_source_order
        angle = neuron.omega * array(phi0)
        self.layer = kernels.SparseLayer(
            array(times).reshape(batch, self.pre * depth), begin, post, array(weight)[self.place] / neuron.r,
            np.stack([np.cos(angle), np.sin(angle)]), depth, neuron.r, neuron.omega, trial,
        )  # fmt: skip
        self.divide(batch, synapses.count, SPIKE_COST * batch * synapses.count * depth)

    def forward(self, rooms: tuple[int, ...]) -> tuple[int]:
        (capacity,) = rooms
        batch, spikes = self.layer.times.shape
        size = self.layer.start.shape[1]
        self.times, self.theta = np.empty((batch, size, capacity)), np.empty((batch, size))
        self.record = kernels.SparseRecord(
            np.empty((batch, spikes), np.int32), np.empty(batch, np.int32),
            np.empty((batch, size, capacity + 1)), np.empty((batch, size, capacity + 1), np.int32),
            np.empty((batch, size), np.int32),
        )  # fmt: skip
        run = kernels.forward_parallel if self.parallel else kernels.forward
        return (run(self.layer, self.chunks, self.times, self.theta, self.record),)

    def results(self) -> tuple[Any, ...]:
        return torch.from_numpy(self.times), torch.from_numpy(self.theta)

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        layer = self.layer
        times, a, phi0 = np.empty_like(layer.times), np.empty_like(layer.a), np.empty(layer.start.shape[1])
        run = kernels.backward_parallel if self.parallel else kernels.backward
        run(layer, self.chunks, self.record, *(array(g) for g in grads), times, a, phi0)
        weight = np.empty_like(a)
        weight[self.place] = a / layer.r
        by_time = torch.from_numpy(times).reshape(len(times), self.pre, layer.depth)
        return by_time, torch.from_numpy(weight), torch.from_numpy(phi0)


class _WeightedSum(compiled.Kernel):
    """Sums of the pseudo-phases, ``psi @ weight.T``, over the synapses that are listed."""

    def __init__(self, synapses: Sparse, psi: Tensor, weight: Tensor) -> None:
        self.begin, self.post, self.place = synapses.by_source_order
        self.psi, self.weight, self.size = array(psi), array(weight)[self.place], synapses.shape[0]

    def forward(self, rooms: tuple[int, ...]) -> tuple[()]:
        self.sums = np.empty((len(self.psi), self.size))
        kernels.gather(self.begin, self.post, self.weight, self.psi, self.sums)
        return ()

    def results(self) -> tuple[Any, ...]:
        return (torch.from_numpy(self.sums),)

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        by_weight, by_psi = np.empty_like(self.weight), np.empty_like(self.psi)
        kernels.scatter(self.begin, self.post, self.weight, self.psi, array(grads[0]), by_weight, by_psi)
        weight = np.empty_like(by_weight)
        weight[self.place] = by_weight
        return torch.from_numpy(by_psi), torch.from_numpy(weight)


def layer(
    times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, *, synapses: Sparse, neuron: QIF, trial: float,
    capacity: int = 2,
) -> LayerOutput:  # fmt: skip
    """One layer of QIF neurons whose synapses are listed, with the closed-form gradient, on the CPU.

    float32 arguments give float32 results and gradients: those of the same numbers in float64, rounded.

    Parameters
    ----------
    times, psi, phi0, neuron, trial
        As of `qif2hw.nn.functional.dense.layer`.
    weight
        Weights (synapses,), in the order of ``synapses``.
    synapses
        The synapses.
    capacity
        Spikes per neuron to make room for; doubled until every spike fits.

    Raises
    ------
    InputError
        On arguments that do not fit each other, and on input times that are negative or not numbers.
    """
    if weight.shape != synapses.weight_shape:
        raise InputError(
            f"sparse layer: weight has shape {tuple(weight.shape)}, {synapses.weight_shape} is needed, "
            "one for each synapse"
        )
    check(times, psi, weight, phi0, trial, shape=synapses.shape)
    kind = times.dtype
    times, weight, phi0 = times.double(), weight.double(), phi0.double()
    make = partial(_Spikes, synapses, neuron, float(trial))
    spikes, theta = compiled.run(make, (max(1, capacity),), times, weight, phi0)
    if psi is not None:
        (sums,) = compiled.run(partial(_WeightedSum, synapses), (), psi.double(), weight)
        theta = eager.kick(theta, sums / neuron.r)
    return LayerOutput(
        spikes.to(kind), (theta / torch.pi).to(kind), (trial + (torch.pi - theta) / neuron.omega).to(kind)
    )
