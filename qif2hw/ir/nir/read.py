"""NIR graphs as networks in time steps.

Neurons become populations (`qif2hw.ir.nir.neurons`); what lies between them, one projection for each source.  Spikes
and values pass from node to node within a time step.  A graph's output is read from what comes before it: the
potential after the last step of LI, CubaLI and I nodes; of others, what they send, per time step.
"""

import json
import os
from collections.abc import Callable
from math import prod
from typing import Any, TypeVar

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.network import Projection
from qif2hw.ir.nir import linear
from qif2hw.ir.nir.neurons import NEURONS, Method, translated
from qif2hw.ir.nir.tree import KEY, Node, flattened, load, of_dict
from qif2hw.ir.nir.trial import is_trial, of_tree
from qif2hw.ir.nir.values import Term, Value, checked_size, total
from qif2hw.ir.stepped import Accumulated, Accumulator, AnyNetwork, Frames, SteppedNetwork, SteppedPopulation, Steps

T = TypeVar("T")
_ODD = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError, RecursionError)
"""What parameters of another kind than NIR says end in."""


def import_network(
    graph: Any,
    *,
    time_steps: int | None = None,
    dt: float | None = None,
    method: Method = "euler",
    input_shape: tuple[int, ...] | None = None,
) -> AnyNetwork:
    """A network in time steps from a NIR graph; an event-driven one where `qif2hw.ir.nir.save` wrote it.

    Parameters
    ----------
    graph
        Path of a file, or a ``nir.NIRGraph``.
    time_steps
        Steps of a sample, which NIR does not say; files of `qif2hw.ir.nir.save` do.
    dt
        Length of a time step, in the unit of the file's time constants; 1e-4 for files of snnTorch.  Files of
        `qif2hw.ir.nir.save` have their own.
    method
        ``euler``, as snnTorch and norse compute, or ``exact``.
    input_shape
        Shape of the input, (C, H, W) or (N,), for files that do not say it or say another.

    Raises
    ------
    InputError
        If the file is no NIR graph, ``time_steps`` or ``dt`` are missing, or the graph holds what a network in time
        steps cannot; all such nodes are named.
    """
    source = str(graph) if isinstance(graph, str | os.PathLike) else "the NIR graph"
    tree = load(graph) if isinstance(graph, str | os.PathLike) else of_dict(graph.to_dict())
    if tree["type"] != "NIRGraph":
        raise InputError(f"{source}: a {tree['type']} node, where a graph is needed")
    if is_trial(tree):
        return _named(source, lambda: of_tree(tree))
    told_steps, told_dt = _named(source, lambda: _clock(tree))
    time_steps, dt = (told_steps if time_steps is None else time_steps), (told_dt if dt is None else dt)
    if time_steps is None:
        raise InputError(f"{source}: NIR does not say how many time steps a sample has: give time_steps (--time-steps)")
    if dt is not None and not (np.isfinite(dt) and dt > 0):
        raise InputError(f"dt = {dt:g}: a time step must have a positive length")
    if method not in ("euler", "exact"):
        raise InputError(f"method = {method!r}: euler and exact are known")
    return _named(source, lambda: _Reader(tree, time_steps, dt, method, input_shape).network())


def _clock(tree: Node) -> tuple[int | None, float | None]:
    """Number and length of time steps, where `qif2hw.ir.nir.save` wrote them."""
    text = tree.get("metadata", {}).get(KEY)
    about = json.loads(text) if isinstance(text, str) else {}
    if not about:
        return None, None
    return int(about["time_steps"]), float(about["dt"])


