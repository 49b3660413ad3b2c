r"""Derivatives of a network's outputs with respect to its inputs, with exact parameter gradients.

`jets` gives value, first and chosen second derivatives in one compiled pass; they are ordinary torch
tensors, so that a loss on a differential equation's residual is trained with one ``backward()``.  `derivative` gives
derivatives of any order, slowly, by nested autograd of the eager twin.

An output is smooth in the inputs except where two spikes swap their order: there its first derivatives jump, which no
pointwise second derivative shows.  A residual that depends on it needs a weak form or differences over a finite step.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels import dense, jets_adjoint, jets_flush
from qif2hw.kernels import jets as kernels
from qif2hw.kernels.steps import most_steps
from qif2hw.neuron import QIF, difference
from qif2hw.nn.functional import compiled, eager
from qif2hw.nn.functional.compiled import array
from qif2hw.nn.functional.kinks import watch
from qif2hw.nn.network import QIFNetwork
from qif2hw.simd import padded

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


class _Layer(compiled.Kernel):
    """Jets of spike times, and of the angles at the trial's end before the extra shear."""

    def __init__(
        self, neuron: QIF, trial: float, left: IntArray, right: IntArray, times: Tensor, weight: Tensor, phi0: Tensor
    ) -> None:
        size, batch, self.pre, depth = times.shape
        self.post = weight.shape[0]
        pad = padded(self.post, np.float64)
        a, start, growth = np.empty((self.pre + 1, pad)), np.empty((2, pad)), np.empty(self.pre + 1)
        dense.prepare(array(weight), array(phi0), neuron.r, neuron.omega, a, growth, start)
        self.layer = kernels.JetLayer(
            array(times).reshape(size, batch, self.pre * depth), a.ravel(), growth, start, left, right,
            size - 1 - len(left), depth, neuron.r, neuron.omega, trial,
            most_steps(self.pre * depth, trial * neuron.omega),
        )  # fmt: skip
        self.divide(batch, a.size, batch * a.size * depth * size)

    def forward(self, rooms: tuple[int, ...]) -> tuple[int]:
        (capacity,) = rooms
        size, batch, spikes = self.layer.times.shape
        post, room = self.post, self.post * capacity
        self.times, self.theta = np.empty((size, batch, post, capacity)), np.empty((size, batch, post))
        self.record = kernels.JetRecord(
            np.empty((batch, spikes), np.int32), np.empty(batch, np.int32), np.empty(batch, np.int32),
            np.empty((batch, room), np.int32), np.empty((batch, room), np.int32),
            np.empty((batch, room, 2 + size)), np.empty((batch, post, 2 + size)),
        )  # fmt: skip
        run = kernels.forward_parallel if self.parallel else kernels.forward
        return (run(self.layer, self.chunks, self.times, self.theta, self.record),)

    def results(self) -> tuple[Any, ...]:
        return torch.from_numpy(self.times), torch.from_numpy(self.theta)

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        layer = self.layer
        to = np.empty_like(layer.times), np.empty((self.pre, self.post)), np.empty(self.post)
        run = jets_adjoint.backward_parallel if self.parallel else jets_adjoint.backward
        run(layer, self.chunks, self.record, *(array(g) for g in grads), *to)
        times, weight, phi0 = (torch.from_numpy(v) for v in to)
        return times.reshape(*times.shape[:2], self.pre, layer.depth), weight.T, phi0


class _LastShear(compiled.Kernel):
    """Jets (components, batch, neurons) of the angle after the extra shear at the trial's end."""

    def __init__(self, left: IntArray, right: IntArray, theta: Tensor, shear: Tensor) -> None:
        self.pairs = left, right
        self.shape = theta.shape
        self.theta, self.shear = _flat(theta), _flat(shear)

    def forward(self, rooms: tuple[int, ...]) -> tuple[()]:
        self.out = np.empty_like(self.theta)
        jets_flush.forward(self.theta, self.shear, *self.pairs, self.out)
        return ()

    def results(self) -> tuple[Any, ...]:
        return (torch.from_numpy(self.out).reshape(self.shape),)

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        to = np.empty_like(self.theta), np.empty_like(self.theta)
        jets_flush.backward(self.theta, self.shear, *self.pairs, _flat(grads[0]), *to)
        return tuple(torch.from_numpy(v).reshape(self.shape) for v in to)


