"""Layered QIF networks in torch: latency encoder, layers, readout of first spikes or of their differences."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn

from qif2hw import ir
from qif2hw.errors import InputError
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.inputs import check_inputs
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.synapses import AnySynapses
from qif2hw.neuron import QIF, difference, latency
from qif2hw.nn.encoding import activities, activity_jets
from qif2hw.nn.functional.output import ForwardPass, LayerOutput
from qif2hw.nn.layer import QIFLayer, Route, can_chain, route, run_chain
from qif2hw.nn.regime import Regime
from qif2hw.nn.synapses import columns, joined
from qif2hw.seeds import check_seed

NetworkReadout: TypeAlias = Literal["difference", "first_spike"]
"""What the results of a network are."""
LATE = 0.1
"""Weight of `QIFNetwork.deadline_penalty` in a loss."""


class _Layers(nn.ModuleList):
    """Layers of a network; refuses at once those that a network cannot hold."""

    def add_module(self, name: str, module: nn.Module | None) -> None:
        _check_layer(name, module)
        super().add_module(name, module)

    def insert(self, index: int, module: nn.Module) -> None:
        _check_layer(f"{index}", module)
        super().insert(index, module)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Module):
            _check_layer(name, value)
        super().__setattr__(name, value)


def _check_layer(name: str, module: nn.Module | None) -> None:
    if not isinstance(module, QIFLayer) or module.recurrent:
        what = "recurrent" if isinstance(module, QIFLayer) else f"a {type(module).__name__}"
        raise InputError(
            f"layer {name} of a network is {what}: a QIFNetwork holds feed-forward QIFLayers, "
            "because a network for compiling has no cycles"
        )


class QIFNetwork(nn.Module):
    """Layers of QIF neurons; output ``m`` is ``offset_m + scale_m (t[2m+1] - t[2m])``.

    Layers may be replaced, ``network.layers[1] = QIFLayer(...)``, also by such with listed synapses.

    Parameters
    ----------
    sizes
        Inputs, hidden layers, outputs times two; or classes, with a first-spike readout.
    readout
        ``difference``, or ``first_spike``: the results are then the first spike times of the classes
        (`qif2hw.ir.FirstSpike`).
    synapses
        Of each layer, see `QIFLayer`; None for all to all, for one layer or for all of them.
    scale, offset
        Of the readout; numbers, the same for all outputs.
    neuron, regime
        Parameters of the neurons; times and initialisation.
    weight_bits
        Weights on the hardware's grid, gradients passed straight through; None for free weights.
    seed
        Of the initialisation.
    dtype
        float64 or float32.
    fields
        Receptive fields that encode each input; ``sizes`` begins with the number of them all.  None for one spike per
        input.

    Raises
    ------
    InputError
        On sizes, synapses or encoding windows that do not fit each other.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        *,
        synapses: Sequence[AnySynapses | None] | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
        neuron: QIF | None = None,
        regime: Regime | None = None,
        weight_bits: int | None = None,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        fields: ReceptiveFields | None = None,
        readout: NetworkReadout = "difference",
    ) -> None:
        super().__init__()
        self.readout = _checked_sizes(sizes, readout)
        if synapses is not None and len(synapses) != len(sizes) - 1:
            raise InputError(f"synapses of {len(synapses)} layers for {len(sizes) - 1}: one for each layer is needed")
        if fields is not None and sizes[0] % fields.count:
            raise InputError(f"{sizes[0]} channels for inputs of {fields.count} receptive fields each")
        self.sizes, self.fields = tuple(sizes), fields
        self.neuron = neuron or QIF()
        self.regime = regime or Regime()
        check_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.layers = _Layers(
            QIFLayer(
                pre,
                post,
                synapses=None if synapses is None else synapses[k],
                trial=self.regime.trial,
                neuron=self.neuron,
                spread=self.regime.spread if k else self.regime.input_spread,
                phases=self.regime.hidden_phases if k else self.regime.input_phases,
                generator=generator,
                dtype=dtype,
            )
            for k, (pre, post) in enumerate(itertools.pairwise(sizes))
        )
        with torch.no_grad():
            phases = self.regime.output_phases if readout == "difference" else self.regime.output_phases[:1]
            self.last.phi0.copy_(torch.tensor(phases, dtype=dtype).repeat(sizes[-1] // len(phases)))
            self.last.keep_inside()
            if self.regime.centred:
                for layer in itertools.islice(self.layers, 1, None):
                    layer.centre()
        # With first spikes as results these scale what the kernel computes beside them.
        outputs = sizes[-1] // 2
        earliest, latest = torch.tensor(self._windows(), dtype=dtype).T
        self.register_buffer("earliest", earliest.clone(), persistent=False)
        self.register_buffer("latest", latest.clone(), persistent=False)
        self.register_buffer("scale", torch.full((outputs,), float(scale), dtype=dtype))
        self.register_buffer("offset", torch.full((outputs,), float(offset), dtype=dtype))
        self.weight_bits = weight_bits

    scale: Tensor
    offset: Tensor
    earliest: Tensor
    latest: Tensor

    @property
    def last(self) -> QIFLayer:
        """The output layer."""
        layer = self.layers[-1]
        assert isinstance(layer, QIFLayer)
        return layer

    @property
    def weight_bits(self) -> int | None:
        """Bits of the weights' grid in every layer; None for free weights."""
        return self.last.weight_bits

    @weight_bits.setter
    def weight_bits(self, bits: int | None) -> None:
        for layer in self.layers:
            layer.weight_bits = bits

    @property
    def width(self) -> int:
        """Number of inputs."""
        return self.sizes[0] if self.fields is None else self.sizes[0] // self.fields.count

    def _windows(self) -> list[tuple[float, float]]:
        """Spike times of 1 and 0 for each channel; the fields of an input share its own."""
        each = self.sizes[0] // self.width
        return [window for window in self.regime.windows(self.width) for _ in range(each)]

    @property
    def input_fields(self) -> tuple[ReceptiveFields | None, ...]:
        """Receptive fields of each input."""
        return (self.fields,) * self.width

    def channels(self, x: Tensor) -> Tensor:
        """What the channels get, (batch, channels) in [0, 1], of ``x`` (batch, inputs) in [0, 1]."""
        return x if self.fields is None else activities(self.fields, x)

    def encode(self, x: Tensor) -> Tensor:
        """Spike times (batch, channels, 1), in time units, of ``x`` (batch, inputs) in [0, 1].

        The larger what a channel gets, the earlier it spikes.
        """
        return self._times(self.channels(x))

    def encode_jets(self, x: Tensor, directions: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
        """`encode` with its derivatives by the inputs, (1 + directions + pairs, batch, channels, 1), in float64.

        ``directions`` (directions, inputs) are those of `qif2hw.nn.jets`, and ``pairs`` of them the second derivatives.
        """
        slope = (self.earliest - self.latest).double()
        each = 1 if self.fields is None else self.fields.count
        along = directions.repeat_interleave(each, dim=1)
        if self.fields is None:
            values, first, second = x, torch.ones_like(x), torch.zeros_like(x)
        else:
            values, first, second = activity_jets(self.fields, x)
        return torch.stack(
            [
                latency(values, self.earliest.double(), self.latest.double()),
                *(slope * row * first for row in along),
                *(slope * along[i] * along[j] * second for i, j in pairs),
            ]
        ).unsqueeze(3)

    def _times(self, channels: Tensor) -> Tensor:
        return latency(channels, self.earliest, self.latest).unsqueeze(2)

    def run(self, x: Tensor, *, path: Route | None = None) -> ForwardPass:
        """Forward pass of ``x`` (batch, inputs) with the spikes of every layer; ``path`` as in `QIFLayer.forward`."""
        layers, encoder = list(self.layers), (self.earliest, self.latest)
        chained = route(x, path) == "kernel" and can_chain(layers)
        if chained and self.fields is None and x.dtype == encoder[0].dtype:
            # The kernel looks at inputs and parameters as it reads them; here only if it finds something.
            self._check_shape(x)
            return self._chained(layers, x, encoder, partial(self._check, x))
        self._check(x)
        x = self.channels(x)
        if chained:
            given = (x, encoder) if x.dtype == encoder[0].dtype else (self._times(x), None)
            return self._chained(layers, given[0], given[1], None)
        times, psi = self._times(x), None
        done: list[LayerOutput] = []
        for layer in layers:
            done.append(layer(times, psi, path=path))
            times, psi = done[-1].times, done[-1].psi
        first = done[-1].first()
        y = first
        if self.readout == "difference":
            y = difference(first[:, 0::2], first[:, 1::2], self.scale, self.offset)
        return ForwardPass(y, first, lambda: done)

    def _chained(
        self, layers: list[Any], x: Tensor, encoder: tuple[Tensor, Tensor] | None, look: Callable[[], None] | None
    ) -> ForwardPass:
        found = run_chain(layers, x, None, encoder=encoder, readout=(self.scale, self.offset), look=look)
        return found if self.readout == "difference" else replace(found, y=found.first)

    def _check(self, x: Tensor) -> None:
        self.check_inputs(x)
        self.check_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Results (batch, outputs) of inputs ``x`` (batch, inputs) in [0, 1]."""
        return self.run(x).y

    def deadline_penalty(self, first: Tensor) -> Tensor:
        """``0.1 relu(t - (T - margin))^2``, averaged: keeps the outputs inside the trial; 0 without a margin.

        ``t`` are the times ``first`` (batch, neurons) of the last layer's first spikes.
        """
        if self.regime.margin is None:
            return first.new_zeros(())
        return LATE * self.lateness(first).square().mean()

    def lateness(self, first: Tensor) -> Tensor:
        """``relu(t - (T - margin))`` of `deadline_penalty`, (batch, neurons); 0 without a margin."""
        if self.regime.margin is None:
            return torch.zeros_like(first)
        return torch.relu(first - (self.regime.trial - self.regime.margin))

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Put all initial phases back into [0, Theta)."""
        for layer in self.layers:
            layer.keep_inside()

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """All weights, and all initial phases."""
        return [layer.weight for layer in self.layers], [layer.phi0 for layer in self.layers]

    def get_extra_state(self) -> Tensor:
        """Part of a state that `set_extra_state` compares, float64 (channels, 2): spike times of inputs 1 and 0.

        A network with receptive fields has a row more, their count and overlap.
        """
        fields = [] if self.fields is None else [(float(self.fields.count), self.fields.overlap)]
        return torch.tensor([*self._windows(), *fields], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """`InputError` unless ``state`` (channels, 2) is of a network that encodes its inputs in the same way."""
        own, other = self.get_extra_state(), state.cpu()
        if not torch.equal(own, other):
            raise InputError(
                f"this state is of a network that encodes its inputs into {other.tolist()}, here {own.tolist()}"
            )

    @torch.no_grad()
    def check_inputs(self, x: Tensor) -> None:
        """`InputError` unless ``x`` has shape (samples, inputs) and values in [0, 1]."""
        self._check_shape(x)
        if not x.numel():
            return
        low, high = (float(end) for end in x.aminmax())
        if not (low >= 0 and high <= 1):
            # Says which value it is, as the other executions do.
            check_inputs(x.detach().double().cpu().numpy(), self.width)

    def _check_shape(self, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.width:
            raise InputError(f"inputs have shape {tuple(x.shape)}: (samples, {self.width}) is needed")

    def check_parameters(self) -> None:
        """`QIFLayer.check_parameters` of all layers, with their names."""
        for k, layer in enumerate(self.layers):
            layer.check_parameters(f"layers.{k}.")

    def check_equal(self) -> None:
        """`InputError` if a layer has another neuron or trial than the network; only `run` can compute such layers."""
        for k, layer in enumerate(self.layers, start=1):
            if layer.neuron != self.neuron or layer.trial != self.regime.trial:
                raise InputError(
                    f"layer {k} has {layer.neuron} and T = {layer.trial:g}, the network {self.neuron} and "
                    f"T = {self.regime.trial:g}: they must be equal"
                )

    def to_network(self) -> ir.Network:
        """The network as an `ir.Network`, with the same synapses; with `weight_bits` its weights lie on the grid.

        Raises
        ------
        InputError
            If its layers do not have one neuron, one trial and sizes that fit.
        """
        self.check_equal()
        with torch.no_grad():
            weights = [layer.effective_weight().double().cpu().numpy() for layer in self.layers]
        names = [*(f"hidden{k}" for k in range(1, len(weights))), "output"]
        encoders = _encoders(self._windows())
        ends = itertools.accumulate((encoder.size for encoder in encoders), initial=0)
        links = []
        for encoder, (low, high) in zip(encoders, itertools.pairwise(ends), strict=True):
            synapses, weight = columns(self.layers[0].synapses, weights[0], low, high)
            links.append((encoder.name, names[0], weight, synapses))
        for k, (pre, post) in enumerate(itertools.pairwise(names), start=1):
            links.append((pre, post, weights[k], self.layers[k].synapses))
        return ir.Network(
            trial=self.regime.trial,
            encoders=tuple(encoders),
            populations=tuple(
                ir.Population(name, self.neuron, layer.phi0.detach().double().cpu().numpy())
                for name, layer in zip(names, self.layers, strict=True)
            ),
            projections=tuple(ir.Projection(*link) for link in links),
            outputs=(self._output(),),
            host=None if self.fields is None else self._host(self.fields),
        )

    def _output(self) -> ir.Readout | ir.FirstSpike:
        if self.readout == "first_spike":
            return ir.FirstSpike("output", np.arange(self.sizes[-1]))
        pairs = np.arange(self.sizes[-1] // 2)
        scale, offset = (values.double().cpu().numpy() for values in (self.scale, self.offset))
        return ir.Readout("output", 2 * pairs, 2 * pairs + 1, scale, offset)

    def _host(self, fields: ReceptiveFields) -> Host:
        inputs = tuple(Input(f"x{k}", fields=fields) for k in range(self.width))
        return Host(inputs, tuple(Output(f"y{k}") for k in range(self._output().size)))

    @classmethod
    def from_network(
        cls, network: ir.Network, *, weight_bits: int | None = None, dtype: torch.dtype = torch.float64
    ) -> "QIFNetwork":
        """A torch network with the results and the synapses of ``network``, and its receptive fields.

        Its inputs are those of ``network`` scaled to [0, 1], and what a host makes of the results is left to
        `HostedNetwork`.

        Raises
        ------
        InputError
            If ``network`` has different receptive fields for its inputs, or is not a chain of layers of equal neurons
            with two output neurons per result, or one per class.
        """
        chain = network.order
        names = [p.name for p in chain]
        fed = [(encoder.name, names[0]) for encoder in network.encoders]
        links = [(p.pre, p.post) for population in chain for p in network.incoming(population.name)]
        readout = network.outputs[0]
        if (
            links != [*fed, *itertools.pairwise(names)]
            or len({p.neuron for p in chain}) != 1
            or len(network.outputs) != 1
            or isinstance(readout, ir.Product)
            or readout.population != names[-1]
            or not _reads_all(readout, chain[-1].size)
        ):
            raise InputError(
                "this network is not a chain of layers of equal neurons with two output neurons per result: "
                "QIFNetwork cannot hold it"
            )
        fields = {None} if network.host is None else {one.fields for one in network.host.inputs}
        if len(fields) > 1:
            raise InputError("this network has different receptive fields for its inputs: QIFNetwork cannot hold it")
        channels = tuple((e.earliest, e.latest) for e in network.encoders for _ in range(e.size))
        windows = channels[:: network.inputs // network.width]
        incoming = [joined(network.incoming(population.name)) for population in chain]
        made = cls(
            (network.inputs, *(p.size for p in chain)),
            synapses=[synapses for synapses, _ in incoming],
            neuron=chain[0].neuron,
            regime=Regime(trial=network.trial, encode=windows[0] if len(set(windows)) == 1 else windows),
            weight_bits=weight_bits,
            dtype=dtype,
            fields=fields.pop(),
            readout="difference" if isinstance(readout, ir.Readout) else "first_spike",
        )
        with torch.no_grad():
            for layer, population, (_, weight) in zip(made.layers, chain, incoming, strict=True):
                layer.weight.copy_(torch.from_numpy(weight.copy()))
                layer.phi0.copy_(torch.from_numpy(population.phi0.copy()))
            if isinstance(readout, ir.Readout):
                made.scale.copy_(torch.from_numpy(readout.scale.copy()))
                made.offset.copy_(torch.from_numpy(readout.offset.copy()))
        return made


def _checked_sizes(sizes: tuple[int, ...], readout: NetworkReadout) -> NetworkReadout:
    """The readout; `InputError` if there is none of its name, or sizes do not fit it."""
    shown = "-".join(map(str, sizes))
    if readout not in get_args(NetworkReadout):
        raise InputError(f"readout {readout!r}: known are {', '.join(get_args(NetworkReadout))}")
    if len(sizes) < 2 or min(sizes) < 1 or (readout == "difference" and sizes[-1] % 2):
        raise InputError(f"network sizes {shown}: at least two, the last one even")
    if readout == "first_spike" and sizes[-1] < 2:
        raise InputError(f"network sizes {shown}: the first spike tells at least two classes apart")
    return readout


def _reads_all(readout: ir.Readout | ir.FirstSpike, size: int) -> bool:
    """Whether a readout is that of a `QIFNetwork` whose last layer has ``size`` neurons."""
    if isinstance(readout, ir.FirstSpike):
        return np.array_equal(readout.neuron, np.arange(size))
    return np.array_equal(readout.neurons, np.concatenate([np.arange(0, size - 1, 2), np.arange(1, size, 2)]))


def _encoders(windows: list[tuple[float, float]]) -> list[ir.Encoder]:
    """One input group for each run of inputs with the same window."""
    groups = [(window, len(list(same))) for window, same in itertools.groupby(windows)]
    names = ["input"] if len(groups) == 1 else [f"input{k}" for k in range(1, 1 + len(groups))]
    return [ir.Encoder(name, size, *window) for name, (window, size) in zip(names, groups, strict=True)]
