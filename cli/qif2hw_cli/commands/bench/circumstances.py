"""``qif2hw bench contention`` and ``first-use``: beside other programs, and before anything is kept."""

import click

from qif2hw_cli.commands.bench.measure import anyway_option, finish, module, watch_others
from qif2hw_cli.options.common import example, json_option, threads_option
from qif2hw_cli.output.console import Output


@click.command(epilog=example("qif2hw bench contention --json", "qif2hw bench contention --quick --anyway"))
@click.option("--quick", is_flag=True, help="A fraction of the work: good for a look, not for a number to quote.")
@anyway_option
@threads_option
@json_option
def contention(quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure what training, engine and compiler lose beside 1, 2 and 4 busy processes.

    The fair share of a program is cores x own threads / all runnable threads. The loss is the time over what this
    share makes of the time alone: 1 where nothing is lost. The busy processes are started here.
    """
    bench = module("contention")
    out = Output(as_json)
    watch = watch_others(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(bench.QUICK if quick else bench.FULL, progress=stage.update)
    numbers = {"seconds": ".3g", "share": ".2g", "fair_seconds": ".3g", "loss": ".2f"}
    rows = [
        [r["work"], f"{r['busy']}", *(format(r[name], form) for name, form in numbers.items())] for r in result["rows"]
    ]
    columns = ["work", "busy processes", "seconds", "fair share, cores", "seconds at that share", "loss"]
    out.table(f"{result['threads']} threads on {result['cores']} cores", columns, rows)
    finish(out, {"contention": (bench.figures(result), result)}, watch)


@click.command("first-use", epilog=example("qif2hw bench first-use --json"))
@click.option("--quick", is_flag=True, help="One repetition.")
@anyway_option
@threads_option
@json_option
def first_use(quick: bool, anyway: bool, as_json: bool) -> None:
    """Measure the first commands of a user: run a network of the zoo, train one step.

    Each is a process of its own, from start to end: with machine code of the kernels kept, as make env and
    `qif2hw doctor --warm` leave it, and with none, as after a plain pip install.
    """
    bench = module("first_use")
    out = Output(as_json)
    watch = watch_others(anyway or quick)
    with out.stage("bench") as stage:
        result = bench.bench(1 if quick else 3, progress=stage.update)
    rows = [[f"qif2hw {r['command']}", f"{r['kept']:.3g}", f"{r['nothing_kept']:.3g}"] for r in result["rows"]]
    out.table("Seconds", ["command", "machine code kept", "nothing kept"], rows)
    finish(out, {"first-use": (bench.figures(result), result)}, watch)
