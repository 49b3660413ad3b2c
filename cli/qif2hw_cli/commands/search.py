"""``qif2hw search``: the Pareto front of error against memory, steps and synaptic operations."""

from pathlib import Path
from typing import Any

import click

from qif2hw.errors import InputError
from qif2hw_cli.options.common import SEED, example, json_option, threads_option
from qif2hw_cli.options.running import worker_options
from qif2hw_cli.options.streams import INPUT, OUTPUT_FOLDER
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import percent, seconds, size


def _renamed(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise InputError(f"--backend {value}: where settings are tried is --workers {value} now")


@click.command(
    epilog=example(
        "qif2hw search model.onnx -o out/search --trials 64 --jobs 4",
        "qif2hw search model.onnx -o out/search --trials 128 --resume",
        "qif2hw search model.onnx -o out/search --workers dask --scheduler tcp://127.0.0.1:8786",
    )
)
@click.argument("model", type=INPUT)
@click.option("-o", "--output", required=True, type=OUTPUT_FOLDER, metavar="FOLDER", help="Journal, table and picture.")
@click.option("--trials", type=int, default=64, show_default=True, help="Settings to try, all in all.")
@worker_options
@click.option("--backend", hidden=True, expose_value=False, callback=_renamed)
@click.option("--resume", is_flag=True, help="Go on with the search in the folder.")
@click.option(
    "--sampler", type=click.Choice(["nsga2", "tpe"]), default="nsga2", show_default=True, help="What proposes them."
)
@click.option("--target", default="loihi2", show_default=True, help="A chip by name, or a TOML file with its limits.")
@click.option(
    "--rounding", type=click.Choice(["adapt", "nearest"]), default="adapt", show_default=True, help="As for compile."
)
@click.option(
    "--objectives",
    default="error,memory,steps,operations",
    show_default=True,
    metavar="A,B,..",
    help="What is minimised; latency and energy (upper ends of qif2hw estimate) are possible too.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the proposals.")
@threads_option
@json_option
def command(
    model: str,
    output: str,
    trials: int,
    pool: dict[str, Any],
    resume: bool,
    sampler: str,
    target: str,
    rounding: str,
    objectives: str,
    seed: int,
    as_json: bool,
) -> None:
    """Search bits of the weights by projection, tables, steps and payload bits.

    Tries settings on evenly spread inputs, and measures those on the Pareto front on others. The folder gets
    front.json, front.svg and the journal from which --resume goes on. The result does not depend on the workers.
    """
    from qif2hw.compiler.passes.weights import print_bits
    from qif2hw.compiler.search import SearchOptions, search
    from qif2hw.ir import onnx_io
    from qif2hw.workers import workers

    out = Output(as_json)
    aims = tuple(name.strip() for name in objectives.split(","))
    options = SearchOptions(
        trials=trials, sampler=sampler, target=target, rounding=rounding, seed=seed, objectives=aims
    )
    network = onnx_io.load(model)
    with out.stage("search") as stage, workers(**pool) as working:
        front, every = search(network, Path(output), options, working, resume=resume, progress=stage.update)
    out.table(
        f"Pareto front of {len(every)} settings: no other is better in one without being worse in another",
        [
            "weight bits",
            "form",
            "table bits",
            "steps",
            "payload bits",
            "error",
            "unseen",
            "memory",
            "operations",
            "latency",
        ],
        [
            [
                print_bits(f.setting.weight_bits),
                f.setting.form,
                str(f.setting.table_bits),
                f"{f.outcome.steps:.0f}",
                str(f.setting.payload_bits),
                percent(f.outcome.error),
                percent(f.unseen or 0.0),
                size(f.outcome.memory),
                f"{f.outcome.operations:.0f}",
                f"{f.outcome.latency * 1e3:.2g} ms" if f.outcome.latency else "",
            ]
            for f in front
        ],
        names=2,
    )
    out.say(f"{output}: front.json, front.svg; {len(every)} settings in {seconds(stage.seconds)}")
    out.data(
        {
            "folder": output,
            "settings": len(every),
            "front": [
                {
                    "options": f.setting.options(),
                    "error": f.outcome.error,
                    "unseen_error": f.unseen,
                    "memory": f.outcome.memory,
                    "steps": f.outcome.steps,
                    "operations": f.outcome.operations,
                    "latency": f.outcome.latency,
                    "energy": f.outcome.energy,
                }
                for f in front
            ],
            "seconds": stage.seconds,
        }
    )
