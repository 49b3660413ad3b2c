"""Compiling networks with a stepped clock: `SteppedNetwork` -> `SteppedProgram`."""

from qif2hw.compiler.stepped.build import SteppedOptions, compile_stepped

__all__ = ["SteppedOptions", "compile_stepped"]
