"""What `qif2hw.ir.Network` and `qif2hw.ir.Program` have in common: input groups, populations, projections, readouts."""

from collections.abc import Sequence
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np

from qif2hw.ir.arrays import ByValue
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.readout import Product, Readout, output_populations_of, readouts_of
from qif2hw.ir.synapses import Synapses


class _Population(Protocol):
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


P = TypeVar("P", bound=_Population)
Q = TypeVar("Q", bound=_Projection)


class Graph(ByValue, Generic[P, Q]):
    """Accessors of a graph of input groups, populations ``P``, projections ``Q`` and outputs."""

    encoders: tuple[Encoder, ...]
    populations: tuple[P, ...]
    projections: tuple[Q, ...]
    outputs: tuple[Readout | Product, ...]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Size of every input group and population by name."""
        parts: Sequence[Encoder | P] = (*self.encoders, *self.populations)
        return {part.name: part.size for part in parts}

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
    def readouts(self) -> tuple[Readout, ...]:
        """All readouts, those inside products included, in order."""
        return readouts_of(self.outputs)

    @property
    def output_populations(self) -> tuple[str, ...]:
        """Populations that are read out, each once, in order; their neurons are the columns of ``spike_time``."""
        return output_populations_of(self.outputs)

    @property
    def synapse_count(self) -> int:
        """Number of synapses of all projections."""
        return sum(projection.synapses.count for projection in self.projections)

    def population(self, name: str) -> P:
        """Population by name."""
        return next(p for p in self.populations if p.name == name)

    def incoming(self, name: str) -> tuple[Q, ...]:
        """Projections onto the population ``name``, in order."""
        return tuple(p for p in self.projections if p.post == name)
