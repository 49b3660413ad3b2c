"""Pass: choose the arithmetic of the neurons, and measure its error."""

from dataclasses import dataclass, replace

from qif2hw.compiler.passes.registers import fits
from qif2hw.compiler.ptc_tables import cotangent_tables, measure, phase_weight_table, plane_vector
from qif2hw.compiler.state import Draft, Facts
from qif2hw.errors import InputError
from qif2hw.ir import PTC, Population

FORMS = {
    "cotangent": "a sum per step, two look-ups per kick",
    "plane": "four products per step, four per kick, no tables",
    "grid": "a sum per step, one look-up in two dimensions per kick",
}
"""Kinds of neuron arithmetic, in the order in which they are preferred: the cheaper step first."""
FINE_STEPS = 256
"""Steps per period from which on what unequal lateness in one step does is small beside the weights' rounding."""
GOOD_ENOUGH = 0.05
"""Largest error of a kick, in steps, that calls for nothing better."""


@dataclass(frozen=True)
class MakeTables:
    """Make the phase transition curve of every population.

    Parameters
    ----------
    table_bits
        ``2^table_bits`` knots per octave (``cotangent``), or phases of the cycle (``grid``).
    form
        ``cotangent``, ``grid`` or ``plane`` (see `qif2hw.ir.ptc`), or ``auto``: the first in the order of `FORMS` that
        keeps within ``bytes`` and whose error is good enough; if none is, the one with the smallest error.
    bytes
        Most table memory of a population; 0 for as much as the target's core has.
    moments
        What spikes tell of their lateness ``l``: 1 for ``l``, 2 for ``l`` and ``l^2`` (a third sum in every neuron, see
        `qif2hw.neuron.unequal_kick`; not in the form ``grid``); 0 to choose: 2 on time grids of fewer than
        `FINE_STEPS` steps per period, where spikes that share a step are most of the error, if the products fit.
    """

    table_bits: int = 7
    form: str = "auto"
    bytes: int = 0
    moments: int = 0
    name: str = "tables"

    def run(self, draft: Draft) -> Draft:
        """Make and measure the curves; `InputError` if no form fits the memory."""
        if not 2 <= self.table_bits <= 12:
            raise InputError(f"table bits = {self.table_bits}: 2 to 12 are possible")
        if self.form not in (*FORMS, "auto"):
            raise InputError(f"form = {self.form}: auto, {', '.join(FORMS)} are possible")
        if self.moments not in (0, 1, 2):
            raise InputError(f"lateness moments = {self.moments}: 1 and 2 are possible, 0 chooses")
        if self.moments == 2 and self.form == "grid":
            raise InputError("form = grid: it knows one lateness moment: use cotangent or plane")
        draft.need("ranges", by=self.name)
        room = self.bytes or draft.target.limit("memory_per_core_bytes") or 0
        populations: Facts = {}
        moments = self._moments(draft)
        facts: Facts = {
            "table_bits": self.table_bits,
            "bytes_at_most": room,
            "lateness_moments": moments,
            "populations": populations,
        }
        chosen: dict[str, PTC] = {}
        for population in draft.network.populations:
            name = population.name
            made = {form: self.make(draft, population, form) for form in self._forms(moments)}
            tried = {form: self._measure(draft, population, ptc) for form, ptc in made.items()}
            form, why = self._choose(name, tried, room)
            chosen[name] = made[form]
            populations[name] = {"form": form, "why": why, **tried[form], "tried": tried}
        return draft.with_report(self.name, facts, ptc=chosen, table_bits=self.table_bits)

    def _forms(self, moments: int) -> tuple[str, ...]:
        if self.form != "auto":
            return (self.form,)
        return tuple(form for form in FORMS if moments == 1 or form != "grid")

    def _moments(self, draft: Draft) -> int:
        grid = draft.time
        if not grid.lateness_bits:
            return 1
        if self.moments or self.form == "grid":
            return self.moments or 1
        if grid.period_steps >= FINE_STEPS:
            return 1
        twice = replace(self, moments=2)
        forms = self._forms(2)
        fitting = (
            fits(twice.make(draft, p, form), grid, draft.report["ranges"]["populations"][p.name])
            for p in draft.network.populations
            for form in forms
        )
        return 2 if all(fitting) else 1

    def make(self, draft: Draft, population: Population, form: str) -> PTC:
        """The curve of one population in one form."""
        name, grid = population.name, draft.time
        second = self._moments(draft) == 2
        unit = draft.units[name]
        drop = max(
            (draft.flush_drop[p.pre] for p in draft.projections if p.post == name and p.pre in draft.flush_drop),
            default=0,
        )
        if form == "plane":
            return plane_vector(population, grid, unit, drop, draft.network.depth[name], second)
        if form == "grid":
            return phase_weight_table(population, grid, unit, drop, self.table_bits, _load(draft, name))
        return cotangent_tables(population, grid, unit, drop, self.table_bits, second)

    def _measure(self, draft: Draft, population: Population, ptc: PTC) -> Facts:
        error = measure(ptc, draft.time, population, draft.units[population.name], _load(draft, population.name))
        return {"bytes": ptc.bytes, **error}

    def _choose(self, name: str, tried: dict[str, Facts], room: int) -> tuple[str, str]:
        fitting = {form: facts for form, facts in tried.items() if not room or facts["bytes"] <= room}
        if not fitting:
            least = min(tried, key=lambda form: int(tried[form]["bytes"]))
            raise InputError(
                f"tables of population '{name}' need {tried[least]['bytes']} bytes as '{least}', {room} there are: "
                "use fewer table bits, or the form 'plane'"
            )
        if self.form != "auto":
            return self.form, "asked for"
        for form in FORMS:
            if form in fitting and fitting[form]["max_error_steps"] <= GOOD_ENOUGH:
                better = [f"{f}: {'too large' if f not in fitting else 'not accurate enough'}" for f in FORMS]
                passed = "; ".join(better[: list(FORMS).index(form)])
                why = f"{FORMS[form]}; error at most {GOOD_ENOUGH:g} steps"
                return form, f"{why} ({passed})" if passed else why
        form = min(fitting, key=lambda f: float(fitting[f]["max_error_steps"]))
        return form, f"the smallest error of those that fit; none keeps below {GOOD_ENOUGH:g} steps"


def _load(draft: Draft, name: str) -> int:
    return max(int(draft.report["ranges"]["populations"][name]["a0_max"]), 1)
