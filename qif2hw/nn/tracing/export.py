"""From a torch module of convolutions, linear layers and neurons in discrete time to a stepped network.

The module is traced with `torch.fx`; layers between two populations are folded (`qif2hw.nn.tracing.affine`).
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from qif2hw.discrete import SteppedLIF
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Projection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedNeuron, SteppedPopulation, Steps
from qif2hw.nn.discrete import Accumulate, Standardize, SteppedNeurons
from qif2hw.nn.discrete import Frames as FramesModule
from qif2hw.nn.tracing import affine
from qif2hw.nn.tracing.affine import Affine

INPUT, OUTPUT = "input", "output"
"""Names of the input group and of the population that accumulates the results."""


def export(module: nn.Module, input_shape: tuple[int, ...], time_steps: int) -> SteppedNetwork:
    """A stepped network that computes what a torch module computes in evaluation mode.

    Parameters
    ----------
    module
        An ``nn.Sequential`` or any module that `torch.fx` can trace, of ``Conv2d``, ``Linear``, ``BatchNorm1d/2d``,
        average and maximum pooling, ``Flatten``, additions, and `qif2hw.nn.DiscreteQIF` or ``LIF``; `qif2hw.nn.Frames`
        and `Standardize` first and `qif2hw.nn.Accumulate` last; in evaluation mode.  ``Dropout`` and ``Identity`` are
        left out.
    input_shape
        Shape of one sample at one time step: (channels, height, width) or (inputs,).
    time_steps
        Number of time steps.

    Returns
    -------
    SteppedNetwork
        Its result is the mean over the time steps of the module's output.

    Raises
    ------
    InputError
        If the module is in training mode, cannot be traced, or holds something that cannot be exported: all such
        layers are named by their paths.
    """
    clock = Steps(time_steps)
    if module.training:
        raise InputError("the module is in training mode: call module.eval() before it is exported")
    try:
        graph = fx.Tracer().trace(module)
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"the module cannot be traced ({reason}): keep control flow out of its forward") from None
    return _Export(module, clock, input_shape).network(graph)


class _Export:
    """The network as far as the graph has been read, and what in it cannot be exported."""

    def __init__(self, module: nn.Module, clock: Steps, input_shape: tuple[int, ...]) -> None:
        self.module, self.clock = module, clock
        self.frames = Frames(INPUT, input_shape)
        self.populations: list[SteppedPopulation] = []
        self.projections: list[Projection] = []
        self.problems: list[str] = []
        self.values: dict[fx.Node, Affine | None] = {}
        self.lead: int | None = None
        self.calls = {
            "call_module": self._module,
            "call_function": self._function,
            "call_method": self._function,
        }

    def network(self, graph: fx.Graph) -> SteppedNetwork:
        self.lead = self._leading_dimensions(graph)
        inputs = 0
        for node in graph.nodes:
            if node.op == "placeholder":
                inputs += 1
                self.values[node] = Affine.of_source(INPUT, self.frames.shape)
            elif node.op == "output":
                result = node.args[0]
            else:
                self.values[node] = self._value(node)
        if inputs != 1:
            raise InputError(f"the module has {inputs} inputs: one is needed")
        if self.problems:
            raise InputError(f"the module cannot be exported: {'; '.join(self.problems)}")
        value = self.values.get(result) if isinstance(result, fx.Node) else None
        if value is None:
            raise InputError("the module must return one tensor")
        self._population(OUTPUT, Accumulator(), affine.flatten(value) if len(value.shape) == 3 else value)
        return SteppedNetwork(
            self.clock,
            (self.frames,),
            tuple(self.populations),
            tuple(self.projections),
            (Accumulated(OUTPUT, 1 / self.clock.count),),
        )

    def _leading_dimensions(self, graph: fx.Graph) -> int:
        """Dimensions before a sample's own: 1 for (T N, ...), 2 for (T, N, ...)."""
        found: set[int | None] = set()
        for node in graph.nodes:
            module = self.module.get_submodule(node.target) if node.op == "call_module" else None
            if isinstance(module, SteppedNeurons):
                found.add(module.time_steps)
        counts = sorted(count for count in found if count is not None)
        if counts and counts != [self.clock.count]:
            raise InputError(
                f"the module's neurons have {', '.join(map(str, counts))} time steps, {self.clock.count} are asked for"
            )
        if None in found and counts:
            raise InputError("some neurons are given a number of time_steps and some are not: give it to all or none")
        return 2 if None in found else 1

    def _value(self, node: fx.Node) -> Affine | None:
        used = [self.values.get(n) for n in node.all_input_nodes]
        if any(value is None for value in used):
            return None  # What it needs has been named already.
        try:
            return self.calls[node.op](node) if node.op in self.calls else _refuse(f"{node.op} is not supported")
        except InputError as error:
            self.problems.append(f"{_name(node)}: {error}")
            return None

    def _module(self, node: fx.Node) -> Affine:
        module, value = self.module.get_submodule(str(node.target)), self._argument(node.args[0])
        if isinstance(module, SteppedNeurons):
            if module.hold and any(path.source != INPUT for path in value.paths):
                raise InputError("hold: its input changes from step to step")
            return self._spikes(str(node.target), module.neuron, value)
        if isinstance(module, Accumulate) and any(user.op != "output" for user in node.users):
            raise InputError("it must come last: the results are accumulated there")
        if isinstance(module, nn.MaxPool2d):
            return self._any_spike(str(node.target), module, value)
        for kind, apply in LAYERS.items():
            if isinstance(module, kind):
                return apply(module, value, self.lead or 1)
        return _refuse(f"{type(module).__name__} is not supported")

    def _function(self, node: fx.Node) -> Affine:
        target = node.target if node.op == "call_function" else f"Tensor.{node.target}"
        if target not in FUNCTIONS:
            return _refuse(f"{getattr(target, '__name__', target)} is not supported")
        values = [self._argument(a) if isinstance(a, fx.Node) else a for a in node.args]
        return FUNCTIONS[target](self.lead or 1, *values, **node.kwargs)

    def _argument(self, argument: Any) -> Affine:
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        return value if value is not None else _refuse("its input is no tensor of the module")

    def _spikes(self, name: str, neuron: SteppedNeuron, value: Affine) -> Affine:
        names = {p.name for p in self.populations} | {INPUT, OUTPUT}
        used = next(n for n in (name, *(f"{name}#{k}" for k in range(2, len(names) + 3))) if n not in names)
        self._population(used, neuron, value)
        return Affine.of_source(used, value.shape)

    def _population(self, name: str, neuron: SteppedNeuron, value: Affine) -> None:
        per_channel = value.bias.reshape(value.shape[0], -1)
        same = (per_channel == per_channel[:, :1]).all()
        bias = per_channel[:, 0] if same else value.bias
        self.populations.append(SteppedPopulation(name, neuron, value.shape, bias))
        for source, synapses, weight in affine.projections(value):
            self.projections.append(Projection(source, name, weight, synapses))

    def _any_spike(self, name: str, pool: nn.MaxPool2d, value: Affine) -> Affine:
        """The maximum of binary spikes: a neuron without memory that fires if any of them does."""
        if value.itself is None or value.itself == INPUT:
            return _refuse("maximum pooling of anything but the spikes of one population is not supported")
        if pool.return_indices or pool.ceil_mode:
            return _refuse("return_indices and ceil_mode are not supported")
        kernel, stride = _pair(pool.kernel_size), _pair(pool.stride)
        synapses = _over_channels(value, kernel, stride, _pair(pool.padding), _pair(pool.dilation))
        pooled = affine.convolve(value, synapses, np.ones(synapses.weight_shape))
        return self._spikes(name, SteppedLIF(leak=0.0, threshold=0.5), pooled)


