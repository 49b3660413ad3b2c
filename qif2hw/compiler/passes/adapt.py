"""Pass: choose roundings, scales and initial phases by what they do to the result."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qif2hw import reference
from qif2hw.compiler.error_measures import Measure, by_spread, rounding_of
from qif2hw.compiler.passes.weights import (
    Bits,
    Weights,
    as_network,
    bits_of,
    check_bits,
    parse_bits,
    print_bits,
    rounded,
    smallest_unit,
)
from qif2hw.compiler.state import Phases, Section, State, plain
from qif2hw.errors import InputError
from qif2hw.ir import Network, ProgramProjection
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.machinecode import compiled
from qif2hw.reference.sensitivity import Derivatives, derivatives

MOST_DERIVATIVES = 40_000_000
"""Derivatives, synapses times results, for which all calibration inputs are taken, or as many as keep within it."""
MOST_ROWS = 256
"""Results of all calibration inputs together, where there are more derivatives: as many are enough to see errors."""
MOST_STREAMED = 1_500_000_000
"""Derivatives that the pass may take; it takes fewer calibration inputs, then gives up."""
HELD = 20_000_000
"""Derivatives that are held at a time (160 MB): weights are worked on in blocks."""
FEWEST_SAMPLES = 64
SCALES = tuple(np.linspace(1.0, 0.6, 9))
RIDGE = 1e-5
GOOD_ENOUGH = 5e-4
"""Error of the results, relative to their spread, below which rounding is no concern."""
WORTH, PATIENCE = 0.95, 2
"""A descent is the last if it and the one before leave more than this part of the least error; one may raise it."""
FINE = 0.5
"""Part of it that a descent leaves: blocks of weights after that stay as they are."""
NEGLIGIBLE = 1e-4
"""Squared singular values of the phases' derivatives that do not count, as parts of the ridge."""
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
        Most descents, each around the network found before; `GOOD_ENOUGH` and `WORTH` end them.
    """

    name: ClassVar[str] = "adapt-rounding"
    reads: ClassVar[tuple[type, ...]] = (Weights, Phases)
    writes: ClassVar[tuple[type, ...]] = (Weights, Phases, Adaptation)

    bits: Bits = field(default=8, metadata={"parse": parse_bits, "print": print_bits})
    rounds: int = 12

    def __post_init__(self) -> None:
        check_bits(self.bits)
        check_rounds(self.rounds)

    def run(self, state: State) -> State:
        """Adapt the rounding; too large a network keeps what it has, and the report says so."""
        network = state.network
        samples = calibration_samples(state)
        if samples < FEWEST_SAMPLES:
            return state.having(Adaptation(skipped=TOO_LARGE))
        x = state.calibration[:samples]
        exact = derivatives(network, x)
        weights, phases = state[Weights], state[Phases]
        measure = by_spread(exact.value, rounding_of(network))
        plain_error = measure(reference.run(as_network(network, weights, phases), x).y)
        bits = list(bits_of(self.bits, network).values())
        weights = _choose_units(network, weights, exact, bits)
        best, lowest, history = (weights, phases), np.inf, list[float]()
        for left in range(self.rounds, -1, -1):
            now = derivatives(as_network(network, weights, phases), x)
            error = measure(now.value)
            history.append(error)
            if error < lowest:
                best, lowest = (weights, phases), error
            slow = len(history) > PATIENCE and lowest > WORTH * min(history[:-PATIENCE])
            if left == 0 or error < GOOD_ENOUGH or slow:
                break
            weights, phases = _descend(network, weights, phases, now, measure, bits)
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


def check_rounds(rounds: int) -> None:
    """`InputError` on a negative number of rounds."""
    if rounds < 0:
        raise InputError(f"rounds = {rounds}: 0 or more are possible")


def calibration_samples(state: State) -> int:
    """Number of calibration inputs for which derivatives may be taken."""
    rows = sum(output.size for output in state.network.outputs)
    entries = max(rows * sum(p.weight.size for p in state.network.projections), 1)
    few = min(max(FEWEST_SAMPLES, MOST_ROWS // rows), MOST_STREAMED // entries)
    return min(len(state.calibration), max(MOST_DERIVATIVES // entries, few))


def phase_shift(found: Derivatives, error: FloatArray) -> FloatArray:
    """Phases (neurons of all populations,) that explain an error of the results (rows,) best, its sign turned."""
    phases = np.concatenate(found.phi0, axis=1)
    ridge = RIDGE * max(float(np.sum(phases**2)), 1e-300)
    # Either form of the same solution, by the smaller matrix.
    if phases.shape[1] <= len(phases):
        return -np.linalg.solve(phases.T @ phases + ridge * np.eye(phases.shape[1]), phases.T @ error)
    return -phases.T @ np.linalg.solve(phases @ phases.T + ridge * np.eye(len(phases)), error)


@dataclass(frozen=True)
class _PhasesEliminated:
    """Errors of the results, in coordinates in which their squared length is what the best phases leave of it.

    Errors ``e`` and phases ``dphi`` cost ``|e + J dphi|^2 + ridge |dphi|^2``.  With ``J = U S V^T`` the least is
    ``|e - U (1 - sqrt(ridge / (S^2 + ridge))) U^T e|^2``.
    """

    basis: FloatArray
    drop: FloatArray

    def __call__(self, errors: FloatArray) -> FloatArray:
        """Of errors (rows, ...)."""
        return errors - (self.basis * self.drop) @ (self.basis.T @ errors)


def _eliminate_phases(found: Derivatives) -> _PhasesEliminated:
    phases = np.concatenate(found.phi0, axis=1)
    ridge = RIDGE * max(float(np.sum(phases**2)), 1e-300)
    # Squared singular values and vectors, from the smaller of the two products.
    few = phases.shape[1] <= len(phases)
    square, vectors = np.linalg.eigh(phases.T @ phases if few else phases @ phases.T)
    used = square > NEGLIGIBLE * ridge
    square, vectors = square[used], vectors[:, used]
    basis = phases @ vectors / np.sqrt(square) if few else vectors
    return _PhasesEliminated(basis, 1.0 - np.sqrt(ridge / (square + ridge)))


def _choose_units(network: Network, weights: Weights, exact: Derivatives, bits: list[int]) -> Weights:
    left = _eliminate_phases(exact)
    units, new = dict(weights.units), list(weights.projections)
    for population in network.populations:
        places = [k for k, p in enumerate(network.projections) if p.post == population.name]
        tried = []
        for scale in SCALES:
            unit = max(weights.units[population.name] * scale, smallest_unit(population.neuron.r))
            made = {k: rounded(network.projections[k], unit, weights.projections[k].exponent, bits[k]) for k in places}
            tried.append((unit, made))
        moved = np.zeros((len(SCALES), exact.value.size))
        for part in exact.by_weights(population.name, 0, population.size):
            k = part.projection
            real = network.projections[k].weight.ravel()[part.place]
            integers = np.stack([made[k].weight.ravel()[part.place] for _, made in tried])
            changes = integers * np.array([[unit * 2.0 ** made[k].exponent] for unit, made in tried]) - real
            moved += changes @ part.slope.T
        best = int(np.argmin(np.sum(left(moved.T) ** 2, axis=0)))
        units[population.name], chosen = tried[best]
        for k, integers in chosen.items():
            new[k] = integers
    return replace(weights, units=units, projections=tuple(new))


def _blocks(network: Network, rows: int) -> list[list[tuple[str, int, int]]]:
    """Neurons, ``population, low, high``, whose weights are worked on together; all at once where they are few."""
    fan_in = {p.name: sum(q.synapses.shape[1] for q in network.incoming(p.name)) for p in network.populations}
    blocks: list[list[tuple[str, int, int]]] = [[]]
    room = HELD
    for population in network.populations:
        step = max(1, HELD // (rows * fan_in[population.name]))
        for low in range(0, population.size, step):
            high = min(low + step, population.size)
            entries = rows * fan_in[population.name] * (high - low)
            if entries > room and blocks[-1]:
                blocks.append([])
                room = HELD
            room -= entries
            blocks[-1].append((population.name, low, high))
    return blocks


def _descend(
    network: Network, weights: Weights, phases: Phases, now: Derivatives, measure: Measure, bits: list[int]
) -> tuple[Weights, Phases]:
    """One descent over all weights that are not zero, block by block from the results on, then the phases."""
    left = _eliminate_phases(now)
    error = (now.value - measure.exact).ravel()
    steps = [weight_step(b) for b in bits]
    size = [step * unit for step, unit in zip(steps, weights.grid_units(), strict=True)]
    integers = [p.weight.ravel().astype(np.int64) // step for p, step in zip(weights.projections, steps, strict=True)]
    for block in reversed(_blocks(network, error.size)):
        pairs, slopes = [], []
        for name, low, high in block:
            for part in now.by_weights(name, low, high):
                k = part.projection
                used = network.projections[k].weight.ravel()[part.place] != 0
                pairs.append((k, part.place[used]))
                slopes.append((part.slope if used.all() else part.slope[:, used]) * size[k])
        jacobian = np.concatenate(slopes, axis=1)
        del slopes
        before = np.concatenate([integers[k][at] for k, at in pairs])
        unrounded = np.concatenate([network.projections[k].weight.ravel()[at] / size[k] for k, at in pairs])
        limit = np.concatenate([np.full(at.size, largest_weight(bits[k]) // steps[k], np.int64) for k, at in pairs])
        moved = _flip(np.ascontiguousarray(left(jacobian).T), left(error), before.copy(), unrounded, limit)
        error = error + jacobian @ (moved - before)
        for (k, at), some in zip(pairs, np.split(moved, np.cumsum([at.size for _, at in pairs])[:-1]), strict=True):
            integers[k][at] = some
        if measure.of(left(error)) < FINE * GOOD_ENOUGH:
            break
    projections = [
        ProgramProjection(
            p.pre, p.post, (whole * step).astype(p.weight.dtype).reshape(p.weight.shape), p.exponent, p.synapses
        )
        for p, whole, step in zip(weights.projections, integers, steps, strict=True)
    ]
    return replace(weights, projections=tuple(projections)), shifted(network, phases, phase_shift(now, error))


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
