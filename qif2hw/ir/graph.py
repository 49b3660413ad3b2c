"""What networks and programs have in common: input groups, populations, and projections between them."""

from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue
from qif2hw.ir.synapses import Synapses


class _Part(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...


class _Projection(Protocol):
    @property
    def pre(self) -> str: ...
    @property
    def post(self) -> str: ...
    @property
    def synapses(self) -> Synapses: ...


_SHOWN = 6

E = TypeVar("E", bound=_Part)
P = TypeVar("P", bound=_Part)
Q = TypeVar("Q", bound=_Projection)


class Graph(ByValue, Generic[E, P, Q]):
    """Accessors and checks of a graph of input groups ``E``, populations ``P`` and projections ``Q``."""

    encoders: tuple[E, ...]
    populations: tuple[P, ...]
    projections: tuple[Q, ...]
    outputs: tuple[Any, ...]

    @property
    def parts(self) -> tuple[E | P, ...]:
        """Input groups and populations."""
        return (*self.encoders, *self.populations)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Size of every input group and population by name."""
        return {part.name: part.size for part in self.parts}

    def summary(self) -> str:
        """Sizes, synapses and outputs in at most one line."""
        groups = [f"{name} {size}" for name, size in self.sizes.items()]
        if len(groups) > _SHOWN:
            groups[_SHOWN - 1 : -1] = [f".. {len(groups) - _SHOWN} more .."]
        return f"{', '.join(groups)}; {self.synapse_count} synapses, {self.results} output{'s' * (self.results > 1)}"

    @property
    def results(self) -> int:
        """Columns of the result."""
        return sum(output.size for output in self.outputs)

    @property
    def inputs(self) -> int:
        """Number of input channels: columns of an input array."""
        return sum(encoder.size for encoder in self.encoders)

    @property
    def columns(self) -> dict[str, slice]:
        """Columns of an input array by input group."""
        ends = np.cumsum([encoder.size for encoder in self.encoders])
        return {e.name: slice(int(end) - e.size, int(end)) for e, end in zip(self.encoders, ends, strict=True)}

    @property
    def synapse_count(self) -> int:
        """Number of synapses of all projections."""
        return sum(projection.synapses.count for projection in self.projections)

    def check_graph(self) -> None:
        """Check what holds for every graph.

        Raises
        ------
        InputError
            If names clash or are unknown, shapes do not chain, a population has no input, or the graph has a cycle.
        """
        if not (self.encoders and self.populations and self.outputs):
            raise InputError("a network needs at least one input group, one population and one output")
        names = [part.name for part in self.parts]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"the name '{name}' is used twice: input groups and populations need names of their own"
                )
        posts = {p.name for p in self.populations}
        for projection in self.projections:
            where = f"projection {projection.pre} -> {projection.post}"
            if projection.pre not in self.sizes or projection.post not in posts:
                raise InputError(f"{where}: no such population")
            wanted = (self.sizes[projection.post], self.sizes[projection.pre])
            if projection.synapses.shape != wanted:
                raise InputError(
                    f"{where}: its synapses have shape {projection.synapses.shape}, (post, pre) = {wanted} is needed"
                )
        for population in self.populations:
            if not self.incoming(population.name):
                raise InputError(f"population '{population.name}' has no input: connect it or leave it out")
        _ = self.depth

    @cached_property
    def depth(self) -> dict[str, int]:
        """Longest path from the inputs: 0 for an input group, 1 for a population fed by inputs alone ...

        `InputError` names populations that form a cycle.
        """
        depth = {encoder.name: 0 for encoder in self.encoders}
        waiting = [p.name for p in self.populations]
        while waiting:
            ready = [name for name in waiting if all(p.pre in depth for p in self.incoming(name))]
            if not ready:
                raise InputError(
                    f"populations {', '.join(waiting)} form a cycle: only feed-forward networks are supported"
                )
            for name in ready:
                depth[name] = 1 + max(depth[p.pre] for p in self.incoming(name))
            waiting = [name for name in waiting if name not in depth]
        return depth

    @property
    def order(self) -> tuple[P, ...]:
        """Populations sorted by depth."""
        return tuple(sorted(self.populations, key=lambda p: self.depth[p.name]))

    def population(self, name: str) -> P:
        """Population by name."""
        return next(p for p in self.populations if p.name == name)

    def incoming(self, name: str) -> tuple[Q, ...]:
        """Projections onto the population ``name``, in order."""
        return tuple(p for p in self.projections if p.post == name)
