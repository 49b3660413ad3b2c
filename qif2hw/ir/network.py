"""The float network: populations of QIF neurons in units of time, as trained.

A `Network` is a directed acyclic graph of input groups (`Encoder`), `Population` s and `Projection` s; its result is
computed on the host from first spikes (`Readout`, `Product`, `FirstSpike`).  Every class checks itself when it is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, finite
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.graph import Graph
from qif2hw.ir.host_part.host import Host
from qif2hw.ir.readout import AnyOutput, FirstSpike, Readout, check_alone, decode
from qif2hw.ir.readout.classes import Classifies
from qif2hw.ir.synapses import LEFT_OUT, NOT_GIVEN, AnySynapses, checked_delay, checked_synapses
from qif2hw.neuron import QIF


@dataclass(frozen=True, eq=False)
class Population(ByValue):
    """A group of QIF neurons with the same parameters.

    Parameters
    ----------
    name
        Name of the population.
    neuron
        ``tau`` and ``I0``.
    phi0
        Initial phases (neurons,) in ``[0, Theta)``, in time units.
    """

    name: str
    neuron: QIF
    phi0: FloatArray

    def __post_init__(self) -> None:
        phi0 = finite(self.phi0, f"phi0 of population '{self.name}'")
        if phi0.ndim != 1 or phi0.size == 0:
            raise InputError(f"phi0 of population '{self.name}' has shape {phi0.shape}: one value per neuron is needed")
        if (phi0 < 0).any() or (phi0 >= self.neuron.period).any():
            raise InputError(
                f"phi0 of population '{self.name}' reaches from {phi0.min():g} to {phi0.max():g}: "
                f"initial phases lie in [0, Theta) = [0, {self.neuron.period:g})"
            )
        object.__setattr__(self, "phi0", phi0)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.phi0.size)


@dataclass(frozen=True, eq=False)
class Projection(ByValue):
    """Synapses from ``pre`` (an input group or population) to the population ``post``.

    Parameters
    ----------
    pre, post
        Names.
    weight
        Jump of the potential at a spike, of the shape that the synapses say; all to all ``weight[i, j]`` is that of
        neuron ``i`` at a spike of ``j``, (post, pre).
    synapses
        Which neurons they connect; all to all where not given.
    delay
        Time steps by which what a source sends is late, (pre,); none where not given.  For a stepped clock alone.
    """

    pre: str
    post: str
    weight: FloatArray
    synapses: AnySynapses = field(default=NOT_GIVEN, metadata=LEFT_OUT)
    delay: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        where = f"projection {self.pre} -> {self.post}"
        object.__setattr__(self, "weight", finite(self.weight, f"weight of {where}"))
        object.__setattr__(self, "synapses", checked_synapses(self.synapses, self.weight, where))
        object.__setattr__(self, "delay", checked_delay(self.delay, self.synapses, where))


@dataclass(frozen=True, eq=False)
class Network(Graph[Encoder, Population, Projection], Classifies):
    """A feed-forward network of QIF populations.

    Parameters
    ----------
    trial
        Length ``T`` of a trial, in time units.
    encoders
        Input groups, in the order of the columns of an input array.
    populations
        In any order; `order` sorts them so that each comes after all that project to it.
    projections
        Synapses between them.
    outputs
        What the host computes from the first spikes; concatenated, they are the columns of the result.
    host
        What it computes around that: inputs in the user's units, the solution.  Without it inputs are those of the
        channels, in [0, 1], and results are the solution.

    Raises
    ------
    InputError
        If names clash or are unknown, shapes do not chain, a population has no input, the graph has a cycle, or an
        input could spike outside the trial.
    """

    trial: float
    encoders: tuple[Encoder, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[AnyOutput, ...]
    host: Host | None = None

    def __repr__(self) -> str:
        return f"Network({self.summary()}; trial {self.trial:g})"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.trial) and self.trial > 0):
            raise InputError(f"trial T = {self.trial:g}: a positive length is needed")
        for encoder in self.encoders:
            if not (encoder.earliest > 0 and encoder.latest < self.trial):
                raise InputError(
                    f"input group '{encoder.name}' encodes into ({encoder.earliest:g}, {encoder.latest:g}): "
                    f"this must lie inside the trial (0, {self.trial:g})"
                )
        self.check_graph()
        for p in self.projections:
            if p.delay is not None:
                raise InputError(f"projection {p.pre} -> {p.post} has delays: they need a stepped clock")
        self._check_outputs()
        self.check_host()

    def _check_outputs(self) -> None:
        check_alone(self.outputs)
        posts = {p.name: p.size for p in self.populations}
        for readout in self.readouts:
            if readout.population not in posts:
                raise InputError(f"readout of '{readout.population}': no such population")
            index = readout.neurons
            if index.min() < 0 or index.max() >= posts[readout.population]:
                raise InputError(
                    f"readout of '{readout.population}' names neuron {int(index.max())} of {posts[readout.population]}"
                )

    def decode(self, times: dict[str, FloatArray]) -> FloatArray:
        """Results (samples, outputs) of first spike times (samples, neurons) by population."""
        return decode(self.outputs, times)


def layered(
    weights: Sequence[FloatArray],
    phi0: Sequence[FloatArray],
    *,
    synapses: Sequence[AnySynapses | None] | None = None,
    trial: float,
    encode: tuple[float, float],
    neuron: QIF | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    first_spike: bool = False,
) -> Network:
    """A network of layers: ``input -> layer1 -> ... -> output``, read out as first-spike differences or first spikes.

    Parameters
    ----------
    weights
        One array per layer, (post, pre), or of the shape that its synapses say.
    phi0
        Initial phases (neurons,), in time units, one array per layer.
    trial, encode
        Trial length and the input's earliest and latest spike time, in time units.
    synapses
        One entry per layer; None, or no entries at all, for all to all.
    neuron
        Parameters of all neurons; the default is ``tau = 6 / pi``, ``I0 = 5/4`` (``Theta = 6``).
    scale, offset
        Output ``m`` is ``offset + scale (t[2m+1] - t[2m])``; the last layer has two neurons per output.
    first_spike
        The last layer has one neuron per class instead, and the class is that of the first spike (`FirstSpike`).

    Raises
    ------
    InputError
        If the numbers of arrays differ, shapes do not chain, or a value is not possible.
    """
    neuron = neuron or QIF()
    if not weights or len(weights) != len(phi0):
        raise InputError(
            f"{len(weights)} weight arrays and {len(phi0)} arrays of initial phases: one of each per layer is needed"
        )
    kinds = synapses or [None] * len(weights)
    if len(kinds) != len(weights):
        raise InputError(f"{len(kinds)} kinds of synapses for {len(weights)} layers: one per layer is needed")
    names = ["input", *(f"hidden{k}" for k in range(1, len(weights))), "output"]
    last = len(phi0[-1])
    if not first_spike and (last < 2 or last % 2):
        raise InputError(
            f"the last layer has {last} neurons: two per output are needed (its result is a spike-time difference)"
        )
    output: AnyOutput
    if first_spike:
        output = FirstSpike("output", np.arange(last))
    else:
        pairs = np.arange(last // 2)
        output = Readout("output", 2 * pairs, 2 * pairs + 1, np.full(len(pairs), scale), np.full(len(pairs), offset))
    projections = tuple(
        Projection(pre, post, w) if kind is None else Projection(pre, post, w, kind)
        for pre, post, w, kind in zip(names[:-1], names[1:], weights, kinds, strict=True)
    )
    return Network(
        trial=trial,
        encoders=(Encoder("input", projections[0].synapses.shape[1], *encode),),
        populations=tuple(Population(name, neuron, p) for name, p in zip(names[1:], phi0, strict=True)),
        projections=projections,
        outputs=(output,),
    )
