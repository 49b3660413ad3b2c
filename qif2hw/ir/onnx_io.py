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
FirstSpike            spikes -> y                            neuron
====================  =====================================  ==================================

A node's name is the name of its input group or population.  ``Concat`` (ONNX's own) joins several outputs.
Real numbers are float64: weights and initial phases are initializers, the rest tensor-valued attributes,
since ONNX's own float attributes have 32 bits.  ``index`` keeps the order of populations and projections,
which the order of nodes cannot.  `qif2hw.ir.host_part.onnx_host` describes the nodes of the host's part.

That is the plain form, and that of files of version 1 of the domain.  Files of version 2 execute: they hold a function
of standard operators for every operator, and their nodes call these (`qif2hw.ir.onnx.execute`).
"""

import os
from pathlib import Path

from onnx import helper

from qif2hw.files import Region, open_file, write_by
from qif2hw.ir.host_part import onnx_host
from qif2hw.ir.host_part.host import X
from qif2hw.ir.large import Pieces, bytes_of
from qif2hw.ir.network import Network
from qif2hw.ir.onnx import stepped
from qif2hw.ir.onnx.execute_trial import TRIAL_FORM
from qif2hw.ir.onnx.functions.body import DOMAIN
from qif2hw.ir.onnx.graph import MAX_BYTES, VERSION, GraphWriter
from qif2hw.ir.onnx.read import any_from_bytes, event_driven, from_bytes, read_any
from qif2hw.ir.readout import FirstSpike, Product, Readout
from qif2hw.ir.stepped import AnyNetwork

__all__ = [
    "DOMAIN",
    "MAX_BYTES",
    "VERSION",
    "any_from_bytes",
    "from_bytes",
    "load",
    "load_any",
    "pieces",
    "read_any",
    "save",
    "to_bytes",
]

_ABOUT = (
    "A spiking network of quadratic integrate-and-fire neurons. Encode turns x in [0, 1] into one spike at "
    "t = latest - x (latest - earliest). QIF neurons obey tau dV/dt = V (V - 1) + i0, start at phase phi0 "
    "(time since reset), and jump by a weight at each spike of Synapses. FirstSpikeDifference is "
    "offset + scale (t[stop] - t[start]) of first spikes; Product is offset + scale times an inner product."
)
_ABOUT_CLASSES = " FirstSpike is t[neuron]; the class is that of the smallest."


def save(network: AnyNetwork, path: str | os.PathLike[str]) -> Path:
    """Write a network of either clock to an ONNX file."""
    held = pieces(network)
    return write_by(path, lambda file: file.writelines(bytes_of(held)))


def load(path: str | os.PathLike[str]) -> Network:
    """Read an event-driven network from an ONNX file that `save` wrote.

    Arrays may lie in other files of its folder, or below it (ONNX external data).

    Raises
    ------
    InputError
        If the file cannot be read, is no ONNX file, holds something else than a QIF network, or a wrong one.
    """
    return event_driven(load_any(path), str(path))


def load_any(path: str | os.PathLike[str]) -> AnyNetwork:
    """As `load`, a network of either clock."""
    return read_any(Region(open_file(path)), str(path), Path(path).parent)


def to_bytes(network: AnyNetwork) -> bytes:
    """A network as the bytes of an ONNX file; equal networks give equal bytes."""
    return b"".join(bytes_of(pieces(network)))


def pieces(network: AnyNetwork) -> Pieces:
    """The same bytes in pieces, without copies of large arrays."""
    return _trial(network) if isinstance(network, Network) else stepped.pieces(network)


def _trial(network: Network) -> Pieces:
    graph, host = GraphWriter(), network.host
    add = graph.add

    given = {e.name: f"x:{e.name}" for e in network.encoders}
    if host is not None:
        given = onnx_host.write_encoding(graph, host, network.encoders)
    for e in network.encoders:
        add("Encode", [given[e.name]], f"spikes:{e.name}", e.name, earliest=e.earliest, latest=e.latest)
    place = {p.name: k for k, p in enumerate(network.populations)}
    for population in network.order:
        kicks = []
        for index, p in enumerate(network.projections):
            if p.post != population.name:
                continue
            kicks.append(graph.projection(index, p, f"spikes:{p.pre}"))
        phi0 = graph.store(f"phi0:{population.name}", population.phi0)
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
    solved = host is not None and host.solution is not None
    whole = onnx_host.RESULTS if solved else "y"
    for k, output in enumerate(network.outputs):
        y = f"{whole}:{k}" if several else whole
        if isinstance(output, FirstSpike):
            add("FirstSpike", [f"spikes:{output.population}"], y, y, neuron=output.neuron)
        elif isinstance(output, Product):
            pair = [read_out(output.left, f"{y}:left"), read_out(output.right, f"{y}:right")]
            add("Product", pair, y, y, scale=output.scale, offset=output.offset)
        else:
            read_out(output, y)
    if several:
        parts = [f"{whole}:{k}" for k in range(len(network.outputs))]
        graph.nodes.append(helper.make_node("Concat", parts, [whole], name=whole, axis=1))
    if host is not None and host.solution is not None:
        onnx_host.write_solution(graph, host.solution)

    inputs: list[tuple[str, list[str | int]]] = [(f"x:{e.name}", ["samples", e.size]) for e in network.encoders]
    if host is not None:
        inputs = [(X, ["samples", host.width])]
    metadata = {} if host is None else {onnx_host.KEY: onnx_host.describe(host)}
    functions = TRIAL_FORM.write(graph, network)
    about = _ABOUT if network.first_spike is None else _ABOUT + _ABOUT_CLASSES
    return graph.model(inputs, network.solutions, about, metadata, functions)
