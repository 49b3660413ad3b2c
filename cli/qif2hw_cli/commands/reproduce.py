"""``qif2hw reproduce``: every task by every method, one table."""

from pathlib import Path

import click

from qif2hw.experiments import catalogue
from qif2hw_cli.options.common import example, json_option, threads_option
from qif2hw_cli.options.streams import OUTPUT_FOLDER
from qif2hw_cli.output.console import Output


@click.command(epilog=example("qif2hw reproduce --quick --out out/results", "qif2hw reproduce parabola --out docs"))
@click.argument("names", nargs=-1, metavar="[TASK]...")
@click.option(
    "--out", "folder", required=True, type=OUTPUT_FOLDER, help="Folder for the page, the runs and the models."
)
@click.option("--quick", is_flag=True, help="A fraction of all training steps, one seed: a trial run, not results.")
@click.option("--method", "methods", multiple=True, help="These methods only: qif, null, ann, lif-direct-32 ...")
@click.option("--zoo", type=OUTPUT_FOLDER, help="Put the trained networks, 8-bit weights, and their bundles here too.")
@click.option("--kept", "only_kept", is_flag=True, help="Run nothing: the page of the kept runs alone.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Runs at the same time.")
@threads_option
@json_option
def command(
    names: tuple[str, ...],
    folder: str,
    quick: bool,
    methods: tuple[str, ...],
    zoo: str | None,
    only_kept: bool,
    workers: int,
    as_json: bool,
) -> None:
    """Train, compile and run the networks of all tasks (or of each TASK), and their baselines.

    Writes results.md, results.json and results/ into the folder. Every finished run is kept, and used again while its
    settings and the version of the results are the same: an interrupted call goes on where it was.
    """
    from qif2hw.errors import InputError
    from qif2hw.folders import check_folder, made_folder

    for name in names:
        catalogue.check(name)
    home = Path(folder)
    kept = home / "results"
    needed = [kept / "models", kept / "figures", *([] if zoo is None else [Path(zoo)])]
    check_folder(home, ("results.json", "results.md"))
    for one in needed:
        check_folder(one)
    try:
        from qif2hw.experiments import reproduce
        from qif2hw.experiments.reproduce import figures
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError("this needs torch, which is not installed: pip install 'qif2hw[train,report]'") from None
    out = Output(as_json)
    every = reproduce.experiments(names, quick)
    known = dict.fromkeys(one.method for one in every)
    if unknown := [name for name in methods if name not in known]:
        raise InputError(f"no run by {', '.join(unknown)}: known are {', '.join(known)}")
    wanted = [one for one in every if not methods or one.method in methods]
    figures.check_installed()
    if zoo is not None:
        check_folder(zoo, reproduce.zoo_files())
    for one in needed:
        click.get_current_context().with_resource(made_folder(one))
    if only_kept:
        finished = reproduce.kept(wanted, kept, quick)
    else:
        finished = reproduce.results(wanted, kept, quick, out.note, workers)
    page = reproduce.assemble(finished, len(wanted), home, quick)
    if zoo is not None:
        reproduce.make_zoo(kept, Path(zoo), out.note)
    rows = [row for one in finished for row in one.rows]
    out.table(
        "error on the test set",
        ["task", "quantity", "method", "regime", "seed", "error, %", "paper, %"],
        [
            [
                r.task, r.quantity, r.method, r.regime, str(r.seed), f"{r.rel_l2_percent:.3g}",
                "" if r.paper_percent is None else f"{r.paper_percent:g}",
            ]
            for r in rows
        ],
        names=4,
    )  # fmt: skip
    scores = [score for one in finished for score in one.scores]
    if scores:
        out.table(
            "accuracy on the test set",
            ["task", "method", "weight bits", "seed", "accuracy, %"],
            [
                [s.task, s.method, f"{s.weight_bits or 'float'}", str(s.seed), f"{s.accuracy_percent:.2f}"]
                for s in scores
            ],
            names=2,
        )
    out.say(f"page: {page}")
    out.data({"page": str(page), "rows": [r.as_dict() for r in rows] + [s.as_dict() for s in scores]})
