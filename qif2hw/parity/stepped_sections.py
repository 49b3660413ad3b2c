"""The sections of a report about a network with a stepped clock."""

import numpy as np

from qif2hw import svg
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.changes import SpikeChanges, together
from qif2hw.parity import figures, html, sections
from qif2hw.parity.classes import by_class
from qif2hw.parity.html import DASH, cell, raw_cell, row, section
from qif2hw.parity.stepped import SteppedReport


def lead(report: SteppedReport) -> list[str]:
    """Sizes, in few words."""
    program = report.program
    sizes = [program.inputs, *(p.size for p in program.populations)]
    return [
        f"{len(program.populations)} populations, {sum(sizes[1:]):,} neurons",
        f"{report.samples:,} samples",
        f"{program.clock.count} time steps",
    ]


def tiles(report: SteppedReport) -> list[tuple[str, str]]:
    """The most important numbers, and what they are."""
    shown = []
    for name in report.backends if report.labels is not None else ():
        if name not in report.identical:
            shown.append((html.percent(report.accuracy(name) or 0.0), f"accuracy of {sections.label(report, name)}"))
    shown += sections.identity(report, "every spike of every layer and step")
    for name, changes in report.changes.items():
        if name not in report.identical:
            agreement = float(1 - report.changed_class(name).mean())
            shown.append((html.percent(agreement), f"of the samples in the reference's class, {name}"))
            shown.append((html.percent(together(changes).share), f"of the spikes changed, {name}"))
    return shown


def page(report: SteppedReport, sample: int | None) -> list[str]:
    """All sections in order."""
    return [
        summary(report), sections.bounds(report), by_class(report, sections.machine(report)), results(report),
        populations(report), causes(report), one_sample(report, sample),
    ]  # fmt: skip


def foot(report: SteppedReport) -> str:
    """What the words mean."""
    return (
        "A changed spike is one that the reference has at a sample, time step and neuron and the backend does not, or "
        "the other way round; one that moves to another step counts twice."
    )


def summary(report: SteppedReport) -> str:
    """One line per execution: accuracy, classes, results, spikes, time."""
    known = report.labels is not None
    head = ["", *(["accuracy"] if known else []), "same class", "result, relative L2 error", "changed spikes",
            "spikes per sample", "run"]  # fmt: skip
    rows = []
    for name in report.backends:
        run, changes = report.runs[name], report.changes.get(name)
        cells = [f"{name}: {report.titles[name]}"]
        if known:
            cells.append(html.percent(report.accuracy(name) or 0.0))
        result = report.result(name, "reference")
        cells.append(DASH if changes is None else html.percent(float(1 - report.changed_class(name).mean())))
        cells.append(DASH if result is None else html.percent(result.relative))
        cells.append(DASH if changes is None else html.percent(together(changes).share))
        cells += [f"{sum(run.spikes_per_sample.values()):,.0f}", html.seconds(run.seconds)]
        rows.append(row([cell(c) for c in cells]))
    words = (
        "The reference is the float network, step by step in float64; what differs from it is the cost of rounded "
        "inputs and weights and of integer arithmetic."
    )
    return section("Summary", html.table(head, rows), words=words)


def results(report: SteppedReport) -> str:
    """Differences of the scores."""
    return section("Scores", html.figure(figures.scatter(report, sections.machine(report))))


def populations(report: SteppedReport) -> str:
    """Changed spikes by population and time step."""
    if not report.changes:
        return ""
    head = ["population", "shape", "spikes per sample", "missing", "extra", "changed", "changed in each time step"]
    rows = []
    for name, changes in report.changes.items():
        if name in report.identical:
            continue
        rows.append(row([f'<td colspan="{len(head)}">{sections.label(report, name)}</td>'], "group"))
        for population in report.program.populations:
            found = changes.get(population.name)
            if found is None:
                continue
            cells = [
                population.name,
                " × ".join(map(str, population.shape)),
                f"{found.spikes.sum() / report.samples:,.1f}",
                f"{found.missing.sum():,}",
                f"{found.extra.sum():,}",
                html.percent(found.share),
            ]
            rows.append(
                row(
                    [
                        *(cell(c) for c in cells),
                        raw_cell(figures.spark(_by_step(found), "Changed spikes of each step", _step), "mini"),
                    ]
                )
            )
    return section("Spikes by population", html.table(head, rows))


