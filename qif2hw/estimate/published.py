"""Published workloads of Loihi 2 beside the model: what is inside its bracket, and what it misses."""

import math
from dataclasses import dataclass

from qif2hw.estimate.bracket import Ends, explaining_neurons, step_time
from qif2hw.estimate.rates import Rates, read_toml


@dataclass(frozen=True)
class Workload:
    """A workload that somebody measured on Loihi 2; None and 0 where nothing was published.

    Parameters
    ----------
    name, about, source
        What ran, and who says so.
    cores, fullest_core
        Number of cores, and neurons of the fullest.
    steps, step_s
        Steps of an inference, and seconds of a step.
    energy_j, boundary
        Energy of an inference, on the chip's ``rails`` or the ``board``.
    calibration
        Whether a rate of the model was computed from it.
    outside
        Why the model has nothing to say about it.
    """

    name: str
    about: str
    source: str
    cores: int = 0
    fullest_core: int | None = None
    steps: int = 0
    step_s: float = 0.0
    energy_j: float = 0.0
    boundary: str = ""
    calibration: bool = False
    outside: str = ""


@dataclass(frozen=True)
class Beside:
    """A workload beside the model.

    Parameters
    ----------
    workload
        What was published.
    neurons
        Neurons on the fullest core: the published number, or those with which the step is inside the bracket.
    step_s
        Bracket of the step, where the fullest core is published.
    energy_j
        Bracket of the energy over the published time: power of the model times that time.
    holds
        Whether all that can be compared is inside; where the fullest core is not published, whether a core can hold it.
    verdict
        The same in words.
    """

    workload: Workload
    neurons: tuple[int, int] | None
    step_s: Ends | None
    energy_j: Ends | None
    holds: bool
    verdict: str


def workloads() -> tuple[Workload, ...]:
    """All of them."""
    return tuple(Workload(**entry) for entry in read_toml("published")["workload"])


def beside_model(rates: Rates, workload: Workload) -> Beside:
    """One workload beside the model; nothing is fitted."""
    if workload.outside:
        return Beside(workload, None, None, None, False, f"missed: {workload.outside}")
    most = int(read_toml("published")["core"]["neurons"])
    said, holds, step = [], True, None
    if workload.fullest_core is not None:
        neurons = workload.fullest_core, workload.fullest_core
        step = step_time(rates, workload.fullest_core)
        holds = step[0] <= workload.step_s <= step[1]
        said.append("time inside" if holds else "time missed")
    else:
        low, high = explaining_neurons(rates, workload.step_s)
        neurons = math.ceil(low), min(math.floor(high), most)
        holds = neurons[0] <= most
        said.append(
            f"time inside with {neurons[0]} to {neurons[1]} neurons on the fullest core, which nobody published"
            if holds
            else f"time missed: it would take {neurons[0]} neurons on a core, which holds {most}"
        )
    energy = None
    if workload.energy_j:
        seconds = workload.steps * workload.step_s
        power = ("rails_low", "rails_high") if workload.boundary == "rails" else ("board", "board")
        energy = rates[power[0]] * seconds, rates[power[1]] * seconds
        error = workload.energy_j / energy[0] - 1
        inside = energy[0] <= workload.energy_j <= energy[1] if energy[0] < energy[1] else abs(error) < 0.01
        holds = holds and inside
        said.append(f"energy {'inside' if inside else 'missed'}")
    if workload.calibration:
        said.append("calibration point")
    return Beside(workload, neurons, step, energy, holds, "; ".join(said))


def table(rates: Rates) -> str:
    """All workloads beside the model, as a table of the documentation."""
    rows = ["| workload | published | model | |", "|---|---|---|---|"]
    for found in (beside_model(rates, one) for one in workloads()):
        one = found.workload
        published = [f"{_micro(one.step_s)} µs/step"] if one.step_s else []
        published += [f"{one.energy_j * 1e3:.4g} mJ ({one.boundary})"] if one.energy_j else []
        model = []
        if found.step_s is not None and found.neurons is not None:
            ends = " to ".join(map(_micro, found.step_s))
            model.append(f"{ends} µs/step with {found.neurons[0]} neurons on the fullest core")
        if found.energy_j is not None:
            low, high = (f"{1e3 * value:.4g}" for value in found.energy_j)
            model.append(f"{low if low == high else f'{low} to {high}'} mJ in that time")
        cells = [f"{one.name} ({one.about})", ", ".join(published), ", ".join(model), found.verdict]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:.4g}"
