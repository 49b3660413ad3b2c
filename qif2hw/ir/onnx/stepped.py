"""A `SteppedNetwork` as an ONNX file, in the operator domain ``qif2hw``.

=============  ======================================  ===========================================================
operator       inputs -> output                        attributes
=============  ======================================  ===========================================================
Frames         x -> values                             unit, bits (both optional)
Delay          spikes, steps (pre) -> spikes           none
ConvSynapses   spikes, weight -> kicks                 index, and the fields of `qif2hw.ir.Conv2d`
SteppedQIF     bias, kicks ... -> spikes               fields of `qif2hw.discrete.SteppedQIF`; shape, time_steps, index
SteppedLIF     bias, kicks ... -> spikes               fields of `qif2hw.discrete.SteppedLIF`; shape, time_steps, index
SteppedSynaptic  bias, kicks ... -> spikes             fields of `qif2hw.discrete.SteppedSynaptic`; as above
SteppedCUBA    bias, kicks ... -> spikes               fields of `qif2hw.discrete.SteppedCUBA`; shape, time_steps, index
Accumulator    bias, kicks ... -> sums                 shape, time_steps, index
Accumulated    sums -> y                               scale
=============  ======================================  ===========================================================

Populations may have the attribute ``unit``.  Other synapses and conventions are those of `qif2hw.ir.onnx_io`; a complex
root is a tensor (real, imaginary).
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, helper

from qif2hw.discrete import SteppedCUBA, SteppedLIF, SteppedQIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir.large import Pieces
from qif2hw.ir.network import Projection
from qif2hw.ir.onnx.execute_stepped import STEPPED_FORM
from qif2hw.ir.onnx.graph import (
    GraphReader,
    GraphWriter,
    array_of,
    insert,
    real_of,
    values_of,
    where,
    whole_of,
)
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedNeuron, SteppedPopulation, Steps

NEURONS: dict[
    str, type[SteppedQIF] | type[SteppedLIF] | type[SteppedSynaptic] | type[SteppedCUBA] | type[Accumulator]
] = {
    "SteppedQIF": SteppedQIF,
    "SteppedLIF": SteppedLIF,
    "SteppedSynaptic": SteppedSynaptic,
    "SteppedCUBA": SteppedCUBA,
    "Accumulator": Accumulator,
}
"""Neurons by operator; their fields are its attributes."""

_ABOUT = (
    "A spiking network in discrete time steps. Frames sends its values in every step. In a step a population takes "
    "bias + kicks, times its gain, after its potential has relaxed by its equation, and spikes at the threshold; an "
    "Accumulator adds up. Accumulated is scale times the sum after the last step. Delay holds what source j sends "
    "back by steps[j]. SteppedCUBA computes u = u (4096 - current_decay) / 4096 + 64 kicks and v = v (4096 - "
    "voltage_decay) / 4096 + u + 64 bias, rounded towards zero, in 24 bits, and spikes where v > 64 threshold, v = 0 "
    "after it; without a threshold its result is v / 64. SteppedSynaptic has i = current_leak i + bias + kicks in "
    "place of the input; without a finite threshold its result is its potential."
)


def pieces(network: SteppedNetwork) -> Pieces:
    """A stepped network as an ONNX file; equal networks give equal bytes."""
    graph = GraphWriter()
    sent = {}
    for e in network.encoders:
        sent[e.name] = f"values:{e.name}"
        grid = {} if e.unit is None else {"unit": e.unit, "bits": e.bits}
        graph.add("Frames", [f"x:{e.name}"], sent[e.name], e.name, **grid)
    place = {p.name: k for k, p in enumerate(network.populations)}
    for population in network.order:
        name, neuron = population.name, population.neuron
        kicks = [
            graph.projection(index, p, sent[p.pre]) for index, p in enumerate(network.projections) if p.post == name
        ]
        bias = graph.store(f"bias:{name}", population.bias)
        sent[name] = f"{'spikes' if population.spiking else 'sums'}:{name}"
        own = {f.name: getattr(neuron, f.name) for f in fields(neuron)}
        unit = {} if population.unit is None else {"unit": population.unit}
        graph.add(
            type(neuron).__name__, [bias, *kicks], sent[name], name, **own, shape=population.shape,
            time_steps=network.clock.count, index=place[name], **unit,
        )  # fmt: skip
    several = len(network.outputs) > 1
    names = [f"y:{k}" if several else "y" for k in range(len(network.outputs))]
    for output, y in zip(network.outputs, names, strict=True):
        graph.add("Accumulated", [sent[output.population]], y, y, scale=output.scale)
    if several:
        graph.nodes.append(helper.make_node("Concat", names, ["y"], name="y", axis=1))
    inputs: list[tuple[str, list[str | int]]] = [
        (f"x:{e.name}", ["samples", "steps", *e.shape]) for e in network.encoders
    ]
    functions = STEPPED_FORM.write(graph, network)
    return graph.model(inputs, network.results, _ABOUT, functions=functions)


class SteppedReader(GraphReader):
    """Rebuilds a stepped network; ``lead`` axes of an input come before the shape of its group."""

    def __init__(self, model: ModelProto, lead: int, large: Mapping[str, Region]) -> None:
        super().__init__(model, large)
        self.lead = lead

    def network(self) -> SteppedNetwork:
        """The network; `InputError` says what is wrong with the file."""
        frames = tuple(self._frames(value) for value in self.graph.input if value.name not in self.tensors)
        if len(self.nodes("Frames")) != len(frames):
            raise InputError("every Frames node needs an input of the graph of its own")
        populations: dict[int, SteppedPopulation] = {}
        projections: dict[int, Projection] = {}
        steps = set()
        for op in NEURONS:
            for node in self.nodes(op):
                steps.add(whole_of(node, "time_steps"))
                if not node.input:
                    raise InputError(f"{where(node)}: its first input, the bias, is missing")
                bias = self.tensor(node, node.input[0])
                made = SteppedPopulation(node.name, _neuron(node), whole_of(node, "shape"), bias, _unit(node))
                insert(populations, node, values_of(node)["index"], made)
                self.projections_onto(node, projections)
        self.check_projections(projections)
        if len(steps) != 1:
            raise InputError(f"its populations give {len(steps)} different numbers of time steps, one is needed")
        return SteppedNetwork(
            Steps(steps.pop()),
            frames,
            tuple(populations[k] for k in sorted(populations)),
            tuple(projections[k] for k in sorted(projections)),
            self._outputs(),
        )

    def _frames(self, value: onnx.ValueInfoProto) -> Frames:
        nodes = [node for node in self.nodes("Frames") if list(node.input) == [value.name]]
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(nodes) != 1 or len(shape) <= self.lead:
            raise InputError(f"input '{value.name}' needs one Frames node and a shape (samples, ...)")
        grid = {"bits": whole_of(nodes[0], "bits")} if "bits" in values_of(nodes[0]) else {}
        return Frames(nodes[0].name, tuple(shape[self.lead :]), _unit(nodes[0]), **grid)

    def _outputs(self) -> tuple[Accumulated, ...]:
        made = []
        for node in self.output_nodes(("Accumulated",)):
            if len(node.input) != 1:
                raise InputError(f"{where(node)}: it has {len(node.input)} inputs, 1 is needed")
            population = self.made_by(node, node.input[0], ("Accumulator", "SteppedCUBA", "SteppedSynaptic"))
            made.append(Accumulated(population.name, real_of(node, values_of(node)["scale"])))
        if len(made) != len(self.nodes("Accumulated")):
            raise InputError("an Accumulated node does not reach the output")
        return tuple(made)


def _unit(node: NodeProto) -> float | None:
    given = values_of(node)
    return real_of(node, given["unit"]) if "unit" in given else None


def _neuron(node: NodeProto) -> SteppedNeuron:
    kind, given = NEURONS[node.op_type], values_of(node)
    own: dict[str, Any] = {}
    for f in fields(kind):
        attribute = given[f.name]
        if kind is SteppedCUBA:
            own[f.name] = whole_of(node, f.name)
        elif f.name == "kind":
            if attribute.type != AttributeProto.STRING:
                raise InputError(f"{where(node)}: the attribute 'kind' must be a text")
            own[f.name] = attribute.s.decode(errors="replace")
        elif f.name in ("u1", "u2"):
            parts = array_of(node, f.name, attribute)
            if parts.shape not in ((), (2,)):
                raise InputError(f"{where(node)}: the attribute '{f.name}' has shape {parts.shape}")
            own[f.name] = complex(*parts) if parts.shape else float(parts)
        else:
            own[f.name] = real_of(node, attribute)
    return kind(**own)
