"""The same network with a finer or a coarser clock."""

from dataclasses import replace

from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.ir.stepped import Accumulator, SteppedNetwork, SteppedPopulation, Steps


def finer(network: SteppedNetwork, parts: int) -> SteppedNetwork:
    """A network whose time steps are ``parts`` times as short and as many; weights are not trained anew.

    Potentials relax by the same equation over a shorter step (`SteppedQIF.with_step`, `SteppedLIF.with_step`).  Inputs
    and biases are currents, which act for as long as the shorter step; spikes are kicks, which keep their size.

    Raises
    ------
    InputError
        If ``parts`` is below 1, a neuron is neither of these, its inputs are frames of single steps, or a spike is
        delayed by steps.
    """
    if parts < 1:
        raise InputError(f"parts = {parts}: a time step can be cut into one part or more")
    return _with_step(network, 1 / parts, network.clock.count * parts)


def coarser(network: SteppedNetwork, times: int) -> SteppedNetwork:
    """A network whose time steps are ``times`` times as long and as few; else as `finer`.

    Raises
    ------
    InputError
        As `finer`, if the number of time steps is no multiple of ``times``, or if a neuron cannot take such long steps.
    """
    count = network.clock.count
    if times < 1 or count % times:
        raise InputError(f"times = {times}: {count} time steps can be joined in whole groups alone")
    return _with_step(network, times, count // times)


def _with_step(network: SteppedNetwork, step: float, count: int) -> SteppedNetwork:
    """A network of ``count`` time steps that are ``step`` times as long."""
    finer_ones: dict[str, SteppedPopulation] = {}
    for population in network.populations:
        neuron = population.neuron
        if isinstance(neuron, Accumulator):
            finer_ones[population.name] = replace(population, bias=population.bias * step)
        elif isinstance(neuron, SteppedQIF | SteppedLIF):
            finer_ones[population.name] = replace(population, neuron=neuron.with_step(step))
        else:
            raise InputError(f"population '{population.name}': the time step of {type(neuron).__name__} is fixed")
    sends_currents = {e.name for e in network.encoders}
    projections = []
    for p in network.projections:
        if p.delay is not None:
            raise InputError(f"projection {p.pre} -> {p.post}: its delays are in time steps")
        before, after = network.population(p.post).neuron, finer_ones[p.post].neuron
        factor = 1.0
        if isinstance(before, Accumulator):
            factor = step if p.pre in sends_currents else 1.0
        elif p.pre not in sends_currents and isinstance(after, SteppedQIF | SteppedLIF):
            factor = before.gain / after.gain  # type: ignore[union-attr]
        projections.append(replace(p, weight=p.weight * factor))
    return replace(
        network,
        clock=Steps(count),
        populations=tuple(finer_ones[p.name] for p in network.populations),
        projections=tuple(projections),
    )
