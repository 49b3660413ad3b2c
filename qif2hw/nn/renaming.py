"""Networks as parts of others."""

from dataclasses import replace
from typing import TypeVar

from qif2hw import ir

One = TypeVar("One", bound=ir.Readout | ir.FirstSpike)


def prefixed(network: ir.Network, prefix: str) -> ir.Network:
    """The same network without its host's part, with names that start with ``prefix_``."""

    def name(old: str) -> str:
        return f"{prefix}_{old}"

    def readout(old: One) -> One:
        return replace(old, population=name(old.population))

    return ir.Network(
        trial=network.trial,
        encoders=tuple(replace(e, name=name(e.name)) for e in network.encoders),
        populations=tuple(replace(p, name=name(p.name)) for p in network.populations),
        projections=tuple(replace(p, pre=name(p.pre), post=name(p.post)) for p in network.projections),
        outputs=tuple(
            replace(one, left=readout(one.left), right=readout(one.right))
            if isinstance(one, ir.Product)
            else readout(one)
            for one in network.outputs
        ),
    )
