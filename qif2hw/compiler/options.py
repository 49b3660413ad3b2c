"""What a user may choose: the options of each clock, and the passes that they stand for."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.budget import MeasureBudget
from qif2hw.compiler.passes.compensate import CompensatePhases
from qif2hw.compiler.passes.fit import FitTarget
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.moments import ChooseMoments
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.registers import ProveRegisters
from qif2hw.compiler.passes.tables import MakeTables, Moments
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid, PayloadBits, check_steps, parse_payload_bits
from qif2hw.compiler.passes.weights import Bits, RoundWeights
from qif2hw.compiler.state import Pass
from qif2hw.compiler.stepped.adapt import AdaptSteppedRounding
from qif2hw.compiler.stepped.arithmetic import ChooseArithmetic
from qif2hw.compiler.stepped.budget import MeasureSteppedBudget
from qif2hw.compiler.stepped.fit import FitSteppedTarget
from qif2hw.compiler.stepped.inputs import ChooseInputUnits
from qif2hw.compiler.stepped.lower import LowerStepped
from qif2hw.compiler.stepped.ranges import ProveSums
from qif2hw.compiler.stepped.scales import ScaleWeights, check_thresholds
from qif2hw.compiler.targets import load_target
from qif2hw.errors import InputError

PAYLOAD_BITS = 8
"""Bits of a spike's lateness where the user gives none and nothing stands against them."""


class Options(Protocol):
    """What the options of either clock have."""

    @property
    def target(self) -> str:
        """Name of a chip, or path of a TOML file with its limits."""

    @property
    def passes(self) -> str:
        """The passes themselves, as text, in place of the other options; empty where those name them."""

    def default_passes(self) -> tuple[Pass, ...]:
        """The passes, in order, that the other options ask for."""

    def as_json(self) -> dict[str, Any]:
        """As a bundle stores those that were used: plain values."""


def check_rounding(rounding: str) -> None:
    """`InputError` unless there is such a rounding."""
    if rounding not in ("adapt", "nearest"):
        raise InputError(f"rounding = {rounding}: adapt and nearest are possible")


def check_alone(options: "CompileOptions | SteppedOptions") -> None:
    """`InputError` if a list of passes stands beside options whose place it takes."""
    for f in fields(options) if options.passes else ():
        if f.name not in ("target", "passes") and getattr(options, f.name) != f.default:
            raise InputError(f"{f.name.replace('_', ' ')}: a list of passes takes its place: give one of them")


def used(options: "CompileOptions | SteppedOptions") -> dict[str, Any]:
    """The options that were used, as plain values."""
    return {"target": options.target, "passes": options.passes} if options.passes else asdict(options)


@dataclass(frozen=True)
class CompileOptions:
    """What a user may choose for an event-driven network.

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
        times more accurate and costs a third sum per neuron.  ``auto``: 2 below 256 steps per period where it fits, and
        where it leaves at most 85 % of the whole error on the calibration inputs (not with ``max_error``, where the
        cheapest machine that keeps it is looked for).
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
        check_rounding(self.rounding)
        if self.lateness_moments not in ("auto", 1, 2):
            raise InputError(f"lateness moments = {self.lateness_moments}: 1, 2 and auto are possible")
        if isinstance(self.payload_bits, str):
            object.__setattr__(self, "payload_bits", parse_payload_bits(self.payload_bits))
        check_steps(self.steps)
        if self.max_error is not None and not 0 < self.max_error < math.inf:
            raise InputError(f"max error = {self.max_error}: a positive number is needed")
        check_alone(self)

    def as_json(self) -> dict[str, Any]:
        """As a bundle stores those that were used: plain values, 0 for a largest error that is not given."""
        return used(self) | ({} if self.passes else {"max_error": self.max_error or 0.0})

    def default_passes(self) -> tuple[Pass, ...]:
        """The passes, in order, that the other options ask for."""
        adapt = self.rounding == "adapt"
        # With a largest error the cheapest machine that keeps it is looked for.
        measured = self.lateness_moments == "auto" and self.max_error is None
        if self.payload_bits == "auto":
            carried = load_target(self.target).limit("payload_bits")
            payload_bits, fewest = PAYLOAD_BITS if carried is None else min(PAYLOAD_BITS, carried), 1
        else:
            payload_bits, fewest = self.payload_bits, self.payload_bits
        return (
            ChooseTimeGrid(self.steps, payload_bits),
            RoundWeights(self.weight_bits),
            *([AdaptRounding(self.weight_bits)] if adapt else []),
            ProveRanges(fewest),
            MakeTables(self.table_bits, self.form, moments=self.lateness_moments),
            *([ChooseMoments(self.table_bits, self.form)] if measured else []),
            Lower(),
            ProveRegisters(),
            MeasureBudget(),
            *([CompensatePhases()] if adapt else []),
            FitTarget(),
        )


@dataclass(frozen=True)
class SteppedOptions:
    """What a user may choose for a network with a stepped clock.

    Parameters
    ----------
    target
        Name of a chip, or path of a TOML file with its limits.
    weight_bits
        Bits of a weight, 2 to 8: for all projections, or one number for each in the network's order.
    input_bits
        Signed bits of an input value.
    thresholds
        ``channel``: every channel of a population has a unit of its own, so that its weights use the whole grid;
        ``layer``: one unit per population.
    rounding
        ``adapt``: weights are rounded, and biases moved, so that the currents stay; ``nearest``: each weight to its
        nearest grid point.
    passes
        The passes themselves, as text (see `qif2hw.compiler.pass_spec`), in place of all options but ``target``.
    """

    target: str = "loihi2"
    weight_bits: Bits = 8
    input_bits: int = 9
    thresholds: str = "channel"
    rounding: str = "adapt"
    passes: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.weight_bits, list):
            object.__setattr__(self, "weight_bits", tuple(self.weight_bits))
        check_thresholds(self.thresholds)
        check_rounding(self.rounding)
        check_alone(self)

    def as_json(self) -> dict[str, Any]:
        """As a bundle stores those that were used: plain values."""
        return used(self)

    def default_passes(self) -> tuple[Pass, ...]:
        """The passes, in order, that the other options ask for."""
        return (
            ChooseInputUnits(self.input_bits),
            ScaleWeights(self.weight_bits, self.thresholds),
            *([AdaptSteppedRounding()] if self.rounding == "adapt" else []),
            ChooseArithmetic(),
            LowerStepped(),
            ProveSums(),
            MeasureSteppedBudget(),
            FitSteppedTarget(),
        )