def _flat(jet: Tensor) -> FloatArray:
    return array(jet).reshape(len(jet), -1)


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
        Inputs in [0, 1], (batch, inputs); derivatives go through their receptive fields, if there are any.
    directions
        Rows are directions in the space of inputs, (directions, inputs); the default is all inputs.  An input that
        stands for a coordinate in ``[low, high]`` has the direction ``1 / (high - low)``.
    second
        Pairs of directions, numbered from 0: ``(0, 0)`` is the pure second derivative along the first, ``(0, 1)`` the
        mixed one; or ``"pure"`` for all pure ones, ``"all"`` for all.
    order
        1 leaves second derivatives out.

    Raises
    ------
    InputError
        On inputs, directions, pairs or an order that do not fit.

    Warns
    -----
    UnseenChange
        Every so often in training, if much of the network's change lies where these derivatives do not see it.
    """
    network.check_inputs(x)
    network.check_equal()
    network.check_parameters()
    x = x.double()
    directions = torch.eye(x.shape[1], dtype=torch.float64) if directions is None else directions.double()
    if directions.ndim != 2 or directions.shape[1] != x.shape[1]:
        raise InputError(f"directions have shape {tuple(directions.shape)}: (directions, {x.shape[1]}) is needed")
    pairs = _pairs(second, len(directions), order)
    found = _jets(network, x, directions, pairs)
    if found.value.requires_grad:
        watch(network, partial(_pure, network), x, 2 if pairs else 1)
    return found


def _pure(network: QIFNetwork, x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _jets(network, x, directions, [(k, k) for k in range(len(directions))])[:3]


def _jets(network: QIFNetwork, x: Tensor, directions: Tensor, pairs: list[tuple[int, int]]) -> Jets:
    left, right = (np.array([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1))
    n = len(directions)
    times = network.encode_jets(x, directions, pairs)
    ends: list[Tensor] = []
    weights = [layer.dense_weight().double() for layer in network.layers]
    trial, neuron = network.regime.trial, network.neuron
    make = partial(_Layer, neuron, trial, left, right)
    for layer, weight in zip(network.layers, weights, strict=True):
        times, theta = compiled.run(make, (layer.capacity,), times, weight, layer.phi0.double())
        ends.append(theta)
    first = times[:, :, :, 0]
    silent = torch.isinf(first[0])
    if bool(silent.any()):
        theta = ends[0]
        shear = partial(_LastShear, left, right)
        for after, weight in zip(ends[1:], weights[1:], strict=True):
            (theta,) = compiled.run(shear, (), after, theta @ weight.T / (math.pi * neuron.r))
        late = -theta / neuron.omega
        late = torch.cat([late[:1] + (trial + neuron.period), late[1:]])
        first = torch.where(silent, late, first)
    start, stop, scale = first[:, :, 0::2], first[:, :, 1::2], network.scale.double()
    y = difference(start[0], stop[0], scale, network.offset.double())
    # The derivatives of a difference have no offset.
    derivatives = (scale * (stop[1:] - start[1:])).permute(1, 2, 0)
    return Jets(y, derivatives[:, :, :n], derivatives[:, :, n:], first[0])


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

    Raises
    ------
    InputError
        If the network has no such input.
    """
    if any(not 0 <= k < network.width for k in along):
        raise InputError(f"along = {tuple(along)}: inputs are numbered 0 to {network.width - 1}")
    network.check_inputs(x)
    network.check_equal()
    network.check_parameters()
    x = x if x.requires_grad else x.detach().requires_grad_()
    times = network.encode(x)
    psi = times.new_zeros(times.shape[:2])
    for layer in network.layers:
        weight, phi0 = layer.dense_weight(), layer.phi0
        out = eager.layer(times, psi, weight, phi0, neuron=network.neuron, trial=network.regime.trial)
        times, psi = out.times, out.psi
    first = out.first()
    columns = list(difference(first[:, 0::2], first[:, 1::2], network.scale, network.offset).T)
    for k in along:
        # Samples do not influence each other, so the gradient of a sum over them holds each one's derivative.
        columns = [torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, k] for u in columns]
    return torch.stack(columns, dim=1)
