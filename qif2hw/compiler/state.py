"""What passes hand to each other: a network, and typed facts about the program that it becomes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from qif2hw.compiler.targets import Target
from qif2hw.errors import InputError
from qif2hw.ir import Network
from qif2hw.ir.arrays import ByValue, FloatArray
from qif2hw.ir.stepped import SteppedNetwork

Section = dict[str, Any]
"""A pass's part of the report, as plain JSON values."""

F = TypeVar("F")
N = TypeVar("N", Network, SteppedNetwork)


@runtime_checkable
class Checked(Protocol):
    """A fact that is verified whenever a pass has found or replaced it."""

    def check(self, state: Any) -> None:
        """`InputError` if it does not fit the network of the state."""


@dataclass(frozen=True, eq=False)
class Phases(ByValue):
    """Initial phases ``phi0`` (neurons,), in time units, by population."""

    phi0: dict[str, FloatArray]

    def check(self, state: "State") -> None:
        """Shapes and the range of every phase, which a population checks when it is made."""
        for population in state.network.populations:
            replace(population, phi0=self.phi0[population.name])


@dataclass(frozen=True, eq=False)
class Currents(ByValue):
    """Input that the neurons of a stepped network have in every step, by population: its bias."""

    bias: dict[str, FloatArray]

    def check(self, state: "SteppedState") -> None:
        """Shapes and finiteness, which a population checks when it is made."""
        for population in state.network.populations:
            replace(population, bias=self.bias[population.name])


@dataclass(frozen=True, eq=False)
class CompilerState(Generic[N]):
    """A partly compiled network.

    A fact is a frozen dataclass, at most one of each type: ``state[TimeGrid]``.  Facts are defined beside the pass that
    finds them; a pass may replace one that an earlier pass found.

    Parameters
    ----------
    network, target
        What is compiled, for what.
    calibration
        Inputs on which errors are measured, (samples, inputs); with a stepped clock (samples, 1 or time steps, inputs).
    facts
        By type.
    passes
        What has run, in order: the report is theirs.
    """

    network: N
    target: Target
    calibration: FloatArray
    facts: Mapping[type, Any] = field(default_factory=dict)
    passes: tuple["Pass", ...] = ()

    @classmethod
    def start(cls, network: N, target: Target, calibration: FloatArray) -> "CompilerState[N]":
        """Before the first pass: phases, or currents, are the network's; ``calibration`` has the shape of the field."""
        given = (
            Phases({p.name: p.phi0 for p in network.populations})
            if isinstance(network, Network)
            else Currents({p.name: p.bias for p in network.populations})
        )
        return cls(network, target, calibration).having(given)

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

    def having(self, *facts: object) -> "CompilerState[N]":
        """A copy with these facts, in place of those of the same types."""
        return replace(self, facts={**self.facts, **{type(fact): fact for fact in facts}})

    @property
    def report(self) -> dict[str, Section]:
        """What was found, as plain JSON values, by name of the pass."""
        return {one.name: one.report(self) for one in self.passes}


State: TypeAlias = CompilerState[Network]
"""Of an event-driven network, `CompilerState` of a `qif2hw.ir.Network`."""
SteppedState: TypeAlias = CompilerState[SteppedNetwork]
"""Of a network with a stepped clock, `CompilerState` of a `qif2hw.ir.stepped.SteppedNetwork`."""


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

    def run(self, state: CompilerState[Any]) -> CompilerState[Any]:
        """The state with this pass's facts; `InputError` where the network cannot be compiled."""

    def report(self, state: CompilerState[Any]) -> Section:
        """Its section of the report, from the facts."""