def _name(node: fx.Node) -> str:
    return f"'{node.target}'" if node.op == "call_module" else f"'{node.name}'"


def _refuse(reason: str) -> Any:
    raise InputError(reason)


def _array(tensor: Tensor) -> FloatArray:
    return tensor.detach().double().cpu().numpy()


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _image(value: Affine) -> tuple[int, int, int]:
    if len(value.shape) != 3:
        raise InputError(f"its input has shape {value.shape}: (channels, height, width) is needed")
    return value.shape[0], value.shape[1], value.shape[2]


def _over_channels(
    value: Affine, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Conv2d:  # fmt: skip
    """A window over each channel on its own."""
    image = _image(value)
    return Conv2d(image, image[0], kernel, stride, padding, dilation, image[0])


def _conv2d(layer: nn.Conv2d, value: Affine, lead: int) -> Affine:
    if lead != 1:
        raise InputError("convolutions take (T N, ...): give the neurons their number of time_steps")
    if layer.padding_mode != "zeros":
        raise InputError(f"padding_mode = '{layer.padding_mode}': only zeros are supported")
    kernel, dilation = _pair(layer.kernel_size), _pair(layer.dilation)
    if layer.padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        if any(n % 2 for n in total):
            raise InputError("padding = 'same' of an even kernel pads one side more: give the padding in numbers")
        padding = total[0] // 2, total[1] // 2
    else:
        padding = (0, 0) if layer.padding == "valid" else _pair(layer.padding)
    image = _image(value)
    if image[0] != layer.in_channels:
        raise InputError(f"its input has {image[0]} channels, {layer.in_channels} are needed")
    synapses = Conv2d(image, layer.out_channels, kernel, _pair(layer.stride), padding, dilation, layer.groups)
    return affine.convolve(value, synapses, _array(layer.weight), _bias(layer))


def _bias(layer: nn.Conv2d | nn.Linear) -> FloatArray | None:
    return None if layer.bias is None else _array(layer.bias)


def _linear(layer: nn.Linear, value: Affine, lead: int) -> Affine:
    if value.shape != (layer.in_features,):
        raise InputError(f"its input has shape {value.shape}, ({layer.in_features},) is needed: flatten it before")
    return affine.multiply(value, _array(layer.weight), _bias(layer))


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, value: Affine, lead: int) -> Affine:
    if layer.running_mean is None or layer.running_var is None:
        raise InputError("it keeps no running statistics: nothing can be folded")
    if isinstance(layer, nn.BatchNorm2d):
        _image(value)
    if value.shape[0] != layer.num_features:
        raise InputError(f"its input has {value.shape[0]} channels, {layer.num_features} are needed")
    factor = 1 / np.sqrt(_array(layer.running_var) + layer.eps)
    if layer.weight is not None:
        factor = factor * _array(layer.weight)
    shift = -factor * _array(layer.running_mean)
    return affine.scale(value, factor, shift if layer.bias is None else shift + _array(layer.bias))


