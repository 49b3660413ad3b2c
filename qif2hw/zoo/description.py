"""What the networks of the zoo take and give, in words."""

from qif2hw.ir import Network
from qif2hw.ir.stepped import AnyNetwork

_SHOWN = 3


def describe(name: str, network: AnyNetwork) -> str:
    """Two lines: name, layers, neurons and synapses; inputs with ranges and units, and outputs with units."""
    sizes = "-".join(str(size) for size in (sum(e.size for e in network.encoders), *(p.size for p in network.order)))
    if not isinstance(network, Network):
        shape = " x ".join(map(str, network.encoders[0].shape))
        inputs, outputs, clock = f"{shape} numbers", f"{network.results} classes", f"{network.clock.count} time steps"
    elif network.host is None:
        inputs, outputs, clock = f"{network.inputs} in [0, 1]", f"{network.results} results", "a trial"
    else:
        inputs = _listed([f"{one.name} in {one.range}" for one in network.host.inputs])
        outputs = _listed([" ".join(filter(None, (one.name, one.unit))) for one in network.host.outputs])
        clock = "a trial"
    return f"{name}: {sizes}, {network.synapse_count} synapses, {clock}\n    {inputs} -> {outputs}"


def _listed(parts: list[str]) -> str:
    if len(parts) > _SHOWN + 1:
        parts = [*parts[: _SHOWN - 1], f".. {len(parts) - _SHOWN} more ..", parts[-1]]
    return ", ".join(parts)
