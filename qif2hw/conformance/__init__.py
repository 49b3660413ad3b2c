"""A kit for whoever writes the neuron for a chip, and the check of what their machine gives.

`make_kit` writes down a program: operations with widths, registers, traces of single neurons, golden spikes, predicted
counters.  `check` compares another machine's files with it.  The format is in ``docs/conformance.md``: results can be
made without this project.
"""

from qif2hw.conformance.check import Outcome, Part, check
from qif2hw.conformance.kit import FORMAT, PARTS, SCHEMA, make_kit

__all__ = ["FORMAT", "PARTS", "SCHEMA", "Outcome", "Part", "check", "make_kit"]
