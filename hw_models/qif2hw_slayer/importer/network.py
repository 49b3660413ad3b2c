"""Networks of SLAYER as `SteppedNetwork` s: every weight stays the integer that it is in the file.

A layer becomes a population ``layerK``, K its number in the file.  Currents, voltages and spikes are those of SLAYER,
bit for bit; the step that a spike takes from layer to layer in SLAYER (``delay_shift``) and in netx is left out, since
it delays whole layers: there, layer ``k`` runs ``k`` steps behind.  Results depend on the last layer:

==========================  ================================================================
spikes                      spikes per time step
average                     the same, averaged over each group of neurons
no neuron                   weighted input per time step, in counts of the weights
threshold out of reach      the voltage after the last step, in counts of the weights
==========================  ================================================================
"""

import os
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from qif2hw.discrete import SteppedCUBA
from qif2hw.discrete.cuba import DECAY_UNITY
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Projection, Sparse
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps
from qif2hw_slayer.importer.hdf5 import File, Layer, read
from qif2hw_slayer.importer.neurons import WEIGHT_SCALE, Neuron, neuron_of
from qif2hw_slayer.importer.synapses import Made, synapses_of

Inputs: TypeAlias = Literal["values", "bias"]
"""What is given to a layer of input neurons: see `import_network`."""

INPUT = "input"
OUTPUT = "output"
BIAS_BITS = 14
"""Signed bits of a bias: Lava's has 13, of which ours are a symmetric range."""


def import_network(
    path: str | os.PathLike[str],
    *,
    time_steps: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    inputs: Inputs = "values",
) -> SteppedNetwork:
    """Read a network from an HDF5 file of SLAYER.

    Parameters
    ----------
    path
        The file.
    time_steps
        Steps of a sample; those that the file says where not given.
    input_shape
        Channels, height and width of the input, or (neurons,), for files that do not say it.
    inputs
        Of a network whose first layer has neurons: ``values`` are what SLAYER's input block is given, times its weight,
        plus its bias; ``bias`` are integers in place of both, as netx users set ``in_layer.neuron.bias_mant``.  Other
        networks are given spikes, or numbers of events.

    Raises
    ------
    InputError
        If the file cannot be read or holds something that is not supported; the message names the layer.
    """
    if inputs not in get_args(Inputs):
        raise InputError(f"inputs = {inputs}: {' and '.join(get_args(Inputs))} are possible")
    file = read(path)
    try:
        return _Builder(file, inputs).network(time_steps, input_shape)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None


@dataclass
class _Value:
    """What the next layer receives: from whom, its shape, and how late."""

    source: str
    shape: tuple[int, ...]
    delay: NDArray[np.int32] | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass
