"""What the host computes around a network: from the user's inputs to its channels, from its results to the solution."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray
from qif2hw.ir.host_part.expression import Expression, formula, given, side_by_side
from qif2hw.ir.host_part.formula import Formula
from qif2hw.ir.host_part.inputs import Range, check_inputs, check_ranges
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields

X, Y = "x", "y"
"""Names that a solution's formula has for the user's inputs (samples, inputs) and the results (samples, results)."""


@dataclass(frozen=True)
class Input:
    """A column of the user's inputs: ``u = (x - low) / (high - low)`` is what the network gets of it.

    Parameters
    ----------
    name, unit
        What it is, and what it is measured in; the unit may be empty.
    low, high
        Its range.
    fields
        Receptive fields: the network gets the activity of each as a channel of its own, in place of ``u``.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    fields: ReceptiveFields | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        span = self.high - self.low
        if not (np.isfinite([self.low, self.high, span]).all() and span > 0):
            raise InputError(f"input '{self.name}' has the range [{self.low!r}, {self.high!r}]: it must have a length")

    @property
    def size(self) -> int:
        """Number of channels."""
        return 1 if self.fields is None else self.fields.count

    @property
    def range(self) -> str:
        """Range and unit, for messages and tables."""
        return f"[{self.low!r}, {self.high!r}]{self.unit and f' {self.unit}'}"


@dataclass(frozen=True)
class Output:
    """A column of the solution: its name, and its unit, which may be empty."""

    name: str
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Host(ByValue):
    """The host's part.

    Parameters
    ----------
    inputs
        Columns of the user's inputs, in order; each has one channel of the network, or one for each of its fields.
    outputs
        Columns of the solution.
    solution
        What makes the solution of the user's inputs ``x`` and the network's results ``y``; None for the results
        themselves.
    classes
        Of a classifier: names of the classes, one for each result of a first-spike readout, else one for each output;
        the class is then that of the largest output, of equals the first.

    Raises
    ------
    InputError
        If there are no inputs or outputs, a name is empty or used twice, the solution has other columns, or there are
        other classes than outputs.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    solution: Formula | None = field(default=None)
    classes: tuple[str, ...] | None = field(default=None)

    def __post_init__(self) -> None:
        for kind, parts in (("input", self.inputs), ("output", self.outputs)):
            names = [part.name for part in parts]
            if not names or not all(names) or len(set(names)) < len(names):
                raise InputError(f"the host's {kind}s are named {', '.join(names) or 'nothing'}: each needs a name")
        if self.classes is not None:
            check_classes(self.classes)

    @property
    def width(self) -> int:
        """Columns of the user's inputs."""
        return len(self.inputs)

    @property
    def channels(self) -> int:
        """Channels of the network."""
        return sum(one.size for one in self.inputs)

    def check_fits(self, channels: int, results: int) -> None:
        """`InputError` unless it fits a network with so many channels and results."""
        if self.channels != channels:
            raise InputError(f"the host's inputs have {self.channels} channels, the network has {channels}")
        made = results if self.solution is None else self.solution.columns({X: self.width, Y: results})
        if made != len(self.outputs):
            raise InputError(f"the host makes {made} columns and names {len(self.outputs)} outputs")

    def check_inputs(self, x: ArrayLike, *, clip: bool = False) -> FloatArray:
        """Inputs ``x`` (samples, inputs) as float64, in user units; see `qif2hw.ir.host_part.inputs.check_ranges`."""
        ranges: list[Range] = [
            (one.low, one.high, f"'{one.name}' lies in {one.range} (with clip it becomes the nearest end)")
            for one in self.inputs
        ]
        return check_ranges(x, ranges, clip=clip)

    def unscaled(self, u: FloatArray) -> FloatArray:
        """Inputs (samples, inputs) in the user's units of ``u``, of that shape, in [0, 1]."""
        low, high = self._ends
        return np.clip(low + u * (high - low), low, high)

    @property
    def encoding(self) -> Formula:
        """What the channels get, in [0, 1], of the user's inputs ``x``."""
        low, high = self._ends
        u = (given(X, self.width) - low) / (high - low)
        return formula(_with_fields(u, [one.fields for one in self.inputs]))

    def encoded(self, x: FloatArray) -> FloatArray:
        """What the channels get of checked inputs ``x`` (samples, inputs): (samples, channels), in [0, 1]."""
        return self.encoding.evaluate({X: x})

    def solve(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """The solution (samples, outputs) at inputs ``x`` (samples, inputs) with results ``y`` (samples, results)."""
        return y if self.solution is None else self.solution.evaluate({X: x, Y: y})

    @property
    def _ends(self) -> tuple[FloatArray, FloatArray]:
        return np.array([one.low for one in self.inputs]), np.array([one.high for one in self.inputs])


def _with_fields(u: Expression, fields: Sequence[ReceptiveFields | None]) -> Expression:
    """Channels of ``u`` in [0, 1]: the fields of each input side by side."""
    if not any(fields):
        return u
    columns = [u[:, k : k + 1] for k in range(u.width)]
    return side_by_side([c if f is None else f.activities(c) for c, f in zip(columns, fields, strict=True)])


def check_classes(classes: Sequence[str]) -> None:
    """`InputError` unless there are at least two names of classes, none of them empty or used twice."""
    if len(classes) < 2:
        raise InputError(f"classes: {', '.join(classes) or 'none'}; a classifier needs at least two")
    names = list(classes)
    for name in names:
        if not name or names.count(name) > 1:
            raise InputError(f"the class '{name}' is named {names.count(name)} times: each needs a name of its own")


class Hosted:
    """Accessors of a network or program that a host's part may stand around.

    Without one its inputs are those of its channels, in [0, 1], and its solution is its results.
    """

    host: Host | None

    @property
    def inputs(self) -> int:
        """Number of channels."""
        raise NotImplementedError

    @property
    def results(self) -> int:
        """Number of results."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Columns of an array of inputs."""
        return self.inputs if self.host is None else self.host.width

    @property
    def solutions(self) -> int:
        """Columns of the solution."""
        return self.results if self.host is None else len(self.host.outputs)

    def check_host(self) -> None:
        """`InputError` if the host's part does not fit."""
        if self.host is not None:
            self.host.check_fits(self.inputs, self.results)

    def check_inputs(self, x: ArrayLike, *, clip: bool = False) -> FloatArray:
        """Inputs ``x`` as float64 (samples, columns), in the user's units.

        With ``clip`` values outside their range become the nearest end.

        Raises
        ------
        InputError
            On a wrong width, and values outside their range (without a host's part: [0, 1]).
        """
        if self.host is None:
            return check_inputs(x, self.inputs, clip=clip)
        return self.host.check_inputs(x, clip=clip)

    def unscaled(self, u: FloatArray) -> FloatArray:
        """Inputs in the user's units of ``u`` (samples, columns) in [0, 1]."""
        return u if self.host is None else self.host.unscaled(u)

    def encoded(self, x: ArrayLike) -> FloatArray:
        """What the channels get of inputs ``x`` (samples, columns): (samples, channels); errors of `check_inputs`."""
        checked = self.check_inputs(x)
        return checked if self.host is None else self.host.encoded(checked)

    def solve(self, x: ArrayLike, y: FloatArray) -> FloatArray:
        """The solution (samples, solutions) at inputs ``x`` (samples, columns) with results ``y`` (samples, results).

        Errors are those of `check_inputs`.
        """
        return y if self.host is None else self.host.solve(self.check_inputs(x), y)