def _average(layer: nn.AvgPool2d, value: Affine, lead: int) -> Affine:
    kernel, stride, padding = _pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding)
    synapses = _over_channels(value, kernel, stride, padding)
    if layer.ceil_mode and any(
        (n + 2 * p - k) % s for n, k, s, p in zip(value.shape[1:], kernel, stride, padding, strict=True)
    ):
        raise InputError(f"ceil_mode on {value.shape[1:]}: windows beyond the edge are not supported")
    count = layer.divisor_override or kernel[0] * kernel[1]
    if padding != (0, 0) and not layer.count_include_pad and not layer.divisor_override:
        raise InputError("padding with count_include_pad=False is not supported")
    return affine.convolve(value, synapses, np.full(synapses.weight_shape, 1 / count))


def _adaptive_average(layer: nn.AdaptiveAvgPool2d, value: Affine, lead: int) -> Affine:
    _, *sides = _image(value)
    size: Any = layer.output_size
    wanted = (size, size) if size is None or isinstance(size, int) else size
    out = [n if w is None else w for n, w in zip(sides, wanted, strict=True)]
    if any(n % m for n, m in zip(sides, out, strict=True)):
        raise InputError(f"pooling {tuple(sides)} to {tuple(out)}: windows of different sizes are not supported")
    kernel = sides[0] // out[0], sides[1] // out[1]
    return _average(nn.AvgPool2d(kernel), value, lead)


def _flatten(value: Affine, lead: int, start: int, end: int) -> Affine:
    dimensions = lead + len(value.shape)
    if start % dimensions != lead or end % dimensions != dimensions - 1:
        raise InputError(f"flattening dimensions {start} to {end}: {lead} to -1, all but the first {lead}, is needed")
    return affine.flatten(value)


def _standardize(layer: Standardize, value: Affine, lead: int) -> Affine:
    channels = value.shape[0]
    for numbers in (layer.mean, layer.deviation):
        if len(numbers) not in (1, channels):
            raise InputError(f"its input has {channels} channels, {len(numbers)} are needed")
    mean, deviation = (np.broadcast_to(_array(n), channels) for n in (layer.mean, layer.deviation))
    return affine.scale(value, 1 / deviation, -mean / deviation)


def _same(layer: nn.Module, value: Affine, lead: int) -> Affine:
    return value


LAYERS: dict[type[nn.Module], Callable[[Any, Affine, int], Affine]] = {
    nn.Conv2d: _conv2d,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: _adaptive_average,
    nn.Flatten: lambda layer, value, lead: _flatten(value, lead, layer.start_dim, layer.end_dim),
    nn.Dropout: _same,
    nn.Dropout2d: _same,
    nn.Identity: _same,
    Accumulate: _same,
    FramesModule: _same,
    Standardize: _standardize,
}
"""How each kind of layer changes a value; the last argument is the number of dimensions before a sample's own."""


def _sum(lead: int, left: Any, right: Any) -> Affine:
    if not (isinstance(left, Affine) and isinstance(right, Affine)):
        raise InputError("only two tensors of the module can be added")
    return affine.add(left, right)


def _flatten_call(lead: int, value: Affine, start_dim: int = 0, end_dim: int = -1) -> Affine:
    return _flatten(value, lead, start_dim, end_dim)


def _dropout_call(lead: int, value: Affine, p: float = 0.5, training: bool = True, inplace: bool = False) -> Affine:
    if training:
        raise InputError("dropout that is always on is not supported: pass training=self.training")
    return value


FUNCTIONS: dict[Any, Callable[..., Affine]] = {
    operator.add: _sum,
    operator.iadd: _sum,
    torch.add: _sum,
    "Tensor.add": _sum,
    torch.flatten: _flatten_call,
    "Tensor.flatten": _flatten_call,
    F.dropout: _dropout_call,
}
"""Functions and methods that may stand between layers."""
