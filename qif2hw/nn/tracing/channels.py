"""Input groups of a network whose parts use columns of one array of inputs."""

import itertools
from dataclasses import dataclass

import numpy as np

from qif2hw import ir
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.expression import Expression
from qif2hw.ir.host_part.host import Input
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.synapses import AnySynapses, Dense
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.synapses import columns, joined
from qif2hw.nn.tracing.expressions import Scaled, scaled_inputs


@dataclass(frozen=True)
class _Column:
    """How a column becomes spikes: its range, spike times of the range's ends (1 and 0), receptive fields."""

    low: float
    high: float
    window: tuple[float, float]
    fields: ReceptiveFields | None

    @property
    def size(self) -> int:
        return 1 if self.fields is None else self.fields.count


@dataclass(frozen=True)
class _Use:
    """Synapses from channels, each a column and which of its fields, to a population."""

    post: str
    channels: tuple[tuple[int, int], ...]
    synapses: AnySynapses
    weight: FloatArray


class Channels:
    """The columns of a module's inputs, what encodes them, and the synapses from them.

    Parameters
    ----------
    width
        Number of columns.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.columns: dict[int, _Column] = {}
        self.uses: list[_Use] = []

    def add(self, part: ir.Network, inputs: tuple[Input, ...], value: Expression) -> None:
        """Let ``part`` have ``value`` (samples, columns) as its ``inputs``; `InputError` if it cannot be that."""
        scaled = _scaled(value, len(inputs))
        if (scaled.slope <= 0).any():
            raise InputError("its input falls where the module's rises: let the scaling rise")
        windows = [(e.earliest, e.latest) for e in part.encoders for _ in range(e.size)]
        channels: list[tuple[int, int]] = []
        for one, column, slope, start in zip(inputs, scaled.columns, scaled.slope, scaled.start, strict=True):
            low, high = (float((end - start) / slope) for end in (one.low, one.high))
            self._claim(column, _Column(low, high, windows[len(channels)], one.fields))
            channels += [(column, field) for field in range(one.size)]
        first = dict(
            zip((e.name for e in part.encoders), np.cumsum([0, *(e.size for e in part.encoders)]), strict=False)
        )
        sizes = {e.name: e.size for e in part.encoders}
        for population in part.populations:
            incoming = [p for p in part.incoming(population.name) if p.pre in first]
            if incoming:
                used = [c for p in incoming for c in channels[first[p.pre] : first[p.pre] + sizes[p.pre]]]
                self.uses.append(_Use(population.name, tuple(used), *joined(incoming)))

    def add_layer(
        self, name: str, layer: QIFLayer, weight: FloatArray, value: Expression, window: tuple[float, float] | None
    ) -> None:
        """Let a layer get spikes at times ``value`` (samples, columns) of inputs in [0, 1].

        With a ``window``, spike times of 1 and 0, ``value`` in [0, 1] is what is encoded.
        """
        scaled = _scaled(value, layer.synapses.shape[1])
        for column, slope, start in zip(scaled.columns, scaled.slope, scaled.start, strict=True):
            ends, (low, high) = (float(start + slope), float(start)), (0.0, 1.0)
            if window is not None:
                if slope <= 0:
                    raise InputError("its input falls where the module's rises: let the scaling rise")
                ends, low, high = window, float((0 - start) / slope), float((1 - start) / slope)
            if not 0 < ends[0] < ends[1] < layer.trial:
                raise InputError(
                    f"column {column} of the inputs spikes at {ends[0]:g} and {ends[1]:g} for 1 and 0: times must "
                    f"fall where inputs rise, and lie in (0, {layer.trial:g})"
                )
            self._claim(column, _Column(low, high, ends, None))
        self.uses.append(_Use(name, tuple((c, 0) for c in scaled.columns), layer.synapses, weight))

    def _claim(self, column: int, how: _Column) -> None:
        if self.columns.setdefault(column, how) != how:
            raise InputError(
                f"column {column} of the inputs is scaled or encoded in another way than for a part before"
            )

    def inputs(self) -> tuple[Input, ...]:
        """The host's inputs; `InputError` if a column reaches no neuron."""
        unused = [k for k in range(self.width) if k not in self.columns]
        if unused:
            raise InputError(f"columns {', '.join(map(str, unused))} of the inputs reach no neuron")
        found = [self.columns[k] for k in range(self.width)]
        return tuple(Input(f"x{k}", one.low, one.high, fields=one.fields) for k, one in enumerate(found))

    def encoders(self) -> tuple[tuple[ir.Encoder, ...], tuple[ir.Projection, ...]]:
        """Input groups, columns side by side with the same window and the same neurons, and their synapses."""

        def kind(column: int) -> tuple[tuple[float, float], tuple[bool, ...]]:
            return self.columns[column].window, tuple((column, 0) in use.channels for use in self.uses)

        groups = [(key, list(same)) for key, same in itertools.groupby(range(self.width), key=kind)]
        encoders, projections = [], []
        for k, ((window, reached), group) in enumerate(groups):
            channels = [(column, field) for column in group for field in range(self.columns[column].size)]
            encoders.append(ir.Encoder(f"input{k}" if len(groups) > 1 else "input", len(channels), *window))
            for use in itertools.compress(self.uses, reached):
                places = [use.channels.index(channel) for channel in channels]
                synapses, weight = chosen(use.synapses, use.weight, places)
                projections.append(ir.Projection(encoders[-1].name, use.post, weight, synapses))
        return tuple(encoders), tuple(projections)


def chosen(synapses: AnySynapses, weight: FloatArray, places: list[int]) -> tuple[AnySynapses, FloatArray]:
    """Synapses from the channels ``places``, in that order, and their weights, (post, places) or (synapses,)."""
    if places == list(range(places[0], places[-1] + 1)):
        return columns(synapses, weight, places[0], places[-1] + 1)
    if not isinstance(synapses, Dense):
        raise InputError("a layer with listed synapses must get the columns of the inputs in order")
    return Dense(synapses.shape[0], len(places)), weight[:, places]


def _scaled(value: Expression, width: int) -> Scaled:
    scaled = scaled_inputs(value)
    if scaled is None:
        raise InputError("its inputs must be columns of the module's, each scaled by numbers")
    if len(scaled.columns) != width:
        raise InputError(f"its input has {len(scaled.columns)} columns, {width} are needed")
    if len(set(scaled.columns)) < width:
        raise InputError("it gets a column of the inputs twice")
    return scaled
