"""Independent oracles: networks from their differential equation, sharing no formula with the library."""

from oracles.closed_form import closed_form_neuron
from oracles.layers import OracleRun, run_layers
from oracles.membrane import membrane_neuron

__all__ = ["OracleRun", "closed_form_neuron", "membrane_neuron", "run_layers"]
