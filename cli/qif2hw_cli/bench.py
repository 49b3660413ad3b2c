"""``qif2hw bench``: speed of training, accuracy against machine steps, comparison of two results."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from qif2hw.errors import InputError
from qif2hw_cli.console import SEED, Output, example, json_option, percent, seconds, threads_option

anyway_option = click.option(
    "--anyway", is_flag=True, help="Measure beside other programs too: not a number to quote. --quick does too."
)


@click.group(epilog=example("qif2hw bench train --json"))
def command() -> None:
    """Measure: speed of training against this machine's ceiling and peers; accuracy against machine steps.

    With --json a result has its figures, machine, load and versions; `qif2hw bench compare` reads it.
    """


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
    bench = _module("training")
    out = Output(as_json)
    workloads = bench.workloads(networks, batch, dtype)
    watch = _watch(anyway or quick)
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
    _finish(out, {"train": (bench.figures(result), result)}, watch)


@command.command(epilog=example("qif2hw bench scaling --out docs"))
@click.option("--out", "folder", type=click.Path(), help="Write scaling.svg and scaling.md into this folder.")
@click.option("--most", type=float, default=1.1e9, show_default=True, help="Updates of the largest layer.")
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@anyway_option
@threads_option
@json_option
def scaling(folder: str | None, most: float, quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure how time grows with updates, and memory with samples.

    Layers of 64 neurons with more and more samples, and a hundred samples of wider and wider layers.
    """
    from qif2hw.files import check_writable, make_folder, write_text

    measured = _module("scaling")
    out = Output(as_json)
    home = None if folder is None else Path(folder)
    if home is not None:
        make_folder(home)
        for name in ("scaling.svg", "scaling.md"):
            check_writable(home / name)
    watch = _watch(anyway or quick)
    with out.stage("bench") as stage:
        result = measured.scaling(most=most, seconds=0.1 if quick else 1.0, progress=stage.update)
    watch.others()
    if home is not None:
        write_text(home / "scaling.svg", measured.figure(result))
        write_text(home / "scaling.md", measured.table(result))
    out.say(measured.table(result))
    _finish(out, {"scaling": (measured.figures(result), result)}, watch)


