"""Network -> Program, pass by pass."""

import math
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from numpy.typing import ArrayLike

from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.driver import Kept, run_passes
from qif2hw.compiler.max_error import meet_max_error, with_setting
from qif2hw.compiler.pass_spec import parse_passes
from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.budget import MeasureBudget
from qif2hw.compiler.passes.compensate import CompensatePhases
from qif2hw.compiler.passes.fit import FitTarget
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.registers import ProveRegisters
from qif2hw.compiler.passes.tables import MakeTables, Moments
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid, PayloadBits, parse_payload_bits
from qif2hw.compiler.passes.weights import Bits, RoundWeights, Weights, as_network
from qif2hw.compiler.state import Pass, Phases, Section, State
from qif2hw.compiler.targets import load_target
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program

CALIBRATION = 512
"""Number of calibration inputs where the user gives none."""
PAYLOAD_BITS = 8
"""Bits of a spike's lateness where the user gives none and nothing stands against them."""


@dataclass(frozen=True)
class CompileOptions:
    """What a user may choose.

    Parameters
    ----------
    target
        Name of a chip, or path of a TOML file with its limits.
    weight_bits
        Bits of a weight, 2 to 8: for all projections, or one number for each in the network's order.
    steps
        Most machine steps of one trial, pipeline and flush included.
    payload_bits
        Bits of a spike's lateness; 0 turns it off (every spike counts as sent at its step's end).  ``auto``: 8, or the
        most that the target's spikes carry and the accumulators are proven to hold.
    table_bits
        Knots per octave of the phase-transition tables, as a power of two.
    form
        Arithmetic of the neurons: ``cotangent`` or ``grid`` tables, ``plane`` vectors, or ``auto``.
    lateness_moments
        1: the payload of a spike is its lateness; 2: its square is sent too, which makes coarse time grids several
        times more accurate and costs a third sum per neuron.  ``auto``: 2 below 256 steps per period where it fits.
    rounding
        ``adapt``: weights are rounded, and initial phases shifted, so that the results stay; ``nearest``: each weight
        to its nearest grid point.
    max_error
        With it, ``steps`` and ``payload_bits`` are the most there may be: the fewest steps are chosen, then the fewest
        payload bits, that keep the result's relative error on the calibration inputs below it.
    passes
        The passes themselves, as text (see `qif2hw.compiler.pass_spec`), in place of all options but ``target``.
    """

    target: str = "loihi2"
    weight_bits: Bits = 8
    steps: int = 512
    payload_bits: PayloadBits = "auto"
    table_bits: int = 7
    form: str = "auto"
    lateness_moments: Moments = "auto"
    rounding: str = "adapt"
    max_error: float | None = None
    passes: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.weight_bits, list):
            object.__setattr__(self, "weight_bits", tuple(self.weight_bits))
        if self.rounding not in ("adapt", "nearest"):
            raise InputError(f"rounding = {self.rounding}: adapt and nearest are possible")
        if self.lateness_moments not in ("auto", 1, 2):
            raise InputError(f"lateness moments = {self.lateness_moments}: 1, 2 and auto are possible")
        if isinstance(self.payload_bits, str):
            object.__setattr__(self, "payload_bits", parse_payload_bits(self.payload_bits))
        if not 8 <= self.steps <= 1 << 16:
            raise InputError(f"steps = {self.steps}: 8 to {1 << 16} are possible")
        if self.max_error is not None and not 0 < self.max_error < math.inf:
            raise InputError(f"max error = {self.max_error}: a positive number is needed")
        if self.passes:
            for f in fields(self):
                if f.name not in ("target", "passes") and getattr(self, f.name) != f.default:
                    raise InputError(f"{f.name.replace('_', ' ')}: a list of passes takes its place: give one of them")

    def as_json(self) -> dict[str, Any]:
        """As a bundle stores those that were used: plain values, 0 for a largest error that is not given."""
        if self.passes:
            return {"target": self.target, "passes": self.passes}
        return asdict(self) | {"max_error": self.max_error or 0.0}


@dataclass(frozen=True)
class Compiled:
    """A program, what each pass reports (the same for the same input), and how long each took (not the same)."""

    program: Program
    report: dict[str, Any]
    seconds: dict[str, float]


def passes_for(options: CompileOptions) -> tuple[Pass, ...]:
    """The passes in order: those of ``options.passes`` if it names any, else those that the other options ask for."""
    if options.passes:
        return parse_passes(options.passes)
    adapt = options.rounding == "adapt"
    if options.payload_bits == "auto":
        carried = load_target(options.target).limit("payload_bits")
        payload_bits, fewest = PAYLOAD_BITS if carried is None else min(PAYLOAD_BITS, carried), 1
    else:
        payload_bits, fewest = options.payload_bits, options.payload_bits
    return (
        ChooseTimeGrid(options.steps, payload_bits),
        RoundWeights(options.weight_bits),
        *([AdaptRounding(options.weight_bits)] if adapt else []),
        ProveRanges(fewest),
        MakeTables(options.table_bits, options.form, moments=options.lateness_moments),
        Lower(),
        ProveRegisters(),
        MeasureBudget(),
        *([CompensatePhases()] if adapt else []),
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
    state, passes = _start(network, options, calibration), passes_for(options)
    kept = Kept()
    report: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    if options.max_error is not None:
        start = time.perf_counter()
        found = meet_max_error(state, passes, options.max_error, kept)
        passes, report["max-error"] = with_setting(passes, found), found.as_report()
        seconds["max-error"] = time.perf_counter() - start
    state, took = run_passes(state, passes, kept)
    program = state.get(Program)
    if program is None:
        raise InputError("passes: the list makes no program: it needs 'lower'")
    return Compiled(program, report | state.report, seconds | took)


def estimate(
    network: Network, until: str, options: CompileOptions | None = None, calibration: ArrayLike | None = None
) -> tuple[dict[str, Section], dict[str, float]]:
    """Run the passes up to and including the one named ``until``: what they report, and how long each took.

    Arguments are those of `compile_network`; times are in seconds.

    Raises
    ------
    InputError
        As `compile_network`, and if there is no such pass.
    """
    options = options or CompileOptions()
    passes = passes_for(options)
    names = [one.name for one in passes]
    if until not in names:
        raise InputError(f"no pass '{until}' to stop after: the passes are {', '.join(names)}")
    state, seconds = run_passes(_start(network, options, calibration), passes[: names.index(until) + 1])
    return state.report, seconds


def rounded_network(
    network: Network, options: CompileOptions | None = None, calibration: ArrayLike | None = None
) -> Network:
    """The float network with its weights on the hardware's grid and its phases moved to suit.

    Arguments and errors are those of `compile_network`.  Compiled with the same options it keeps these weights.
    """
    options = options or CompileOptions()
    passes = passes_for(options)
    last = max(k for k, one in enumerate(passes) if isinstance(one, RoundWeights | AdaptRounding))
    state, _ = run_passes(_start(network, options, calibration), passes[: last + 1])
    return as_network(network, state[Weights], state[Phases])


def _start(network: Network, options: CompileOptions, calibration: ArrayLike | None) -> State:
    inputs = spread(CALIBRATION, network.inputs) if calibration is None else network.check_inputs(calibration)
    return State.start(network, load_target(options.target), inputs)
