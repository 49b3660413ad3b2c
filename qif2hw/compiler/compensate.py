"""Pass: cancel the machine's mean error by the initial phases, which are cheap and fine."""

from dataclasses import dataclass

import numpy as np

from qif2hw import engine
from qif2hw.compiler.adapt import FEWEST_SAMPLES, calibration_samples, phase_solution, relative_error
from qif2hw.compiler.draft import Draft
from qif2hw.compiler.lower import Lower
from qif2hw.errors import InputError
from qif2hw.ir import Program
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.readout import output_populations_of
from qif2hw.reference.sensitivity import sensitivity


@dataclass(frozen=True)
class CompensatePhases:
    """Shift the initial phases so that the *engine's* readouts come closest to the float network's, to first order.

    It sees all that rounding left and all that steps, tables and payloads add; it is kept only if it helps.
    """

    name: str = "compensate"

    def run(self, draft: Draft) -> Draft:
        """Shift the phases and lower anew."""
        samples = calibration_samples(draft)
        if draft.program is None:
            raise InputError(f"passes: '{self.name}' needs 'lower' before it")
        if samples < FEWEST_SAMPLES:
            return draft.with_report(self.name, {"skipped": "too many derivatives: synapses times readouts"})
        x = draft.calibration[:samples]
        goal = sensitivity(draft.network, x).value
        now = sensitivity(draft.rounded(), x)
        before = readouts(draft.program, x)
        shift = -phase_solution(now) @ (before - goal).ravel()
        phi0, at = {}, 0
        for population in draft.network.populations:
            top = np.nextafter(population.neuron.period, 0.0)
            part = shift[at : at + population.size]
            at += population.size
            phi0[population.name] = np.clip(draft.phi0[population.name] + part, 0.0, top)
        moved = Lower().run(draft.changed(phi0=phi0))
        if moved.program is None:
            raise RuntimeError("lowering made no program")
        old, new = relative_error(before, goal), relative_error(readouts(moved.program, x), goal)
        facts = {"samples": samples, "error_before": old, "error": min(old, new), "kept": new < old}
        return (moved if new < old else draft).with_report(self.name, facts)


def readouts(program: Program, x: FloatArray) -> FloatArray:
    """Values of all readouts on the engine, (samples, readouts)."""
    run = engine.run(program, x)
    names = output_populations_of(program.outputs)
    sizes = np.cumsum([program.population(name).size for name in names])[:-1]
    times = dict(zip(names, np.split(run.spike_time, sizes, axis=1), strict=True))
    return np.concatenate([r.decode(times[r.population]) for r in program.readouts], axis=1)
