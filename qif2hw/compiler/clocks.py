"""The two clocks: what the compiler has for each. All else it does is the same for both."""

from dataclasses import dataclass
from typing import Any

from qif2hw.compiler.options import CompileOptions, SteppedOptions
from qif2hw.compiler.pass_spec import PASSES, STEPPED_PASSES
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
    """

    title: str
    network: type
    program: type
    options: type[CompileOptions] | type[SteppedOptions]
    passes: dict[str, Any]


TRIAL = Clock("an event-driven network", Network, Program, CompileOptions, PASSES)
STEPPED = Clock("a network with a stepped clock", SteppedNetwork, SteppedProgram, SteppedOptions, STEPPED_PASSES)


def clock_of(one: object) -> Clock:
    """The clock of a network, a program, or options."""
    return next(clock for clock in (TRIAL, STEPPED) if isinstance(one, (clock.network, clock.program, clock.options)))
