"""Pass: where the error comes from."""

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qif2hw import engine, reference
from qif2hw.compiler.error_measures import by_size, rounding_of, size
from qif2hw.compiler.passes.lower import NEEDED, lower
from qif2hw.compiler.passes.tables import Curves, TableChoices, make_curve
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.state import Section, State, plain
from qif2hw.ir import Network, Program, Run, TimeGrid
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.large import empty, flat_blocks, places, sealed
from qif2hw.ir.weight_grid import largest_weight, weight_step

MOST_UPDATES = 20_000_000
"""Samples times synapses that the measurement may cost."""
SYNAPSES_OF_A_NEURON = 200
"""A neuron, which is updated in every step, costs at least as much as this number of synapses."""
LONG_CYCLE = 5.0
"""Trials per cycle above which the spikes are looked at."""
ACCURATE = 0.1
"""Steps by which spikes may be off on average, as in parity."""
FINE_TABLES = 11
FINE_PAYLOAD = 12


@dataclass(frozen=True)
class Budget:
    """Root mean square errors of the result.

    Parameters
    ----------
    samples
        Calibration inputs used.
    terms
        By cause, relative to the results' size; None where that is zero.
    saturated_weights
        Weights beyond the grid.
    sum, total
        Root of the sum of the squared terms, and the error itself.
    absolute
        The same in the results' own unit: terms by cause, ``sum`` and ``total``.
    """

    samples: int
    terms: dict[str, float | None]
    saturated_weights: int
    sum: float | None
    total: float | None
    absolute: dict[str, float]


@dataclass(frozen=True)
class MeasureBudget:
    """Split the engine's error on the calibration inputs into its causes.

    Each cause is the difference between two machines that are alike but for it: the engine and one with finer payloads;
    that one and one with finer tables as well; that one and the exact run with the rounded weights (the time grid);
    this run and the float network (weights and saturation).  The differences add up to the total error sample by
    sample; their squares do where they are independent.

    Saturation is what the float network changes by when weights beyond the grid are put on its outermost point, weights
    what changes from there.  Adaptive rounding plays them off against each other: the mean square of both together is
    therefore split in proportion to their own.
    """

    name: ClassVar[str] = "budget"
    reads: ClassVar[tuple[type, ...]] = (*NEEDED, Program, TableChoices)
    writes: ClassVar[tuple[type, ...]] = (Budget,)

    def run(self, state: State) -> State:
        """Measure every term."""
        x = measured_inputs(state)
        program, choices = state[Program], state[TableChoices]
        inside, saturated = within_grid(state.network, state[Weights])
        exact, rounded = reference.run(state.network, x).y, reference.run(program.network(), x)
        run = engine.run(program, x)
        warn_of_long_cycles(program, rounded, run)
        results = [
            exact,
            rounded.y,
            _finer(state, x, FINE_TABLES),
            _finer(state, x, choices.table_bits),
            run.y,
        ]
        names = ("weights", "time_grid", "tables", "payload")
        measure = by_size(exact, rounding_of(state.network))
        whole = measure.unit or 1.0
        terms = {
            name: size(after - before) / whole
            for name, before, after in zip(names, results[:-1], results[1:], strict=True)
        }
        share = 0.0
        if saturated:
            clipped = reference.run(inside, x).y
            alone, others = np.sum((clipped - exact) ** 2), np.sum((rounded.y - clipped) ** 2)
            share = float(alone / (alone + others)) if alone > 0 else 0.0
        terms = {
            "saturation": float(np.sqrt(share) * terms["weights"]),
            **terms,
            "weights": float(np.sqrt(1 - share) * terms["weights"]),
        }
        errors = terms | {"sum": float(np.sqrt(sum(t**2 for t in terms.values()))), "total": measure(results[-1])}
        relative = {name: measure.relative(error) for name, error in errors.items()}
        together, total = relative.pop("sum"), relative.pop("total")
        absolute = {name: measure.absolute(error) for name, error in errors.items()}
        return state.having(Budget(len(x), relative, saturated, together, total, absolute))

    def report(self, state: State) -> Section:
        """The terms."""
        return plain(state[Budget])


def warn_of_long_cycles(program: Program, exact: Run, run: Run) -> None:
    """Warn where a cycle is far longer than the trial and output spikes, pseudospikes too, miss those of an exact run.

    There a kick amplifies errors of the phase by up to ``(V^2 + r^2) / r^2``, with a small ``r``.
    """
    grid = program.grid
    error = size(run.spike_time - exact.spike_time) / grid.delta
    if error > ACCURATE and grid.period > LONG_CYCLE * grid.trial:
        warnings.warn(
            f"output spikes are {error:.2g} steps off (RMS): a cycle Theta = {grid.period:.3g} is "
            f"{grid.period / grid.trial:.2g} trials long, where kicks amplify errors; use a drive I0 further "
            "above 1/4, or a longer trial",
            stacklevel=2,
        )


def measured_inputs(state: State) -> FloatArray:
    """As many calibration inputs (samples, inputs) as may be run."""
    neurons = sum(p.size for p in state.network.populations)
    cost = max(state.network.synapse_count, SYNAPSES_OF_A_NEURON * neurons)
    return state.calibration[: max(8, MOST_UPDATES // cost)]


def within_grid(network: Network, weights: Weights) -> tuple[Network, int]:
    """The float network with weights beyond the outermost grid point put there, and the number of those.

    Rounding to the nearest explains half a step; what lies further out is saturated.
    """
    projections, count = [], 0
    for p, unit, bits in zip(network.projections, weights.grid_units(), weights.bits, strict=True):
        most, step = largest_weight(bits) * unit, weight_step(bits) * unit
        limit = most + 0.5 * step * (1 + 1e-9)
        some = sum(int((np.abs(part) > limit).sum()) for part in flat_blocks(p.weight))
        count += some
        # A copy of all weights only where one of them moves.
        projections.append(replace(p, weight=_moved_in(p.weight, limit, most)) if some else p)
    return replace(network, projections=tuple(projections)), count


def _moved_in(weight: FloatArray, limit: float, most: float) -> FloatArray:
    """The weights, of any shape, with those beyond ``limit`` at ``most`` of their sign."""
    made = empty(weight.shape, np.float64)
    given, into = weight.reshape(-1), made.reshape(-1)
    for place in places(given):
        part = given[place]
        into[place] = np.where(np.abs(part) > limit, np.sign(part) * most, part)
    return sealed(made)


def _finer(state: State, x: FloatArray, table_bits: int) -> FloatArray:
    """Results of the same machine with fine payloads; with other table bits, its curves are cotangent tables."""
    grid, choices = state[TimeGrid], state[TableChoices]
    other = state.having(replace(grid, lateness_bits=min(max(grid.lateness_bits, FINE_PAYLOAD), grid.phase_bits - 1)))
    ptc = {}
    for population in state.network.populations:
        own = choices.populations[population.name].form if table_bits == choices.table_bits else "cotangent"
        ptc[population.name] = make_curve(other, population, own, table_bits, choices.moments)
    return engine.run(lower(other.having(Curves(ptc))), x).y
