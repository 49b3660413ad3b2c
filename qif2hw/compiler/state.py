"""What passes hand to each other: a network on its way to a program."""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qif2hw.compiler.targets import Target
from qif2hw.errors import InputError
from qif2hw.ir import PTC, Network, Population, Program, ProgramProjection, Projection, TimeGrid
from qif2hw.ir.arrays import FloatArray

Facts = dict[str, Any]
"""What a pass decided, as plain JSON values."""


@dataclass(frozen=True)
class Draft:
    """A partly compiled network; each pass fills in what it decides.

    Parameters
    ----------
    network, target
        What is compiled, for what.
    calibration
        Inputs on which errors are measured, (samples, inputs).
    grid
        Time grid.
    units
        Real weight of one grid count, by population.
    projections
        Integer weights.
    phi0
        Initial phases, by population; first those of the network.
    flush_drop
        Low phase bits dropped in the flush, by population.
    packed_bits
        Place of the weight sum in a shared accumulator, 0 for none, by population.
    ptc, table_bits
        Phase transition curve, by population, and the resolution it was tabulated with.
    program
        The result.
    report
        Facts by pass, in order.
    """

    network: Network
    target: Target
    calibration: FloatArray
    grid: TimeGrid | None = None
    units: dict[str, float] = field(default_factory=dict)
    projections: tuple[ProgramProjection, ...] = ()
    phi0: dict[str, FloatArray] = field(default_factory=dict)
    flush_drop: dict[str, int] = field(default_factory=dict)
    packed_bits: dict[str, int] = field(default_factory=dict)
    ptc: dict[str, PTC] = field(default_factory=dict)
    table_bits: int = 0
    program: Program | None = None
    report: dict[str, Facts] = field(default_factory=dict)

    @property
    def time(self) -> TimeGrid:
        """The time grid, once chosen."""
        if self.grid is None:
            raise InputError("passes: 'time-grid' must come first")
        return self.grid

    def __post_init__(self) -> None:
        if not self.phi0:
            object.__setattr__(self, "phi0", {p.name: p.phi0 for p in self.network.populations})

    def need(self, what: str, *, by: str) -> None:
        """`InputError` unless the pass ``what`` has run."""
        if what not in self.report:
            raise InputError(f"passes: '{by}' needs '{what}' before it")

    def rounded(self) -> Network:
        """The float network with the present integer weights and phases."""
        return replace(
            self.network,
            populations=tuple(Population(p.name, p.neuron, self.phi0[p.name]) for p in self.network.populations),
            projections=tuple(
                Projection(p.pre, p.post, p.weight * (self.units[p.post] * 2.0**p.exponent)) for p in self.projections
            ),
        )

    def changed(self, **changes: Any) -> "Draft":
        """A copy with changes."""
        return replace(self, **changes)

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
