"""The operations of a neuron's step, with the width of each: the specification's own step, written down as it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from qif2hw.compiler.intervals import Registers
from qif2hw.compiler.passes.ranges import PopulationRange
from qif2hw.compiler.proof import assumed
from qif2hw.engine import spec
from qif2hw.engine.curve import rises
from qif2hw.engine.integers import Examined, Int
from qif2hw.ir import PlaneVector, ProgramPopulation, Table, TimeGrid

SYMBOLS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "negative": "-{}",
    "absolute": "|{}|",
    "left_shift": "{} << {}",
    "right_shift": "{} >> {}",
    "maximum": "max({}, {})",
    "minimum": "min({}, {})",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "greater": "{} > {}",
    "greater_equal": "{} >= {}",
    "equal": "{} = {}",
    "not_equal": "{} != {}",
    "bitwise_and": "{} & {}",
    "bitwise_or": "{} | {}",
    "invert": "not {}",
    "select": "{} ? {} : {}",
    "clip": "clip({}, {}, {})",
    "bit_length": "bit_length({})",
    "knot_before": "knot_before({}, {}, {})",
    "entry": "{}[{}]",
}
"""Every operation there is, as pseudo-code shows it; comparisons give 0 or 1, ``not`` is of such."""


@dataclass(frozen=True)
class Operation:
    """One operation.

    Parameters
    ----------
    result, operation, arguments
        ``result = operation(arguments)``: names of inputs and of results before it, and numbers.
    bits
        Width that its result needs, sign included, whatever arrives.
    register
        What the specification calls it, where it has a name.
    """

    result: str
    operation: str
    arguments: tuple[str | int, ...]
    bits: int
    register: str = ""

    def __str__(self) -> str:
        pattern = SYMBOLS[self.operation]
        if self.operation == "entry" and len(self.arguments) == 3:
            pattern = "{}[{}, {}]"
        text = f"{self.result} = {pattern.format(*self.arguments)}"
        return f"{text:<44} {self.bits:>3} bits{'  ' + self.register if self.register else ''}"


@dataclass(frozen=True)
class Path:
    """What a neuron does in one kind of step.

    Parameters
    ----------
    name, when
        ``receive``, ``step``, ``last``, ``flush`` or ``send``, and when that is.
    inputs
        Width of each by name.
    operations
        In order.
    outputs
        By name, what they are: a name or a number.
    """

    name: str
    when: str
    inputs: dict[str, int]
    operations: tuple[Operation, ...]
    outputs: dict[str, str | int]

    def __str__(self) -> str:
        given = ", ".join(f"{name} ({bits} bits)" for name, bits in self.inputs.items())
        lines = [f"{self.name}: {self.when}", f"  in   {given}"]
        lines += [f"  {operation}" for operation in self.operations]
        lines.append("  out  " + ", ".join(f"{name} = {value}" for name, value in self.outputs.items()))
        return "\n".join(lines)


def paths(population: ProgramPopulation, grid: TimeGrid, found: PopulationRange) -> tuple[Path, ...]:
    """The operations of a population's neurons in every kind of step.

    Parameters
    ----------
    population, grid
        The program's.
    found
        What it may receive, which bounds the widths.
    """
    registers = Registers()
    given = assumed(registers, population, grid, found)
    names = ("x", "y") if isinstance(population.ptc, PlaneVector) else ("phase",)
    boxes = {name: given.state[k] for k, name in enumerate(names)}
    arriving = {"a0": given.a0, "a1": given.a1}
    if getattr(population.ptc, "second", None) is not None:
        arriving["a2"] = given.a2

    def trial(local_step: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def run(values: dict[str, Any]) -> dict[str, Any]:
            nothing = values["a0"] * 0
            state: Any = [values[name] for name in names]
            sent = spec.step(population, grid, local_step, state, values["a0"], values["a1"], values.get("a2", nothing))
            return dict(zip(names, sent.state, strict=True)) | {"flag": sent.flag, "payload": sent.payload}

        return run

    def flush(values: dict[str, Any]) -> dict[str, Any]:
        state: Any = [values[name] for name in names]
        nothing = values["a1"] * 0
        sent = spec.step(population, grid, grid.trial_steps + 1, state, nothing, values["a1"], nothing)
        return dict(zip(names, sent.state, strict=True)) | {"flag": sent.flag, "payload": sent.payload}

    steps = grid.trial_steps
    every = f"local steps {'1' if len(names) == 2 else 'up to the trial, from machine step 1,'} to {steps - 1}"
    made = [_path("step", every, population, boxes | arriving, trial(1))] if steps > 1 else []
    made.append(
        _path("last", f"local step {steps}, in which the trial ends", population, boxes | arriving, trial(steps))
    )
    made.append(_path("flush", f"local step {steps + 1}", population, boxes | {"a1": given.pull}, flush))
    return (*_messages(registers, population, given, steps), *made)


def _messages(registers: Registers, population: ProgramPopulation, given: Any, steps: int) -> Sequence[Path]:
    """What happens to the sums that arrive, where a spike is one message."""
    if population.message_bits is None:
        return ()
    most = int(given.a1.high.max()) + int(given.a0.high.max()) * (1 << population.message_bits)
    least = int(given.a1.low.min()) + int(given.a0.low.min()) * (1 << population.message_bits)
    total = registers.interval([least], [most])
    inputs = {"total": total} if population.packed_bits else {"a0": given.a0, "total": total}

    def receive(values: dict[str, Any]) -> dict[str, Any]:
        a0, a1 = spec.sums(population, values.get("a0", 0), values["total"])
        return {"a0": a0, "a1": a1}

    when = f"before a step, up to local step {steps}; in the flush a1 is the total"
    return (_path("receive", when, population, inputs, receive),)


def _path(
    name: str,
    when: str,
    population: ProgramPopulation,
    inputs: dict[str, Any],
    run: Callable[[dict[str, Any]], dict[str, Any]],
) -> Path:
    log = _Log(_tables(population))
    outputs = run({key: _Value(box, key, log) for key, box in inputs.items()})
    widths = {key: _bits(box) for key, box in inputs.items()}
    found: dict[str, str | int] = {key: _name(value) for key, value in outputs.items()}
    return Path(name, when, widths, _used(log.operations, found), found)


def _used(operations: Sequence[Operation], outputs: dict[str, str | int]) -> tuple[Operation, ...]:
    """Those on which an output depends."""
    needed, kept = {value for value in outputs.values() if isinstance(value, str)}, []
    for one in reversed(operations):
        if one.result in needed:
            needed |= {argument for argument in one.arguments if isinstance(argument, str)}
            kept.append(one)
    return tuple(reversed(kept))


def _tables(population: ProgramPopulation) -> dict[str, NDArray[Any]]:
    """The tables of a curve by name, and what each entry is below the next (``rise``)."""
    curve = population.ptc
    if isinstance(curve, PlaneVector):
        return {}
    values = {
        name: getattr(curve, name) for name in ("to_potential", "to_phase", "shift", "twist") if hasattr(curve, name)
    }
    tables = {name: (t.knots if isinstance(t, Table) else t).astype(np.int64) for name, t in values.items()}
    return tables | {f"{name}.rise": rises(t, t.ndim - 1) for name, t in tables.items()}


def _bits(box: Any) -> int:
    low, high = int(box.low.min()), int(box.high.max())
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1


@dataclass
class _Log:
    """Operations in the order in which they are asked for."""

    tables: dict[str, NDArray[Any]]
    operations: list[Operation] = field(default_factory=list)

    def add(self, operation: str, arguments: Sequence[str | int], box: Any) -> "_Value":
        """Note an operation, unless its result is a number or one of its arguments."""
        if int(box.low.min()) == int(box.high.max()):
            return _Value(box, int(box.low.min()), self)
        a, b = (*arguments, 1)[:2]
        if operation in ("add", "bitwise_or") and a == 0:
            return _Value(box, b, self)
        if operation in ("add", "subtract", "left_shift", "right_shift", "bitwise_or") and b == 0:
            return _Value(box, a, self)
        if operation == "multiply" and 1 in arguments:
            return _Value(box, b if a == 1 else a, self)
        if operation == "select" and isinstance(a, int):
            return _Value(box, arguments[1] if a else arguments[2], self)
        name = f"t{len(self.operations) + 1}"
        self.operations.append(Operation(name, operation, tuple(arguments), _bits(box)))
        return _Value(box, name, self)

    def change(self, name: str | int, **values: Any) -> None:
        """Correct what is known about the result of an operation."""
        for k, one in enumerate(self.operations):
            if one.result == name:
                self.operations[k] = replace(one, **values)


class _Value(Examined, NDArrayOperatorsMixin):
    """A number of a step: its interval, and its name among the operations, or the number itself."""

    def __init__(self, box: Any, name: str | int, log: _Log) -> None:
        self.box, self.name, self.log = box, name, log

    def keep(self, name: str, bits: int) -> "_Value":
        """Note what the specification calls it."""
        self.box.keep(name, bits)
        self.log.change(self.name, register=name)
        return self

    def within(self, low: int, high: int) -> "_Value":
        """A fact about the values, no operation."""
        box = self.box.within(low, high)
        self.log.change(self.name, bits=_bits(box))
        return _Value(box, self.name, self.log)

    def shifted_within(self, bits: Any, most: int) -> "_Value":
        """A left shift."""
        box = self.box.shifted_within(bits.box if isinstance(bits, _Value) else bits, most)
        return self.log.add("left_shift", [_name(self), _name(bits)], box)

    def product_within(self, other: Any, most: int) -> "_Value":
        """A product."""
        box = self.box.product_within(other.box if isinstance(other, _Value) else other, most)
        return self.log.add("multiply", [_name(self), _name(other)], box)

    def at_ends(self, function: Callable[[Int], Int], name: str, first: object) -> "_Value":
        """A function that has a name."""
        more = [first.first_octave, first.mantissa_bits] if isinstance(first, Table) else []
        return self.log.add(name, [_name(self), *more], self.box.at_ends(function, name, first))

    def look_in(self, table: Int, *before: Any) -> "_Value":
        """An entry of a table."""
        known = next(name for name, values in self.log.tables.items() if np.array_equal(values, table))
        box = self.box.look_in(table, *(index.box for index in before))
        return self.log.add("entry", [known, *(_name(index) for index in (*before, self))], box)

    def astype(self, _: Any) -> "_Value":
        """The same: there is one type."""
        return self

    def __getitem__(self, key: Any) -> Any:
        # A new axis: of one register.
        assert key is None
        return [self]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        box = ufunc(*(value.box if isinstance(value, _Value) else value for value in inputs))
        return self.log.add(ufunc.__name__, [_name(value) for value in inputs], box)

    def __array_function__(self, function: Any, _: Any, inputs: Sequence[Any], options: Any) -> Any:
        if options:
            return NotImplemented
        if function is np.stack:
            return list(inputs[0])
        box = function(*(value.box if isinstance(value, _Value) else value for value in inputs))
        name = "select" if function is np.where else function.__name__
        return self.log.add(name, [_name(value) for value in inputs], box)


def _name(value: Any) -> Any:
    return value.name if isinstance(value, _Value) else int(value)
