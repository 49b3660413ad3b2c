"""What passes hand to each other: a network, and typed facts about the program that it becomes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Protocol, TypeVar

from qif2hw.compiler.targets import Target
from qif2hw.errors import InputError
from qif2hw.ir import Network
from qif2hw.ir.arrays import ByValue, FloatArray

Section = dict[str, Any]
"""A pass's part of the report, as plain JSON values."""

F = TypeVar("F")


@dataclass(frozen=True, eq=False)
class Phases(ByValue):
    """Initial phases ``phi0`` (neurons,), in time units, by population."""

    phi0: dict[str, FloatArray]


@dataclass(frozen=True, eq=False)
class State:
    """A partly compiled network.

    A fact is a frozen dataclass, at most one of each type: ``state[TimeGrid]``.  Facts are defined beside the pass that
    finds them; a pass may replace one that an earlier pass found.

    Parameters
    ----------
    network, target
        What is compiled, for what.
    calibration
        Inputs on which errors are measured, (samples, inputs).
    facts
        By type.
    passes
        What has run, in order: the report is theirs.
    """

    network: Network
    target: Target
    calibration: FloatArray
    facts: Mapping[type, Any] = field(default_factory=dict)
    passes: tuple["Pass", ...] = ()

    @classmethod
    def start(cls, network: Network, target: Target, calibration: FloatArray) -> "State":
        """Before the first pass: the initial phases are those of the network."""
        return cls(network, target, calibration).having(Phases({p.name: p.phi0 for p in network.populations}))

    def __getitem__(self, kind: type[F]) -> F:
        """The fact of a type; `InputError` if it has not been found, or if the pass that asks does not declare it."""
        found = self.get(kind)
        if found is None:
            raise InputError(f"passes: no pass before this one finds {kind.__name__}, or it is not declared")
        return found

    def get(self, kind: type[F]) -> F | None:
        """The fact of a type, None if it has not been found."""
        found: F | None = self.facts.get(kind)
        return found

    def having(self, *facts: object) -> "State":
        """A copy with these facts, in place of those of the same types."""
        return replace(self, facts={**self.facts, **{type(fact): fact for fact in facts}})

    @property
    def report(self) -> dict[str, Section]:
        """What was found, as plain JSON values, by name of the pass."""
        return {one.name: one.report(self) for one in self.passes}


def plain(fact: Any) -> Section:
    """A fact as plain JSON values; of one that says why it was ``skipped``, that alone."""
    values = {name: _plain(value) for name, value in asdict(fact).items()}
    skipped = values.pop("skipped", "")
    return {"skipped": skipped} if skipped else values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


class Pass(Protocol):
    """A step of the compiler: a frozen dataclass, equal by value, whose fields are its options.

    Its result depends on its options, on the network, target and calibration inputs, and on the facts that it declares
    to read; it sees no others.
    """

    name: ClassVar[str]
    """In lists of passes and in the report."""
    reads: ClassVar[tuple[type, ...]]
    """Facts that it needs."""
    writes: ClassVar[tuple[type, ...]]
    """Facts that it finds or replaces."""

    def run(self, state: State) -> State:
        """The state with this pass's facts; `InputError` where the network cannot be compiled."""

    def report(self, state: State) -> Section:
        """Its section of the report, from the facts."""
