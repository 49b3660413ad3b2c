"""Pass: make curves in forms that were chosen before, without measuring them."""

from dataclasses import dataclass
from typing import ClassVar

from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.tables import Curves, MakeTables, make_curve
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.state import Phases, Section, State
from qif2hw.ir import TimeGrid


@dataclass(frozen=True)
class MakeGivenForms:
    """What `MakeTables` makes when it chooses these forms; for searches, which compile for many time grids.

    Parameters
    ----------
    tables
        The other options.
    forms
        By population, in the network's order.
    """

    name: ClassVar[str] = "given-forms"
    reads: ClassVar[tuple[type, ...]] = (TimeGrid, Weights, Ranges, Phases)
    writes: ClassVar[tuple[type, ...]] = (Curves,)

    tables: MakeTables
    forms: tuple[str, ...]

    def run(self, state: State) -> State:
        """Make the curves."""
        moments, bits_for = self.tables.moments_for(state), self.tables.bits_for
        made = zip(state.network.populations, self.forms, strict=True)
        return state.having(
            Curves({p.name: make_curve(state, p, form, bits_for(state, p, form), moments) for p, form in made})
        )

    def report(self, state: State) -> Section:
        """The forms."""
        return {"forms": list(self.forms), "table_bits": self.tables.table_bits}