def _by_step(found: SpikeChanges) -> FloatArray:
    """Share of changed spikes in each step."""
    share: FloatArray = (found.missing + found.extra) / np.maximum(found.spikes, 1)
    return share


def _step(step: int, share: float) -> str:
    return f"step {step + 1}: {100 * share:.3g} %"


def causes(report: SteppedReport) -> str:
    """What changes when one cause of errors after the other is added."""
    budget = report.budget
    if budget is None:
        return ""
    changes = budget.causes | {"all together": budget.total}
    rows, by_population = [], []
    for name, change in changes.items():
        shares = (change.classes, change.results, change.all_spikes)
        cells = [CAUSE.get(name, name), *(DASH if share is None else html.percent(share) for share in shares)]
        if budget.accuracy:
            cells.append(html.percent(budget.accuracy.get(name, budget.accuracy["arithmetic"])))
        rows.append(row([cell(c) for c in cells]))
    for name in budget.total.spikes:
        found = [change.spikes[name] for change in changes.values()]
        by_population.append(row([cell(c) for c in (name, *(DASH if f is None else html.percent(f) for f in found))]))
    head = ["", "another class", "result", "changed spikes", *(["accuracy after it"] if budget.accuracy else [])]
    tables = html.table(head, rows), html.table(["changed spikes of", *changes], by_population)
    words = (
        f"Each line adds a cause to those above it, on the first {budget.samples:,} samples: what changes then, and "
        "the accuracy that is left. A sample or spike may change and change back, so that shares may add up to more."
    )
    return section("Where the error comes from", *tables, words=words)


CAUSE = {
    "weights": "weights and biases on their grid",
    "inputs": "integer inputs",
    "arithmetic": "thresholds, step and registers in integers",
}
"""Causes of errors in words."""


def one_sample(report: SteppedReport, sample: int | None) -> str:
    """Scores of one sample on the reference and on a backend."""
    backend = sections.machine(report)
    base, name = report.base()
    y = report.runs[backend].y
    shown = int(np.abs(y - base).max(axis=1).argmax()) if sample is None else sample
    which = ", the one whose scores are furthest off" if sample is None else ""
    truth = "" if report.labels is None else f" Its class is {report.labels[shown]}."
    key = html.legend([(name, "expected"), (sections.label(report, backend), "dot")])
    words = f"Sample {shown}{which}.{truth}"
    return section("One sample", key, html.figure(_scores(base[shown], y[shown])), words=words)


def _scores(expected: FloatArray, actual: FloatArray) -> str:
    """Two rows of marks over the classes."""
    width, top, foot = figures.WIDTH, 26.0, 190.0
    up = svg.scale(np.concatenate([[0.0], expected, actual]), foot, top, 0.08)
    pitch = (width - 80.0) / len(expected)
    parts = [svg.left_axis(up, 62.0, "score", right=width - 12), svg.line(62.0, up(0.0), width - 12, up(0.0), "zero")]
    for k, (a, b) in enumerate(zip(expected, actual, strict=True)):
        x = 68.0 + pitch * (k + 0.5)
        parts.append(svg.line(x - pitch / 4, up(float(a)), x + pitch / 4, up(float(a)), "expected"))
        tip = svg.element("title", f"class {k}: {a:.5g}, {b:.5g}")
        parts.append(svg.element("circle", tip, cx=x, cy=up(float(b)), r=4, class_="dot"))
        if pitch > 14 or k % 10 == 0:
            parts.append(svg.text(x, foot + 18, str(k), anchor="middle"))
    return svg.figure(width, foot + 30, "Scores of one sample", parts)