class _Builder:
    file: File
    inputs: Inputs
    populations: list[SteppedPopulation] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    frames: Frames | None = None

    def network(self, time_steps: int | None, input_shape: tuple[int, ...] | None) -> SteppedNetwork:
        layers = list(self.file.layers)
        for layer in layers:
            if layer.neuron:
                neuron_of(layer)
        steps = self.file.time_steps if time_steps is None else time_steps
        if steps is None:
            raise InputError("the file does not say how many time steps a sample has: give their number")
        clock = Steps(steps)
        first = layers.pop(0) if layers[0].kind == "input" else None
        value = self._input(first, layers, input_shape)
        if not layers and not self.populations:
            raise InputError("it has no layers behind its input")
        output = None
        for layer in layers:
            if output is not None:
                raise InputError(f"{layer}: nothing can follow a layer that does not spike")
            if layer.kind == "flatten":
                value = replace(value, shape=(value.size,))
            elif layer.kind == "average":
                output = self._average(layer, value, steps)
            elif layer.kind in ("dense", "conv", "pool"):
                value, output = self._spiking(layer, value, steps)
            else:
                raise InputError(f"{layer}: an input layer must come first")
        assert self.frames is not None
        if output is None:
            output = self._count(value, np.arange(value.size), 1 / steps)
        return SteppedNetwork(clock, (self.frames,), tuple(self.populations), tuple(self.projections), (output,))

    def _input(self, layer: Layer | None, behind: list[Layer], given: tuple[int, ...] | None) -> _Value:
        """The input group, and its neurons where the file has them."""
        shape = _usual(layer.shape) if layer is not None and layer.shape is not None else None
        if shape is None:
            shape = given or _inputs_of_dense(behind)
        if shape is None:
            raise InputError("the file does not say the shape of its input: give it (channels, height, width)")
        if given is not None and np.prod(given) != np.prod(shape):
            raise InputError(f"the input has shape {shape} in the file, {given} is given")
        value = _Value(INPUT, shape)
        if layer is None or not layer.neuron:
            if self.inputs == "bias":
                raise InputError("inputs = bias: the file has no layer of input neurons")
            self.frames = Frames(INPUT, shape, 1.0, _event_bits(behind))
            return value
        neuron = neuron_of(layer)
        channels = shape if len(shape) == 3 else (shape[0], 1, 1)
        each = Conv2d((channels[0], channels[1], channels[2]), channels[0], (1, 1), groups=channels[0])
        if self.inputs == "bias":
            self._check_bias_only(layer, neuron)
            self.frames = Frames(INPUT, shape, 1.0, BIAS_BITS)
            weight, bias = 1.0, 0.0
        else:
            self.frames = Frames(INPUT, shape, neuron.value)
            weight, bias = layer.single("weight", WEIGHT_SCALE), layer.single("bias", 0)
            if bias:
                self._check_bias_only(layer, neuron)
        made = Made(shape, np.full(each.weight_shape, weight), each)
        self._population(layer, neuron, made, np.full(shape[0], bias), value)
        return replace(value, source=self.populations[-1].name)

    def _check_bias_only(self, layer: Layer, neuron: Neuron) -> None:
        """A current that lasts would add up: what SLAYER adds to it is then no bias of the voltage."""
        if isinstance(neuron.neuron, SteppedCUBA) and set(neuron.neuron.current_decay) != {DECAY_UNITY}:
            raise InputError(
                f"{layer}: a bias of input neurons whose current lasts (iDecay below 4096) is not supported"
            )

    def _spiking(self, layer: Layer, value: _Value, steps: int) -> tuple[_Value, Accumulated | None]:
        """A layer of synapses and neurons, or synapses alone, whose result is their sum."""
        made = synapses_of(layer, value.shape)
        bias = _per_channel(layer, "bias", made.shape)
        if not layer.neuron:
            name = f"layer{layer.place}"
            self.populations.append(SteppedPopulation(name, Accumulator(), made.shape, bias, 1.0))
            self.projections.append(Projection(value.source, name, made.weight, made.synapses, value.delay))
            return value, Accumulated(name, 1 / steps)
        population = self._population(layer, neuron_of(layer), made, bias, value)
        if not population.spiking:
            return value, Accumulated(population.name)
        return _Value(population.name, made.shape, _delay(layer, made.shape)), None

    def _population(
        self, layer: Layer, neuron: Neuron, made: Made, bias: FloatArray, value: _Value
    ) -> SteppedPopulation:
        name = f"layer{layer.place}"
        self.populations.append(SteppedPopulation(name, neuron.neuron, made.shape, bias * neuron.weight, neuron.unit))
        self.projections.append(Projection(value.source, name, made.weight * neuron.weight, made.synapses, value.delay))
        return self.populations[-1]

    def _average(self, layer: Layer, value: _Value, steps: int) -> Accumulated:
        """Spikes per time step, averaged over as many groups of neighbours as the layer has outputs."""
        if layer.shape is None:
            raise InputError(f"{layer}: 'shape' is missing, it says the number of groups")
        groups = int(np.prod(layer.shape))
        if value.size % groups:
            raise InputError(f"{layer}: {value.size} neurons cannot be averaged in {groups} groups")
        size = value.size // groups
        return self._count(value, np.arange(value.size) // size, 1 / (size * steps))

    def _count(self, value: _Value, group: NDArray[np.int64], scale: float) -> Accumulated:
        """Spikes of each group of neurons, times ``scale``."""
        groups = int(group.max()) + 1
        synapses = Sparse(
            np.searchsorted(group, np.arange(groups + 1)).astype(np.int64), np.arange(value.size), value.size
        )
        self.populations.append(SteppedPopulation(OUTPUT, Accumulator(), (groups,), np.zeros(groups), 1.0))
        self.projections.append(Projection(value.source, OUTPUT, np.ones(value.size), synapses, value.delay))
        return Accumulated(OUTPUT, scale)


def _usual(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Channels, height and width, or neurons."""
    return shape if len(shape) in (1, 3) else (int(np.prod(shape)),)


def _per_channel(layer: Layer, key: str, shape: tuple[int, ...]) -> FloatArray:
    """A value for each channel, given so, or once, or for each neuron; 0 where not given."""
    if key not in layer.values:
        return np.zeros(shape[0])
    value = layer.whole(key)
    if value.size == 1:
        return np.full(shape[0], value.item())
    if value.size == shape[0]:
        return value.ravel()
    if value.size != np.prod(shape):
        raise InputError(f"{layer}: '{key}' has {value.size} values, one for each of {shape[0]} channels is needed")
    return value.reshape(shape)


def _delay(layer: Layer, shape: tuple[int, ...]) -> NDArray[np.int32] | None:
    """Steps by which what the layer sends is late, for each neuron."""
    if "delay" not in layer.values:
        return None
    steps = _per_channel(layer, "delay", shape)
    steps = np.broadcast_to(steps.reshape(steps.shape + (1,) * (len(shape) - steps.ndim)), shape)
    return np.clip(steps.ravel(), -1, 1 << 30).astype(np.int32)


def _inputs_of_dense(layers: list[Layer]) -> tuple[int, ...] | None:
    """Inputs that the first layer of synapses has, if it is all to all."""
    first = next((layer for layer in layers if layer.kind != "flatten"), None)
    if first is None or first.kind != "dense":
        return None
    weight = first.array("weight")
    return (int(weight.shape[1] if weight.ndim > 1 else first.single("inFeatures", weight.size)),)


def _event_bits(layers: list[Layer]) -> int:
    """Signed bits of numbers of events: nine, fewer where the sums of a wide layer would leave its registers."""
    first = next((layer for layer in layers if layer.kind in ("dense", "conv")), None)
    if first is None or first.array("weight").size == 0:
        return 2
    weight = np.abs(first.array("weight"))
    largest = weight.reshape(len(weight) if weight.ndim > 1 else 1, -1).sum(axis=1).max() * WEIGHT_SCALE
    # A plane vector takes twice its potential, and has a threshold beside its input.
    most = 1 << (21 if first.neuron.get("type") == "QIF" else 23)
    return next((bits for bits in range(9, 2, -1) if largest * (1 << (bits - 1)) < most), 2)
