"""The sections of a report, from a check to markup; an empty string where there is nothing to show."""

from collections.abc import Mapping
from html import escape

import numpy as np

from qif2hw import svg
from qif2hw.parity import figures, html, raster
from qif2hw.parity.certificates.explain import explain
from qif2hw.parity.certificates.spike_errors import CAUSES, CERTIFIED, STATUS
from qif2hw.parity.classes import by_class
from qif2hw.parity.html import DASH, cell, raw_cell, row, section
from qif2hw.parity.outcome import IDENTITY, Outcome, largest, rms
from qif2hw.parity.results import BackendParity, ParityReport

CHAINS_SHOWN = 8
"""Samples whose chain a report has."""


def lead(report: ParityReport) -> list[str]:
    """Sizes, in few words."""
    program = report.program
    by_depth: dict[int, int] = {0: program.inputs}
    for population in program.populations:
        by_depth[population.depth] = by_depth.get(population.depth, 0) + population.size
    return [
        "–".join(str(size) for size in by_depth.values()),
        f"{report.samples:,} samples",
        f"{report.steps} steps of Δ = {report.delta:.5g}",
    ]


def tiles(report: ParityReport) -> list[tuple[str, str]]:
    """The most important numbers, and what they are."""
    shown = []
    against = "truth" if report.truth is not None else "float"
    for name in ("float", *(b for b in report.backends if b != "reference")):
        result = report.result(name, against)
        if result is not None:
            shown.append((html.percent(result.relative), f"error of {name} against {against}"))
    if report.class_names is not None:
        for name in report.runs:
            accuracy = report.accuracy(name)
            if accuracy is not None and name not in report.identical:
                shown.append((html.percent(accuracy), f"accuracy of {label(report, name)}"))
        for timing in report.timing[:1]:
            agreement = float(1 - report.changed_class(timing.backend).mean())
            shown.append((html.percent(agreement), f"of the samples in the reference's class, {timing.backend}"))
    shown += identity(report, "every spike's step and lateness")
    if report.timing:
        timing = report.timing[0]
        spikes, matched = (sum(getattr(p, what) for p in timing.populations) for what in ("spikes", "matched"))
        shown.append((f"{matched:,}", f"of {spikes:,} spikes matched"))
        shown.append(
            (f"{svg.number(rms(timing.first_error) / report.delta, 2)} Δ", "RMS timing error of output spikes")
        )
    return shown


def identity(report: Outcome, what: str) -> list[tuple[str, str]]:
    """A tile that says whether exact backends agree."""
    same = [v for v in report.verdicts if v.unit == IDENTITY]
    words = f"{', '.join(v.backend for v in same)}: {what}"
    return [("identical" if all(v.ok for v in same) else "different", words)] if same else []


def page(report: ParityReport, sample: int | None) -> list[str]:
    """All sections in order."""
    return [
        summary(report), bounds(report), by_class(report, machine(report)), results(report), certificates(report),
        populations(report), errors(report), one_sample(report, sample), chains(report),
    ]  # fmt: skip


def foot(report: ParityReport) -> str:
    """What the letters mean."""
    grid = report.program.grid
    return (
        f"Δ = Θ / {grid.period_steps} = {grid.delta:.6g}; a tick, the unit of lateness, is Δ / {grid.ticks}. "
        f"Trial T = {grid.trial:g}, Θ = {grid.period:g}. RMS: root mean square. All times in the unit of τ."
    )


def summary(report: ParityReport) -> str:
    """One line per execution: errors of the result, spikes, time."""
    bases = [
        *(["truth"] if report.truth is not None else []),
        *(["float"] if "float" in report.runs else []),
        *(["reference"] if "reference" in report.backends else []),
    ]
    known = report.class_names is not None and report.labels is not None
    head = ["", *(["accuracy"] if known else []), *(f"against {'the truth' if b == 'truth' else b}" for b in bases)]
    if report.timing:
        head += ["spikes matched", "missing, extra", "at the end", "output spikes, RMS / Δ", "largest / Δ"]
    rows = []
    for name in [*(["float"] if "float" in report.runs else []), *report.backends]:
        if name in report.identical:
            continue
        title = report.titles.get(name, "weights as trained")
        cells = [f"{label(report, name)}: {title}", *([html.percent(report.accuracy(name) or 0.0)] if known else [])]
        for base in bases:
            result = report.result(name, base)
            cells.append(html.percent(result.relative) if result is not None else DASH)
        if report.timing:
            timing = next((t for t in report.timing if t.backend == name), None)
            cells += [DASH] * 5 if timing is None else _spike_cells(timing, report.delta)
        rows.append(row([cell(c) for c in [*cells, html.seconds(report.runs[name].seconds)]]))
    words = (
        "Results: relative L2 error over all samples. Spikes: against the reference, an exact event-driven run in "
        "float64 with the machine's own weights. The reference's error is what rounding costs; what the lines below "
        "it add is the cost of time steps and integers."
    )
    return section("Summary", html.table([*head, "run"], rows), words=words)


