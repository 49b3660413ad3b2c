"""How the spikes of several backends compare, in tables."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import number, percent, seconds
from qif2hw_cli.output.stepped_tables import show_budget

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle
    from qif2hw.parity import Outcome, ParityReport, SteppedReport


def facts(bundle: "AnyBundle") -> dict[str, str]:
    """Network and options of a bundle, as lines of a report."""
    program = bundle.program
    sizes = [program.inputs, *(p.size for p in program.populations)]
    options = {name.replace("_", " "): str(value) for name, value in bundle.options.items() if value}
    return {"network": "-".join(map(str, sizes))} | options


def show(out: Output, outcome: "ParityReport") -> None:
    """Spikes by population, results, and every bound with its verdict."""
    rows = []
    for timing in outcome.timing:
        for p in timing.populations:
            rows.append(
                [
                    f"{timing.backend} {p.population}",
                    str(p.spikes),
                    str(p.matched),
                    str(p.missing),
                    str(p.extra),
                    str(p.at_end),
                    number(p.rms / p.delta),
                    number(p.largest / p.delta),
                    number(p.largest, 2),
                ]
            )
    out.table(
        f"Spikes against the reference ({outcome.samples} samples; Delta = {outcome.delta:.6g})",
        [
            "backend, population",
            "spikes",
            "matched",
            "missing",
            "extra",
            "at the end",
            "RMS / Delta",
            "max / Delta",
            "max",
        ],
        rows,
    )
    _show_certificates(out, outcome)
    if outcome.class_names is not None:
        rows = []
        for name in outcome.runs:
            accuracy = outcome.accuracy(name)
            moved = "reference" in outcome.runs and name != "reference"
            changed = f"{int(outcome.changed_class(name).sum())}" if moved else ""
            rows.append([name, "" if accuracy is None else f"{100 * accuracy:.2f} %", changed])
        out.table("Classes", ["backend", "accuracy", "in another class than the reference"], rows)
    _show_results(out, outcome)


def _show_certificates(out: Output, outcome: "ParityReport") -> None:
    """How far spikes can be off, and the causes."""
    found = outcome.certified
    if found is None:
        return
    rows = []
    for one in (found.first, *found.populations):
        numbers = one.to_dict(outcome.delta)
        values = [numbers["bound_delta"]["median"], numbers["bound_delta"]["largest"]]
        values += [numbers["remainder_delta"]["median"], *numbers["causes_rms_delta"].values()]
        shares = [str(numbers["spikes"]), str(numbers["status"]["certified"]), str(numbers["violated"])]
        rows.append([one.name, *shares, *("" if v is None else f"{v:.2g}" for v in values)])
    out.table(
        "Certificates, in steps Delta: how far a spike can be off (median, largest), the remainder in it, RMS by cause",
        ["", "spikes", "certified", "wrong", "bound", "largest", "rest", *found.first.to_dict(1.0)["causes_rms_delta"]],
        rows,
    )


def show_stepped(out: Output, outcome: "SteppedReport") -> None:
    """Spikes by population, classes, results, and every bound with its verdict."""
    rows = []
    for name, changes in outcome.changes.items():
        for population, found in changes.items():
            counts = (found.spikes.sum(), found.missing.sum(), found.extra.sum())
            rows.append([f"{name} {population}", *map(str, counts), percent(found.share)])
    out.table(
        f"Spikes against the reference ({outcome.samples} samples, {outcome.program.clock.count} time steps)",
        ["backend, population", "spikes", "missing", "extra", "changed"],
        rows,
    )
    rows = []
    for name in outcome.backends:
        moved = f"{int(outcome.changed_class(name).sum())}" if name in outcome.changes else ""
        accuracy = outcome.accuracy(name)
        spikes = sum(outcome.runs[name].spikes_per_sample.values())
        rows.append([name, "" if accuracy is None else f"{100 * accuracy:.2f} %", moved, f"{spikes:.5g}"])
    out.table("Classes", ["backend", "accuracy", "in another class than the reference", "spikes per sample"], rows)
    if outcome.budget is not None:
        show_budget(out, asdict(outcome.budget))
    _show_results(out, outcome)


def _show_results(out: Output, outcome: "Outcome") -> None:
    out.table(
        "Results: relative L2 error",
        ["backend", "against", "error", "largest"],
        [[r.backend, r.against, percent(r.relative), f"{r.largest:.3g}"] for r in outcome.results],
        names=2,
    )
    out.table(
        "Bounds",
        ["backend", "quantity", "measured", "bound", "holds"],
        [
            [v.backend, v.quantity, f"{v.measured:.3g}", f"{v.bound:.3g} {v.unit}", "yes" if v.ok else f"NO {v.note}"]
            for v in outcome.verdicts
        ],
        names=2,
    )
    times = ", ".join(f"{name} {seconds(run.seconds)}" for name, run in outcome.runs.items())
    out.say(f"{'parity holds' if outcome.ok else 'PARITY IS BROKEN'}   ({times})")
