"""A `Network` as an ONNX file, in the operator domain ``qif2hw``.

====================  =====================================  ==================================
operator              inputs -> output                       attributes
====================  =====================================  ==================================
Encode                x -> spikes                            earliest, latest
Synapses              spikes, weight (post, pre) -> kicks    index
SparseSynapses        spikes, weight (synapses), indptr      index, pre
                      (post + 1), indices -> kicks
QIF                   phi0 (neurons), kicks ... -> spikes    tau, i0, trial, index
FirstSpikeDifference  spikes -> y                            start, stop, scale, offset
Product               y, y -> y                              scale, offset
====================  =====================================  ==================================

A node's name is the name of its input group or population.  ``Concat`` (ONNX's own) joins several outputs.
Real numbers are float64: weights and initial phases are initializers, the rest tensor-valued attributes,
since ONNX's own float attributes have 32 bits.  ``index`` keeps the order of populations and projections,
which the order of nodes cannot.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from qif2hw.files import read_bytes, write_bytes
from qif2hw.ir.network import Network
from qif2hw.ir.onnx_read import ATTRIBUTES, DOMAIN, MAX_BYTES, SYNAPSES, VERSION, from_bytes
from qif2hw.ir.readout import Readout

__all__ = ["DOMAIN", "MAX_BYTES", "VERSION", "from_bytes", "load", "save", "to_bytes"]

OPERATORS = {kind: op for op, kind in SYNAPSES.items()}
"""The operator of each kind of synapses."""

_WHOLE = {"index", *(number for kind in OPERATORS for number in kind.NUMBERS)}
"""Attributes that are integers."""

# Fixed, so that the bytes do not depend on the installed onnx.
_IR_VERSION = 8
_ONNX_OPSET = 17

_ABOUT = (
    "A spiking network of quadratic integrate-and-fire neurons. Encode turns x in [0, 1] into one spike at "
    "t = latest - x (latest - earliest). QIF neurons obey tau dV/dt = V (V - 1) + i0, start at phase phi0 "
    "(time since reset), and jump by a weight at each spike of Synapses. FirstSpikeDifference is "
    "offset + scale (t[stop] - t[start]) of first spikes; Product is offset + scale times an inner product."
)


def save(network: Network, path: str | os.PathLike[str]) -> Path:
    """Write a network to an ONNX file."""
    return write_bytes(path, to_bytes(network))


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network from an ONNX file that `save` wrote.

    Raises
    ------
    InputError
        If the file cannot be read, is no ONNX file, holds something else than a QIF network, or a wrong one.
    """
    return from_bytes(read_bytes(path, MAX_BYTES), str(path))


def to_bytes(network: Network) -> bytes:
    """A network as the bytes of an ONNX file; equal networks give equal bytes."""
    nodes: list[NodeProto] = []
    tensors: list[TensorProto] = []

    def add(op: str, inputs: list[str], output: str, name: str, **attributes: Any) -> None:
        assert tuple(attributes) == ATTRIBUTES[op]
        node = helper.make_node(op, inputs, [output], name=name, domain=DOMAIN)
        node.attribute.extend(_attribute(key, value) for key, value in attributes.items())
        nodes.append(node)

    for e in network.encoders:
        add("Encode", [f"x:{e.name}"], f"spikes:{e.name}", e.name, earliest=e.earliest, latest=e.latest)
    place = {p.name: k for k, p in enumerate(network.populations)}
    for population in network.order:
        kicks = []
        for index, p in enumerate(network.projections):
            if p.post != population.name:
                continue
            link, synapses = f"{index}:{p.pre}->{p.post}", p.synapses
            arrays = {"weight": p.weight} | {key: getattr(synapses, key).astype(np.int64) for key in synapses.ARRAYS}
            tensors.extend(numpy_helper.from_array(array, f"{key}:{link}") for key, array in arrays.items())
            add(
                OPERATORS[type(synapses)],
                [f"spikes:{p.pre}", *(f"{key}:{link}" for key in arrays)],
                f"kicks:{link}",
                f"{p.pre}->{p.post}",
                index=index,
                **{key: getattr(synapses, key) for key in synapses.NUMBERS},
            )
            kicks.append(f"kicks:{link}")
        phi0 = f"phi0:{population.name}"
        tensors.append(numpy_helper.from_array(population.phi0, phi0))
        add(
            "QIF",
            [phi0, *kicks],
            f"spikes:{population.name}",
            population.name,
            tau=population.neuron.tau,
            i0=population.neuron.i0,
            trial=network.trial,
            index=place[population.name],
        )

    def read_out(r: Readout, output: str) -> str:
        add(
            "FirstSpikeDifference",
            [f"spikes:{r.population}"],
            output,
            output,
            start=r.start,
            stop=r.stop,
            scale=r.scale,
            offset=r.offset,
        )
        return output

    several = len(network.outputs) > 1
    for k, output in enumerate(network.outputs):
        y = f"y:{k}" if several else "y"
        if isinstance(output, Readout):
            read_out(output, y)
        else:
            pair = [read_out(output.left, f"{y}:left"), read_out(output.right, f"{y}:right")]
            add("Product", pair, y, y, scale=output.scale, offset=output.offset)
    if several:
        nodes.append(
            helper.make_node("Concat", [f"y:{k}" for k in range(len(network.outputs))], ["y"], name="y", axis=1)
        )

    columns = sum(output.size for output in network.outputs)
    graph = helper.make_graph(
        nodes,
        "qif2hw",
        [
            helper.make_tensor_value_info(f"x:{e.name}", TensorProto.DOUBLE, ["samples", e.size])
            for e in network.encoders
        ],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["samples", columns])],
        initializer=tensors,
        doc_string=_ABOUT,
    )
    model = ModelProto(ir_version=_IR_VERSION, producer_name="qif2hw", graph=graph)
    model.opset_import.extend([helper.make_opsetid("", _ONNX_OPSET), helper.make_opsetid(DOMAIN, VERSION)])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _attribute(name: str, value: float | int | NDArray[Any]) -> AttributeProto:
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        return AttributeProto(name=name, type=AttributeProto.INTS, ints=value.tolist())
    if name in _WHOLE and not isinstance(value, np.ndarray):
        return AttributeProto(name=name, type=AttributeProto.INT, i=int(value))
    return AttributeProto(
        name=name, type=AttributeProto.TENSOR, t=numpy_helper.from_array(np.asarray(value, np.float64))
    )
