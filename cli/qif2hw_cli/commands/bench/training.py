"""``qif2hw bench train``, ``scaling``, ``structure``, ``accuracy`` and ``all``: what training takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from qif2hw_cli.commands.bench.measure import anyway_option, finish, module, watch_others
from qif2hw_cli.options.common import SEED, example, json_option, threads_option
from qif2hw_cli.options.streams import OUTPUT_FOLDER
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import percent, seconds


@click.command(
    epilog=example(
        "qif2hw bench train --json",
        "qif2hw bench train --networks 1-64-64-64-2,2-32-2 --batch 256 --quick",
    )
)
@click.option("--networks", metavar="SIZES,..", help="Layers joined by dashes, several by commas; default: a choice.")
@click.option("--batch", type=int, help="Samples per step; 100 with --networks.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), help="float64 with --networks.")
@click.option("--quick", is_flag=True, help="Fewer repetitions: good for a look, not for a number to quote.")
@click.option("--peers/--no-peers", default=False, show_default=True, help="Measure the installed peers too.")
@anyway_option
@threads_option
@json_option
def train(
    networks: str | None, batch: int | None, dtype: str | None, quick: bool, peers: bool, anyway: bool, as_json: bool
) -> None:
    """Time forward and backward passes.

    Medians of many repetitions, with quartiles. Peers run in the same call, if asked for: the eager torch loop, and
    those of the extra ``peers`` that are installed. An update is one input spike arriving at one neuron. The fraction
    is of the ceiling of multiply-adds on registers, measured first.
    """
    bench = module("training")
    out = Output(as_json)
    workloads = bench.workloads(networks, batch, dtype)
    watch = watch_others(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(workloads, peers=peers, seconds=0.2 if quick else 2.0, progress=stage.update)
    rows = [
        [
            row["network"],
            f"{row['batch']}",
            row["dtype"],
            f"{row['ms_forward_backward']:.3g}",
            "{:.3g} to {:.3g}".format(*row["ms_quartiles"]["forward_backward"]),
            f"{row['updates_per_s_forward']:.2e}",
            f"{row['updates_per_s_forward_backward']:.2e}",
            f"{100 * row['fraction_of_ceiling']:.2g} %",
        ]
        for row in result["rows"]
    ]
    columns = ("network", "batch", "type", "ms, fwd + bwd", "quartiles", "updates/s fwd", "fwd + bwd", "of ceiling")
    out.table("Training", columns, rows)
    under = [
        [
            row["network"],
            f"{row['batch']}",
            row["dtype"],
            kernel["kernel"],
            f"{kernel['ms']:.3g}",
            f"{kernel['flops']:.2e}",
            f"{kernel['bytes']:.2e}",
            f"{kernel['roof']:.2e}",
            f"{100 * kernel['fraction']:.2g} %",
        ]
        for row in result["rows"]
        for kernel in row["kernels"]
    ]
    alone = ("network", "batch", "type", "kernel", "ms", "operations", "bytes", "roof, op/s", "of roof")
    out.table("Kernels alone", alone, under)
    for row in result["rows"]:
        for name, ratio in row["speedup"].items():
            out.say(f"{row['network']}, batch {row['batch']}, {row['dtype']}: {ratio:.3g} times as fast as {name}")
    for name, found in result["peers"].items():
        out.say(f"{name} {found}")
    finish(out, {"train": (bench.figures(result), result)}, watch)


@click.command(epilog=example("qif2hw bench scaling --out docs"))
@click.option("--out", "folder", type=OUTPUT_FOLDER, help="Write scaling.svg and scaling.md into this folder.")
@click.option("--most", type=float, default=1.1e9, show_default=True, help="Updates of the largest layer.")
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@anyway_option
@threads_option
@json_option
def scaling(folder: str | None, most: float, quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure how time grows with updates, and memory with samples.

    Layers of 64 neurons with more and more samples, and a hundred samples of wider and wider layers.
    """
    from qif2hw.files import make_folder, write_text
    from qif2hw.folders import check_folder

    measured = module("scaling")
    out = Output(as_json)
    home = None if folder is None else Path(folder)
    if home is not None:
        check_folder(home, ("scaling.svg", "scaling.md"))
    watch = watch_others(anyway or quick)
    with out.stage("bench") as stage:
        result = measured.scaling(most=most, seconds=0.1 if quick else 1.0, progress=stage.update)
    watch.others()
    if home is not None:
        make_folder(home)
        write_text(home / "scaling.svg", measured.figure(result))
        write_text(home / "scaling.md", measured.table(result))
    out.say(measured.table(result))
    finish(out, {"scaling": (measured.figures(result), result)}, watch)


