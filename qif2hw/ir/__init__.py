"""Intermediate representations: `Network` (float, units of time) and `Program` (integers, steps)."""

from qif2hw.ir.encoder import Encoder
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.network import Network, Population, Projection, layered
from qif2hw.ir.program import Program, ProgramPopulation, ProgramProjection, TimeGrid
from qif2hw.ir.ptc import PTC, CotangentTables, PhaseWeightTable, PlaneVector, SecondMoment, Table
from qif2hw.ir.readout import FirstSpike, Product, Readout
from qif2hw.ir.spikes import MachineOutput, Run, Spikes, StepSpikes
from qif2hw.ir.synapses import AnySynapses, Conv2d, Dense, Sparse, Synapses

__all__ = [
    "PTC",
    "AnySynapses",
    "Conv2d",
    "CotangentTables",
    "Dense",
    "Encoder",
    "FirstSpike",
    "Host",
    "Input",
    "MachineOutput",
    "Network",
    "Output",
    "PhaseWeightTable",
    "PlaneVector",
    "Population",
    "Product",
    "Program",
    "ProgramPopulation",
    "ProgramProjection",
    "Projection",
    "Readout",
    "ReceptiveFields",
    "Run",
    "SecondMoment",
    "Sparse",
    "Spikes",
    "StepSpikes",
    "Synapses",
    "Table",
    "TimeGrid",
    "layered",
]
