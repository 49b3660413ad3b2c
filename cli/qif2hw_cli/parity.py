"""``qif2hw parity``: compare the spikes of several backends."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw import backends
from qif2hw_cli.console import (
    Output,
    backend_options,
    example,
    given_options,
    percent,
    seconds,
    shard_options,
    threads_option,
    to_json,
    worker_options,
)
from qif2hw_cli.estimate import for_report
from qif2hw_cli.stepped_tables import show_budget
from qif2hw_cli.streams import INPUT, OUTPUT

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle
    from qif2hw.ir.arrays import FloatArray
    from qif2hw.parity import Outcome, ParityReport, SteppedReport

_SAMPLES = 256


@click.command(
    epilog=example(
        "qif2hw parity model.qif",
        "qif2hw parity model.qif --inputs x.npy --report report.html --json parity.json",
    )
)
@click.argument("bundle", type=INPUT)
@click.option(
    "--inputs",
    type=INPUT,
    metavar="X.npy",
    help=f"Array (samples, inputs) in the model's units; default: {_SAMPLES} random ones. Networks in time steps: "
    "(samples, ...), or TASK:test; default: the golden inputs.",
)
@click.option(
    "--labels",
    type=INPUT,
    metavar="Y.npy",
    help="Classifiers: the true classes (numbers or names), FILE.csv:COLUMN of a table, or TASK:test.",
)
@click.option(
    "--backends",
    "chosen",
    metavar="A,B,..",
    help=f"From {', '.join(backends.names())}; default: reference, engine, and Lava where it is installed.",
)
@click.option("--report", type=OUTPUT, metavar="R.html", help="Write the report as a page.")
@click.option(
    "--json",
    "json_path",
    is_flag=False,
    flag_value="-",
    metavar="[P.json]",
    help="Write all numbers as JSON, without a file name to stdout (then put --json last).",
)
@click.option("--rms", type=float, default=0.1, show_default=True, help="Bound on the RMS spike-time error, in steps.")
@click.option("--result", type=float, help="Bound on the relative L2 error of the result against the reference.")
@click.option(
    "--tolerance",
    type=float,
    default=0.5,
    show_default=True,
    help="Fail if an output spike is proven to be further off, in steps.",
)
@click.option("--explain", type=int, metavar="SAMPLE", help="Show how the error of this sample's outputs came about.")
@click.option(
    "--classes",
    type=float,
    default=0.02,
    show_default=True,
    help="Classifiers: bound on the share of samples in another class than the reference.",
)
@click.option(
    "--spikes",
    type=float,
    default=0.05,
    show_default=True,
    help="Networks in time steps: bound on the share of changed spikes.",
)
@backend_options
@worker_options
@shard_options
@threads_option
def command(
    bundle: str,
    inputs: str | None,
    labels: str | None,
    chosen: str | None,
    report: str | None,
    json_path: str | None,
    rms: float,
    result: float | None,
    tolerance: float,
    explain: int | None,
    classes: float,
    spikes: float,
    pool: dict[str, Any],
    shards: str | None,
    shard: str | None,
    **options: Any,
) -> None:
    """Run a bundle, or every bundle below a folder, on several backends and compare every spike.

    Integer backends must agree in every spike's step and lateness; the differences of each from the exact reference
    must keep within bounds. Exit code 1 if a bound is broken.

    With --jobs or --workers dask the samples are run in shards, at once. With --shards FOLDER --shard K/N one of them
    is run on all backends, and written to FOLDER; with --shards FOLDER alone all of them are compared.
    """
    from qif2hw import bundle as bundles
    from qif2hw.errors import InputError
    from qif2hw.files import check_writable
    from qif2hw.parity import Bounds, SteppedBounds, check
    from qif2hw.parity import report as page
    from qif2hw.parity.shards import pieces
    from qif2hw.workers import shared, workers
    from qif2hw_cli.explain import show_explanation
    from qif2hw_cli.inputs import read_labels
    from qif2hw_cli.parity_folder import check_folder
    from qif2hw_cli.shards import compute, shard_of, stored

    out = Output(json_path == "-")
    for path in (report, json_path):
        if path not in (None, "-"):
            check_writable(str(path))
    one = shard_of(shards, shard)
    names = choose(out, chosen)
    if Path(bundle).is_dir():
        own = Bounds(rms=rms, result=result, certified=tolerance)
        found = check_folder(out, Path(bundle), names, given_options(), own, SteppedBounds(classes, spikes, result))
        write_json(json_path, found)
        click.get_current_context().exit(0 if found["ok"] else 1)
    working = click.get_current_context().with_resource(workers(**pool))
    loaded = bundles.load_any(bundle)
    stepped = isinstance(loaded, bundles.SteppedBundle)
    for name in given_options() & ({"rms", "tolerance", "explain"} if stepped else {"spikes"}):
        clock = "an event-driven network" if stepped else "a network with a stepped clock"
        raise InputError(f"--{name}: it is an option for {clock}, which this bundle is not")
    names_of_classes = class_names(loaded)
    for name in given_options() & ({"labels", "classes"} if names_of_classes is None else set()):
        raise InputError(f"--{name}: it is an option for a classifier, which this bundle is not")
    if labels is not None and inputs is None:
        raise InputError("--labels: they belong to inputs: give those with --inputs")
    outcome: ParityReport | SteppedReport
    x = inputs_of(loaded, inputs)
    truth = None if labels is None else read_labels(labels, len(x), names_of_classes or ())
    explained: dict[str, Any] = {}
    if explain is not None and not 0 <= explain < len(x):
        raise InputError(f"--explain {explain}: there are {len(x)} samples")
    able = [shared(backends.get(name), working) for name in names]
    runs = pieces(loaded, able, options)
    if shards is not None and one is not None:
        with out.stage(f"shard {one} of {', '.join(names)}") as stage:
            compute(out, stage, shards, loaded, x, [piece for group in runs for piece in group], one)
        return
    if shards is not None:
        able = [stored(shards, loaded, x, group) for group in runs]
    given: dict[str, Any] = {"backends": able, **options}
    if isinstance(loaded, bundles.SteppedBundle):
        limits = SteppedBounds(classes, spikes, result)
        with out.stage(f"parity of {', '.join(names)}") as stage:
            outcome = check(loaded, x, bounds=limits, truth=truth, progress=stage.update, **given)
        show_stepped(out, outcome)
    else:
        bounds = Bounds(rms=rms, result=result, certified=tolerance, classes=classes)
        with out.stage(f"parity of {', '.join(names)}") as stage:
            outcome = check(loaded, x, bounds=bounds, truth=truth, progress=stage.update, **given)
        show(out, outcome)
        if explain is not None:
            explained = show_explanation(out, loaded, outcome, explain)
    if report is not None:
        cost, title = for_report(out, loaded, x), f"Parity of {Path(bundle).name}"
        page.write(report, page.render(outcome, title=title, facts=facts(loaded), sample=explain, estimate=cost))
        out.say(f"report: {report}")
    write_json(json_path, outcome.to_dict() | ({"explained": explained} if explained else {}))
    click.get_current_context().exit(0 if outcome.ok else 1)


def write_json(path: str | None, values: dict[str, Any]) -> None:
    """Plain values as JSON to a file, or to stdout."""
    from qif2hw.files import write_text

    if path == "-":
        click.echo(to_json(values))
    elif path is not None:
        write_text(path, to_json(values) + "\n")


def class_names(bundle: "AnyBundle") -> tuple[str, ...] | None:
    """Names of the classes of a bundle's network; None if it is no classifier."""
    from qif2hw.ir import Program

    if isinstance(bundle.program, Program):
        return bundle.program.classes
    return tuple(map(str, range(bundle.program.results)))


def inputs_of(bundle: "AnyBundle", path: str | None) -> "FloatArray":
    """The inputs (samples, ...) in a file; without one, random ones, or with a stepped clock the golden ones."""
    import numpy as np

    from qif2hw.bundle import SteppedBundle
    from qif2hw_cli.inputs import read_inputs

    if path is not None:
        return read_inputs(path, bundle.network)
    if isinstance(bundle, SteppedBundle):
        return bundle.golden.x
    return bundle.program.unscaled(np.random.default_rng(0).random((_SAMPLES, bundle.program.width)))


def choose(out: Output, chosen: str | None = None) -> tuple[str, ...]:
    """Names of the backends in ``chosen``; by default those of a parity check, with a note about what is missing."""
    if chosen is not None:
        names = tuple(name.strip() for name in chosen.split(","))
        for name in names:
            backends.get(name).check()
        return names
    able = []
    for backend in backends.in_parity():
        missing = backend.missing()
        if missing is None:
            able.append(backend.name)
        else:
            out.note(f"{backend.name.upper()} IS LEFT OUT: {missing}")
    return tuple(able)


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
                    f"{p.rms / p.delta:.3g}",
                    f"{p.largest / p.delta:.3g}",
                    f"{p.largest:.2g}",
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
