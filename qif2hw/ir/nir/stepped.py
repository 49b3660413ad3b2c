"""Networks in time steps as NIR graphs: the way back from `qif2hw.ir.nir.read`.

================  ===========================================================================================
network           NIR, with steps of length `DT`
================  ===========================================================================================
SteppedLIF        LIF: ``tau = dt / (1 - leak)``, ``r = gain tau / dt``; without a leak IF, ``r = gain / dt``
SteppedSynaptic   CubaLIF, or CubaLI without a threshold: ``tau_syn = dt / (1 - current_leak)``,
                  ``w_in = tau_syn / dt``; with a current that lasts one step LIF or LI
Accumulator       I: ``r = scale / dt``, with the scale of what is read out
projections       Conv2d; Linear, or Affine where they bring the bias; behind Flatten, and behind Delay
================  ===========================================================================================

A spike is sent where NIR's potential is *above* the threshold, so thresholds are the next smaller number.  The reader
finds the network again up to the rounding of ``leak``.
"""

import json
from math import inf, isfinite
from typing import Any

import numpy as np

from qif2hw.discrete import SteppedLIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir.network import Projection
from qif2hw.ir.stepped import Accumulator, SteppedNetwork, SteppedPopulation
from qif2hw.ir.synapses import Conv2d

DT = 1e-4
"""Length of a time step: that of snnTorch's files."""


def graph_of(network: SteppedNetwork, key: str) -> Any:
    """A ``nir.NIRGraph``; time steps are JSON in its metadata, under ``key``.

    Raises
    ------
    InputError
        If NIR has no such neuron, values are on a grid of their own, or several populations are read out.
    """
    import nir

    odd = [f"{p.name} ({type(p.neuron).__name__})" for p in network.populations if not _written(p)]
    if odd:
        raise InputError(f"NIR has no node for {', '.join(odd)}: LIF neurons, with or without a current, are written")
    on_grid = [part.name for part in network.parts if part.unit is not None]
    if on_grid:
        raise InputError(f"{', '.join(on_grid)}: NIR has no place for integers with a unit")
    if len(network.outputs) != 1:
        raise InputError(f"{len(network.outputs)} populations are read out, which NIR has no order for")
    nodes: dict[str, Any] = {e.name: nir.Input(np.array(e.shape)) for e in network.encoders}
    edges: list[tuple[str, str]] = []
    scales = {output.population: output.scale for output in network.outputs}
    shapes = {part.name: part.shape for part in network.parts}

    def add(name: str, node: Any, before: str | None = None) -> str:
        while name in nodes:
            name += "_"
        nodes[name] = node
        if before is not None:
            edges.append((before, name))
        return name

    for p in network.populations:
        add(p.name, _neuron(nir, p, scales.get(p.name, 1.0)))
    for p in network.populations:
        bias: Any = p.bias if p.bias.any() else None
        for q in (q for q in network.projections if q.post == p.name):
            last = q.pre
            if q.delay is not None and q.delay.any():
                last = add(f"delay_{q.pre}", nir.Delay(q.delay.reshape(shapes[q.pre]) * DT), last)
            map_, flat = _map(nir, q, p, bias)
            if flat and len(shapes[q.pre]) > 1:
                last = add(f"flatten_{q.pre}", nir.Flatten({"input": np.array(shapes[q.pre])}, 0, -1), last)
            last, bias = add(f"{q.pre}_{q.post}", map_, last), None
            edges.append((last, p.name))
        if p.name in scales:
            add(f"output_{p.name}", nir.Output(np.array(p.shape)), p.name)
    about = {"time_steps": network.clock.count, "dt": DT}
    return nir.NIRGraph(nodes, edges, {key: json.dumps(about)}, type_check=False)


def _written(population: SteppedPopulation) -> bool:
    return isinstance(population.neuron, SteppedLIF | SteppedSynaptic | Accumulator)


def _neuron(nir: Any, population: SteppedPopulation, scale: float) -> Any:
    neuron, shape = population.neuron, population.shape

    def every(value: float) -> Any:
        return np.full(shape, value)

    if isinstance(neuron, Accumulator):
        return nir.I(every(scale / DT))
    assert isinstance(neuron, SteppedLIF | SteppedSynaptic)
    if scale != 1:
        raise InputError(f"population '{population.name}' is read out times {scale:g}, which NIR has no place for")
    current = neuron.current_leak if isinstance(neuron, SteppedSynaptic) else 0.0
    spikes = isfinite(neuron.threshold)
    ends = {"v_threshold": every(np.nextafter(neuron.threshold, -inf)), "v_reset": every(neuron.reset)}
    if not spikes:
        if neuron.reset != 0:
            raise InputError(f"population '{population.name}' starts at {neuron.reset:g}: one of NIR starts at 0")
        ends = {}
    if neuron.leak == 1 and not current:
        return nir.IF(every(neuron.gain / DT), **ends) if spikes else nir.I(every(neuron.gain / DT))
    if 1 in (neuron.leak, current):
        raise InputError(f"population '{population.name}' has a current and no leak: its time constant is infinite")
    tau = DT / (1 - neuron.leak)
    common = {"r": every(neuron.gain * tau / DT), "v_leak": every(neuron.rest), **ends}
    if not current:
        return (nir.LIF if spikes else nir.LI)(tau=every(tau), **common)
    synaptic = DT / (1 - current)
    return (nir.CubaLIF if spikes else nir.CubaLI)(
        tau_mem=every(tau), tau_syn=every(synaptic), w_in=every(synaptic / DT), **common
    )


def _map(nir: Any, projection: Projection, post: SteppedPopulation, bias: Any) -> tuple[Any, bool]:
    """The node of a projection, with a bias or None, and whether it takes its input in a row."""
    synapses = projection.synapses
    if isinstance(synapses, Conv2d) and (bias is None or bias.ndim == 1):
        own = np.zeros(synapses.out_channels) if bias is None else np.array(bias)
        return nir.Conv2d(
            synapses.in_shape[1:], np.array(projection.weight), synapses.stride, synapses.padding, synapses.dilation,
            synapses.groups, own,
        ), False  # fmt: skip
    full = np.array(synapses.dense(projection.weight))
    return (nir.Linear(full) if bias is None else nir.Affine(full, np.array(post.current))), True
