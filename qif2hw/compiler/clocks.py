"""The two clocks: what the compiler has for each. All else it does is the same for both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qif2hw.compiler.mapping import Need, needs_of
from qif2hw.compiler.options import CompileOptions, SteppedOptions
from qif2hw.compiler.pass_spec import PASSES, STEPPED_PASSES
from qif2hw.compiler.passes import fit
from qif2hw.compiler.passes.fit import Fit
from qif2hw.compiler.stepped import fit as stepped_fit
from qif2hw.compiler.stepped import needs as stepped_needs
from qif2hw.compiler.targets import Target
from qif2hw.ir import Network, Program
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.ir.stepped_program import SteppedProgram


@dataclass(frozen=True)
class Clock:
    """A kind of networks.

    Parameters
    ----------
    title
        What such a network is, for messages.
    network, program, options
        Types of the float network, of the integer program, and of what a user may choose.
    passes
        Every pass by name.
    needs
        What the populations of a program ask of a chip.
    assess
        Whether a program, of which the compiler reported what is given, fits a target.
    """

    title: str
    network: type
    program: type
    options: type[CompileOptions] | type[SteppedOptions]
    passes: dict[str, Any]
    needs: Callable[[Any], tuple[Need, ...]]
    assess: Callable[[Any, Target, Mapping[str, Any]], Fit]


def _assess(program: Program, target: Target, report: Mapping[str, Any]) -> Fit:
    return fit.assess(program, target, report.get("tables", {}).get("table_bits"))


def _assess_stepped(program: SteppedProgram, target: Target, _: Mapping[str, Any]) -> Fit:
    return stepped_fit.assess(program, target)


TRIAL = Clock("an event-driven network", Network, Program, CompileOptions, PASSES, needs_of, _assess)
STEPPED = Clock(
    "a network with a stepped clock",
    SteppedNetwork,
    SteppedProgram,
    SteppedOptions,
    STEPPED_PASSES,
    stepped_needs.needs_of,
    _assess_stepped,
)


def clock_of(one: object) -> Clock:
    """The clock of a network, a program, or options."""
    return next(clock for clock in (TRIAL, STEPPED) if isinstance(one, (clock.network, clock.program, clock.options)))
