"""Pass: cancel the machine's mean error by the initial phases, which are cheap and fine."""

from dataclasses import dataclass

import numpy as np

from qif2hw import engine
from qif2hw.compiler.passes.adapt import FEWEST_SAMPLES, calibration_samples, phase_solution, relative_error
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.state import Draft
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.reference.sensitivity import sensitivity

SCALES = (1.0, 0.5, 0.25)
"""Parts of a shift that are tried: the derivatives hold near by only."""
WORTH = 0.98
"""A round that leaves more than this part of the error is the last."""


@dataclass(frozen=True)
class CompensatePhases:
    """Shift the initial phases so that the *engine's* results come closest to the float network's.

    The shift solves the problem to first order, and is taken whole, halved or quartered, whichever is the first to help
    on the engine; then anew from there.  It sees all that rounding left and all that steps, tables and payloads add,
    among it the mean of what spikes of unequal lateness in one step do to each other.

    Parameters
    ----------
    rounds
        Most shifts, each with derivatives taken where the one before it led.
    """

    rounds: int = 4
    name: str = "compensate"

    def run(self, draft: Draft) -> Draft:
        """Shift the phases and lower anew."""
        samples = calibration_samples(draft)
        if draft.program is None:
            raise InputError(f"passes: '{self.name}' needs 'lower' before it")
        if samples < FEWEST_SAMPLES:
            return draft.with_report(self.name, {"skipped": "too many derivatives: synapses times results"})
        x = draft.calibration[:samples]
        goal = sensitivity(draft.network, x).value
        value = engine.run(draft.program, x).y
        history = [relative_error(value, goal)]
        for _ in range(self.rounds):
            shift = -phase_solution(sensitivity(draft.rounded(), x)) @ (value - goal).ravel()
            for scale in SCALES:
                moved, found = _shifted(draft, scale * shift, x)
                error = relative_error(found, goal)
                if error < history[-1]:
                    break
            else:
                break
            draft, value = moved, found
            history.append(error)
            if error > WORTH * history[-2]:
                break
        facts = {
            "samples": samples,
            "error_before": history[0],
            "error": history[-1],
            "history": history,
            "kept": len(history) > 1,
        }
        return draft.with_report(self.name, facts)


def _shifted(draft: Draft, shift: FloatArray, x: FloatArray) -> tuple[Draft, FloatArray]:
    """The draft with shifted phases, lowered, and its results."""
    phi0, at = {}, 0
    for population in draft.network.populations:
        top = np.nextafter(population.neuron.period, 0.0)
        part = shift[at : at + population.size]
        at += population.size
        phi0[population.name] = np.clip(draft.phi0[population.name] + part, 0.0, top)
    moved = Lower().run(draft.changed(phi0=phi0))
    if moved.program is None:
        raise RuntimeError("lowering made no program")
    return moved, engine.run(moved.program, x).y