@click.command(epilog=example("qif2hw bench structure --json"))
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@anyway_option
@threads_option
@json_option
def structure(quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure jets against the plain step, and sparse layers against dense ones."""
    out = Output(as_json)
    watch = watch_others(anyway or quick)
    measured = _structure(out, quick)
    for name, figure in measured[0].items():
        out.say(f"{name}: {figure.value:.3g} {figure.unit}")
    finish(out, {"structure": measured}, watch)


@click.command(
    epilog=example("qif2hw bench accuracy --peers --json", "qif2hw bench accuracy --tasks parabola,ripple --anyway")
)
@click.option(
    "--tasks", metavar="TASK,..", help="Tasks, joined by commas; default: all that the paper has an error of."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the trainings.")
@click.option("--peers/--no-peers", default=False, show_default=True, help="Measure what others take too.")
@anyway_option
@threads_option
@json_option
def accuracy(tasks: str | None, seed: int, peers: bool, anyway: bool, as_json: bool) -> None:
    """Time trainings until the test error is the one that the paper reports: in float, and on the 8-bit engine.

    Each task has a short schedule, that of `qif2hw train TASK --quick`. A training ends with the first network that is
    good enough, compiled with 8-bit weights, on the engine; its time is then that of training and compiling. Looking at
    the test error does not count, and happens each time the training has become 5 % longer. Peers: an event-driven
    JAX simulator (a step's gradients times the 10 000 full-batch steps that are published), plain torch (the same times
    our number of steps), and leaky integrate-and-fire neurons trained directly to the same error.
    """
    bench = module("accuracy")
    out = Output(as_json)
    names = bench.chosen(tasks)
    watch = watch_others(anyway)
    with out.stage("bench") as stage:
        result = bench.bench(names, seed=seed, peers=peers, progress=stage.update)
    rows = []
    for row in result["rows"]:
        wanted = ", ".join(percent(most) for most in row["wanted"].values())
        taken = ["not reached" if row[what] is None else seconds(row[what]["seconds"]) for what in ("float", "engine")]
        rows.append([row["task"], row["network"], row["regime"], wanted, *taken, f"{row['trained']['steps']}"])
    out.table(
        "Time to the published error", ["task", "network", "regime", "error", "float", "engine", "steps"], rows, names=3
    )
    for row in result["rows"]:
        for peer, of in row.get("peers", {}).items():
            how_long = "absent" if of["seconds"] is None else seconds(of["seconds"])
            out.say(f"{row['task']}, {peer}: {how_long} ({of['what']})")
    finish(out, {"accuracy": (bench.figures(result), result)}, watch)


@click.command("all", epilog=example("qif2hw bench all --json > docs/releases/0.2.0.json"))
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Measure the installed peers too.")
@anyway_option
@threads_option
@json_option
def everything(quick: bool, peers: bool, anyway: bool, as_json: bool) -> None:
    """Run train, scaling and structure: one result, as kept for each release."""
    training, growth = module("training"), module("scaling")
    out = Output(as_json)
    watch = watch_others(anyway or quick)
    with out.stage("bench train") as stage:
        trained = training.bench(peers=peers, seconds=0.2 if quick else 2.0, progress=stage.update)
    with out.stage("bench scaling") as stage:
        grown = growth.scaling(most=1.1e8 if quick else 1.1e9, seconds=0.1 if quick else 1.0, progress=stage.update)
    finish(
        out,
        {
            "train": (training.figures(trained), trained),
            "scaling": (growth.figures(grown), grown),
            "structure": _structure(out, quick),
        },
        watch,
    )


def _structure(out: Output, quick: bool) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    bench = module("structure")
    with out.stage("bench structure"):
        jets = bench.bench_jets(repeats=3 if quick else 20)
        sparse = bench.bench_sparse(300 if quick else 1000, repeats=2 if quick else 5)
    return bench.figures(jets, sparse), {"jets": jets, "sparse": sparse}


@click.command(epilog=example("qif2hw bench accelerator --json"))
@click.option("--batch", type=click.IntRange(1), default=1024, show_default=True, help="Samples of a pass.")
@click.option("--quick", is_flag=True, help="Fewer repetitions: good for a look, not for a number to quote.")
@anyway_option
@threads_option
@json_option
def accelerator(batch: int, quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure training on a CUDA device against this machine's processor.

    784-400-400-10, all in one process: forward and backward passes of the event-driven network in both element types,
    and an optimiser step of the network in 4 time steps, captured as a graph on the device.
    """
    bench = module("accelerator")
    out = Output(as_json)
    device = bench.check_device()
    watch = watch_others(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(batch=batch, seconds=0.5 if quick else 3.0, progress=stage.update)
    rows = [
        [r["work"], *(f"{r['ms'][where]:.3g}" for where in ("processor", "device")), f"{r['ratio']:.3g}"]
        for r in result["rows"]
    ]
    out.table(f"784-400-400-10, batch {batch}: {device}", ["work", "processor, ms", "device, ms", "ratio"], rows)
    finish(out, {"accelerator": (bench.figures(result), result)}, watch)
