"""The compiler: `Network` -> `Program`, pass by pass."""

from qif2hw.compiler.pipeline import Compiled, CompileOptions, compile_network
from qif2hw.compiler.targets import Target, known_targets, load_target

__all__ = ["CompileOptions", "Compiled", "Target", "compile_network", "known_targets", "load_target"]
