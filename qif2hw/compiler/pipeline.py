"""Network -> Program, pass by pass."""

import time
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from qif2hw.compiler.adapt import AdaptRounding
from qif2hw.compiler.calibration import spread
from qif2hw.compiler.draft import Draft, Pass
from qif2hw.compiler.fit import FitTarget
from qif2hw.compiler.lower import Lower
from qif2hw.compiler.ranges import ProveRanges
from qif2hw.compiler.tables import MakeTables
from qif2hw.compiler.targets import load_target
from qif2hw.compiler.time_grid import ChooseTimeGrid
from qif2hw.compiler.weights import RoundWeights
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program

CALIBRATION = 512
"""Number of calibration inputs where the user gives none."""


@dataclass(frozen=True)
class CompileOptions:
    """What a user may choose.

    Parameters
    ----------
    target
        Name of a chip, or path of a TOML file with its limits.
    weight_bits
        Bits of a weight, 2 to 8.
    steps
        Most machine steps of one trial, pipeline and flush included.
    payload_bits
        Bits of a spike's lateness; 0 turns it off (every spike counts as sent at its step's end).
    table_bits
        Knots per octave of the phase-transition tables, as a power of two.
    rounding
        ``adapt``: weights are rounded, and initial phases shifted, so that the results stay; ``nearest``: each weight
        to its nearest grid point.
    """

    target: str = "loihi2"
    weight_bits: int = 8
    steps: int = 512
    payload_bits: int = 8
    table_bits: int = 7
    rounding: str = "adapt"

    def __post_init__(self) -> None:
        if self.rounding not in ("adapt", "nearest"):
            raise InputError(f"rounding = {self.rounding}: adapt and nearest are possible")
        if not 8 <= self.steps <= 1 << 16:
            raise InputError(f"steps = {self.steps}: 8 to {1 << 16} are possible")


@dataclass(frozen=True)
class Compiled:
    """A program, the facts each pass reported (the same for the same input), and how long each took (not so)."""

    program: Program
    report: dict[str, Any]
    seconds: dict[str, float]


def passes_for(options: CompileOptions) -> tuple[Pass, ...]:
    """The passes in order."""
    return (
        ChooseTimeGrid(options.steps, options.payload_bits),
        RoundWeights(options.weight_bits),
        *([AdaptRounding(options.weight_bits)] if options.rounding == "adapt" else []),
        ProveRanges(),
        MakeTables(options.table_bits),
        Lower(),
        FitTarget(),
    )


def compile_network(
    network: Network, options: CompileOptions | None = None, calibration: ArrayLike | None = None
) -> Compiled:
    """Compile a network.

    Parameters
    ----------
    network
        What to compile.
    options
        How.
    calibration
        Inputs in [0, 1] that are typical for its use, (samples, inputs); evenly spread ones where there are none.

    Raises
    ------
    InputError
        If an option is out of range or the network cannot be put on the machine; the message says why.
    """
    options = options or CompileOptions()
    inputs = spread(CALIBRATION, network.inputs) if calibration is None else network.check_inputs(calibration)
    draft = Draft(network, load_target(options.target), inputs)
    seconds = {}
    for one in passes_for(options):
        start = time.perf_counter()
        draft = one.run(draft)
        seconds[one.name] = time.perf_counter() - start
    if draft.program is None:
        raise RuntimeError("the passes did not make a program")
    return Compiled(draft.program, draft.report, seconds)