def _spike_cells(timing: BackendParity, delta: float) -> list[str]:
    spikes, matched, missing, extra, at_end = (
        sum(getattr(p, what) for p in timing.populations)
        for what in ("spikes", "matched", "missing", "extra", "at_end")
    )
    error = timing.first_error / delta
    counts = [f"{matched:,} of {spikes:,}", f"{missing:,}, {extra:,}", f"{at_end:,}"]
    return [*counts, svg.number(rms(error)), svg.number(largest(error))]


def bounds(report: Outcome) -> str:
    """Every bound with what was measured."""
    rows = []
    for v in report.verdicts:
        mark = '<b class="good">holds</b>' if v.ok else '<b class="bad">broken</b>'
        words = escape(v.quantity) + (f"<small>{escape(v.note)}</small>" if v.note else "")
        if v.unit == IDENTITY:
            measured, bound = ("identical" if v.ok else "different"), "identical"
        else:
            measured, bound = svg.number(v.measured), f"{svg.number(v.bound)} {v.unit}"
        cells = [cell(v.backend), raw_cell(words.replace("Delta", "Δ"), "words")]
        rows.append(row([*cells, cell(measured), cell(bound.replace("Delta", "Δ")), raw_cell(mark)]))
    return section("Bounds", html.table(["backend", "", "measured", "at most", ""], rows))


def results(report: ParityReport) -> str:
    """Curve of the result where there is one input and one output, differences where there are more."""
    backend, base = machine(report), report.base()[1]
    if report.x.shape[1] == 1 and report.runs[backend].y.shape[1] == 1:
        shown = [(base, "truth")]
        if base == "the truth" and "float" in report.runs:
            shown.append(("float", "float"))
        key = html.legend([*shown, (label(report, backend), "machine")])
        return section("Result", key, html.figure(figures.curve(report, backend)))
    drawn = [html.figure(figures.scatter(report, backend))]
    if report.x.shape[1] == 2:
        caption = f"Where in the input domain {label(report, backend)} is off: the larger a dot, the further."
        drawn.append(html.figure(figures.domain(report, backend), escape(caption)))
    return section("Result", *drawn)


def certificates(report: ParityReport) -> str:
    """What is proven about every spike, and the causes of its error."""
    found = report.certified
    if found is None:
        return ""
    head = ["", "spikes", "certified", "wrong", "median bound / Δ", "largest / Δ", "median remainder / Δ"]
    head += [f"{name}, RMS / Δ" for name in CAUSES]
    rows = []
    for one in (found.first, *found.populations):
        numbers = one.to_dict(report.delta)
        certified = numbers["status"][STATUS[CERTIFIED]]
        cells = [one.name, f"{numbers['spikes']:,}", f"{certified:,}", f"{numbers['violated']:,}"]
        values = [numbers["bound_delta"]["median"], numbers["bound_delta"]["largest"]]
        values += [numbers["remainder_delta"]["median"], *numbers["causes_rms_delta"].values()]
        rows.append(row([cell(c) for c in [*cells, *(DASH if v is None else svg.number(v) for v in values)]]))
    open_ = {word: n for word, n in found.first.to_dict(report.delta)["status"].items() if n and word != "certified"}
    words = (
        "From the engine's run alone: the sum of its defects, weighted by exact sensitivities, is each spike's error; "
        "what that sum leaves out, the remainder, is bounded. <em>Arithmetic</em>: tables, or rotation and rounding. "
        "<em>Order</em>: spikes of one step applied together. <em>Payload</em>: bits of lateness and of inputs. "
        "<em>Start</em>: initial phases."
    )
    if open_:
        words += (
            " First spikes without a bound: " + escape(", ".join(f"{n:,} {word}" for word, n in open_.items())) + "."
        )
    return section("Certificates", html.table(head, rows), words=words)


def populations(report: ParityReport) -> str:
    """Spikes by population."""
    if not report.timing:
        return ""
    head = ["population", "spikes", "matched", "missing", "extra", "at the end"]
    head += ["mean / Δ", "RMS / Δ", "largest / Δ", "largest", "RMS of each neuron"]
    rows = []
    for timing in report.timing:
        if timing.backend in report.identical:
            continue
        rows.append(row([f'<td colspan="{len(head)}">{escape(label(report, timing.backend))}</td>'], "group"))
        for p in timing.populations:
            cells = [p.population, *(f"{n:,}" for n in (p.spikes, p.matched, p.missing, p.extra, p.at_end))]
            cells += [svg.number(value / p.delta) for value in (p.mean, p.rms, p.largest)]
            drawn = raw_cell(figures.spark(p.neurons.rms / p.delta, "RMS error of each neuron", _neuron), "mini")
            rows.append(row([*(cell(c) for c in [*cells, svg.number(p.largest)]), drawn]))
    words = (
        "The k-th spike of a neuron is compared with its k-th; where the numbers differ, by the best alignment. "
        "<em>At the end</em>: without a partner, but so near the trial's end that the other side may rightly have it "
        "as a pseudospike."
    )
    return section("Spikes by population", html.table(head, rows), words=words)


