"""The figures of a report about single spikes: all of one sample, and a few of them enlarged."""

from dataclasses import dataclass

import numpy as np

from qif2hw import svg
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run, Spikes
from qif2hw.parity.figures import WIDTH
from qif2hw.parity.matching import match
from qif2hw.parity.results import ParityReport

_LEFT = 108.0
_TITLES = 4000
_ROWS = 14
_STEPS = 5.0


@dataclass(frozen=True)
class _Spike:
    """One spike of a sample; ``None`` where a run has no such spike, or no steps."""

    population: str
    neuron: int
    expected: float | None
    actual: float | None
    sent: float | None
    lateness: int | None

    @property
    def time(self) -> float:
        """Time of the spike in the backend's run, else in the reference's."""
        return self.actual if self.actual is not None else (self.expected or 0.0)

    def describe(self, delta: float) -> str:
        """Name, time, payload and error of the spike as text; ``delta`` is the length of a step."""
        name = f"{self.population}[{self.neuron}]"
        if self.expected is None:
            return f"{name}: extra spike at {self.time:.5f}"
        if self.actual is None:
            return f"{name}: missing spike, reference {self.expected:.5f}"
        late = f", sent {self.lateness} ticks late" if self.lateness is not None else ""
        error = (self.actual - self.expected) / delta
        return f"{name}: {self.actual:.5f}{late}, reference {self.expected:.5f}, error {error:+.4f} Δ"


def worst_sample(report: ParityReport, backend: str) -> int:
    """The sample with the largest timing error of an output neuron's first spike."""
    timing = next(t for t in report.timing if t.backend == backend)
    return int(np.abs(timing.first_error).max(axis=1).argmax())


def raster(report: ParityReport, backend: str, sample: int) -> str:
    """All spikes of one sample: grey ticks are the reference's, dots the backend's, rings pseudospikes of outputs."""
    program, spikes = report.program, _spikes(report, backend, sample)
    pseudo = _pseudospikes(program, report.runs[backend], sample)
    latest = max([report.trial * 1.02, *(time * 1.01 for _, _, time in pseudo)])
    across = svg.Scale(0.0, latest, _LEFT, WIDTH - 12)
    titled = len(spikes) <= _TITLES
    parts, top, row = [], 8.0, {}
    for k, population in enumerate(program.populations):
        pitch = min(max(150.0 / population.size, 3.0), 13.0)
        height = pitch * population.size + 10
        if k % 2 == 0:
            parts.append(svg.rectangle(0, top, WIDTH, height, "band"))
        parts.append(svg.text(8, top + min(height / 2 + 4, 18.0), population.name, css="name"))
        if population.size > 4:
            parts.append(svg.text(8, top + 34, f"{population.size} neurons"))
        row[population.name] = (top + 5 + pitch / 2, pitch)
        top += height
    parts.append(svg.bottom_axis(across, top, "time", top=8.0, count=8))
    parts.append(svg.line(across(report.trial), 8.0, across(report.trial), top, "end"))
    parts.append(svg.text(across(report.trial) - 4, top - 5, "T", anchor="end"))
    for spike in spikes:
        first, pitch = row[spike.population]
        y, half = first + pitch * spike.neuron, min(pitch * 0.46, 5.0)
        radius = min(max(pitch * 0.3, 1.3), 2.8)
        mark = []
        if spike.expected is not None:
            x = across(spike.expected)
            mark.append(svg.line(x, y - half, x, y + half, "expected"))
        if spike.actual is not None:
            mark.append(svg.element("circle", cx=across(spike.actual), cy=y, r=radius, class_="dot"))
        if spike.expected is None or spike.actual is None:
            mark.append(svg.element("circle", cx=across(spike.time), cy=y, r=6, class_="lost"))
        tip = [svg.element("title", spike.describe(report.delta))] if titled else []
        parts.append(svg.element("g", *tip, *mark))
    for name, neuron, time in pseudo:
        first, pitch = row[name]
        tip_ = svg.element("title", f"{name}[{neuron}]: pseudospike at {time:.5f}")
        parts.append(svg.element("circle", tip_, cx=across(time), cy=first + pitch * neuron, r=3.2, class_="pseudo"))
    return svg.figure(WIDTH, top + 40, f"Spikes of sample {sample}", parts)


