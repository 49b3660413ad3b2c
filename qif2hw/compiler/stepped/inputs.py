"""Pass: choose the integers that stand for the inputs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qif2hw.compiler.state import Section, SteppedState
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped_program import ProgramFrames


@dataclass(frozen=True)
class InputUnits:
    """Input groups of integers."""

    frames: tuple[ProgramFrames, ...]

    @property
    def units(self) -> dict[str, float]:
        """Real value of one count, by input group."""
        return {f.name: f.unit for f in self.frames}


@dataclass(frozen=True)
class ChooseInputUnits:
    """Give each input group a unit that puts its largest calibration input on, or near, the largest integer.

    Near it if all calibration inputs are then whole, as pixels in few grey levels are.  A group of integers keeps its
    own unit.

    Parameters
    ----------
    bits
        Signed bits of an input value.
    """

    name: ClassVar[str] = "inputs"
    reads: ClassVar[tuple[type, ...]] = ()
    writes: ClassVar[tuple[type, ...]] = (InputUnits,)

    bits: int = 9

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 17:
            raise InputError(f"input bits = {self.bits}: 2 to 17 are possible")

    def run(self, state: SteppedState) -> SteppedState:
        """Choose them."""
        made = []
        for e in state.network.encoders:
            if e.unit is not None:
                made.append(ProgramFrames(e.name, e.shape, e.unit, e.bits))
                continue
            values = np.unique(np.abs(state.calibration[:, :, state.network.columns[e.name]]))
            made.append(ProgramFrames(e.name, e.shape, unit_of(values, (1 << (self.bits - 1)) - 1), self.bits))
        return state.having(InputUnits(tuple(made)))

    def report(self, state: SteppedState) -> Section:
        """Units, and the largest real value that is not saturated."""
        frames = state[InputUnits].frames
        return {
            "bits": self.bits,
            "groups": {f.name: {"unit": f.unit, "largest": f.unit * f.largest} for f in frames},
        }


def unit_of(values: FloatArray, levels: int) -> float:
    """The finest unit of which all magnitudes (values,) are whole multiples, up to ``levels``.

    Where there is none, the largest of them is ``levels`` units.
    """
    largest = float(values.max()) or 1.0
    shares = values / largest
    for count in range(levels, 0, -1):
        # Few values tell for most units that they do not serve.
        for some in (shares[:: max(1, len(shares) // 64)], shares):
            if np.abs(some * count - np.rint(some * count)).max() > 1e-6 * count:
                break
        else:
            return largest / count
    return largest / levels
