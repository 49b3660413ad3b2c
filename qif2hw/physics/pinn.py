r"""A task from a differential equation, written with the names of its quantities and derivatives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.regime import Regime
from qif2hw.physics.equation import Physics
from qif2hw.physics.names import Ends, Names, Solution, domain_of, units_of
from qif2hw.physics.residuals import SHORT, collocation, difference_residuals, differences
from qif2hw.train.residuals import Draw
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

SETTINGS = Settings(steps=5000, learning_rate=3e-3, batch=100, optimizer="soap", qat_steps=1500, qat_learning_rate=5e-4)


def pinn(
    name: str,
    *,
    coordinates: Mapping[str, Ends],
    residual: Callable[..., Any],
    quantities: Sequence[str] = ("u",),
    base: Solution | None = None,
    factor: Solution | None = None,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    hidden: tuple[int, ...] = (64, 64),
    fields: int | None = 8,
    scale: float = 1.0,
    regime: Regime | None = None,
    settings: Settings = SETTINGS,
    summary: str = "",
) -> Task:
    r"""A task from a differential equation: ``pinn("heat", residual=lambda u_t, u_xx: u_t - 0.1 * u_xx, ...)``.

    The solution is ``u = base + factor * N``, with a network's results ``N``: ``base`` satisfies the initial and
    boundary conditions, and ``factor`` is zero where they hold.  Both are part of the trained model, so that a
    bundle's ``run.y`` is the solution.

    In the ordinary regime the equation is tested by differences over finite steps (`differences`), which see the kinks
    of real spikes; where outputs are pseudospikes, by exact derivatives at points (`collocation`).

    Parameters
    ----------
    name, summary
        Of the task.
    coordinates
        Range of each coordinate by name, ``{"x": (0, 1), "t": (0, 10, "s")}``, with its unit if it has one.
    residual
        What is zero for a solution: one value or a tuple of them, (samples, 1) each, in torch.  Its parameters name
        what it gets, columns (samples, 1): coordinates, quantities, ``u_x`` for a first and ``u_xx``, ``u_xt`` for a
        second derivative.
    quantities
        Names of the solution's columns.
    base, factor
        Functions of coordinates by name to a value for each quantity; numbers, and arithmetic and methods (``sin``,
        ``exp``, ``tanh`` ..) of `qif2hw.ir.host_part.expression.Expression` and torch.  By default 0 and 1.
    test
        Coordinates (samples, coordinates) and the solution there (samples, quantities), to measure the error with;
        without them it is infinite.
    hidden, fields, scale, regime
        Hidden layers, receptive fields for each coordinate (None: one spike), readout's scale, and times of the
        network.
    settings
        How to train; ``batch`` is the number of points of a step.

    Raises
    ------
    InputError
        On names that do not exist or are used twice, and a test set of another shape.
    """
    physics = differential_equation(coordinates, residual, quantities=quantities, base=base, factor=factor)
    columns = tuple(quantities)
    samples = _test_set(physics, len(columns), test)
    host = physics.host(units_of(coordinates), columns, len(columns))
    encoded = None if fields is None else ReceptiveFields(fields)
    if encoded is not None:
        host = replace(host, inputs=tuple(replace(one, fields=encoded) for one in host.inputs))
    return Task(
        name=name,
        summary=summary or name,
        train_set=lambda seed: Samples(physics.points(1000, np.random.default_rng(seed)), np.zeros((0, len(columns)))),
        test_set=lambda: samples,
        sizes=(len(physics.domain) * (fields or 1), *hidden, 2 * len(columns)),
        scale=scale,
        settings=settings,
        regime=regime or Regime(),
        quantities=columns,
        solution=physics.solution,
        host=host,
        fields=encoded,
        objective=_Objective(physics),
        residuals=_Residuals(physics),
        equation=physics,
    )


def differential_equation(
    coordinates: Mapping[str, Ends],
    residual: Callable[..., Any],
    *,
    quantities: Sequence[str] = ("u",),
    base: Solution | None = None,
    factor: Solution | None = None,
) -> Physics:
    """The equation and its conditions alone, for a task with an objective of its own; parameters as of `pinn`.

    Raises
    ------
    InputError
        On names that do not exist or are used twice.
    """
    names = Names(tuple(coordinates), tuple(quantities))
    wanted = names.wanted(residual)
    pairs = dict.fromkeys((along[0], along[1]) for _, along in wanted.values() if len(along) == 2)
    return Physics(
        domain=domain_of(coordinates),
        pairs=tuple(pairs),
        base=names.field(base, 0.0, "base"),
        factor=names.field(factor, 1.0, "factor"),
        equations=_Equations(residual, wanted, tuple(pairs)),
    )


@dataclass(frozen=True)
class _Objective:
    """The loss that fits the regime."""

    physics: Physics

    def __call__(self, task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
        del teacher
        assert isinstance(model, QIFNetwork)
        form = collocation if task.regime.margin is None else differences
        return form(self.physics, model, seed, task.settings.batch or 200)


@dataclass(frozen=True)
class _Residuals:
    """The same loss for second-order steps."""

    physics: Physics

    def __call__(self, task: Task, model: Model, seed: int, teacher: Model | None) -> Draw:
        del teacher
        assert isinstance(model, QIFNetwork)
        if task.regime.margin is None:
            return difference_residuals(self.physics, model, seed, first=SHORT, second=SHORT, prefer=True)
        return difference_residuals(self.physics, model, seed)


@dataclass(frozen=True)
class _Equations:
    """`Physics.equations` of a function of names."""

    residual: Callable[..., Any]
    wanted: Mapping[str, tuple[int | None, tuple[int, ...]]]
    pairs: tuple[tuple[int, int], ...]

    def __call__(self, c: Tensor, u: Tensor, gradient: Tensor, second: Tensor) -> Tensor:
        def value(quantity: int | None, along: tuple[int, ...]) -> Tensor:
            if quantity is None:
                return c[:, along[0], None]
            if len(along) == 2:
                return second[:, quantity, self.pairs.index((along[0], along[1])), None]
            return gradient[:, quantity, along[0], None] if along else u[:, quantity, None]

        found = self.residual(**{name: value(*what) for name, what in self.wanted.items()})
        parts = list(found) if isinstance(found, tuple | list) else [found]
        return torch.cat([part.expand(len(c), -1) for part in parts], dim=1)


def _test_set(physics: Physics, quantities: int, test: tuple[ArrayLike, ArrayLike] | None) -> Samples:
    width = len(physics.domain)
    if test is None:
        points = physics.points(1000, np.random.default_rng(0))
        return Samples(points, np.full((len(points), quantities), np.nan))
    c, values = (np.asarray(part, np.float64) for part in test)
    if c.ndim != 2 or c.shape[1] != width or values.shape != (len(c), quantities):
        raise InputError(
            f"a test set of shapes {c.shape} and {values.shape}: coordinates (samples, {width}) and the solution "
            f"(samples, {quantities}) are needed"
        )
    inside: FloatArray = physics.inputs(c)
    return Samples(inside, values)
