"""``qif2hw train``: a model for a task, or for a table of data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw.errors import InputError
from qif2hw.experiments import catalogue
from qif2hw_cli.console import (
    SEED,
    Output,
    Stage,
    example,
    given_options,
    json_option,
    percent,
    seconds,
    threads_option,
)
from qif2hw_cli.streams import INPUT, OUTPUT
from qif2hw_cli.train_images import train_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from qif2hw.train import Task, TrainResult


EVENT_DRIVEN = ("regime", "receptive_fields", "finish", "quick", "time_limit", "report")
"""Options for event-driven networks alone."""
STEPPED = ("neuron", "network", "time_steps", "data", "device")
"""Options for networks in time steps alone."""
STATE = ".state"
"""What the name of a run's state adds to that of its model."""
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
    "written. A table's rows are divided by --seed into those for training, validation and test; a run ends where the "
    "validation error falls no more, and prints its number of steps, which --steps repeats byte for byte.",
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
@click.argument("data_or_task", metavar="DATA", type=INPUT)
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
    "--receptive-fields",
    "receptive_fields",
    type=int,
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
@click.option("--data", type=click.Path(), help="Of classifiers: images in place of the task's own.")
@click.option("--device", default="cpu", show_default=True, help="In time steps: cpu or cuda.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="The same seed gives the same weights.")
@click.option("--steps", type=int, help="Steps with free weights, instead of the task's own number.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Be done after about S seconds, of a task with a validation set as tables are.",
)
@click.option("--checkpoint", type=click.Path(), help="Keep the state in this file, and go on from it if it exists.")
@click.option(
    "--report", type=click.Path(), metavar="FOLDER", help="Write a learning curve and a plot of the predictions (SVG)."
)
@threads_option
@json_option
def command(
    data_or_task: str,
    output: str,
    weight_bits: int | None,
    regime: str,
    receptive_fields: int | None,
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
    from qif2hw.files import check_writable
    from qif2hw_cli import train_data

    out, name = Output(as_json), data_or_task
    table = train_data.is_data(name, given_options())
    in_file = not table and train_data.is_file_of_task(name)
    event_driven = table or in_file or name in (*catalogue.TASKS, *catalogue.FIRST_SPIKE_TASKS)
    stepped = not event_driven and (name in catalogue.IMAGE_TASKS or Path(name).exists())
    if not (stepped or table or in_file):
        catalogue.check(name, regime)
    for path in (output, checkpoint):
        if path is not None:
            check_writable(path)
    if not table:
        _refuse(train_data.TABLE, "a table")
    if stepped:
        _refuse(EVENT_DRIVEN, "a task in continuous time")
        with _torch():
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
        _refuse(("regime", "receptive_fields"), "a training without --quick")
    if report is not None:
        from qif2hw_cli.train_report import check_report

        check_report(report)
    task: Task | str = name
    if table:
        hidden = train_data.sizes(of_table["hidden"])
        if steps is not None and time_limit is not None:
            raise InputError("--steps and --time-limit: one of them can be given")
        numbers, remarks = train_data.read(name, of_table)
        for remark in remarks:
            out.note(f"{name}: {remark}")
        with _torch():
            start = time.perf_counter()
            task = train_data.table_task(
                out, name, numbers, hidden=hidden, fields=receptive_fields, finish=finish,
                first_spike=of_table["first_spike"], seed=seed, time_limit=time_limit, state=_state(output, checkpoint),
            )  # fmt: skip
            time_limit = time_limit and max(time_limit - (time.perf_counter() - start), LEAST_LIMIT)
    elif in_file:
        with _torch():
            task = train_data.task_in(name)
    _train(
        out, task, output, regime=regime, receptive_fields=None if table else receptive_fields,
        finish=None if table else finish, seed=seed, steps=steps, weight_bits=weight_bits, checkpoint=checkpoint,
        time_limit=time_limit, report=report, data=data, quick=quick,
    )  # fmt: skip


def _train(
    out: Output,
    task: "Task | str",
    output: str,
    *,
    regime: str,
    receptive_fields: int | None,
    seed: int,
    weight_bits: int | None,
    checkpoint: str | None,
    report: str | None,
    **options: Any,
) -> None:
    """Train, write the model and the report, and say how it went."""
    from qif2hw import api

    state = _state(output, checkpoint)
    name = task if isinstance(task, str) else task.name
    curve: list[tuple[int, float, float]] = []
    try:
        with out.stage(f"train {name}") as stage:
            result = run_training(
                stage, task, regime=regime, receptive_fields=receptive_fields, seed=seed, weight_bits=weight_bits,
                checkpoint=str(state), curve=curve, **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        if state.exists():
            out.note(f"{state}: the same command goes on from here")
        raise
    api.save(result.network, output)
    if checkpoint is None:
        state.unlink(missing_ok=True)
    if report is not None:
        from qif2hw_cli.train_report import write_report

        write_report(report, result, curve)
    sizes = [result.network.inputs, *(p.size for p in result.network.order)]
    bits = "float weights" if weight_bits is None else f"{weight_bits}-bit weights"
    out.say(f"{output}: {'-'.join(map(str, sizes))}, {bits}, trained in {seconds(stage.seconds)}")
    early = bool(len(result.history)) and options["steps"] is None
    classifies, is_table = result.network.classes is not None, not isinstance(task, str) and task.digest != ""
    if classifies:
        out.say(f"accuracy on the test set: {percent(1 - result.error)}")
    out.say(f"error on the test set: {percent(result.error)}")
    if is_table and not classifies:
        for quantity, errors in result.errors.items():
            out.say(f"  {quantity}: R2 {1 - errors.relative**2:.4f}, root mean square error {errors.rmse:.4g}")
    elif len(result.errors) > 1:
        for quantity, errors in result.errors.items():
            out.say(f"  {quantity}: {percent(errors.relative)}")
    fields = receptive_fields if isinstance(task, str) or task.fields is None else task.fields.count
    if early:
        with_fields = f"--fields {fields or 1} " if is_table else ""
        out.say(f"{result.steps} first-order steps: {with_fields}--steps {result.steps} repeats the training")
    for line in str(result.diagnosis or "").splitlines():
        out.say(f"  {line}")
    out.data(
        {
            "model": output,
            "task": name,
            "regime": regime,
            "receptive_fields": fields,
            "sizes": sizes,
            "seed": seed,
            "steps": result.steps,
            "weight_bits": weight_bits,
            "error": result.error,
            "accuracy": 1 - result.error if classifies else None,
            "errors": {quantity: errors._asdict() for quantity, errors in result.errors.items()},
            "diagnosis": result.diagnosis.as_dict() if result.diagnosis else None,
            "warnings": result.diagnosis.warnings if result.diagnosis else (),
            "seconds": stage.seconds,
        }
    )


def _state(output: str, checkpoint: str | None) -> Path:
    """File for the state of a run."""
    return Path(f"{output}{STATE}") if checkpoint is None else Path(checkpoint)


def _refuse(names: tuple[str, ...], kind: str) -> None:
    """`InputError` if one of these options was given: it is for another kind of task alone."""
    given = given_options()
    for name in names:
        if name in given:
            option = "fields" if name == "receptive_fields" else name.replace("_", "-")
            raise InputError(f"--{option}: it is an option for {kind}, which this one is not")


@contextmanager
def _torch() -> Iterator[None]:
    """Imports of torch; `InputError` says how to install it where it is not."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError("training needs torch, which is not installed: pip install 'qif2hw[train]'") from None


def run_training(
    stage: Stage,
    task: "Task | str",
    *,
    regime: str = "ordinary",
    receptive_fields: int | None = None,
    finish: int | None = None,
    data: str | None = None,
    quick: bool = False,
    curve: list[tuple[int, float, float]] | None = None,
    **options: Any,
) -> "TrainResult":
    """Train for a task or the shipped one of this name; ``stage`` shows the progress, ``curve`` collects it.

    The other options are those of `qif2hw.train.train`.
    """
    with _torch():
        from qif2hw.experiments import tasks
        from qif2hw.train import train

    where = None if data is None else Path(data)
    if isinstance(task, str):
        chosen = tasks.quick(task) if quick else tasks.get(task, regime, where)
    else:
        chosen = task
    if receptive_fields is not None:
        chosen = tasks.with_receptive_fields(chosen, receptive_fields)
    if finish is not None:
        full = 0.0 if finish else chosen.settings.full_after
        chosen = replace(chosen, settings=replace(chosen.settings, finish_steps=finish, full_after=full))
    report = _reporter(stage, "test" if chosen.validation_set is None else "validation", curve)
    return train(chosen, progress=report, **options)


def _reporter(
    stage: Stage, what: str, curve: list[tuple[int, float, float]] | None
) -> "Callable[[int, int, float, float], None]":
    """Shows steps, loss, error and the time left; that is known from the second report on."""
    first: list[tuple[int, float]] = []

    def report(done: int, total: int, loss: float, error: float) -> None:
        now = time.perf_counter()
        if curve is not None:
            curve.append((done, loss, error))
        left = ""
        if first and done > first[0][0]:
            left = f", {seconds((now - first[0][1]) / (done - first[0][0]) * (total - done))} left"
        elif not first:
            first.append((done, now))
        stage.update(done, total, f"loss {loss:.2e}, {what} error {percent(error)}{left}")

    return report
