"""What passes hand to each other: a network on its way to a program."""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qif2hw.compiler.targets import Target
from qif2hw.ir import CotangentTables, Network, Program, ProgramProjection, TimeGrid

Facts = dict[str, Any]
"""What a pass decided, as plain JSON values."""


@dataclass(frozen=True)
class Draft:
    """A partly compiled network; each pass fills in what it decides.

    Parameters
    ----------
    network, target
        What is compiled, for what.
    grid
        Time grid.
    units
        Real weight of one grid count, by population.
    projections
        Integer weights.
    flush_drop
        Low phase bits dropped in the flush, by population.
    ptc
        Phase transition curve, by population.
    program
        The result.
    report
        Facts by pass, in order.
    """

    network: Network
    target: Target
    grid: TimeGrid | None = None
    units: dict[str, float] = field(default_factory=dict)
    projections: tuple[ProgramProjection, ...] = ()
    flush_drop: dict[str, int] = field(default_factory=dict)
    ptc: dict[str, CotangentTables] = field(default_factory=dict)
    program: Program | None = None
    report: dict[str, Facts] = field(default_factory=dict)

    @property
    def time(self) -> TimeGrid:
        """The time grid, once chosen."""
        if self.grid is None:
            raise RuntimeError("the pass that chooses the time grid has not run")
        return self.grid

    def with_report(self, name: str, facts: Facts, **changes: Any) -> "Draft":
        """A copy with changes and the facts of a pass."""
        return replace(self, report={**self.report, name: facts}, **changes)


class Pass(Protocol):
    """A named step of the compiler: a frozen dataclass whose fields are its options."""

    @property
    def name(self) -> str:
        """Name in reports."""

    def run(self, draft: Draft) -> Draft:
        """The draft with this pass's decisions; `InputError` where the network cannot be compiled."""
