"""Pass: choose roundings, scales and initial phases by what they do to the result."""

from dataclasses import dataclass

import numba
import numpy as np

from qif2hw.compiler.draft import Draft, Facts
from qif2hw.ir import ProgramProjection
from qif2hw.ir.grid import largest_weight, round_to_grid, weight_step
from qif2hw.ir.network import FloatArray, IntArray
from qif2hw.reference.sensitivity import Sensitivity, sensitivity

MOST_DERIVATIVES = 40_000_000
"""Entries of the Jacobian that the pass may hold (320 MB); it takes fewer calibration inputs, then gives up."""
FEWEST_SAMPLES = 24
SCALES = tuple(np.linspace(1.0, 0.6, 9))
RIDGE = 1e-5


@dataclass(frozen=True)
class AdaptRounding:
    r"""Round so that the *results* stay, not the weights.

    The readouts depend smoothly on weights and phases, with exact derivatives ``J``.  Around the rounded network their
    error is ``e + J_w dW + J_phi dphi``.  Phases have a fine grid and are eliminated by least squares; what is left is
    a quadratic form in the roundings, lowered by letting one weight after the other take the neighbouring grid point,
    until none gains.  The unit of each population is the one, among a few, whose rounding the same form likes best.
    After each descent the true error is measured, and the derivatives are taken anew.

    Parameters
    ----------
    bits
        Bits of a weight.
    rounds
        Descents, each around the network found before.
    """

    bits: int = 8
    rounds: int = 4
    name: str = "adapt-rounding"

    def run(self, draft: Draft) -> Draft:
        """Adapt the rounding; too large a network keeps what it has, and the report says so."""
        network = draft.network
        rows = sum(r.size for r in network.readouts)
        synapses = sum(p.weight.size for p in network.projections)
        samples = min(len(draft.calibration), MOST_DERIVATIVES // (rows * synapses))
        if samples < FEWEST_SAMPLES:
            return draft.with_report(self.name, {"skipped": "too many derivatives: synapses times readouts"})
        x = draft.calibration[:samples]
        goal = sensitivity(network, x)
        plain = _error(sensitivity(draft.rounded(), x).value, goal.value)
        draft = _choose_units(draft, goal, self.bits)
        best, lowest, history = draft, plain, []
        for _ in range(self.rounds):
            now = sensitivity(draft.rounded(), x)
            if (error := _error(now.value, goal.value)) < lowest or best is draft:
                best, lowest = draft, error
            history.append(error)
            draft = _descend(draft, now, goal.value, self.bits)
        error = _error(sensitivity(draft.rounded(), x).value, goal.value)
        history.append(error)
        if error < lowest:
            best, lowest = draft, error
        facts: Facts = {"samples": samples, "plain_error": plain, "error": lowest, "history": history}
        return best.with_report(self.name, facts)


def _error(value: FloatArray, goal: FloatArray) -> float:
    """Root mean square difference of readouts, relative to their spread."""
    spread = np.sqrt(np.mean((goal - goal.mean(axis=0)) ** 2))
    return float(np.sqrt(np.mean((value - goal) ** 2)) / max(spread, 1e-300))


def _metric(s: Sensitivity) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What is left of an error after the best phases: a square root of the form, and the phases' solution operator."""
    phases = np.concatenate(s.phi0, axis=1)
    normal = phases.T @ phases
    ridge = RIDGE * max(float(np.trace(normal)), 1e-300)
    solve = np.linalg.solve(normal + ridge * np.eye(len(normal)), phases.T)
    # Errors e and phases dphi cost |e + J dphi|^2 + ridge |dphi|^2; at the best dphi that is e^T (1 - J solve) e.
    form = np.eye(len(phases)) - phases @ solve
    values, vectors = np.linalg.eigh(0.5 * (form + form.T))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return root, solve, phases


def _choose_units(draft: Draft, goal: Sensitivity, bits: int) -> Draft:
    root, _, _ = _metric(goal)
    units = dict(draft.units)
    new = list(draft.projections)
    for population in draft.network.populations:
        places = [k for k, p in enumerate(draft.projections) if p.post == population.name]
        best = np.inf
        for scale in SCALES:
            unit = draft.units[population.name] * scale
            moved = np.zeros(len(root))
            rounded = []
            for k in places:
                old, weight = draft.projections[k], draft.network.projections[k].weight
                grid_unit = unit * 2.0**old.exponent
                integers = round_to_grid(weight, grid_unit, bits)
                moved += np.tensordot(goal.weight[k], integers * grid_unit - weight, axes=2)
                rounded.append(ProgramProjection(old.pre, old.post, integers.astype(np.int16), old.exponent))
            cost = float(np.sum((root @ moved) ** 2))
            if cost < best:
                best, units[population.name] = cost, unit
                for k, projection in zip(places, rounded, strict=True):
                    new[k] = projection
    return draft.changed(units=units, projections=tuple(new))


def _descend(draft: Draft, now: Sensitivity, goal: FloatArray, bits: int) -> Draft:
    """One descent over all weights, then the phases."""
    root, solve, _ = _metric(now)
    error = (now.value - goal).ravel()
    step, limit = weight_step(bits), largest_weight(bits)
    size = [draft.units[p.post] * 2.0**p.exponent for p in draft.projections]
    flat = [w.reshape(len(error), -1) for w in now.weight]
    jacobian = np.concatenate([w * (step * u) for w, u in zip(flat, size, strict=True)], axis=1)
    integers = np.concatenate([p.weight.ravel() for p in draft.projections]).astype(np.int64) // step
    exact = np.concatenate(
        [(p.weight / (step * u)).ravel() for p, u in zip(draft.network.projections, size, strict=True)]
    )
    seen = np.ascontiguousarray((root @ jacobian).T)
    moved = _flip(seen, root @ error, integers.copy(), exact, limit // step)
    error = error + jacobian @ (moved - integers)
    shift = -solve @ error
    projections, at = [], 0
    for p in draft.projections:
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


@numba.njit(cache=True)
def _flip(jacobian: FloatArray, error: FloatArray, integers: IntArray, exact: FloatArray, limit: int) -> IntArray:
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
            if abs(target - exact[j]) < 1.0 and abs(target) <= limit and 2 * direction * slope + square[j] < 0:
                integers[j] = target
                error += direction * jacobian[j]
                moves += 1
        if moves == 0:
            break
    return integers