def _named(source: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except InputError as error:
        raise InputError(f"{source}: {' '.join(str(error).split())}") from None
    except _ODD as error:
        raise InputError(f"{source}: not as NIR says ({' '.join(str(error).split())})") from None


class _Reader:
    def __init__(
        self, tree: Node, time_steps: int, dt: float | None, method: Method, input_shape: tuple[int, ...] | None
    ) -> None:
        self.nodes, self.edges = flattened(tree)
        self.steps, self.dt, self.method, self.input_shape = Steps(time_steps), dt, method, input_shape
        self.frames: list[Frames] = []
        self.populations: list[SteppedPopulation] = []
        self.projections: list[Projection] = []
        self.outputs: list[Accumulated] = []
        self.values: dict[str, Value] = {}
        self.wrong: list[str] = []

    def network(self) -> SteppedNetwork:
        self._check_kinds()
        for name in self._order():
            before = [self.values[a] for a, b in self.edges if b == name and a in self.values]
            complete = len(before) == sum(b == name for _, b in self.edges)
            # Behind a node that is wrong everything else would be, too.
            if not complete:
                continue
            try:
                self._node(name, self.nodes[name], before)
            except InputError as error:
                self.wrong.append(f"{name} ({self.nodes[name]['type']}): {error}")
            except _ODD as error:
                self.wrong.append(f"{name} ({self.nodes[name]['type']}): not as NIR says ({error})")
        if self.wrong:
            raise InputError("; ".join(self.wrong))
        if not self.frames or not self.outputs:
            raise InputError(f"the graph has no {'Input' if not self.frames else 'Output'} node that is connected")
        return SteppedNetwork(
            self.steps, tuple(self.frames), tuple(self.populations), tuple(self.projections), tuple(self.outputs)
        )

    def _check_kinds(self) -> None:
        known = ("Input", "Output", "Pass", *linear.MAPS, *NEURONS)
        odd = [
            f"{name} ({node['type']}): a network in time steps holds no such node"
            for name, node in self.nodes.items()
            if node["type"] not in known
        ]
        missing = {end for edge in self.edges for end in edge} - {*self.nodes}
        odd += [f"an edge names '{name}', which is no node" for name in sorted(missing)]
        if odd:
            raise InputError("; ".join(odd))

    def _order(self) -> list[str]:
        """Nodes, each behind all before it; `InputError` names a cycle."""
        order: list[str] = []
        waiting = list(self.nodes)
        while waiting:
            ready = [n for n in waiting if all(a in order for a, b in self.edges if b == n)]
            if not ready:
                inside = [n for n in waiting if any(a == n and b in waiting for a, b in self.edges)]
                raise InputError(f"nodes {', '.join(inside)} form a cycle: only feed-forward networks are supported")
            order += ready
            waiting = [n for n in waiting if n not in ready]
        return order

    def _node(self, name: str, node: Node, before: list[Value]) -> None:
        kind = node["type"]
        if kind == "Input":
            self._input(name, node)
            return
        if not before:
            raise InputError("nothing reaches it")
        value = total(before)
        if kind == "Output":
            self._output(name, value)
        elif kind == "Pass":
            self.values[name] = value
        elif kind in linear.MAPS:
            self.values[name] = linear.MAPS[kind](node, value, self.dt)
        else:
            self._neuron(name, node, value)

    def _input(self, name: str, node: Node) -> None:
        shape = self.input_shape or tuple(int(n) for n in np.atleast_1d(node.get("shape", ())))
        if not shape or min(shape) < 1:
            raise InputError("its shape is missing: give input_shape (--input-shape)")
        # A batch of one sample, as some write.
        while len(shape) > 1 and shape[0] == 1 and len(shape) != 3:
            shape = shape[1:]
        own = _population_shape(checked_size(shape))
        self.frames.append(Frames(name, own))
        self.values[name] = Value(shape, (Term(name, own),), np.zeros(shape))

    def _neuron(self, name: str, node: Node, value: Value) -> None:
        shape = _population_shape(value.shape)
        value = value.reshaped(shape)
        found = translated(node, shape, self.dt, self.method)
        self._population(name, found.neuron, value.scaled(found.factor).plus(found.bias))
        if self.populations[-1].spiking:
            self.values[name] = Value(shape, (Term(name, shape),), np.zeros(shape))
        else:
            self._silent(name)

    def _silent(self, name: str) -> None:
        """A population without spikes: read out, and nothing else."""
        after = [b for a, b in self.edges if a == name]
        ends = [b for b in after if self.nodes[b]["type"] in ("Output", "Pass", "Flatten")]
        if not after or len(ends) != len(after):
            raise InputError("it sends no spikes, so an Output alone may come behind it")
        self.outputs.append(Accumulated(name))

    def _output(self, name: str, value: Value) -> None:
        """What comes last and has not been read out: its mean over the time steps."""
        shape = _population_shape(value.shape)
        self._population(name, Accumulator(), value.reshaped(shape))
        self.outputs.append(Accumulated(name, 1 / self.steps.count))

    def _population(self, name: str, neuron: Any, value: Value) -> None:
        constant = value.constant
        if len(value.shape) == 3 and (constant == constant[:, :1, :1]).all():
            constant = constant[:, 0, 0]
        self.populations.append(SteppedPopulation(name, neuron, value.shape, constant))
        for term in value.terms:
            weight, synapses = term.projected()
            delay: Any = term.delay
            self.projections.append(Projection(term.source, name, weight, synapses, delay))


def _population_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(neurons,) or (channels, height, width)."""
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return shape if len(shape) in (1, 3) else (prod(shape),)
