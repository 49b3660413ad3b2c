"""The compiler: `Network` -> `Program`, pass by pass."""

from qif2hw.compiler.driver import run_passes
from qif2hw.compiler.pass_spec import PASSES, parse_passes, print_passes
from qif2hw.compiler.passes.ranges import Ranges
from qif2hw.compiler.passes.tables import Curves
from qif2hw.compiler.passes.weights import Weights
from qif2hw.compiler.pipeline import Compiled, CompileOptions, compile_network, estimate, passes_for, rounded_network
from qif2hw.compiler.state import Pass, Phases, Section, State
from qif2hw.compiler.targets import Target, known_targets, load_target

__all__ = [
    "PASSES",
    "CompileOptions",
    "Compiled",
    "Curves",
    "Pass",
    "Phases",
    "Ranges",
    "Section",
    "State",
    "Target",
    "Weights",
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
