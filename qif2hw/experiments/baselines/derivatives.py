r"""First and second derivatives of a tanh network with respect to its inputs, carried forward with the values.

With :math:`h = \tanh z`, :math:`h' = 1 - h^2` and :math:`h'' = -2 h h'`:

    first   :math:`\partial_i h = h' \partial_i z`
    second  :math:`\partial_{ij} h = h' \partial_{ij} z + h'' \partial_i z \, \partial_j z`

A linear layer maps value and derivatives alike; all of them go through one matrix product.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.experiments.baselines.ann import Ann
from qif2hw.nn.encoding import activity_jets


class Derivatives(NamedTuple):
    """Outputs (samples, outputs), first (samples, outputs, directions) and second derivatives (.., pairs)."""

    value: Tensor
    gradient: Tensor
    second: Tensor


def derivatives(model: Ann, x: Tensor, directions: Tensor, pairs: Sequence[tuple[int, int]] = ()) -> Derivatives:
    """Values, gradients and chosen second derivatives of a network of one chain, through its receptive fields.

    Parameters
    ----------
    model
        The network.
    x
        Inputs (samples, inputs).
    directions
        Derivative ``d`` is ``sum_k directions[d, k] d/dx_k``; (directions, inputs).
    pairs
        Directions of each second derivative.

    Raises
    ------
    InputError
        For a network of two chains.
    """
    if len(model.architecture.chains) != 1:
        raise InputError("derivatives are there for networks of one chain")
    count = len(directions)
    left, right = ([1 + pair[side] for pair in pairs] for side in (0, 1))
    carried = torch.cat([model.scaled(0, x)[None], _encoded(model, x, directions, pairs) / model.spread[0]])
    *hidden, last = model.layers[0]
    for linear in hidden:
        z = carried @ linear.weight.T
        value = torch.tanh(z[0] + linear.bias)
        slope = 1 - value * value
        changes = slope * z[1:]
        if pairs:
            curvature = (-2 * value * slope) * z[left] * z[right]
            changes = torch.cat([changes[:count], changes[count:] + curvature])
        carried = torch.cat([value[None], changes])
    result = (carried @ last.weight.T) * model.scale
    second = result[1 + count :].permute(1, 2, 0)
    return Derivatives(
        result[0] + last.bias * model.scale + model.offset, result[1 : 1 + count].permute(1, 2, 0), second
    )


def _encoded(model: Ann, x: Tensor, directions: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """First and second derivatives of the channels that encode ``x``; (directions and pairs, samples, channels)."""
    fields = model.architecture.fields
    first = directions.expand(len(x), -1, -1).transpose(0, 1)
    if fields is None:
        return torch.cat([first, x.new_zeros((len(pairs), *x.shape))])
    _, slope, bend = activity_jets(fields, x)
    each = first.repeat_interleave(fields.count, dim=2)
    second = [(bend * each[i] * each[j])[None] for i, j in pairs]
    return torch.cat([slope * each, *second])