def _neuron(neuron: int, error: float) -> str:
    return f"neuron {neuron}: {error:.4f} Δ"


def errors(report: ParityReport) -> str:
    """Histograms of the timing errors."""
    if not report.timing:
        return ""
    timing = next(t for t in report.timing if t.backend == machine(report))
    held = [v for v in report.verdicts if v.backend == timing.backend and v.quantity.startswith("all spikes")]
    outputs = report.program.output_populations
    drawn = [
        f"<div>{figures.histogram(p, held[0].bound if held and p.population in outputs else None)}</div>"
        for p in timing.populations
    ]
    words = f"{escape(label(report, timing.backend))} against the reference, all samples."
    words += " Heights are square roots of counts."
    words += " Dashed: the bound on the RMS." if held else ""
    return section("Timing errors", f'<div class="many">{"".join(drawn)}</div>', words=words)


def one_sample(report: ParityReport, sample: int | None) -> str:
    """All spikes of one sample, and a few of them enlarged."""
    if not report.timing:
        return ""
    backend = machine(report)
    shown = raster.worst_sample(report, backend) if sample is None else sample
    which = ", the one whose output spikes are furthest off" if sample is None else ""
    x = ", ".join(f"{v:.4g}" for v in report.x[shown][:6]) + (", …" if report.x.shape[1] > 6 else "")
    marks = [("reference", "expected"), (label(report, backend), "dot")]
    if not report.runs[backend].ordinary[shown].all():
        marks.append(("pseudospike of an output", "pseudo"))
    parts = [html.legend(marks), html.figure(raster.raster(report, backend, shown))]
    close = raster.zoom(report, backend, shown)
    if close:
        caption = (
            "A few steps enlarged. A spike is sent at the end of a step (square) and carries its lateness as payload "
            "(bar); the dot is the decoded time. The vertical line is the exact time."
        )
        parts.append(html.figure(close, caption))
    return section("One sample", *parts, words=f"Sample {shown}{which}; input {escape(x)}.")


def chains(report: ParityReport) -> str:
    """How the errors of the worst samples came about; a sample opens when it is clicked."""
    if report.certified is None:
        return ""
    worst = np.argsort(-np.abs(report.timing[0].first_error).max(axis=1), kind="stable")[:CHAINS_SHOWN]
    parts = []
    for sample in worst.tolist():
        found = explain(report.program, report.x, sample)
        head = ["spike", "step", "error / Δ", "arrived", *CAUSES, "passed on"]
        rows = []
        for link in found.chain:
            values = (link.error, link.arrived, *link.own.values(), link.passed)
            when = "pseudospike" if link.step < 0 else str(link.step)
            names = [f"{link.population}[{link.neuron}]", when]
            rows.append(row([cell(c) for c in [*names, *(svg.number(v) for v in values)]]))
        title = f"Sample {sample}: {svg.number(found.chain[-1].error)} Δ"
        parts.append(f"<details><summary>{escape(title)}</summary>{html.table(head, rows)}</details>")
    words = (
        "The samples with the largest errors of outputs. From where most of the error arose to the output: what each "
        "spike's inputs brought, what arose in its neuron by cause, and what the next spike got from it."
    )
    return section("Chains of errors", *parts, words=words)


def times(report: Outcome, stages: Mapping[str, float]) -> str:
    """Seconds of each stage and each run."""
    taken = {**stages, **{f"run: {name}": run.seconds for name, run in report.runs.items()}}
    longest = max(max(taken.values()), 1e-12)
    rows = [
        row([cell(name), cell(html.seconds(value)), raw_cell(figures.bar(value / longest), "bar")])
        for name, value in taken.items()
    ]
    return section("Time", html.table([], rows))


def machine(report: Outcome) -> str:
    """The backend that the figures show: the first that is not the reference."""
    return next(name for name in report.backends if name != "reference")


def label(report: Outcome, backend: str) -> str:
    """Name of a backend, with those that are bit for bit equal to it."""
    if report.exact[:1] == (backend,) and report.identical:
        return f"{' = '.join([backend, *report.identical])} (bit for bit)"
    return backend
