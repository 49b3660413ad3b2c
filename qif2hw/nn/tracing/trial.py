"""From a torch module around QIF layers and networks to an event-driven network with the host's part around it.

The module is traced with `torch.fx`.  Every `QIFNetwork`, `DeepONet` and `HostedNetwork` in it, and every chain of
`QIFLayer` s, becomes a part of one network; scalings of the module's inputs become the ranges of the host's, and what
the module computes of the results becomes the solution's formula.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import fx, nn

from qif2hw import ir
from qif2hw.errors import InputError
from qif2hw.ir.host_part.expression import Expression, formula, given, side_by_side
from qif2hw.ir.host_part.host import Host, Input, Output, X, Y
from qif2hw.ir.readout import AnyOutput
from qif2hw.nn import spikes
from qif2hw.nn.deeponet import DeepONet
from qif2hw.nn.hosted import HostedNetwork
from qif2hw.nn.layer import QIFLayer
from qif2hw.nn.network import QIFNetwork
from qif2hw.nn.renaming import prefixed
from qif2hw.nn.tracing import expressions
from qif2hw.nn.tracing.channels import Channels, chosen

WHOLE = (QIFNetwork, DeepONet, HostedNetwork)
"""Modules that are networks by themselves."""


@dataclass(frozen=True)
class Encoded:
    """Input spike times (samples, columns, 1).

    They are ``value`` of the module's inputs; or, of one in [0, 1], those of `qif2hw.nn.encode` with ``window``, the
    spike times of 1 and 0.
    """

    value: Expression
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Spikes:
    """Spike times, or ``psi``, of neurons of some layers side by side; ``layers`` are the layers' names."""

    kind: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """What a layer returns, or several side by side."""

    layers: tuple[str, ...]


@dataclass(frozen=True)
class First:
    """First spike times of some neurons of a layer."""

    layer: str
    neurons: tuple[int, ...]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (QIFLayer, *WHOLE)) or super().is_leaf_module(m, module_qualified_name)


def trace(module: nn.Module) -> fx.Graph:
    """The module's graph, with QIF layers and networks as one node each; `InputError` if it cannot be traced."""
    try:
        return _Tracer().trace(module)
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"the module cannot be traced ({reason}): keep control flow out of its forward") from None


def export_trial(module: nn.Module, input_shape: tuple[int, ...] | None = None) -> ir.Network:
    """An event-driven network that computes what a torch module computes.

    Parameters
    ----------
    module
        Any module that `torch.fx` can trace: QIF networks, operators and layers, whose inputs are columns of the
        module's, each scaled, and a formula of the closed list (`qif2hw.ir.host_part.formula`) behind them.
    input_shape
        (inputs,); not needed where a network is given the module's inputs as they are.

    Raises
    ------
    InputError
        If the module cannot be traced, or holds something that cannot be exported: all of it is named by its paths.
    """
    before = set(vars(module))
    try:
        graph = trace(module)
        return _Export(module, graph, input_shape).network(graph)
    finally:
        # The tracer leaves tensors that stand in the code with the module.
        for name in set(vars(module)) - before:
            delattr(module, name)


