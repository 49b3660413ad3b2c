r"""Derivatives of a network's outputs with respect to its inputs, with exact parameter gradients.

`jets` gives value, first and chosen second derivatives in one compiled pass; what it returns are ordinary torch
tensors, so that a loss on a differential equation's residual is trained with one ``backward()``.  `derivative` gives
derivatives of any order, slowly, by nested autograd of the eager twin.

An output is smooth in the inputs except where two spikes swap their order: there its first derivatives jump, which no
pointwise second derivative sees.  A residual that has to see it needs a weak form or differences over a finite step.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels import dense, jets_adjoint
from qif2hw.kernels import jets as kernels
from qif2hw.kernels.simd import padded
from qif2hw.kernels.steps import most_steps
from qif2hw.neuron import QIF
from qif2hw.nn.functional import eager
from qif2hw.nn.functional.dense import WORTH_THREADS
from qif2hw.nn.functional.jets_flush import Flush
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork

Pairs: TypeAlias = Sequence[tuple[int, int]]


class Jets(NamedTuple):
    """Outputs of a network and their derivatives.

    Attributes
    ----------
    value
        As the network's own result, (batch, outputs).
    gradient
        First derivatives (batch, outputs, directions).
    second
        Second derivatives (batch, outputs, pairs).
    first
        First spike times of the last layer (batch, neurons), for `QIFNetwork.deadline_penalty`.
    """

    value: Tensor
    gradient: Tensor
    second: Tensor
    first: Tensor


def _array(tensor: Tensor) -> FloatArray:
    return tensor.detach().contiguous().numpy()


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float, pairs: Pairs, capacity: int
    ) -> tuple[Tensor, Tensor]:
        size, batch, pre, depth = times.shape
        post = weight.shape[0]
        pad = padded(post, np.float64)
        a, start, growth = np.empty((pre + 1, pad)), np.empty((2, pad)), np.empty(pre + 1)
        dense.prepare(_array(weight), _array(phi0), neuron.r, neuron.omega, a, growth, start)
        left, right = _sides(pairs)
        layer = kernels.JetLayer(
            _array(times).reshape(size, batch, pre * depth), a.ravel(), growth, start, left, right,
            size - 1 - len(pairs), depth, neuron.r, neuron.omega, trial, most_steps(pre * depth, trial * neuron.omega),
        )  # fmt: skip
        chunks = max(1, min(batch // 8, 64, 2**23 // a.size))
        parallel = batch * a.size * depth * size > WORTH_THREADS
        while True:
            out = np.empty((size, batch, post, capacity)), np.empty((size, batch, post))
            room = post * capacity
            record = kernels.JetRecord(
                np.empty((batch, pre * depth), np.int32), np.empty(batch, np.int32), np.empty(batch, np.int32),
                np.empty((batch, room), np.int32), np.empty((batch, room), np.int32),
                np.empty((batch, room, 2 + size)), np.empty((batch, post, 2 + size)),
            )  # fmt: skip
            largest = (kernels.forward_parallel if parallel else kernels.forward)(layer, chunks, *out, record)
            if largest < 0:
                raise InputError("an input spike time is negative or not a number: it must lie in [0, T] or be inf")
            if largest <= capacity:
                break
            capacity *= 2
        ctx.saved = layer, chunks, record, parallel
        return torch.from_numpy(out[0]), torch.from_numpy(out[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        layer, chunks, record, parallel = ctx.saved
        size, batch, _ = layer.times.shape
        post, pre = grads[1].shape[2], layer.growth.size - 1
        to = np.empty_like(layer.times), np.empty((pre, post)), np.empty(post)
        run = jets_adjoint.backward_parallel if parallel else jets_adjoint.backward
        run(layer, chunks, record, *(_array(g) for g in grads), *to)
        times, weight, phi0 = (torch.from_numpy(array) for array in to)
        return times.reshape(size, batch, pre, layer.depth), weight.T, phi0, None, None, None, None


def jets(
    network: QIFNetwork,
    x: Tensor,
    *,
    directions: Tensor | None = None,
    second: Pairs | str = "pure",
    order: int = 2,
) -> Jets:
    """Outputs of ``network`` with their derivatives with respect to the inputs, in one compiled pass.

    Everything returned can be part of a loss: ``backward()`` gives the exact gradients of the parameters, and of ``x``
    if it asks for them.

    Parameters
    ----------
    network
        The network; derivatives are computed in float64 whatever its type.
    x
        Inputs in [0, 1], (batch, inputs).
    directions
        Rows are directions in the space of inputs, (directions, inputs); the default is all inputs.  An input that
        stands for a coordinate in ``[low, high]`` has the direction ``1 / (high - low)``.
    second
        Pairs of directions, numbered from 0: ``(0, 0)`` is the pure second derivative along the first, ``(0, 1)`` the
        mixed one; or ``"pure"`` for all pure ones, ``"all"`` for all.
    order
        1 leaves second derivatives out.
    """
    if x.ndim != 2 or x.shape[1] != network.sizes[0]:
        raise InputError(f"inputs have shape {tuple(x.shape)}: (samples, {network.sizes[0]}) is needed")
    x = x.double()
    directions = torch.eye(x.shape[1], dtype=torch.float64) if directions is None else directions.double()
    if directions.ndim != 2 or directions.shape[1] != x.shape[1]:
        raise InputError(f"directions have shape {tuple(directions.shape)}: (directions, {x.shape[1]}) is needed")
    if not all(isinstance(layer, QIFLayer) for layer in network.layers):
        raise InputError("jets run through feed-forward layers only: this network has a layer of another kind")
    pairs = _pairs(second, len(directions), order)
    n, size = len(directions), 1 + len(directions) + len(pairs)
    times = x.new_zeros((size, *x.shape, 1))
    times[0] = network.encode(x)
    times[1 : 1 + n, :, :, 0] = (-network.span.double() * directions)[:, None]
    ends: list[Tensor] = []
    weights = [layer.effective_weight().double() for layer in network.layers]
    trial, neuron = network.regime.trial, network.neuron
    for layer, weight in zip(network.layers, weights, strict=True):
        times, theta = _Layer.apply(times, weight, layer.phi0.double(), neuron, trial, pairs, layer.capacity)
        ends.append(theta)
    first = times[:, :, :, 0]
    silent = torch.isinf(first[0])
    if bool(silent.any()):
        theta = ends[0]
        left, right = _sides(pairs)
        for after, weight in zip(ends[1:], weights[1:], strict=True):
            theta = Flush.apply(after, theta @ weight.T / (math.pi * neuron.r), left, right)
        late = -theta / neuron.omega
        late = torch.cat([late[:1] + (trial + neuron.period), late[1:]])
        first = torch.where(silent, late, first)
    y = network.scale.double() * (first[:, :, 1::2] - first[:, :, 0::2])
    gradient, seconds = y[1 : 1 + n].permute(1, 2, 0), y[1 + n :].permute(1, 2, 0)
    return Jets(network.offset.double() + y[0], gradient, seconds, first[0])


def _sides(pairs: Pairs) -> tuple[IntArray, IntArray]:
    left, right = (np.array([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1))
    return left, right


def _pairs(second: Pairs | str, n: int, order: int) -> list[tuple[int, int]]:
    if order not in (1, 2):
        raise InputError(
            f"jets of order {order}: 1 and 2 are compiled; qif2hw.nn.functional.jets.derivative has any order"
        )
    if order == 1:
        return []
    if isinstance(second, str):
        if second not in ("pure", "all"):
            raise InputError(f"second = '{second}': 'pure', 'all' or pairs of directions are known")
        return [(i, j) for i in range(n) for j in range(i, n if second == "all" else i + 1)]
    pairs = [(int(i), int(j)) for i, j in second]
    if any(not 0 <= k < n for pair in pairs for k in pair):
        raise InputError(f"second = {pairs}: directions are numbered 0 to {n - 1}")
    return pairs


def derivative(network: QIFNetwork, x: Tensor, along: Sequence[int] = ()) -> Tensor:
    """A partial derivative of any order, by nested autograd of the eager twin: slow, differentiable once more.

    Parameters
    ----------
    network
        The network.
    x
        Inputs in [0, 1], (batch, inputs).
    along
        Inputs to differentiate by, one after the other: ``(0, 0, 1)`` is ``u_xxt``.

    Returns
    -------
    Tensor
        (batch, outputs), with a graph for ``backward()``.
    """
    if any(not 0 <= k < network.sizes[0] for k in along):
        raise InputError(f"along = {tuple(along)}: inputs are numbered 0 to {network.sizes[0] - 1}")
    x = x if x.requires_grad else x.detach().requires_grad_()
    times, psi = network.encode(x), x.new_zeros(x.shape)
    for layer in network.layers:
        weight, phi0 = layer.effective_weight(), layer.phi0
        out = eager.layer(times, psi, weight, phi0, neuron=network.neuron, trial=network.regime.trial)
        times, psi = out.times, out.psi
    first = out.first()
    columns = list((network.offset + network.scale * (first[:, 1::2] - first[:, 0::2])).T)
    for k in along:
        # Samples do not influence each other, so the gradient of a sum over them holds each one's derivative.
        columns = [torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, k] for u in columns]
    return torch.stack(columns, dim=1)