def zoom(report: ParityReport, backend: str, sample: int) -> str:
    """A few steps of a sample: when each spike was sent, its payload (the lateness) and its decoded time.

    An empty string where the run has no steps.
    """
    delta = report.delta
    spikes = [s for s in _spikes(report, backend, sample) if s.sent is not None and s.expected is not None]
    if not spikes:
        return ""
    time = np.array([s.time for s in spikes])
    # The window with the most spikes.
    starts = np.floor(time / delta - 1) * delta
    inside = [int(((time > a + 0.5 * delta) & (time < a + (_STEPS - 0.5) * delta)).sum()) for a in starts]
    start = float(starts[int(np.argmax(inside))])
    shown = [s for s in spikes if start + 0.2 * delta < s.time < start + (_STEPS - 0.2) * delta][:_ROWS]
    across = svg.Scale(start, start + _STEPS * delta, _LEFT + 14, WIDTH - 12)
    parts, foot = [], 22.0 * len(shown) + 12
    for k in range(int(_STEPS) + 1):
        x = across(start + k * delta)
        parts.append(svg.line(x, 4, x, foot, "step"))
        parts.append(svg.text(x, foot + 17, f"{start + k * delta:.4f}", anchor="middle"))
    parts.append(
        svg.text(
            (across.start + across.stop) / 2, foot + 36, "time; the lines are steps Δ", css="title", anchor="middle"
        )
    )
    for i, spike in enumerate(shown):
        y = 18.0 + 22.0 * i
        assert spike.sent is not None
        assert spike.actual is not None
        assert spike.expected is not None
        decoded, sent = across(spike.actual), across(spike.sent)
        x = across(spike.expected)
        tip = svg.element("title", spike.describe(delta))
        parts.append(
            svg.element(
                "g",
                tip,
                svg.text(8, y + 4, f"{spike.population}[{spike.neuron}]"),
                svg.line(decoded, y, sent, y, "late"),
                svg.rectangle(sent - 3.5, y - 3.5, 7, 7, "sent"),
                svg.element("circle", cx=decoded, cy=y, r=4, class_="dot"),
                svg.line(x, y - 9, x, y + 9, "mark"),
            )
        )
    return svg.figure(WIDTH, foot + 40, f"Spikes of sample {sample}, {_STEPS:g} steps enlarged", parts)


def _spikes(report: ParityReport, backend: str, sample: int) -> list[_Spike]:
    """Spikes of one sample by population, neuron and time, those of the reference and of a backend paired."""
    grid, spikes = report.program.grid, []
    for population in report.program.populations:
        name = population.name
        expected, actual = (_of_sample(report.runs[run].spikes[name], sample) for run in ("reference", backend))
        matching = match(expected, actual, (1, population.size), grid.delta)
        steps = report.runs[backend].step_spikes.get(name)
        here = np.flatnonzero(steps.sample == sample) if steps is not None else None
        pairs = [(i, int(j) if j >= 0 else None) for i, j in enumerate(matching.partner)]
        pairs_: list[tuple[int | None, int | None]] = [*pairs, *((None, int(j)) for j in matching.extra)]
        for i, j in pairs_:
            sent = lateness = None
            if steps is not None and here is not None and j is not None:
                lateness = int(steps.lateness[here[j]])
                sent = float(actual.time[j]) + lateness * grid.tick
            neuron = int(expected.neuron[i] if i is not None else actual.neuron[j])
            times = (
                float(expected.time[i]) if i is not None else None,
                float(actual.time[j]) if j is not None else None,
            )
            spikes.append(_Spike(name, neuron, *times, sent, lateness))
    return spikes


def _of_sample(spikes: Spikes, sample: int) -> Spikes:
    here = spikes.sample == sample
    return Spikes(np.zeros(int(here.sum()), np.int32), spikes.neuron[here], spikes.time[here])


def _pseudospikes(program: Program, run: Run, sample: int) -> list[tuple[str, int, float]]:
    columns = [(name, i) for name in program.output_populations for i in range(program.population(name).size)]
    return [
        (name, i, float(run.spike_time[sample, k]))
        for k, (name, i) in enumerate(columns)
        if not run.ordinary[sample, k]
    ]
