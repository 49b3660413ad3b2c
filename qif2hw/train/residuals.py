"""Residuals of a batch as functions of a few results each, and the rows of their Jacobian."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor, nn

from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.nn.functional.jacobian import jacobian
from qif2hw.nn.functional.output import ForwardPass
from qif2hw.nn.network import LATE, QIFNetwork
from qif2hw.simd import Reals

LATE_ROWS = 200
"""Largest number of late output spikes of a network that a step looks at: the latest ones."""


@dataclass(frozen=True, eq=False)
class Residuals:
    r"""Residuals of a batch: functions of a few results of one network, or of several.

    .. math:: r_{ge} = f_e\left(y^{(1)}_{b_{g1}}, y^{(1)}_{b_{g2}}, \dots, y^{(2)}_{c_{g1}}, \dots\right)

    The loss is :math:`\sum_{ge} r_{ge}^2` divided by the number of groups ``g``, and the penalty on late output spikes
    of each network (`QIFNetwork.deadline_penalty`).

    Parameters
    ----------
    inputs
        Of each network (samples, inputs), in the order of `networks`.
    takes
        For each network (groups, terms): the samples whose results a group's residuals depend on.
    form
        ``form(y1, y2, ..)``: residuals (groups, equations) of results (groups, terms, outputs) of each network.  Those
        of a group follow from its own results alone.
    """

    inputs: tuple[Tensor, ...]
    takes: tuple[IntArray, ...]
    form: Callable[..., Tensor]

    @torch.no_grad()
    def values(self, model: nn.Module) -> FloatArray:
        """Residuals (groups, equations) of a model."""
        runs = [network.run(x) for network, x in zip(networks(model), self.inputs, strict=True)]
        values: FloatArray = self._left([run.y for run in runs]).numpy()
        return values

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """The loss of a model on this batch."""
        parts = networks(model)
        runs = [network.run(x) for network, x in zip(parts, self.inputs, strict=True)]
        total = self._left([run.y for run in runs]).square().sum(dim=1).mean()
        for network, run in zip(parts, runs, strict=True):
            total = total + network.deadline_penalty(run.first)
        return float(total)

    def rows(self, model: nn.Module, dtype: DTypeLike) -> tuple[Reals, FloatArray]:
        """Jacobian (rows, parameters) and what is missing (rows,): of all residuals, and of the latest output spikes.

        A row for each group and equation, the equations of a group one behind the other; then those of late output
        spikes, such that the squares of all rows sum up to the loss times the number of groups.
        """
        parts = networks(model)
        runs = [network.run(x) for network, x in zip(parts, self.inputs, strict=True)]
        taken = [run.y.detach()[torch.from_numpy(t)].requires_grad_() for run, t in zip(runs, self.takes, strict=True)]
        left = self.form(*taken)
        groups, equations = left.shape
        # Groups do not influence each other, so the gradient of a sum over them holds each one's derivatives.
        slopes = [
            torch.autograd.grad(left[:, e].sum(), taken, retain_graph=True, materialize_grads=True)
            for e in range(equations)
        ]
        late = [_late(network, run, groups) for network, run in zip(parts, runs, strict=True)]
        missing = [-left.detach().numpy().ravel(), *(rows.missing for rows in late)]
        jacobians, before = [], groups * equations
        for k, (run, takes) in enumerate(zip(runs, self.takes, strict=True)):
            shape = sum(map(len, missing)), takes.shape[1]
            samples = np.zeros(shape, np.int64)
            samples[: groups * equations] = np.repeat(takes, equations, axis=0)
            by_y, by_first = (np.zeros((*shape, of.shape[1])) for of in (run.y, run.first))
            by_y[: groups * equations] = torch.stack([s[k] for s in slopes], dim=1).flatten(0, 1).numpy()
            after = before + len(late[k].missing)
            samples[before:after, 0] = late[k].sample
            by_first[np.arange(before, after), 0, late[k].neuron] = late[k].weight
            before = after
            jacobians.append(jacobian(run, samples, by_y=by_y, by_first=by_first, dtype=dtype))
        return jacobians[0] if len(parts) == 1 else np.concatenate(jacobians, axis=1), np.concatenate(missing)

    def _left(self, results: list[Tensor]) -> Tensor:
        return self.form(*(y[torch.from_numpy(t)] for y, t in zip(results, self.takes, strict=True)))


Draw: TypeAlias = Callable[[int, int], tuple[Residuals, Residuals]]
"""``draw(step, groups)``: residuals of at most so many groups to go by, and others to judge by."""


def networks(model: object) -> tuple[QIFNetwork, ...]:
    """The networks that a model consists of."""
    parts = model.modules() if isinstance(model, nn.Module) else ()
    return tuple(part for part in parts if isinstance(part, QIFNetwork))


@dataclass(frozen=True)
class _Late:
    """Late output spikes: sample and neuron of each (spikes,), their weight, and what is missing (spikes,)."""

    sample: IntArray
    neuron: IntArray
    weight: float
    missing: FloatArray


def _late(network: QIFNetwork, run: ForwardPass, groups: int) -> _Late:
    late = network.lateness(run.first.detach()).numpy()
    weight = math.sqrt(LATE * (groups / len(late)) / late.shape[1])
    latest = np.argsort(-late, axis=None, kind="stable")[:LATE_ROWS]
    sample, neuron = np.unravel_index(latest[late.ravel()[latest] > 0], late.shape)
    return _Late(sample, neuron, weight, -weight * late[sample, neuron])
