"""Names of coordinates, quantities and derivatives, and functions written with them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qif2hw.errors import InputError
from qif2hw.physics.equation import Value, joined

Ends: TypeAlias = tuple[float, float] | tuple[float, float, str]
"""Range of a coordinate, and its unit if it has one."""
Solution: TypeAlias = Callable[..., Any]
"""From coordinates by name to values of the quantities: one, or a tuple of as many as there are."""


def domain_of(coordinates: Mapping[str, Ends]) -> tuple[tuple[float, float], ...]:
    """Range of every coordinate."""
    return tuple((float(ends[0]), float(ends[1])) for ends in coordinates.values())


def units_of(coordinates: Mapping[str, Ends]) -> list[tuple[str, str]]:
    """Name and unit of every coordinate."""
    return [(name, str(ends[2]) if len(ends) == 3 else "") for name, ends in coordinates.items()]


@dataclass(frozen=True)
class Names:
    """Names of coordinates and quantities, and what is written with them."""

    coordinates: tuple[str, ...]
    quantities: tuple[str, ...]

    def __post_init__(self) -> None:
        every = [*self.coordinates, *self.quantities]
        for name in every:
            if every.count(name) > 1 or not name.isidentifier() or "_" in name:
                raise InputError(f"'{name}' among coordinates and quantities: names differ, letters and digits alone")
        if not self.coordinates or not self.quantities:
            raise InputError("at least one coordinate and one quantity are needed")

    def wanted(self, residual: Callable[..., Any]) -> dict[str, tuple[int | None, tuple[int, ...]]]:
        """What each parameter of the residual is: a coordinate, or a quantity, and what it is differentiated by."""
        return {name: self._meaning(name) for name in inspect.signature(residual).parameters}

    def _meaning(self, name: str) -> tuple[int | None, tuple[int, ...]]:
        if name in self.coordinates:
            return None, (self.coordinates.index(name),)
        quantity, _, along = name.partition("_")
        if quantity in self.quantities:
            found = self._along(along, "_" in name)
            if found is not None:
                return self.quantities.index(quantity), tuple(sorted(found))
        raise InputError(
            f"the residual's parameter '{name}' is none of {', '.join(self.coordinates)}, "
            f"{', '.join(self.quantities)} or a first or second derivative such as "
            f"{self.quantities[0]}_{self.coordinates[0]}"
        )

    def _along(self, text: str, some: bool) -> tuple[int, ...] | None:
        if not some:
            return ()
        for i, first in enumerate(self.coordinates):
            if text == first:
                return (i,)
            for j, second in enumerate(self.coordinates):
                if text == first + second:
                    return (i, j)
        return None

    def field(self, function: Solution | None, default: float, what: str) -> Callable[[Any], Any]:
        """A function of coordinates by name as one of columns (samples, coordinates)."""
        names = [] if function is None else list(inspect.signature(function).parameters)
        for name in names:
            if name not in self.coordinates:
                raise InputError(f"{what} has the parameter '{name}': coordinates are {', '.join(self.coordinates)}")

        def of(c: Any) -> Any:
            columns = {name: c[:, k : k + 1] for k, name in enumerate(self.coordinates)}
            found = default if function is None else function(**{name: columns[name] for name in names})
            parts = list(found) if isinstance(found, tuple | list) else [found] * len(self.quantities)
            if len(parts) != len(self.quantities):
                raise InputError(f"{what} gives {len(parts)} values for {', '.join(self.quantities)}")
            return _together(parts, c[:, :1])

        return of


def _together(parts: Sequence[Any], like: Value) -> Value:
    """Columns side by side; numbers among them become columns, too."""
    columns: list[Value] = [0 * like + part if isinstance(part, int | float) else part for part in parts]
    return joined(columns)