@command.command(epilog=example("qif2hw bench structure --json"))
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@anyway_option
@threads_option
@json_option
def structure(quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure jets against the plain step, and sparse layers against dense ones."""
    out = Output(as_json)
    watch = _watch(anyway or quick)
    measured = _structure(out, quick)
    for name, figure in measured[0].items():
        out.say(f"{name}: {figure.value:.3g} {figure.unit}")
    _finish(out, {"structure": measured}, watch)


@command.command(
    epilog=example("qif2hw bench stepped --json", "OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 qif2hw bench stepped --quick")
)
@click.option("--batch", type=int, default=128, show_default=True, help="Images that torch takes at once.")
@click.option("--quick", is_flag=True, help="Fewer images and repetitions: good for a look, not for a number to quote.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Measure Lava, SLAYER and netx too.")
@anyway_option
@threads_option
@json_option
def stepped(batch: int, quick: bool, peers: bool, anyway: bool, as_json: bool) -> None:
    """Measure images per second of networks in time steps: engine, torch, Lava, SLAYER and netx.

    Two networks with random weights, 4 time steps, 28 x 28 images; the second is one that netx can run. What runs in
    this process runs in turns; Lava and netx are the difference of two runs, without their start. CPU time is that of
    all cores and processes.
    """
    bench = _module("stepped")
    out = Output(as_json)
    watch = _watch(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(bench.QUICK if quick else None, batch=batch, peers=peers, progress=stage.update)
    rows = [
        [
            r["network"],
            r["what"],
            f"{r['images_per_s']:.3g}",
            f"{r['ms_per_image']:.3g}",
            f"{r['cpu_ms_per_image']:.3g}",
        ]
        for r in result["rows"]
    ]
    out.table("Networks in time steps", ["network", "run by", "images/s", "ms/image", "CPU ms/image"], rows, names=2)
    for name, ratio in result["ratios"].items():
        out.say(f"{name}: {ratio['wall']:.3g} times the time, {ratio['cpu']:.3g} times the CPU time")
    for name, reason in result["absent"].items():
        out.say(f"{name}: {reason}")
    _finish(out, {"stepped": (bench.figures(result), result)}, watch)


@command.command(epilog=example("qif2hw bench lava --json", "qif2hw bench lava model.qif --quick --no-peers"))
@click.argument("bundle", required=False, type=click.Path(), metavar="[M.qif]")
@click.option("--quick", is_flag=True, help="Fewer samples: good for a look, not for a number to quote.")
@click.option(
    "--peers/--no-peers", default=True, show_default=True, help="Measure netx, Brian 2, Brian2Lava, NEST too."
)
@anyway_option
@threads_option
@json_option
def lava(bundle: str | None, quick: bool, peers: bool, anyway: bool, as_json: bool) -> None:
    """Measure samples per second of an event-driven network on Lava's CPU simulator, and of other ways to run it.

    Engine, Lava as one Process and as a graph of them; the QIF equation in Brian2Lava (on Lava too), Brian 2 and NEST,
    on a clock of as many steps; a CUBA network of the same sizes on netx. What a further sample takes, without the
    start. Timing errors of all spikes against the exact reference; a negative mean is early. Default: the parabola.
    """
    from qif2hw import bundle as bundles
    from qif2hw import zoo

    bench = _module("lava")
    out = Output(as_json)
    loaded = bench.check_network(zoo.bundle("parabola") if bundle is None else bundles.load_any(bundle))
    watch = _watch(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(loaded, bench.QUICK if quick else None, peers=peers, progress=stage.update)
    rows = []
    for r in result["rows"]:
        timing = r["timing"]
        errors = (
            ["-"] * 4 if timing is None else [f"{timing[name]:.2g}" for name in ("rms", "mean", "missing", "extra")]
        )
        rows.append([r["what"], f"{r['samples_per_s']:.3g}", f"{r['spikes_per_s']:.3g}", *errors])
    columns = ["run by", "samples/s", "spikes/s", "RMS error / tau", "mean / tau", "missing/sample", "extra/sample"]
    out.table(f"{result['network']}, {result['steps']} steps", columns, rows)
    for name, reason in result["absent"].items():
        out.say(f"{name}: {reason}")
    out.say(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    _finish(out, {"lava": (bench.figures(result), result)}, watch)


@command.command(
    epilog=example("qif2hw bench engine --json", "OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 qif2hw bench engine --quick")
)
@click.argument("bundles", nargs=-1, type=click.Path(), metavar="[M.qif]...")
@click.option("--samples", type=int, default=2000, show_default=True, help="Random inputs.")
@click.option("--quick", is_flag=True, help="Fewer repetitions: good for a look, not for a number to quote.")
@anyway_option
@threads_option
@json_option
def engine(bundles: tuple[str, ...], samples: int, quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure the integer engine on event-driven networks, against the exact reference and the specification.

    CPU time, in turns within one process, so that other load on the machine slows all of them. The specification, which
    is not compiled, runs 50 of the inputs. Default: four networks of the zoo, two of them with tables alone.
    """
    from qif2hw import bundle as loader

    bench = _module("engine")
    out = Output(as_json)
    bench.check_samples(samples)
    watch = _watch(anyway or quick)
    given = {Path(path).stem: loader.load(path) for path in bundles} or bench.networks()
    with out.stage("bench") as stage:
        result = bench.bench(given, samples=samples, seconds=0.5 if quick else 5.0, progress=stage.update)
    rows = [
        [
            row["network"],
            f"{row['plane_vectors']} of {row['populations']}",
            f"{row['spikes_per_sample']:.3g}",
            *(f"{row['cpu_us'][what]:.3g}" for what in ("engine", "reference", "specification")),
        ]
        for row in result["rows"]
    ]
    columns = ["network", "plane vectors", "spikes/sample", "engine, us/sample", "reference", "specification"]
    out.table("CPU time of a sample", columns, rows)
    for name, ratio in result["ratios"].items():
        out.say(f"{name}: {ratio:.3g}")
    _finish(out, {"engine": (bench.figures(result), result)}, watch)


@command.command(
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
    bench = _module("accuracy")
    out = Output(as_json)
    names = bench.chosen(tasks)
    watch = _watch(anyway)
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
    _finish(out, {"accuracy": (bench.figures(result), result)}, watch)


@command.command(epilog=example("qif2hw bench contention --json", "qif2hw bench contention --quick --anyway"))
@click.option("--quick", is_flag=True, help="A fraction of the work: good for a look, not for a number to quote.")
@anyway_option
@threads_option
@json_option
def contention(quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure what training, engine and compiler lose beside 1, 2 and 4 busy processes.

    The fair share of a program is cores x own threads / all runnable threads. The loss is the time over what this
    share makes of the time alone: 1 where nothing is lost. The busy processes are started here.
    """
    bench = _module("contention")
    out = Output(as_json)
    watch = _watch(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(bench.QUICK if quick else bench.FULL, progress=stage.update)
    numbers = {"seconds": ".3g", "share": ".2g", "fair_seconds": ".3g", "loss": ".2f"}
    rows = [
        [r["work"], f"{r['busy']}", *(format(r[name], form) for name, form in numbers.items())] for r in result["rows"]
    ]
    columns = ["work", "busy processes", "seconds", "fair share, cores", "seconds at that share", "loss"]
    out.table(f"{result['threads']} threads on {result['cores']} cores", columns, rows)
    _finish(out, {"contention": (bench.figures(result), result)}, watch)


@command.command(epilog=example("qif2hw bench accelerator --threads 2 --json"))
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
    bench = _module("accelerator")
    out = Output(as_json)
    device = bench.check_device()
    watch = _watch(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(batch=batch, seconds=0.5 if quick else 3.0, progress=stage.update)
    rows = [
        [r["work"], *(f"{r['ms'][where]:.3g}" for where in ("processor", "device")), f"{r['ratio']:.3g}"]
        for r in result["rows"]
    ]
    out.table(f"784-400-400-10, batch {batch}: {device}", ["work", "processor, ms", "device, ms", "ratio"], rows)
    _finish(out, {"accelerator": (bench.figures(result), result)}, watch)


@command.command("first-use", epilog=example("qif2hw bench first-use --json"))
@click.option("--quick", is_flag=True, help="One repetition.")
@anyway_option
@threads_option
@json_option
def first_use(quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure the first commands of a user: run a network of the zoo, train one step.

    Each is a process of its own, from start to end: with machine code of the kernels kept, as make env and
    `qif2hw doctor --warm` leave it, and with none, as after a plain pip install.
    """
    bench = _module("first_use")
    out = Output(as_json)
    watch = _watch(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(1 if quick else 3, progress=stage.update)
    rows = [[f"qif2hw {r['command']}", f"{r['kept']:.3g}", f"{r['nothing_kept']:.3g}"] for r in result["rows"]]
    out.table("Seconds", ["command", "machine code kept", "nothing kept"], rows)
    _finish(out, {"first-use": (bench.figures(result), result)}, watch)


@command.command("all", epilog=example("qif2hw bench all --json > docs/releases/0.2.0.json"))
@click.option("--quick", is_flag=True, help="Fewer repetitions.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Measure the installed peers too.")
@anyway_option
@threads_option
@json_option
def everything(quick: bool, peers: bool, anyway: bool, as_json: bool) -> None:
    """Run train, scaling and structure: one result, as kept for each release."""
    training, growth = _module("training"), _module("scaling")
    out = Output(as_json)
    watch = _watch(anyway or quick)
    with out.stage("bench train") as stage:
        trained = training.bench(peers=peers, seconds=0.2 if quick else 2.0, progress=stage.update)
    with out.stage("bench scaling") as stage:
        grown = growth.scaling(most=1.1e8 if quick else 1.1e9, seconds=0.1 if quick else 1.0, progress=stage.update)
    _finish(
        out,
        {
            "train": (training.figures(trained), trained),
            "scaling": (growth.figures(grown), grown),
            "structure": _structure(out, quick),
        },
        watch,
    )


def _structure(out: Output, quick: bool) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    bench = _module("structure")
    with out.stage("bench structure"):
        jets = bench.bench_jets(repeats=3 if quick else 20)
        sparse = bench.bench_sparse(300 if quick else 1000, repeats=2 if quick else 5)
    return bench.figures(jets, sparse), {"jets": jets, "sparse": sparse}


class Watch(NamedTuple):
    """What is needed after the work to tell whether it ran alone."""

    anyway: bool
    before: Any

    def others(self) -> float | None:
        """Cores that other programs have taken since; refused if they are too many."""
        others = _module("others")
        taken: float | None = others.others(self.before, others.reading())
        if not self.anyway:
            others.refuse(taken, "during the work")
        return taken


def _watch(anyway: bool) -> Watch:
    """Look at the machine before the work."""
    others = _module("others")
    if not anyway:
        others.refuse(others.look(), "before the work")
    return Watch(anyway, others.reading())


def _finish(out: Output, measured: Mapping[str, tuple[Mapping[str, Any], Any]], watch: Watch) -> None:
    """Print where a result belongs to, or the result as JSON."""
    result = _module("result").collect(measured, watch.others())
    out.say(result.about)
    out.data(result.to_json())


@command.command(epilog=example("qif2hw bench compare docs/releases/0.2.0.json new.json"))
@click.argument("old", type=click.Path(), metavar="OLD.json")
@click.argument("new", type=click.Path(), metavar="NEW.json")
@json_option
def compare(old: str, new: str, as_json: bool) -> None:
    """Print the ratio new / old of each figure that two results have in common, with both machines.

    A ratio below 1 is faster for times, smaller for memory. On different machines, or under load, ratios say nothing
    about the code.
    """
    from qif2hw.bench import result

    out = Output(as_json)
    before, after = result.read(old), result.read(new)
    changes = result.compare(before, after)
    out.table(
        "New against old",
        ["figure", "unit", "old", "new", "new / old"],
        [[c.name, c.unit, f"{c.old:.3g}", f"{c.new:.3g}", f"{c.ratio:.2f}"] for c in changes],
        names=2,
    )
    out.say(f"old: {before.about}")
    out.say(f"new: {after.about}")
    if before.machine["processor"] != after.machine["processor"]:
        out.say("The machines differ: the ratios compare machines, not versions.")
    out.data(
        {
            "old": {"qif2hw": before.version, "machine": before.machine},
            "new": {"qif2hw": after.version, "machine": after.machine},
            "figures": {c.name: {"unit": c.unit, "old": c.old, "new": c.new, "ratio": c.ratio} for c in changes},
        }
    )


@command.command(epilog=example("qif2hw bench steps docs/results/models/ripple-qif-ordinary-seed0.onnx"))
@click.argument("models", nargs=-1, required=True, type=click.Path(), metavar="MODEL...")
@click.option("--steps", default="64,128,256,512", show_default=True, metavar="N,..", help="Most steps of a trial.")
@click.option("--samples", type=int, default=2000, show_default=True, help="Random inputs.")
@threads_option
@json_option
def steps(models: tuple[str, ...], steps: str, samples: int, as_json: bool) -> None:
    """Measure what coarse time grids cost a network, and what the lateness of spikes gives back.

    Errors of the engine against the float network, relative root mean square, as compiled for 8 bits.
    """
    from qif2hw.bench.time_grid import PAYLOADS, time_grid_errors
    from qif2hw.ir import onnx_io
    from qif2hw_cli.console import percent

    try:
        numbers = [int(part) for part in steps.split(",")]
    except ValueError:
        raise InputError(f"steps = {steps}: whole numbers with commas between them are needed") from None
    out = Output(as_json)
    found = []
    for model in models:
        network = onnx_io.load(model)
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
