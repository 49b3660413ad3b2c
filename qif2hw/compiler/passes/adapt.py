"""Pass: choose roundings, scales and initial phases by what they do to the result."""

from dataclasses import dataclass

import numpy as np

from qif2hw.compiler.passes.weights import Bits, bits_of, smallest_unit
from qif2hw.compiler.state import Draft, Facts
from qif2hw.ir import ProgramProjection
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.weight_grid import largest_weight, round_to_grid, weight_step
from qif2hw.machinecode import compiled
from qif2hw.reference.sensitivity import Sensitivity, sensitivity

MOST_DERIVATIVES = 40_000_000
"""Entries of the Jacobian that the pass may hold (320 MB); it takes fewer calibration inputs, then gives up."""
FEWEST_SAMPLES = 64
SCALES = tuple(np.linspace(1.0, 0.6, 9))
RIDGE = 1e-5
GOOD_ENOUGH = 5e-4
"""Error of the results, relative to their spread, below which rounding is no concern."""


@dataclass(frozen=True)
class AdaptRounding:
    r"""Round so that the *results* stay, not the weights.

    They depend smoothly on weights and phases, with exact derivatives ``J``.  Around the rounded network their
    error is ``e + J_w dW + J_phi dphi``.  Phases have a fine grid and are eliminated by least squares; what is left is
    a quadratic form in the roundings, lowered by letting one weight after the other take the neighbouring grid point,
    until none gains.  The unit of each population is the one, among a few, whose rounding the same form likes best.
    After each descent the true error is measured, and the derivatives are taken anew.

    Parameters
    ----------
    bits
        Bits of a weight, by projection if they differ.
    rounds
        Most descents, each around the network found before; `GOOD_ENOUGH` ends them.
    """

    bits: Bits = 8
    rounds: int = 12
    name: str = "adapt-rounding"

    def run(self, draft: Draft) -> Draft:
        """Adapt the rounding; too large a network keeps what it has, and the report says so."""
        draft.need("weights", by=self.name)
        network = draft.network
        samples = calibration_samples(draft)
        if samples < FEWEST_SAMPLES:
            return draft.with_report(self.name, {"skipped": "too many derivatives: synapses times results"})
        x = draft.calibration[:samples]
        goal = sensitivity(network, x)
        plain = relative_error(sensitivity(draft.rounded(), x).value, goal.value)
        bits = [bits_of(self.bits, network)[p.pre, p.post] for p in network.projections]
        draft = _choose_units(draft, goal, bits)
        best, lowest, history = draft, np.inf, []
        for left in range(self.rounds, -1, -1):
            now = sensitivity(draft.rounded(), x)
            error = relative_error(now.value, goal.value)
            history.append(error)
            if error < lowest:
                best, lowest = draft, error
            if left == 0 or error < GOOD_ENOUGH:
                break
            draft = _descend(draft, now, goal.value, bits)
        facts: Facts = {"samples": samples, "plain_error": plain, "error": lowest, "history": history}
        return best.with_report(self.name, facts)


def calibration_samples(draft: Draft) -> int:
    """Number of calibration inputs for which the derivatives may be held."""
    rows = sum(output.size for output in draft.network.outputs)
    synapses = sum(p.weight.size for p in draft.network.projections)
    return min(len(draft.calibration), MOST_DERIVATIVES // (rows * synapses))


def relative_error(value: FloatArray, goal: FloatArray) -> float:
    """Root mean square difference of results, relative to their spread."""
    spread = np.sqrt(np.mean((goal - goal.mean(axis=0)) ** 2))
    return float(np.sqrt(np.mean((value - goal) ** 2)) / max(spread, 1e-300))


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


def _choose_units(draft: Draft, goal: Sensitivity, bits: list[int]) -> Draft:
    left = _eliminate_phases(goal)
    units = dict(draft.units)
    new = list(draft.projections)
    for population in draft.network.populations:
        places = [k for k, p in enumerate(draft.projections) if p.post == population.name]
        best = np.inf
        for scale in SCALES:
            unit = max(draft.units[population.name] * scale, smallest_unit(population.neuron.r))
            moved = np.zeros(goal.value.size)
            rounded = []
            for k in places:
                old, weight = draft.projections[k], draft.network.projections[k].weight
                grid_unit = unit * 2.0**old.exponent
                integers = round_to_grid(weight, grid_unit, bits[k])
                moved += np.tensordot(goal.weight[k], integers * grid_unit - weight, axes=2)
                rounded.append(ProgramProjection(old.pre, old.post, integers.astype(np.int16), old.exponent))
            cost = float(np.sum(left(moved) ** 2))
            if cost < best:
                best, units[population.name] = cost, unit
                for k, projection in zip(places, rounded, strict=True):
                    new[k] = projection
    return draft.changed(units=units, projections=tuple(new))


def _descend(draft: Draft, now: Sensitivity, goal: FloatArray, bits: list[int]) -> Draft:
    """One descent over all weights, then the phases."""
    left = _eliminate_phases(now)
    error = (now.value - goal).ravel()
    steps = [weight_step(b) for b in bits]
    limit = np.repeat(
        [largest_weight(b) // weight_step(b) for b in bits], [p.weight.size for p in draft.projections]
    ).astype(np.int64)
    size = [step * draft.units[p.post] * 2.0**p.exponent for p, step in zip(draft.projections, steps, strict=True)]
    flat = [w.reshape(len(error), -1) for w in now.weight]
    jacobian = np.concatenate([w * u for w, u in zip(flat, size, strict=True)], axis=1)
    integers = np.concatenate([p.weight.ravel() // step for p, step in zip(draft.projections, steps, strict=True)])
    integers = integers.astype(np.int64)
    exact = np.concatenate([(p.weight / u).ravel() for p, u in zip(draft.network.projections, size, strict=True)])
    seen = np.ascontiguousarray(left(jacobian).T)
    moved = _flip(seen, left(error), integers.copy(), exact, limit)
    error = error + jacobian @ (moved - integers)
    shift = -phase_solution(now) @ error
    projections, at = [], 0
    for p, step in zip(draft.projections, steps, strict=True):
        part = moved[at : at + p.weight.size].reshape(p.weight.shape) * step
        at += p.weight.size
        projections.append(ProgramProjection(p.pre, p.post, part.astype(np.int16), p.exponent))
    phi0, at = {}, 0
    for population in draft.network.populations:
        old = draft.phi0[population.name]
        top = np.nextafter(population.neuron.period, 0.0)
        phi0[population.name] = np.clip(old + shift[at : at + population.size], 0.0, top)
        at += population.size
    return draft.changed(projections=tuple(projections), phi0=phi0)


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
