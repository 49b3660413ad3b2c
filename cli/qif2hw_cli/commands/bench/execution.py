"""``qif2hw bench engine``, ``stepped``, ``lava`` and ``steps``: what running a compiled network takes."""

from pathlib import Path

import click

from qif2hw.errors import InputError
from qif2hw_cli.commands.bench.measure import anyway_option, finish, module, watch_others
from qif2hw_cli.options.common import example, json_option, threads_option
from qif2hw_cli.options.streams import INPUT
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import percent


@click.command(
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
    bench = module("stepped")
    out = Output(as_json)
    watch = watch_others(anyway or quick)
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
    finish(out, {"stepped": (bench.figures(result), result)}, watch)


@click.command(epilog=example("qif2hw bench lava --json", "qif2hw bench lava model.qif --quick --no-peers"))
@click.argument("bundle", required=False, type=INPUT, metavar="[M.qif]")
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

    bench = module("lava")
    out = Output(as_json)
    loaded = bench.check_network(zoo.bundle("parabola") if bundle is None else bundles.load_any(bundle))
    watch = watch_others(anyway or quick)
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
    finish(out, {"lava": (bench.figures(result), result)}, watch)


@click.command(
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

    bench = module("engine")
    out = Output(as_json)
    bench.check_samples(samples)
    watch = watch_others(anyway or quick)
    names = [Path(path).stem for path in bundles]
    if again := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{again[0]}: two bundles have this name, which the figures are called by")
    given = {name: loader.load(path) for name, path in zip(names, bundles, strict=True)} or bench.networks()
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
    finish(out, {"engine": (bench.figures(result), result)}, watch)


@click.command(epilog=example("qif2hw bench steps docs/results/models/ripple-qif-ordinary-seed0.onnx"))
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
