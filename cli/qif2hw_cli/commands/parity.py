"""``qif2hw parity``: compare the spikes of several backends."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw import backends
from qif2hw.errors import InputError
from qif2hw_cli.options.common import example, given_options, threads_option
from qif2hw_cli.options.numbers import BOUND
from qif2hw_cli.options.running import RANDOM_SAMPLES, backend_options, choose_backends, shard_options, worker_options
from qif2hw_cli.options.streams import INPUT, OUTPUT, PRINTED
from qif2hw_cli.output.console import Output, echo
from qif2hw_cli.output.formats import to_json

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle
    from qif2hw.parity import ParityReport, SteppedReport

ALONE = ("inputs", "labels", "report", "explain", "shards", "shard")
"""Options that are about one bundle."""


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
    help=f"Array (samples, inputs) in the model's units; default: {RANDOM_SAMPLES} random ones. Networks in time "
    "steps: (samples, ...), or TASK:test; default: the golden inputs.",
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
    type=PRINTED,
    is_flag=False,
    flag_value="-",
    metavar="[P.json]",
    help="Write all numbers as JSON, without a file name to stdout (then put --json last).",
)
@click.option("--rms", type=BOUND, default=0.1, show_default=True, help="Bound on the RMS spike-time error, in steps.")
@click.option("--result", type=BOUND, help="Bound on the relative L2 error of the result against the reference.")
@click.option(
    "--tolerance",
    type=BOUND,
    default=0.5,
    show_default=True,
    help="Fail if an output spike is proven to be further off, in steps.",
)
@click.option("--explain", type=int, metavar="SAMPLE", help="Show how the error of this sample's outputs came about.")
@click.option(
    "--classes",
    type=BOUND,
    default=0.02,
    show_default=True,
    help="Classifiers: bound on the share of samples in another class than the reference.",
)
@click.option(
    "--spikes",
    type=BOUND,
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
    from qif2hw.files import check_writable
    from qif2hw.parity import Bounds, SteppedBounds, check
    from qif2hw.parity import report as page
    from qif2hw.parity.shards import pieces
    from qif2hw.workers import shared, workers
    from qif2hw_cli.files.inputs import inputs_or_default, read_labels
    from qif2hw_cli.files.shards import compute, shard_of, stored
    from qif2hw_cli.output.estimate_tables import for_report
    from qif2hw_cli.output.explanation import show_explanation
    from qif2hw_cli.output.parity_tables import facts, show, show_stepped

    out = Output(json_path == "-")
    for path in (report, json_path):
        if path not in (None, "-"):
            check_writable(str(path))
    one = shard_of(shards, shard)
    names = choose_backends(out, chosen)
    folder = bundles.is_folder_of_bundles(bundle)
    for name in sorted(given_options() & {*ALONE}) if folder else ():
        raise InputError(f"--{name}: it is an option for one bundle, and {bundle} is a folder")
    working = click.get_current_context().with_resource(workers(**pool))
    able = [shared(backends.get(name), working) for name in names]
    bounds = Bounds(rms=rms, result=result, certified=tolerance, classes=classes)
    limits = SteppedBounds(classes, spikes, result)
    if folder:
        found = check_folder(out, Path(bundle), able, bounds, limits, options)
        write_json(json_path, found)
        click.get_current_context().exit(0 if found["ok"] else 1)
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
    x = inputs_or_default(loaded, inputs)
    truth = None if labels is None else read_labels(labels, len(x), names_of_classes or ())
    explained: dict[str, Any] = {}
    if explain is not None and not 0 <= explain < len(x):
        raise InputError(f"--explain {explain}: there are {len(x)} samples")
    runs = pieces(loaded, able, options)
    if shards is not None and one is not None:
        with out.stage(f"shard {one} of {', '.join(names)}") as stage:
            compute(out, stage, shards, loaded, x, [piece for group in runs for piece in group], one)
        return
    if shards is not None:
        able = [stored(shards, loaded, x, group) for group in runs]
    given: dict[str, Any] = {"backends": able, **options}
    if isinstance(loaded, bundles.SteppedBundle):
        with out.stage(f"parity of {', '.join(names)}") as stage:
            outcome = check(loaded, x, bounds=limits, truth=truth, progress=stage.update, **given)
        show_stepped(out, outcome)
    else:
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
        echo(to_json(values))
    elif path is not None:
        write_text(path, to_json(values) + "\n")


def class_names(bundle: "AnyBundle") -> tuple[str, ...] | None:
    """Names of the classes of a bundle's network; None if it is no classifier."""
    from qif2hw.ir import Program

    if isinstance(bundle.program, Program):
        return bundle.program.classes
    return tuple(map(str, range(bundle.program.results)))


def check_folder(
    out: Output, folder: Path, able: list[backends.Backend], bounds: Any, stepped: Any, options: dict[str, Any]
) -> dict[str, Any]:
    """Outcomes by the bundles' paths below the folder, as plain values, and whether all hold.

    Parameters
    ----------
    out, folder, able
        Where to report, where to look, and the backends.
    bounds, stepped
        Bounds for either clock.
    options
        Options of the backends.

    Raises
    ------
    InputError
        If the folder holds no bundle.
    """
    from qif2hw import bundle as bundles
    from qif2hw.parity import check
    from qif2hw_cli.files.inputs import inputs_or_default

    paths = sorted(folder.rglob("*.qif"))
    if not paths:
        raise InputError(f"{folder}: no bundle (*.qif) in this folder")
    found: dict[str, Any] = {}
    rows = []
    for path in paths:
        name = str(path.relative_to(folder))
        bundle: Any = bundles.load_any(path)
        limits = stepped if isinstance(bundle, bundles.SteppedBundle) else bounds
        with out.stage(name) as stage:
            x = inputs_or_default(bundle, None)
            outcome: Any = check(bundle, x, backends=able, bounds=limits, progress=stage.update, **options)
        found[name] = outcome.to_dict()
        broken = [v for v in outcome.verdicts if not v.ok]
        words = "; ".join(f"{v.backend}: {v.quantity} {v.measured:.3g} above {v.bound:.3g} {v.unit}" for v in broken)
        rows.append([name, str(outcome.samples), "yes" if outcome.ok else "NO", words])
    out.table("Bundles", ["bundle", "samples", "holds", "broken bounds"], rows, names=1)
    ok = all(one["ok"] for one in found.values())
    out.say(f"{'parity holds' if ok else 'PARITY IS BROKEN'} ({len(found)} bundles)")
    return {"ok": ok, "bundles": found}
