"""The estimate of a run on a chip: counts, metrics, and the bracket of latency and energy."""

from dataclasses import asdict, dataclass
from typing import Any

from qif2hw.errors import InputError
from qif2hw.estimate.bracket import Bracket, bracket
from qif2hw.estimate.counts import COUNTERS, Counts
from qif2hw.estimate.messages import AnyProgram
from qif2hw.estimate.neurobench import Metrics, metrics
from qif2hw.estimate.rates import Rates

DISCLAIMER = "an estimate within the published figures, in order of magnitude; nothing has run on a chip"
"""What every display of a bracket says."""


@dataclass(frozen=True)
class Estimate:
    """What a sample costs on a chip.

    Parameters
    ----------
    target, chips
        Where, and how many chips the cores fill.
    counts, metrics
        Work of the cores, and the metrics of NeuroBench.
    in_flight
        Samples that run at once, each on cores of its own.
    rates, bracket
        What the bracket is computed from, and the bracket; None where nothing is published for the target.
    notes
        What the reader should know about these numbers.
    """

    target: str
    chips: int
    counts: Counts
    metrics: Metrics
    in_flight: int
    rates: Rates | None
    bracket: Bracket | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values; counts and energies are those of a mean sample."""
        found = self.bracket
        return {
            "target": self.target,
            "samples": self.counts.samples,
            "steps": self.counts.steps,
            "cores": len(self.counts.cores),
            "chips": self.chips,
            "fullest_core": self.counts.fullest_core,
            "in_flight": self.in_flight,
            "counts": self.counts.per_sample(),
            "neurobench": asdict(self.metrics),
            "by_core": self._by_core(),
            "latency_s": None if found is None else list(found.latency_s),
            "samples_per_s": None if found is None else list(found.samples_per_s),
            "energy_j": None
            if found is None
            else {"dynamic": list(found.dynamic_j), "rails": list(found.rails_j), "board": list(found.board_j)},
            "sources": {} if self.rates is None else {name: asdict(rate) for name, rate in self.rates.rates.items()},
            "notes": list(self.notes),
        }

    def _by_core(self) -> list[dict[str, Any]]:
        values = {name: self.counts.by_core(name).tolist() for name in COUNTERS}
        return [
            {
                "core": k,
                "population": core.population,
                "first": core.first,
                "stop": core.stop,
                **{name: column[k] for name, column in values.items()},
            }
            for k, core in enumerate(self.counts.cores)
        ]


def assemble(
    program: AnyProgram,
    counts: Counts,
    target: str,
    rates: Rates | None,
    *,
    core_limit: int | None = None,
    in_flight: int = 1,
) -> Estimate:
    """The estimate of a run that was counted.

    Parameters
    ----------
    program, counts
        What ran, and the work of the run.
    target, rates
        Name of the chip, and what it costs, if that is known.
    core_limit
        Cores of one chip, if limited.
    in_flight
        Samples that run at once, each on cores of its own.

    Raises
    ------
    InputError
        If the chip has not enough cores for the samples in flight.
    """
    cores = len(counts.cores)
    if in_flight > 1 and core_limit is not None and in_flight * cores > core_limit:
        raise InputError(
            f"{in_flight} samples in flight need {in_flight * cores} cores, the target '{target}' has {core_limit}: "
            f"{core_limit // cores or 'not even one'} fit"
        )
    chips = 1 if core_limit is None else -(-cores // core_limit)
    found = None
    if rates is not None:
        found = bracket(rates, counts.steps, counts.fullest_core, in_flight=in_flight, chips=chips)
    notes = tuple(_notes(target, counts, chips, rates))
    return Estimate(target, chips, counts, metrics(program, counts), in_flight, rates, found, notes)


def _notes(target: str, counts: Counts, chips: int, rates: Rates | None) -> list[str]:
    notes = []
    if rates is None:
        return [f"nothing is published about latency and energy of the target '{target}': counts alone"]
    notes.append(DISCLAIMER)
    synapses = counts.busiest_syn_ops / counts.steps
    if synapses > counts.fullest_core:
        notes.append(
            f"{synapses:.4g} synaptic operations in a mean step on the busiest core, more than the "
            f"{counts.fullest_core} neuron updates of the fullest: synapses have no term "
            "in the bracket, which is likely too low here"
        )
    if chips > 1:
        notes.append(f"{chips} chips: messages between chips have no term in the bracket")
    return notes
