"""``qif2hw train``: a model for a task, or for a table of data."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw.errors import InputError
from qif2hw.experiments import catalogue
from qif2hw_cli.options.common import SEED, example, given_options, json_option, threads_option
from qif2hw_cli.options.streams import KEPT_FILE, OUTPUT, OUTPUT_FOLDER, InputFile, NamedInput
from qif2hw_cli.output.console import Output

if TYPE_CHECKING:
    from qif2hw.train import Task


EVENT_DRIVEN = ("regime", "fields", "finish", "quick", "time_limit", "report")
"""Options for event-driven networks alone."""
STEPPED = ("neuron", "network", "time_steps", "data", "device")
"""Options for networks in time steps alone."""
TASKS = frozenset((*catalogue.TASKS, *catalogue.FIRST_SPIKE_TASKS, *catalogue.IMAGE_TASKS))
"""What DATA names, even where there is a file of that name."""
LEAST_LIMIT = 1e-3
"""Seconds of a time limit that are left for the training at least."""


@click.command(
    help="Train a network for DATA.\n\n"
    "DATA is a table (csv, npz, parquet; - is CSV on standard input) with --targets or --classify; or a task, "
    f"{', '.join(catalogue.TASKS)}, or file.py:task, a qif2hw.train.Task in a Python file. These learn with exact "
    f"spike-time gradients. By the first spike, with exact gradients too: {', '.join(catalogue.FIRST_SPIKE_TASKS)}. "
    f"In time steps, with surrogate gradients: {', '.join(catalogue.IMAGE_TASKS)}, or a file or "
    "folder of labelled images (idx, npz, CIFAR binaries, train/CLASS/*.png). "
    "Prints the error or the accuracy on the test set, and warnings about the network if there are any.\n\n"
    "An interrupted run goes on where it was: its state is kept beside the model, as M.onnx.state, until that is "
    "written; in time steps with --checkpoint alone. A table's rows are divided by --seed into those for training, "
    "validation and test; a run ends where the validation error falls no more, and prints its number of steps, which "
    "--steps repeats byte for byte.",
    epilog=example(
        "qif2hw train data.csv --targets y -o model.onnx",
        "qif2hw train data.csv --inputs age,bmi,sex --categorical sex --classify outcome -o model.onnx",
        "qif2hw train parabola -o model.onnx --weight-bits 8",
        "qif2hw train ripple --quick -o model.onnx",
        "qif2hw train tasks.py:mine -o model.onnx --report report",
        "qif2hw train poisson_pinn -o model.onnx --regime published",
        "qif2hw train digits -o model.onnx",
        "qif2hw train images.npz -o model.onnx --network resnet19 --time-steps 4 --device cuda",
    ),
)
@click.argument("data_or_task", metavar="DATA", type=InputFile(TASKS.__contains__))
@click.option("-o", "--output", required=True, type=OUTPUT, metavar="M.onnx", help="The model to write.")
@click.option("--inputs", metavar="A,B", help="Table: columns that are inputs; by default all but the targets.")
@click.option("--targets", metavar="Y,Z", help="Table: columns of numbers to learn.")
@click.option("--classify", metavar="LABEL", help="Table: a column of classes to learn.")
@click.option(
    "--first-spike", is_flag=True, help="Table, with --classify: the class is that of the neuron that spikes first."
)
@click.option("--categorical", multiple=True, metavar="COL", help="Table: an input of categories, one input for each.")
@click.option("--drop-missing", is_flag=True, help="Table: leave out rows without a value; else they are refused.")
@click.option("--hidden", metavar="64,64", help="Table: sizes of the hidden layers.")
@click.option("--weight-bits", type=int, help="Train weights that lie on the hardware's grid, 2 to 8 bits.")
@click.option(
    "--regime",
    default="ordinary",
    show_default=True,
    help="ordinary: every output a real spike; published: outputs by pseudospike.",
)
@click.option(
    "--fields",
    type=click.IntRange(min=1),
    metavar="N",
    help="Encode each input by N Gaussian receptive fields, which the host computes; 1 for none. Of a table, without "
    "this option, short trainings with several numbers are compared on the validation rows.",
)
@click.option(
    "--finish",
    type=click.IntRange(min=0),
    metavar="N",
    help="At most N second-order steps after the others, 0 for none, where the loss is made of squares. By default up "
    "to 80 for regressions from tables and for tasks with receptive fields.",
)
@click.option("--quick", is_flag=True, help="Task: a short schedule, the published error after seconds.")
@click.option(
    "--neuron", default="exact", show_default=True, help="In time steps: exact, euler (discretizations of QIF) or lif."
)
@click.option("--network", help="In time steps: small, vggsnn or resnet19, instead of the task's own.")
@click.option("--time-steps", type=int, help="In time steps: their number, instead of the task's own.")
@click.option("--data", type=NamedInput(), help="Of classifiers: images in place of the task's own.")
@click.option("--device", default="cpu", show_default=True, help="In time steps: cpu or cuda.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="The same seed gives the same weights.")
@click.option("--steps", type=int, help="Steps with free weights, instead of the task's own number.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Be done after about S seconds, of a task with a validation set as tables are.",
)
@click.option("--checkpoint", type=KEPT_FILE, help="Keep the state in this file, and go on from it if it exists.")
@click.option(
    "--report", type=OUTPUT_FOLDER, metavar="FOLDER", help="Write a learning curve and a plot of the predictions (SVG)."
)
@threads_option
@json_option
def command(
    data_or_task: str,
    output: str,
    weight_bits: int | None,
    regime: str,
    fields: int | None,
    finish: int | None,
    quick: bool,
    neuron: str,
    network: str | None,
    time_steps: int | None,
    data: str | None,
    device: str,
    seed: int,
    steps: int | None,
    time_limit: float | None,
    checkpoint: str | None,
    report: str | None,
    as_json: bool,
    **of_table: Any,
) -> None:
    """Train a network for a task or a table; the help text is above, since it lists the tasks."""
    from qif2hw_cli.training import data as train_data
    from qif2hw_cli.training.images import train_images
    from qif2hw_cli.training.run import check_files, state_of, torch_needed, train_and_write

    out, name = Output(as_json), data_or_task
    table = train_data.is_data(name, given_options())
    in_file = not table and train_data.is_file_of_task(name)
    event_driven = table or in_file or name in (*catalogue.TASKS, *catalogue.FIRST_SPIKE_TASKS)
    stepped = not event_driven and (name in catalogue.IMAGE_TASKS or Path(name).exists())
    if not (stepped or table or in_file):
        catalogue.check(name, regime)
    check_files(output, checkpoint, read=event_driven or checkpoint is not None)
    if not table:
        _refuse(train_data.TABLE, "a table")
    if stepped:
        _refuse(EVENT_DRIVEN, "a task in continuous time")
        with torch_needed():
            train_images(
                out, name, output, neuron=neuron, network=network, time_steps=time_steps, data=data, device=device,
                seed=seed, steps=steps, weight_bits=weight_bits, checkpoint=checkpoint,
            )  # fmt: skip
        return
    first_spike = name in catalogue.FIRST_SPIKE_TASKS
    _refuse(tuple(one for one in STEPPED if not (first_spike and one == "data")), "a task in time steps")
    if table or in_file or first_spike:
        _refuse(("quick",), "a shipped task with a published error")
    if table or in_file:
        _refuse(("regime",), "a shipped task")
    if quick:
        _refuse(("regime", "fields"), "a training without --quick")
    if report is not None:
        from qif2hw_cli.training.report import check_report

        check_report(report)
    task: Task | str = name
    if table:
        hidden = train_data.sizes(of_table["hidden"])
        if steps is not None and time_limit is not None:
            raise InputError("--steps and --time-limit: one of them can be given")
        numbers, remarks = train_data.read(name, of_table)
        for remark in remarks:
            out.note(f"{name}: {remark}")
        with torch_needed():
            start = time.perf_counter()
            task = train_data.table_task(
                out, name, numbers, hidden=hidden, fields=fields, finish=finish,
                first_spike=of_table["first_spike"], seed=seed, time_limit=time_limit,
                state=state_of(output, checkpoint),
            )  # fmt: skip
            time_limit = time_limit and max(time_limit - (time.perf_counter() - start), LEAST_LIMIT)
    elif in_file:
        with torch_needed():
            task = train_data.task_in(name)
    train_and_write(
        out, task, output, regime=regime, fields=None if table else fields,
        finish=None if table else finish, seed=seed, steps=steps, weight_bits=weight_bits, checkpoint=checkpoint,
        time_limit=time_limit, report=report, data=data, quick=quick,
    )  # fmt: skip


def _refuse(names: tuple[str, ...], kind: str) -> None:
    """`InputError` if one of these options was given: it is for another kind of task alone."""
    given = given_options()
    for name in names:
        if name in given:
            raise InputError(f"--{name.replace('_', '-')}: it is an option for {kind}, which this one is not")
