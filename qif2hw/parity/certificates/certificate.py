r"""A certificate for every spike of the engine: how far it is from the exact one, with the causes.

Everything that the engine did is known.  Each kick's defect, what its register kept less the exact kick of the register
at the times that its inputs stand for, moves later spikes by the exact sensitivities; their signed sum is the error, to
first order, and what it leaves out is bounded (`docs/maths.md`, "How errors travel").  The exact run is not computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.engine import encode, fast
from qif2hw.engine.host import finish
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.program import Program
from qif2hw.ir.readout import FirstSpike, Product, Readout
from qif2hw.ir.spikes import Run, joined_runs
from qif2hw.parity.certificates.certificate_kernels import MARGIN
from qif2hw.parity.certificates.certificate_layers import Source, inputs, population_errors
from qif2hw.parity.certificates.spike_errors import CERTIFIED, LOOSE, SpikeErrors

_BLOCK = 1 << 22
_MOST_SAMPLES = 256


@dataclass(frozen=True, eq=False)
class Certificate:
    """Errors of all spikes of a run of the engine.

    Parameters
    ----------
    spikes
        Of the ordinary spikes, by population, in the order of `Run.spikes`.
    first
        Of the first spikes of the output neurons, pseudospikes included, (samples, output neurons).
    result
        Of the decoded results, (samples, results), which the host makes the solution of.
    run
        The run.
    """

    spikes: dict[str, SpikeErrors]
    first: SpikeErrors
    result: SpikeErrors
    run: Run


def certify(program: Program, x: ArrayLike, *, reach: float = 0.0) -> Certificate:
    """Run the engine and bound the error of every spike against ``program.network()``.

    Parameters
    ----------
    program
        What to run.
    x
        Inputs (samples, columns), as `check_inputs` of the program takes them.
    reach
        In units of time.  If positive the bounds hold for all inputs at once whose encoded times are within ``reach``
        of the ticks that those of ``x`` are rounded to.

    Raises
    ------
    InputError
        On inputs of a wrong shape or out of range.
    """
    checked = program.check_inputs(x)
    words = 8 * sum(program.sizes.values()) * (8 + max(program.sizes.values()))
    block = max(1, min(_MOST_SAMPLES, _BLOCK // words))
    parts = [_certify(program, checked[low : low + block], reach) for low in range(0, max(len(checked), 1), block)]
    return _joined(parts)


def _joined(parts: list[Certificate]) -> Certificate:
    if len(parts) == 1:
        return parts[0]
    lows = np.cumsum([0, *(len(part.run.y) for part in parts)])
    return Certificate(
        {name: SpikeErrors.joined([part.spikes[name] for part in parts]) for name in parts[0].spikes},
        SpikeErrors.joined([part.first for part in parts]),
        SpikeErrors.joined([part.result for part in parts]),
        joined_runs(zip(lows.tolist(), (part.run for part in parts), strict=False), "spikes"),
    )


def _certify(program: Program, x: FloatArray, reach: float) -> Certificate:
    registers: dict[str, fast.Registers] = {}
    step, late = encode(program, x)
    output, step_spikes = fast.run(program, step, late, registers)
    run = finish(program, "engine", output, step_spikes, 0.0)
    sources = dict(inputs(program, program.encoded(x), step, late, reach))
    for population in program.populations:
        sources[population.name] = population_errors(program, population, sources, run, registers[population.name])
    first = _first(program, run, sources)
    spikes = {p.name: sources[p.name].spikes for p in program.populations}
    return Certificate(spikes, first, _result(program, run, first), run)


def _first(program: Program, run: Run, sources: Mapping[str, Source]) -> SpikeErrors:
    """Errors of the first spikes of the output neurons."""
    parts = []
    for name in program.output_populations:
        source, omega = sources[name], program.population(name).neuron.omega
        # Pseudospikes, in place of which ordinary ones are put.
        error, radius, status = -source.ends.error / omega, source.ends.radius / omega, source.ends.status.copy()
        new = np.ones(source.sample.size, bool)
        new[1:] = (np.diff(source.sample) != 0) | (np.diff(source.neuron) != 0)
        at = source.sample[new], source.neuron[new]
        error[at], radius[at], status[at] = (getattr(source.spikes, f.name)[new] for f in fields(SpikeErrors))
        parts.append(SpikeErrors(error, radius, status))
    return SpikeErrors.joined(parts, axis=1)


def _result(program: Program, run: Run, first: SpikeErrors) -> SpikeErrors:
    """Errors of the results."""
    column, start = {}, 0
    for name in program.output_populations:
        column[name] = slice(start, start + program.population(name).size)
        start += program.population(name).size

    def read(readout: Readout) -> tuple[FloatArray, FloatArray, FloatArray]:
        part = column[readout.population]
        error, radius = first.error[:, part], first.radius[:, part]
        time = run.spike_time[:, part]
        difference = readout.scale[:, None] * (error[:, readout.stop] - error[:, readout.start])
        both = radius[:, readout.stop] + radius[:, readout.start]
        return readout.decode(time), difference, np.asarray(np.abs(readout.scale) * both, np.float64)

    errors, radii = [], []
    # No bound times zero is no bound.
    with np.errstate(invalid="ignore"):
        for output in program.outputs:
            if isinstance(output, Product):
                (left, by_left, off_left), (right, by_right, off_right) = read(output.left), read(output.right)
                error = (right[..., None] * by_left + left[..., None] * by_right).sum(axis=1)
                bound_left, bound_right = (
                    np.abs(by.sum(axis=-1)) + off for by, off in ((by_left, off_left), (by_right, off_right))
                )
                rest = np.abs(right) * off_left + np.abs(left) * off_right + bound_left * bound_right
                errors.append(output.scale * error[:, None])
                radii.append(abs(output.scale) * rest.sum(axis=1)[:, None])
            elif isinstance(output, FirstSpike):
                own = column[output.population]
                errors.append(first.error[:, own][:, output.neuron])
                radii.append(first.radius[:, own][:, output.neuron])
            else:
                _, error, radius = read(output)
                errors.append(error)
                radii.append(radius)
    radius = np.concatenate(radii, axis=1) + MARGIN * (1.0 + np.abs(run.raw))
    known = np.isfinite(radius)
    status = np.where(known, CERTIFIED, LOOSE).astype(np.int8)
    return SpikeErrors(np.concatenate(errors, axis=1), np.where(known, radius, np.inf), status)
