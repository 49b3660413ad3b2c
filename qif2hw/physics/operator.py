r"""A task from sampled functions: a DeepONet that maps a function's values at sensors to a solution at any point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.host_part.expression import formula, given
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.nn.deeponet import DeepONet
from qif2hw.nn.regime import Regime
from qif2hw.physics.names import Ends, Names, Solution, domain_of, units_of
from qif2hw.train.objective import batch_of
from qif2hw.train.residuals import Draw, Residuals
from qif2hw.train.task import Model, Objective, Samples, Settings, Task

SETTINGS = Settings(
    steps=12000,
    learning_rate=3e-3,
    qat_steps=1500,
    settle_steps=500,
    qat_learning_rate=5e-4,
    batch=50,
    optimizer="soap",
)
REGIME = Regime(trial=5.6, output_phases=(1.6, 1.1), margin=0.2)
"""Outputs spike a little earlier than usual, so that a shorter trial is enough: finer steps for the same number."""


Sampled: TypeAlias = tuple[FloatArray, FloatArray]
"""Functions as values at the sensors, (functions, sensors), and their solutions at the points, (functions, points)."""


def operator(
    name: str,
    *,
    train: Callable[[], Sampled],
    test: Callable[[], Sampled],
    points: ArrayLike,
    sensors: Sequence[str],
    reach: tuple[float, float],
    coordinates: Mapping[str, Ends],
    quantity: str = "u",
    factor: Solution | None = None,
    hidden: tuple[int, ...] = (64,),
    products: int = 64,
    fields: int | None = None,
    scale: float = 0.25,
    regime: Regime = REGIME,
    settings: Settings = SETTINGS,
    summary: str = "",
) -> Task:
    r"""A task from sampled functions: :math:`u(f, c) = g(c) \, s \sum_m b_m(f) \, t_m(c)`, with branch b and trunk t.

    Parameters
    ----------
    name, summary
        Of the task.
    train, test
        Give the functions to train with, and others to test: values at the sensors, (functions, sensors), and the
        solution of each at the points, (functions, points).
    points
        Coordinates at which solutions are known, (points, coordinates).
    sensors
        Names of the places where a function is seen, one for each of its values.
    reach
        Range of the functions' values; values beyond are taken for its ends.
    coordinates, factor
        As of `pinn`; ``factor`` is g, zero where the solution is.
    quantity
        Name of the solution.
    hidden, products
        Hidden layers of branch and trunk, and number of terms of the sum.
    fields
        Receptive fields for each coordinate; None for one spike.
    scale, regime
        The product's scale s, and times of the networks.
    settings
        How to train; ``batch`` is the number of functions of a step.

    Raises
    ------
    InputError
        On names that do not exist or are used twice; when the task is trained, on functions of other shapes.
    """
    names, domain = Names(tuple(coordinates), (quantity,)), domain_of(coordinates)
    zero = names.field(factor, 1.0, "factor")
    problem = _Operator(train, test, _scaled_points(points, domain), domain, len(sensors), reach, zero)
    encoded = None if fields is None else ReceptiveFields(fields)
    units = units_of(coordinates)
    host = Host(
        (
            *(Input(sensor, *reach) for sensor in sensors),
            *(Input(key, *ends, unit, encoded) for (key, unit), ends in zip(units, domain, strict=True)),
        ),
        (Output(quantity),),
        None
        if factor is None
        else formula(zero(given(X, len(sensors) + len(domain))[:, len(sensors) :]) * given(Y, 1)),
    )
    return Task(
        name=name,
        summary=summary or name,
        train_set=problem.train_set,
        test_set=problem.test_set,
        sizes=(len(sensors) + len(domain) * (fields or 1), *hidden, 2 * products),
        scale=scale,
        settings=settings,
        regime=regime,
        quantities=(quantity,),
        solution=problem.solution,
        host=host,
        metric=problem.mean_relative_l2,
        fields=encoded,
        branch_inputs=len(sensors),
        block=len(problem.points),
        make=_make,
        objective=problem.objective,
        residuals=problem.residuals,
    )


@dataclass(frozen=True, eq=False)
class _Operator:
    """The data of a task and what is made of them; ``points`` (points, coordinates) are scaled to [0, 1]."""

    train: Callable[[], Sampled]
    test: Callable[[], Sampled]
    points: FloatArray
    domain: tuple[tuple[float, float], ...]
    sensors: int
    reach: tuple[float, float]
    factor: Callable[[Any], Any]

    def sampled(self, which: Callable[[], Sampled]) -> Sampled:
        """Functions scaled to [0, 1], (functions, sensors), and solutions (functions, points)."""
        functions, values = (np.asarray(part, np.float64) for part in which())
        if functions.shape != (len(values), self.sensors) or values.shape[1:] != (len(self.points),):
            raise InputError(
                f"functions of shape {functions.shape} and solutions of shape {values.shape}: (functions, "
                f"{self.sensors}) and (functions, {len(self.points)}) are needed"
            )
        low, high = self.reach
        return np.clip((functions - low) / (high - low), 0.0, 1.0), values

    def rows(self, which: Callable[[], Sampled]) -> Samples:
        """A row for each function and point."""
        functions, values = self.sampled(which)
        points = np.tile(self.points, (len(functions), 1))
        return Samples(
            np.concatenate([np.repeat(functions, len(self.points), axis=0), points], axis=1), values.reshape(-1, 1)
        )

    def train_set(self, seed: int) -> Samples:
        """The same for every seed."""
        del seed
        return self.rows(self.train)

    def test_set(self) -> Samples:
        """Rows of the other functions."""
        return self.rows(self.test)

    def at(self, points: FloatArray) -> FloatArray:
        """The factor (points, 1) at points (points, coordinates) in [0, 1]."""
        low, high = np.array(self.domain).T
        c = torch.from_numpy(low + points * (high - low))
        values: FloatArray = self.factor(c).numpy()
        return values

    def solution(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """The solution (samples, 1) from results ``y`` (samples, 1) at ``x`` (samples, inputs) in [0, 1]."""
        return self.at(x[:, self.sensors :]) * y

    def mean_relative_l2(self, y: FloatArray, truth: FloatArray) -> float:
        """Relative L2 error of each function, averaged; ``y`` and ``truth`` are (functions * points,)."""
        difference, expected = (y - truth).reshape(-1, len(self.points)), truth.reshape(-1, len(self.points))
        return float((np.linalg.norm(difference, axis=1) / np.linalg.norm(expected, axis=1)).mean())

    def objective(self, task: Task, model: Model, seed: int, teacher: Model | None) -> Objective:
        """Mean over functions of the squared relative error."""
        del teacher
        assert isinstance(model, DeepONet)
        functions, u = (torch.from_numpy(part) for part in self.sampled(self.train))
        points, inside = torch.from_numpy(self.points), torch.from_numpy(self.at(self.points))[:, 0]

        def loss(step: int) -> Tensor:
            chosen = batch_of(len(functions), task.settings.batch, seed, step)
            f, wanted = (functions, u) if chosen is None else (functions[chosen], u[chosen])
            results, late = model.grid(f, points)
            difference = inside * results - wanted
            return (difference.square().sum(1) / wanted.square().sum(1)).mean() + late

        return loss

    def residuals(self, task: Task, model: Model, seed: int, teacher: Model | None) -> Draw:
        """The same loss for second-order steps: a group for each function and point."""
        del task, teacher
        assert isinstance(model, DeepONet)
        functions, u = (torch.from_numpy(part) for part in self.sampled(self.train))
        points, inside = torch.from_numpy(self.points), torch.from_numpy(self.at(self.points))[:, 0]
        norm = (u.square().sum(1) / len(points)).sqrt()

        def residuals(pairs: IntArray) -> Residuals:
            function, point = np.divmod(pairs, len(points))
            f, c = torch.from_numpy(function), torch.from_numpy(point)

            def form(branch: Tensor, trunk: Tensor) -> Tensor:
                results = model.offset + model.scale * (branch[:, 0] * trunk[:, 0]).sum(1)
                return ((inside[c] * results - u[f, c]) / norm[f])[:, None]

            return Residuals((functions, points), (function[:, None], point[:, None]), form)

        def draw(step: int, groups: int) -> tuple[Residuals, Residuals]:
            order = np.random.default_rng([seed, 1, step]).permutation(u.numel())
            count = min(groups, len(order) // 2)
            return residuals(order[:count]), residuals(order[count : 2 * count])

        return draw


def _scaled_points(points: ArrayLike, domain: tuple[tuple[float, float], ...]) -> FloatArray:
    c = np.asarray(points, np.float64)
    if c.ndim != 2 or c.shape[1] != len(domain) or not len(c):
        raise InputError(f"points of shape {c.shape}: (points, {len(domain)}) is needed")
    low, high = np.array(domain).T
    scaled: FloatArray = np.clip((c - low) / (high - low), 0.0, 1.0)
    return scaled


def _make(task: Task, seed: int) -> Model:
    *hidden, outputs = task.sizes[1:]
    return DeepONet(
        (task.branch_inputs, *hidden, outputs),
        (task.sizes[0] - task.branch_inputs, *hidden, outputs),
        scale=task.scale,
        regime=task.regime,
        seed=seed,
        trunk_fields=task.fields,
    )
