"""Intermediate representations: `Network` (float, units of time) and `Program` (integers, steps)."""

from qif2hw.ir.network import Encoder, Network, Population, Product, Projection, Readout, layered
from qif2hw.ir.program import (
    CotangentTables,
    Program,
    ProgramPopulation,
    ProgramProjection,
    Table,
    TimeGrid,
)
from qif2hw.ir.spikes import MachineOutput, Run, Spikes, StepSpikes

__all__ = [
    "CotangentTables",
    "Encoder",
    "MachineOutput",
    "Network",
    "Population",
    "Product",
    "Program",
    "ProgramPopulation",
    "ProgramProjection",
    "Projection",
    "Readout",
    "Run",
    "Spikes",
    "StepSpikes",
    "Table",
    "TimeGrid",
    "layered",
]
