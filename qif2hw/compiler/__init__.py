"""The compiler: float network -> integer program, pass by pass, for either clock."""

from qif2hw.compiler.clocks import clock_of
from qif2hw.compiler.driver import run_passes
from qif2hw.compiler.options import CompileOptions, SteppedOptions
from qif2hw.compiler.pass_spec import PASSES, STEPPED_PASSES, parse_passes, print_passes
from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.tables import Curves
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.pipeline import Compiled, compile_network, estimate, passes_for, rounded_network
from qif2hw.compiler.state import CompilerState, Pass, Phases, Section, State, SteppedState
from qif2hw.compiler.targets import Target, known_targets, load_target

__all__ = [
    "PASSES",
    "STEPPED_PASSES",
    "CompileOptions",
    "Compiled",
    "CompilerState",
    "Curves",
    "Pass",
    "Phases",
    "Ranges",
    "Section",
    "State",
    "SteppedOptions",
    "SteppedState",
    "Target",
    "Weights",
    "clock_of",
    "compile_network",
    "estimate",
    "known_targets",
    "load_target",
    "parse_passes",
    "passes_for",
    "print_passes",
    "rounded_network",
    "run_passes",
]