class _Export:
    """The network as far as the graph has been read, and what in it cannot be exported."""

    def __init__(self, module: nn.Module, graph: fx.Graph, input_shape: tuple[int, ...] | None) -> None:
        self.module = module
        width = _width(module, graph) if input_shape is None else input_shape[-1]
        self.x, self.results = given(X, width), given(Y, 0)
        self.channels = Channels(width)
        self.populations: list[ir.Population] = []
        self.projections: list[ir.Projection] = []
        self.outputs: list[AnyOutput] = []
        self.trials: dict[str, float] = {}
        self.layers: dict[str, QIFLayer] = {}
        self.pairs: dict[tuple[First, First], Expression] = {}
        self.problems: list[str] = []
        self.values: dict[fx.Node, Any] = {}
        self.calls: dict[str, Callable[[fx.Node], Any]] = {
            "call_module": self._module,
            "call_function": self._function,
            "call_method": self._function,
            "get_attr": lambda node: expressions.constant(_attribute(module, str(node.target))),
        }

    def network(self, graph: fx.Graph) -> ir.Network:
        result: Any = None
        for node in graph.nodes:
            if node.op == "placeholder":
                if self.values:
                    self.problems.append(f"'{node.name}': the module has several inputs, one is needed")
                self.values[node] = self.x
            elif node.op == "output":
                result = node.args[0]
            else:
                self._visit(node)
        value = self.values.get(result) if isinstance(result, fx.Node) else None
        if not self.problems and not isinstance(value, Expression):
            self.problems.append("the module must return one tensor (samples, outputs) of results")
        if not self.problems and not self.outputs:
            self.problems.append("its result uses no spikes")
        if len(set(self.trials.values())) > 1:
            self.problems.append(
                "its parts have different trials: " + ", ".join(f"'{p}' T = {t:g}" for p, t in self.trials.items())
            )
        if not self.problems:
            try:
                return self._assembled(value, self.channels.inputs())
            except InputError as error:
                self.problems.append(str(error))
        raise InputError(f"the module cannot be exported: {'; '.join(self.problems)}")

    def _assembled(self, value: Any, inputs: tuple[Input, ...]) -> ir.Network:
        encoders, projections = self.channels.encoders()
        assert isinstance(value, Expression)
        self.results.width = sum(output.size for output in self.outputs)
        plain = value.op == "Gather" and value.inputs == (self.results,) and value.width == self.results.width
        solution = None if plain and value.columns == tuple(range(value.width)) else formula(value)
        host = Host(inputs, tuple(Output(f"y{k}") for k in range(value.width)), solution)
        bare = solution is None and all(one == Input(one.name) for one in inputs)
        return ir.Network(
            trial=next(iter(self.trials.values())),
            encoders=encoders,
            populations=tuple(self.populations),
            projections=(*projections, *self.projections),
            outputs=tuple(self.outputs),
            host=None if bare else host,
        )

    def _visit(self, node: fx.Node) -> None:
        if any(self.values.get(used) is None for used in node.all_input_nodes):
            self.values[node] = None  # What it needs has been named already.
            return
        try:
            self.values[node] = self.calls[node.op](node)
        except (InputError, TypeError) as error:
            name = f"'{node.target}'" if node.op == "call_module" else f"'{node.name}'"
            said = str(error) if isinstance(error, InputError) else f"{_called(node)} of these arguments is unsupported"
            self.problems.append(f"{name}: {said}")
            self.values[node] = None

    def _module(self, node: fx.Node) -> Any:
        path, module = str(node.target), self.module.get_submodule(str(node.target))
        arguments, named = self._arguments(node)
        value = arguments[0]
        if isinstance(module, QIFLayer):
            return self._layer(path, module, value, *arguments[1:], **named)
        if not isinstance(value, Expression):
            raise InputError("its input must be columns (samples, columns) of numbers, not spikes")
        if isinstance(module, WHOLE):
            return self._part(path, module.to_network(), value)
        for kind, apply in expressions.LAYERS.items():
            if isinstance(module, kind):
                return apply(module, value)
        raise InputError(f"{type(module).__name__} is not supported")

    def _arguments(self, node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def value(argument: fx.Node) -> Any:
            return self.values[argument]

        return fx.map_arg(node.args, value), fx.map_arg(node.kwargs, value)

    def _name(self, path: str) -> str:
        if path in self.trials:
            raise InputError("it is used twice: a network for compiling has every neuron once")
        return path.replace(".", "_")

    def _part(self, path: str, part: ir.Network, value: Expression) -> Expression:
        """Add a whole network whose inputs are ``value``; its solution."""
        inputs = tuple(Input(f"x{k}") for k in range(part.width)) if part.host is None else part.host.inputs
        solution = None if part.host is None else part.host.solution
        part = prefixed(part, self._name(path))
        self.channels.add(part, inputs, value)
        self.trials[path] = part.trial
        self.populations += part.populations
        groups = {e.name for e in part.encoders}
        self.projections += [p for p in part.projections if p.pre not in groups]
        made = [self._readout(output) for output in part.outputs]
        results = made[0] if len(made) == 1 else side_by_side(made)
        return results if solution is None else expressions.replayed(solution, value, results)

    def _readout(self, output: AnyOutput) -> Expression:
        first = sum(one.size for one in self.outputs)
        self.outputs.append(output)
        return Expression("Gather", (self.results,), output.size, tuple(range(first, first + output.size)))

    def _layer(self, path: str, layer: QIFLayer, times: Any, psi: Any = None) -> Sent:
        name = self._name(path)
        if layer.recurrent:
            raise InputError("it is recurrent: a network for compiling has no cycles")
        weight = layer.effective_weight().detach().double().cpu().numpy()
        if isinstance(times, Encoded) and psi is None:
            self.channels.add_layer(name, layer, weight, times.value, times.window)
        elif isinstance(times, Spikes) and times.kind == "times" and psi == Spikes("psi", times.layers):
            widths = [self.layers[source].synapses.shape[0] for source in times.layers]
            for source, low, high in zip(times.layers, np.cumsum([0, *widths]), np.cumsum(widths), strict=False):
                synapses, part = chosen(layer.synapses, weight, list(range(low, high)))
                self.projections.append(ir.Projection(source.replace(".", "_"), name, part, synapses))
        else:
            raise InputError(
                "it must be given the times and psi of the same layers, layer(out.times, out.psi), or the module's "
                "inputs as spike times, qif2hw.nn.encode(x)"
            )
        self.trials[path], self.layers[path] = layer.trial, layer
        phi0 = layer.phi0.detach().double().cpu().numpy()
        self.populations.append(ir.Population(name, layer.neuron, phi0))
        return Sent((path,))

    def _function(self, node: fx.Node) -> Any:
        target = node.target if node.op == "call_function" else f"Tensor.{node.target}"
        arguments, named = self._arguments(node)
        name, first = _called(node), arguments[0] if arguments else None
        if target is spikes.encode:
            return _encoded(*arguments, **named)
        if target is spikes.side_by_side:
            return _joined(arguments)
        parts = list(first) if isinstance(first, list | tuple) else []
        if isinstance(first, Sent):
            return self._of_layer(name, first, arguments[1:])
        if isinstance(first, First):
            return self._of_first(name, first, arguments[1])
        if isinstance(first, Expression) and name == "unsqueeze" and arguments[1:] in ((2,), (-1,)):
            return Encoded(first)
        if parts and all(isinstance(part, Spikes) for part in parts) and name == "cat":
            if (arguments[1:] or (named.get("dim"),))[0] != 1 or len({part.kind for part in parts}) > 1:
                raise InputError("spikes are put side by side along dimension 1, times and psi each for themselves")
            return Spikes(parts[0].kind, tuple(layer for part in parts for layer in part.layers))
        if target not in expressions.FUNCTIONS:
            raise InputError(f"{name} is not supported")
        if any(isinstance(part, Sent | Spikes | First | Encoded) for part in (*arguments, *parts)):
            raise InputError(f"{name} of spikes is not supported: first spikes come from first(), their difference is")
        return expressions.FUNCTIONS[target](*arguments, **named)

    def _of_layer(self, name: str, sent: Sent, arguments: tuple[Any, ...]) -> Any:
        if name == "first" and len(sent.layers) == 1:
            (layer,) = sent.layers
            return First(layer, tuple(range(self.layers[layer].synapses.shape[0])))
        if arguments and arguments[0] in ("times", "psi"):
            return Spikes(arguments[0], sent.layers)
        raise InputError(
            f"{arguments[0] if arguments else name} of a layer is not supported: times, psi and first() are"
        )

    def _of_first(self, name: str, first: First, other: Any) -> First | Expression:
        if name == "getitem" and isinstance(other, tuple) and len(other) == 2 and other[0] == slice(None):
            if isinstance(other[1], slice):
                return First(first.layer, first.neurons[other[1]])
        if name == "sub" and isinstance(other, First) and first.layer == other.layer:
            if len(first.neurons) == len(other.neurons) > 0:
                if (first, other) not in self.pairs:
                    count, population = len(first.neurons), first.layer.replace(".", "_")
                    ends = np.array(other.neurons), np.array(first.neurons)
                    readout = ir.Readout(population, *ends, np.ones(count), np.zeros(count))
                    self.pairs[first, other] = self._readout(readout)
                return self.pairs[first, other]
        raise InputError(
            f"{name} of first spikes is not supported: the difference of as many of one layer is, "
            "first[:, 1::2] - first[:, 0::2]"
        )


def _encoded(value: Any, earliest: Any = spikes.EARLIEST, latest: Any = spikes.LATEST) -> Encoded:
    if not (isinstance(value, Expression) and isinstance(earliest, int | float) and isinstance(latest, int | float)):
        raise InputError("encode is given columns of inputs, and two numbers for the spike times of 1 and 0")
    return Encoded(value, (float(earliest), float(latest)))


def _joined(outputs: tuple[Any, ...]) -> Sent:
    if not outputs or not all(isinstance(one, Sent) for one in outputs):
        raise InputError("side_by_side is given what layers return")
    return Sent(tuple(layer for one in outputs for layer in one.layers))


def _width(module: nn.Module, graph: fx.Graph) -> int:
    """Inputs of a module whose inputs a network gets as they are."""
    for node in graph.nodes:
        if node.op == "call_module" and [getattr(a, "op", "") for a in node.args[:1]] == ["placeholder"]:
            part = module.get_submodule(str(node.target))
            if isinstance(part, WHOLE):
                return part.to_network().width
    raise InputError("the module's number of inputs does not follow from it: give input_shape=(inputs,)")


def _called(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _attribute(module: nn.Module, path: str) -> Any:
    *parents, name = path.split(".")
    return getattr(module.get_submodule(".".join(parents)), name)
