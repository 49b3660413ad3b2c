"""What the host computes from first spikes."""

from typing import TypeAlias

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.readout.difference import Product, Readout, inner_product
from qif2hw.ir.readout.first_spike import FirstSpike

AnyOutput: TypeAlias = Readout | Product | FirstSpike
"""What the results, or some columns of them, are."""


def readouts_of(outputs: tuple[AnyOutput, ...]) -> tuple[Readout | FirstSpike, ...]:
    """All readouts of a tuple of outputs, those inside products included, in order."""
    found: list[Readout | FirstSpike] = []
    for output in outputs:
        found.extend([output.left, output.right] if isinstance(output, Product) else [output])
    return tuple(found)


def output_populations_of(outputs: tuple[AnyOutput, ...]) -> tuple[str, ...]:
    """Populations that are read out, each once, in order."""
    return tuple(dict.fromkeys(r.population for r in readouts_of(outputs)))


def check_alone(outputs: tuple[AnyOutput, ...]) -> None:
    """`InputError` if a first-spike readout has other outputs beside it: there would be two results in one array."""
    if len(outputs) > 1 and any(isinstance(output, FirstSpike) for output in outputs):
        raise InputError("a first-spike readout is the only output of a network: there are others beside it")


def decode(outputs: tuple[AnyOutput, ...], times: dict[str, FloatArray]) -> FloatArray:
    """Results (samples, outputs) of first spike times (samples, neurons) by population."""
    columns = []
    for output in outputs:
        if isinstance(output, Product):
            left = output.left.decode(times[output.left.population])
            right = output.right.decode(times[output.right.population])
            columns.append(output.offset + output.scale * inner_product(left, right))
        else:
            columns.append(output.decode(times[output.population]))
    return np.concatenate(columns, axis=1)


class ReadFromFirstSpikes:
    """Accessors of a network whose outputs are computed from first spikes."""

    outputs: tuple[AnyOutput, ...]

    @property
    def readouts(self) -> tuple[Readout | FirstSpike, ...]:
        """All readouts, those inside products included, in order."""
        return readouts_of(self.outputs)

    @property
    def first_spike(self) -> FirstSpike | None:
        """The readout of a network that classifies by the first spike."""
        output = self.outputs[0]
        return output if isinstance(output, FirstSpike) else None

    @property
    def output_populations(self) -> tuple[str, ...]:
        """Populations that are read out, each once, in order; their neurons are the columns of ``spike_time``."""
        return output_populations_of(self.outputs)


__all__ = [
    "AnyOutput",
    "FirstSpike",
    "Product",
    "ReadFromFirstSpikes",
    "Readout",
    "check_alone",
    "decode",
    "output_populations_of",
    "readouts_of",
]
