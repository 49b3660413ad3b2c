"""Receptive fields in torch, and their derivatives by what they encode."""

import torch
from torch import Tensor

from qif2hw.ir.host_part.receptive_fields import ReceptiveFields


def activities(fields: ReceptiveFields, x: Tensor) -> Tensor:
    """Activities (batch, inputs * count) of the fields of inputs ``x`` (batch, inputs) in [0, 1]."""
    return (-0.5 * _distance(fields, x).square()).exp()


def activity_jets(fields: ReceptiveFields, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""`activities` :math:`a` with :math:`a' = -g d a` and :math:`a'' = g^2 (d^2 - 1) a`, each (batch, inputs * count).

    :math:`d = g (x - c)` is the distance of ``x`` (batch, inputs) from a field's centre in units of its width, and
    :math:`g` its ``gain``.
    """
    d, gain = _distance(fields, x), fields.gain
    a = (-0.5 * d.square()).exp()
    return a, -gain * d * a, gain**2 * (d.square() - 1) * a


def _distance(fields: ReceptiveFields, x: Tensor) -> Tensor:
    return ((x[:, :, None] - torch.from_numpy(fields.centres).to(x)) * fields.gain).flatten(1)
