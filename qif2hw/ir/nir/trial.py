"""Event-driven networks as NIR graphs, and back.

==============  ==================================================================================
NIR             network
==============  ==================================================================================
Input           an input group
Linear          a projection: an input spike of weight ``w`` is ``I = w delta(t)``, its weights are those of the network
QIF             a population, with ``r = tau``, so that its potential jumps by ``w``
Output          a population that is read out
==============  ==================================================================================

NIR has no place for the rest, which is in the graph's metadata, ``qif2hw``, as JSON: the length of a trial, when inputs
spike, what is read out, and the host's part.  Convolutions and listed synapses are written as full matrices, with
zeros; the metadata of their node say what they were.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.encoder import Encoder
from qif2hw.ir.host_part.formula import Constant, Formula, Step
from qif2hw.ir.host_part.host import Host
from qif2hw.ir.host_part.onnx_host import describe, described
from qif2hw.ir.network import Network, Population, Projection
from qif2hw.ir.nir.tree import KEY, Node
from qif2hw.ir.readout import AnyOutput, FirstSpike, Product, Readout
from qif2hw.ir.synapses import Conv2d, Dense, Sparse
from qif2hw.neuron import QIF

_KINDS: dict[str, Any] = {"Dense": Dense, "Sparse": Sparse, "Conv2d": Conv2d}


def graph_of(network: Network) -> Any:
    """An event-driven network as a ``nir.NIRGraph``."""
    import nir

    from qif2hw.ir.nir import node

    names = [part.name for part in network.parts]
    nodes: dict[str, Any] = {e.name: nir.Input(np.array([e.size])) for e in network.encoders}
    edges: list[tuple[str, str]] = []
    for p in network.populations:

        def every(value: float, size: int = p.size) -> Any:
            return np.full(size, value)

        tau, i0 = p.neuron.tau, p.neuron.i0
        nodes[p.name] = node.QIF(
            every(tau), every(tau), every(1.0), every(0.0), every(1.0), every(i0), every(np.inf), every(-np.inf),
            np.array(p.phi0),
        )  # fmt: skip
    for k, q in enumerate(network.projections):
        name = _free(f"projection{k}", names)
        kind = type(q.synapses).__name__
        metadata: dict[str, Any] = {"kind": kind}
        if not isinstance(q.synapses, Dense):
            own = {f.name: getattr(q.synapses, f.name) for f in fields(q.synapses) if f.init}
            metadata |= {key: value if np.ndim(value) == 0 else np.asarray(value) for key, value in own.items()} | {
                "values": q.weight
            }
        nodes[name] = nir.Linear(q.synapses.dense(q.weight), metadata=metadata)
        edges += [(q.pre, name), (name, q.post)]
    for name in network.output_populations:
        nodes[_free(f"output_{name}", names)] = nir.Output(np.array([network.sizes[name]]))
        edges.append((name, _free(f"output_{name}", names)))
    about = {
        "trial": network.trial,
        "encoders": [[e.name, e.earliest, e.latest] for e in network.encoders],
        "populations": [p.name for p in network.populations],
        "projections": [_free(f"projection{k}", names) for k in range(len(network.projections))],
        "outputs": [_output(output) for output in network.outputs],
        "host": None if network.host is None else _host(network.host),
    }
    return nir.NIRGraph(nodes, edges, {KEY: json.dumps(about)}, type_check=False)


def is_trial(tree: Node) -> bool:
    """Whether a graph is that of an event-driven network."""
    return any(node["type"] == "QIF" for node in tree["nodes"].values())


def of_tree(tree: Node) -> Network:
    """The event-driven network of a graph; `InputError` if it is not as `graph_of` makes them."""
    text = tree.get("metadata", {}).get(KEY)
    if not isinstance(text, str):
        raise InputError(
            f"a graph of QIF nodes without the metadata '{KEY}', which say when inputs spike and what is read out"
        )
    try:
        return _network(tree, json.loads(text))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"its metadata are not those of a network ({type(error).__name__}: {error})") from None


def _network(tree: Node, about: dict[str, Any]) -> Network:
    nodes, edges = tree["nodes"], tree["edges"]
    encoders = tuple(
        Encoder(name, int(nodes[name]["shape"].prod()), first, last) for name, first, last in about["encoders"]
    )
    populations = tuple(_population(name, nodes[name]) for name in about["populations"])
    projections = []
    for name in about["projections"]:
        (pre,), (post,) = [a for a, b in edges if b == name], [b for a, b in edges if a == name]
        projections.append(_projection(pre, post, nodes[name]))
    used = {e.name for e in encoders} | {*about["populations"], *about["projections"]}
    more = [name for name, node in nodes.items() if name not in used and node["type"] != "Output"]
    if more:
        raise InputError(f"{more[0]} ({nodes[more[0]]['type']}): the metadata do not name it")
    outputs = tuple(_read_output(one) for one in about["outputs"])
    host = None if about["host"] is None else _read_host(about["host"])
    return Network(float(about["trial"]), encoders, populations, tuple(projections), outputs, host)


def _population(name: str, node: Node) -> Population:
    tau, i0 = (_one(node, name, key) for key in ("tau", "i_0"))
    fixed = {"r": tau, "a": 1.0, "v_rest": 0.0, "v_critical": 1.0, "v_threshold": np.inf, "v_reset": -np.inf}
    for key, wanted in fixed.items():
        if _one(node, name, key) != wanted:
            raise InputError(f"{name} (QIF): {key} = {_one(node, name, key):g}, {wanted:g} is needed")
    return Population(name, QIF(tau, i0), node["phi_0"])


def _one(node: Node, name: str, key: str) -> float:
    values = np.unique(node[key])
    if values.size != 1:
        raise InputError(f"{name} (QIF): its neurons differ in {key}")
    return float(values[0])


def _projection(pre: str, post: str, node: Node) -> Projection:
    metadata = node.get("metadata") or {"kind": "Dense"}
    kind = _KINDS[str(metadata["kind"])]
    full = np.asarray(node["weight"], np.float64)
    if kind is Dense:
        return Projection(pre, post, full)
    own: dict[str, Any] = {}
    for f in fields(kind):
        if f.init:
            value = np.asarray(metadata[f.name])
            own[f.name] = int(value) if value.ndim == 0 else tuple(value.tolist()) if kind is Conv2d else value
    synapses, weight = kind(**own), np.asarray(metadata["values"], np.float64)
    projection = Projection(pre, post, weight, synapses)
    if not np.array_equal(synapses.dense(weight), full):
        raise InputError(f"projection {pre} -> {post}: its metadata do not fit its weights")
    return projection


def _output(output: AnyOutput) -> dict[str, Any]:
    if isinstance(output, FirstSpike):
        return {"population": output.population, "neuron": output.neuron.tolist()}
    if isinstance(output, Product):
        pair = {"left": _output(output.left), "right": _output(output.right)}
        return pair | {"scale": output.scale, "offset": output.offset}
    arrays = {key: getattr(output, key).tolist() for key in ("start", "stop", "scale", "offset")}
    return {"population": output.population, **arrays}


def _read_output(given: Mapping[str, Any]) -> Any:
    if "neuron" in given:
        return FirstSpike(given["population"], np.array(given["neuron"]))
    if "left" in given:
        return Product(_read_output(given["left"]), _read_output(given["right"]), given["scale"], given["offset"])
    arrays = {key: np.array(given[key]) for key in ("start", "stop", "scale", "offset")}
    return Readout(given["population"], **arrays)


def _host(host: Host) -> dict[str, Any]:
    made: dict[str, Any] = {"about": describe(host), "solution": None}
    if host.solution is not None:
        made["solution"] = {
            "constants": [[one.name, one.values.tolist()] for one in host.solution.constants],
            "steps": [[one.op, list(one.inputs), one.output, list(one.columns)] for one in host.solution.steps],
        }
    return made


def _read_host(given: Mapping[str, Any]) -> Host:
    inputs, outputs, classes = described(given["about"])
    solution = None
    if given["solution"] is not None:
        constants = tuple(Constant(name, np.array(values)) for name, values in given["solution"]["constants"])
        steps = tuple(
            Step(op, tuple(given_), made, tuple(columns)) for op, given_, made, columns in given["solution"]["steps"]
        )
        solution = Formula(constants, steps)
    return Host(inputs, outputs, solution, classes)


def _free(name: str, names: list[str]) -> str:
    while name in names:
        name += "_"
    return name
