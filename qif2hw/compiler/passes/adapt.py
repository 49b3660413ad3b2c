"""Pass: choose roundings, scales and initial phases by what they do to the result."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qif2hw.compiler.error_measures import by_spread, rounding_of
from qif2hw.compiler.passes.weights import (
    Bits,
    Weights,
    as_network,
    bits_of,
    parse_bits,
    print_bits,
    rounded,
    smallest_unit,
)
from qif2hw.compiler.state import Phases, Section, State, plain
from qif2hw.ir import Network, ProgramProjection
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.machinecode import compiled
from qif2hw.reference.sensitivity import Sensitivity, sensitivity

MOST_DERIVATIVES = 40_000_000
"""Entries of the Jacobian that the pass may hold (320 MB); it takes fewer calibration inputs, then gives up."""
FEWEST_SAMPLES = 64
SCALES = tuple(np.linspace(1.0, 0.6, 9))
RIDGE = 1e-5
GOOD_ENOUGH = 5e-4
"""Error of the results, relative to their spread, below which rounding is no concern."""
TOO_LARGE = "too many derivatives: synapses times results"


@dataclass(frozen=True)
class Adaptation:
    """What adapting the rounding does to the results.

    Parameters
    ----------
    samples
        Calibration inputs used.
    plain_error, error
        Difference of the results from the float network's, relative to their spread: rounded to the nearest, adapted.
        None where they have none.
    plain_absolute, absolute
        The same in the results' own unit.
    history
        Errors of the networks tried, in order: relative, or absolute where the results have no spread.
    skipped
        Why the rounding was left as it was; empty if it was adapted.
    """

    samples: int = 0
    plain_error: float | None = 0.0
    error: float | None = 0.0
    plain_absolute: float = 0.0
    absolute: float = 0.0
    history: tuple[float, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class AdaptRounding:
    r"""Round so that the *results* stay, not the weights.

    They depend smoothly on weights and phases, with exact derivatives ``J``.  Around the rounded network their
    error is ``e + J_w dW + J_phi dphi``.  Phases have a fine grid and are eliminated by least squares; what is left is
    a quadratic form in the roundings, lowered by letting one weight after the other take the neighbouring grid point,
    until none gains.  The unit of each population is the one, among a few, whose rounding the same form likes best.
    After each descent the true error is measured, and the derivatives are taken anew.  Weights of zero stay zero.

    Parameters
    ----------
    bits
        Bits of a weight, by projection if they differ.
    rounds
        Most descents, each around the network found before; `GOOD_ENOUGH` ends them.
    """

    name: ClassVar[str] = "adapt-rounding"
    reads: ClassVar[tuple[type, ...]] = (Weights, Phases)
    writes: ClassVar[tuple[type, ...]] = (Weights, Phases, Adaptation)

    bits: Bits = field(default=8, metadata={"parse": parse_bits, "print": print_bits})
    rounds: int = 12

    def run(self, state: State) -> State:
        """Adapt the rounding; too large a network keeps what it has, and the report says so."""
        network = state.network
        samples = calibration_samples(state)
        if samples < FEWEST_SAMPLES:
            return state.having(Adaptation(skipped=TOO_LARGE))
        x = state.calibration[:samples]
        exact = sensitivity(network, x)
        weights, phases = state[Weights], state[Phases]
        measure = by_spread(exact.value, rounding_of(network))
        plain_error = measure(sensitivity(as_network(network, weights, phases), x).value)
        bits = list(bits_of(self.bits, network).values())
        weights = _choose_units(network, weights, exact, bits)
        best, lowest, history = (weights, phases), np.inf, []
        for left in range(self.rounds, -1, -1):
            now = sensitivity(as_network(network, weights, phases), x)
            error = measure(now.value)
            history.append(error)
            if error < lowest:
                best, lowest = (weights, phases), error
            if left == 0 or error < GOOD_ENOUGH:
                break
            weights, phases = _descend(network, weights, phases, now, exact.value, bits)
        found = Adaptation(
            samples,
            measure.relative(plain_error),
            measure.relative(lowest),
            measure.absolute(plain_error),
            measure.absolute(lowest),
            tuple(history),
        )
        return state.having(*best, found)

    def report(self, state: State) -> Section:
        """Errors before and after."""
        return plain(state[Adaptation])


def calibration_samples(state: State) -> int:
    """Number of calibration inputs for which the derivatives may be held."""
    rows = sum(output.size for output in state.network.outputs)
    weights = sum(p.weight.size for p in state.network.projections)
    return min(len(state.calibration), MOST_DERIVATIVES // max(rows * weights, 1))


def phase_solution(s: Sensitivity) -> FloatArray:
    """Operator that turns an error of the results into the phases that explain it best, (phases, rows)."""
    phases = np.concatenate(s.phi0, axis=1)
    normal = phases.T @ phases
    ridge = RIDGE * max(float(np.trace(normal)), 1e-300)
    return np.linalg.solve(normal + ridge * np.eye(len(normal)), phases.T)


@dataclass(frozen=True)
class _PhasesEliminated:
    """Errors of the results, in coordinates in which their squared length is what the best phases leave of it.

    Errors ``e`` and phases ``dphi`` cost ``|e + J dphi|^2 + ridge |dphi|^2``.  With ``J = U S V^T`` the least is
    ``|e - U (1 - sqrt(ridge / (S^2 + ridge))) U^T e|^2``.
    """

    basis: FloatArray
    drop: FloatArray

    def __call__(self, errors: FloatArray) -> FloatArray:
        share = self.basis.T @ errors
        return errors - self.basis @ (self.drop[:, None] * share if errors.ndim == 2 else self.drop * share)


def _eliminate_phases(s: Sensitivity) -> _PhasesEliminated:
    basis, size, _ = np.linalg.svd(np.concatenate(s.phi0, axis=1), full_matrices=False)
    ridge = RIDGE * max(float(np.sum(size**2)), 1e-300)
    return _PhasesEliminated(basis, 1.0 - np.sqrt(ridge / (size**2 + ridge)))


def _choose_units(network: Network, weights: Weights, exact: Sensitivity, bits: list[int]) -> Weights:
    left = _eliminate_phases(exact)
    units, new = dict(weights.units), list(weights.projections)
    for population in network.populations:
        places = [k for k, p in enumerate(network.projections) if p.post == population.name]
        best = np.inf
        for scale in SCALES:
            unit = max(weights.units[population.name] * scale, smallest_unit(population.neuron.r))
            moved = np.zeros(exact.value.size)
            tried = []
            for k in places:
                projection, exponent = network.projections[k], weights.projections[k].exponent
                tried.append(rounded(projection, unit, exponent, bits[k]))
                change = tried[-1].weight * (unit * 2.0**exponent) - projection.weight
                moved += _columns(exact.weight[k], projection.weight) @ change[projection.weight != 0]
            cost = float(np.sum(left(moved) ** 2))
            if cost < best:
                best, units[population.name] = cost, unit
                for k, integers in zip(places, tried, strict=True):
                    new[k] = integers
    return replace(weights, units=units, projections=tuple(new))


def _columns(jacobian: FloatArray, weight: FloatArray) -> FloatArray:
    """Derivatives by the weights that are not zero: (rows, weights)."""
    flat = jacobian.reshape(len(jacobian), -1)
    used = weight.ravel() != 0
    return flat if used.all() else flat[:, used]


def _descend(
    network: Network, weights: Weights, phases: Phases, now: Sensitivity, exact: FloatArray, bits: list[int]
) -> tuple[Weights, Phases]:
    """One descent over all weights that are not zero, then the phases."""
    left = _eliminate_phases(now)
    error = (now.value - exact).ravel()
    steps = [weight_step(b) for b in bits]
    used = [p.weight != 0 for p in network.projections]
    limit = np.repeat(
        [largest_weight(b) // step for b, step in zip(bits, steps, strict=True)], [int(u.sum()) for u in used]
    ).astype(np.int64)
    size = [step * unit for step, unit in zip(steps, weights.grid_units(), strict=True)]
    jacobian = np.concatenate(
        [_columns(w, p.weight) * u for w, p, u in zip(now.weight, network.projections, size, strict=True)], axis=1
    )
    integers = np.concatenate(
        [p.weight[u] // step for p, u, step in zip(weights.projections, used, steps, strict=True)]
    ).astype(np.int64)
    unrounded = np.concatenate([(p.weight / s)[u] for p, u, s in zip(network.projections, used, size, strict=True)])
    seen = np.ascontiguousarray(left(jacobian).T)
    moved = _flip(seen, left(error), integers.copy(), unrounded, limit)
    error = error + jacobian @ (moved - integers)
    shift = -phase_solution(now) @ error
    projections, at = [], 0
    for p, u, step in zip(weights.projections, used, steps, strict=True):
        weight = p.weight.copy()
        weight[u] = moved[at : at + int(u.sum())] * step
        at += int(u.sum())
        projections.append(ProgramProjection(p.pre, p.post, weight, p.exponent, p.synapses))
    return replace(weights, projections=tuple(projections)), shifted(network, phases, shift)


def shifted(network: Network, phases: Phases, shift: FloatArray) -> Phases:
    """Initial phases moved by ``shift`` (neurons of all populations,), in time units, as far as the cycle goes."""
    phi0, at = {}, 0
    for population in network.populations:
        top = np.nextafter(population.neuron.period, 0.0)
        part = shift[at : at + population.size]
        at += population.size
        phi0[population.name] = np.clip(phases.phi0[population.name] + part, 0.0, top)
    return Phases(phi0)


@compiled
def _flip(jacobian: FloatArray, error: FloatArray, integers: IntArray, exact: FloatArray, limit: IntArray) -> IntArray:
    """Coordinate descent on ``|error + jacobian^T integers|^2``; each integer stays within one of its exact value."""
    square = np.empty(integers.size)
    for j in range(integers.size):
        square[j] = np.dot(jacobian[j], jacobian[j])
    for _ in range(40):
        moves = 0
        for j in range(integers.size):
            slope = np.dot(jacobian[j], error)
            direction = -1 if slope > 0 else 1
            target = integers[j] + direction
            if abs(target - exact[j]) < 1.0 and abs(target) <= limit[j] and 2 * direction * slope + square[j] < 0:
                integers[j] = target
                error += direction * jacobian[j]
                moves += 1
        if moves == 0:
            break
    return integers
