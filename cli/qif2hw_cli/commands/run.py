"""``qif2hw run``: a bundle on a backend."""

from typing import TYPE_CHECKING, Any

import click

from qif2hw import backends
from qif2hw.errors import InputError
from qif2hw_cli.options.common import example, json_option, threads_option
from qif2hw_cli.options.running import backend_options, shard_options, worker_options
from qif2hw_cli.options.streams import INPUT, OUTPUT, is_stream
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import seconds

if TYPE_CHECKING:
    from qif2hw.ir import Run
    from qif2hw.ir.stepped import SteppedRun


@click.command(
    epilog=example(
        "qif2hw run model.qif --inputs x.npy -o out.npz",
        "qif2hw run model.qif --inputs x.csv -o out.csv --clip",
        "qif2hw run model.qif --inputs x.npy -o out.npz --backend lava --timeout 120",
        "qif2hw run model.qif --inputs x.npy -o out.npz --workers dask --scheduler tcp://127.0.0.1:8786",
    )
)
@click.argument("bundle", type=INPUT)
@click.option(
    "--inputs",
    required=True,
    type=INPUT,
    metavar="X.npy",
    help="Array (samples, inputs) in the model's units; networks in time steps: (samples, ...). Or a table "
    "(csv, npz, parquet; on standard input CSV) with the model's inputs by name.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=OUTPUT,
    metavar="OUT.npz",
    help="The results to write; OUT.csv: the solution alone, as a table, as - is where the inputs are one.",
)
@click.option(
    "--backend", default="engine", show_default=True, metavar="NAME", help=f"Installed: {', '.join(backends.names())}."
)
@click.option("--clip", is_flag=True, help="Move inputs out of range to the nearest end; else they are refused.")
@backend_options
@worker_options
@shard_options
@threads_option
@json_option
def command(
    bundle: str,
    inputs: str,
    output: str,
    backend: str,
    clip: bool,
    pool: dict[str, Any],
    shards: str | None,
    shard: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a compiled network on inputs.

    \b
    OUT.npz holds
      y           (samples, outputs) the solution, in the model's units
      raw         (samples, results) what the spikes say, where the host makes the solution of it
      label       (samples,) the class, of a classifier
      spike_time  (samples, output neurons) first spikes in time units, pseudospikes included
      ordinary    (samples, output neurons) whether that spike is an ordinary one
      step, lateness   the same in machine steps and ticks (integer backends)
    or, for networks in time steps,
      y           (samples, classes) accumulated outputs
      label       (samples,) the class

    OUT.csv has a column for each output, and label, the class, of a classifier. It has no inputs, but a row for each
    of theirs, in the same order: paste -d, x.csv out.csv puts them side by side. Columns of a table of inputs are
    found by name, in any order; those that are no inputs of the model are named in a warning and left out.

    With --jobs or --workers dask the samples are run in shards, at once. With --shards FOLDER --shard K/N one of them
    is run, and written to FOLDER; with --shards FOLDER alone OUT.npz is made of all of them: the same file each time.
    """  # noqa: D301  # click wants the character, not the escape
    from qif2hw import bundle as bundles
    from qif2hw.data.table import is_table
    from qif2hw.files import check_writable
    from qif2hw.ir.stepped import SteppedRun
    from qif2hw.workers import shared, workers
    from qif2hw.workers.folder import Piece
    from qif2hw_cli.files.inputs import is_table_file, read_inputs
    from qif2hw_cli.files.results import write_run
    from qif2hw_cli.files.shards import compute, shard_of, stored

    out = Output(as_json)
    check_writable(output)
    if is_table(output) and not output.lower().endswith((".csv", ".tsv")):
        raise InputError(f"{output}: results are written as .npz, .csv or .tsv")
    one = shard_of(shards, shard)
    chosen = backends.get(backend)
    chosen.check(options)
    loaded = bundles.load_any(bundle)
    chosen.check(options, loaded.program)
    if "keep" in chosen.execution(loaded.program).options:
        options["keep"] = "counts"
    x = read_inputs(inputs, loaded.network, clip=clip)
    as_table = is_table(output) or (is_stream(output) and is_table_file(inputs))
    with workers(**pool) as working, out.stage(f"run on {backend}") as stage:
        chosen = shared(chosen, working)
        subject = loaded.program if chosen.runs == "program" else loaded.network
        pieces = [Piece(backend, chosen, subject, options)]
        if shards is not None and one is not None:
            compute(out, stage, shards, loaded, x, pieces, one)
            return
        if shards is not None:
            chosen = stored(shards, loaded, x, pieces)
        result = chosen.run(loaded, x, progress=stage.update, **options)
        write_run(output, result, loaded.network, as_table=as_table)
    samples, outputs = result.y.shape
    words, facts = _stepped(result) if isinstance(result, SteppedRun) else _trial(result)
    line = f"{output}: {samples} samples, {outputs} outputs, backend {backend}, {seconds(result.seconds)}; {words}"
    out.say(line)
    about = {"output": output, "backend": backend, "samples": samples, "outputs": outputs}
    out.data(about | facts | {"seconds": result.seconds})


def _trial(run: "Run") -> tuple[str, dict[str, Any]]:
    """What to say about a run of an event-driven network, in words and for machines."""
    ordinary = float(run.ordinary.mean())
    spikes = {name: int(count.sum()) for name, count in run.counts.items()}
    return f"{100 * ordinary:.4g} % of the output spikes are ordinary", {
        "ordinary_fraction": ordinary,
        "spikes": spikes,
    }


def _stepped(run: "SteppedRun") -> tuple[str, dict[str, Any]]:
    """The same with a stepped clock."""
    spikes = run.spikes_per_sample
    return f"{sum(spikes.values()):.4g} spikes per sample", {"spikes_per_sample": spikes}
