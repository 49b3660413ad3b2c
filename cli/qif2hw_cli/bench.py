"""``qif2hw bench``: how fast training is on this machine, and how many steps a network needs."""

import importlib
from pathlib import Path
from typing import Any

import click

from qif2hw.errors import InputError
from qif2hw_cli.console import Output, example, json_option


@click.group(epilog=example("qif2hw bench train --json"))
def command() -> None:
    """Measure: speed of training against this machine's ceiling and peers; accuracy against machine steps."""


@command.command(
    epilog=example(
        "qif2hw bench train --json",
        "qif2hw bench train --networks 1-64-64-64-2,2-32-2 --batch 256 --quick",
    )
)
@click.option("--networks", metavar="SIZES,..", help="Layers joined by dashes, several by commas; default: a choice.")
@click.option("--batch", type=int, help="Samples per step; 100 with --networks.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), help="float64 with --networks.")
@click.option("--quick", is_flag=True, help="Fewer repetitions: good for a look, not for a number to quote.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Measure the installed peers too.")
@json_option
def train(networks: str | None, batch: int | None, dtype: str | None, quick: bool, peers: bool, as_json: bool) -> None:
    """Time forward and backward passes.

    Medians of many repetitions. Peers run in the same call: the eager torch loop, and those of the extra ``peers`` that
    are installed. An update is one input spike arriving at one neuron. The fraction is of the ceiling of
    multiply-adds on registers, measured first.
    """
    bench = _module("training")
    out = Output(as_json)
    workloads = bench.workloads(networks, batch, dtype)
    with out.stage("bench") as stage:
        result = bench.bench(workloads, peers=peers, seconds=0.2 if quick else 2.0, progress=stage.update)
    machine = result["machine"]
    rows = [
        [
            row["network"],
            f"{row['batch']}",
            row["dtype"],
            f"{row['ms_forward_backward']:.3g}",
            f"{row['updates_per_s_forward']:.2e}",
            f"{row['updates_per_s_forward_backward']:.2e}",
            f"{100 * row['fraction_of_ceiling']:.2g} %",
        ]
        for row in result["rows"]
    ]
    columns = ("network", "batch", "type", "ms, fwd + bwd", "updates/s fwd", "fwd + bwd", "of ceiling")
    out.table("Training", columns, rows)
    for row in result["rows"]:
        for name, ratio in row["speedup"].items():
            out.say(f"{row['network']}, batch {row['batch']}, {row['dtype']}: {ratio:.3g} times as fast as {name}")
    for name, found in result["peers"].items():
        out.say(f"{name} {found}")
    out.say(f"{machine['processor']}, {machine['threads']} threads, load {machine['load']:.2f} when it was done")
    out.data(result)


@command.command(epilog=example("qif2hw bench scaling --out docs"))
@click.option("--out", "folder", type=click.Path(), help="Write scaling.svg and scaling.md into this folder.")
@click.option("--most", type=float, default=1.1e9, show_default=True, help="Updates of the largest layer.")
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@json_option
def scaling(folder: str | None, most: float, quick: bool, as_json: bool) -> None:
    """Measure how time grows with updates, and memory with samples.

    Layers of 64 neurons with more and more samples, and a hundred samples of wider and wider layers.
    """
    measured = _module("scaling")
    out = Output(as_json)
    home = None if folder is None else Path(folder)
    if home is not None:
        from qif2hw.files import check_writable

        home.mkdir(parents=True, exist_ok=True)
        check_writable(home / "scaling.svg")
    with out.stage("bench") as stage:
        result = measured.scaling(most=most, seconds=0.1 if quick else 1.0, progress=stage.update)
    if home is not None:
        (home / "scaling.svg").write_text(measured.figure(result))
        (home / "scaling.md").write_text(measured.table(result))
    out.say(measured.table(result))
    out.data(result)


@command.command(epilog=example("qif2hw bench steps docs/results/models/ripple-qif-ordinary-seed0.onnx"))
@click.argument("models", nargs=-1, required=True, type=click.Path(), metavar="MODEL...")
@click.option("--steps", default="64,128,256,512", show_default=True, metavar="N,..", help="Most steps of a trial.")
@click.option("--samples", type=int, default=2000, show_default=True, help="Random inputs.")
@json_option
def steps(models: tuple[str, ...], steps: str, samples: int, as_json: bool) -> None:
    """Measure what coarse time grids cost a network, and what the lateness of spikes gives back.

    Errors of the engine against the float network, relative root mean square, as compiled for 8 bits.
    """
    from qif2hw import api
    from qif2hw.bench.time_grid import PAYLOADS, time_grid_errors
    from qif2hw_cli.console import percent

    try:
        numbers = [int(part) for part in steps.split(",")]
    except ValueError:
        raise InputError(f"steps = {steps}: whole numbers with commas between them are needed") from None
    out = Output(as_json)
    found = []
    for model in models:
        network = api.load_model(model)
        with out.stage(f"bench {Path(model).stem}") as stage:
            rows = time_grid_errors(network, numbers, samples, progress=stage.update)
        cells = [[str(row["steps"]), *(percent(row["error"][name]) for name in PAYLOADS)] for row in rows]
        out.table(f"{Path(model).stem}: error by steps and by the payload of spikes", ["steps", *PAYLOADS], cells)
        found.append({"model": Path(model).name, "rows": rows})
    out.data({"samples": samples, "models": found})


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"qif2hw.bench.{name}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError("the benchmark needs torch, which is not installed: pip install 'qif2hw[train]'") from None
