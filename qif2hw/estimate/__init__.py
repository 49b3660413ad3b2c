"""Estimate: what a run costs on a chip, from its spikes: counters by core, and a bracket of latency and energy.

It knows programs and runs, not the compiler: what the cores hold is handed in.  `qif2hw.api.estimate` does the whole.
"""

from qif2hw.estimate.bracket import Bracket, bracket, explaining_neurons, step_time
from qif2hw.estimate.counts import COUNTERS, Core, Counts, count, joined
from qif2hw.estimate.messages import Messages, machine_steps, messages
from qif2hw.estimate.neurobench import Metrics, metrics
from qif2hw.estimate.published import Beside, Workload, beside_model, workloads
from qif2hw.estimate.rates import Rate, Rates, load_rates, rates_for
from qif2hw.estimate.result import DISCLAIMER, Estimate, assemble

__all__ = [
    "COUNTERS",
    "DISCLAIMER",
    "Beside",
    "Bracket",
    "Core",
    "Counts",
    "Estimate",
    "Messages",
    "Metrics",
    "Rate",
    "Rates",
    "Workload",
    "assemble",
    "beside_model",
    "bracket",
    "count",
    "explaining_neurons",
    "joined",
    "load_rates",
    "machine_steps",
    "messages",
    "metrics",
    "rates_for",
    "step_time",
    "workloads",
]
