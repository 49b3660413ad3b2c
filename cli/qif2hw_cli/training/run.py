"""Train for a task and write the model, or train alone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qif2hw.errors import InputError
from qif2hw.files import check_writable, reason
from qif2hw_cli.options.streams import is_stream
from qif2hw_cli.output.console import Output, Stage
from qif2hw_cli.output.formats import percent, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from qif2hw.train import Task, TrainResult

STATE = ".state"
"""What the name of a run's state adds to that of its model."""


def train_and_write(
    out: Output,
    task: "Task | str",
    output: str,
    *,
    regime: str,
    fields: int | None,
    seed: int,
    weight_bits: int | None,
    checkpoint: str | None,
    report: str | None,
    **options: Any,
) -> None:
    """Train, write the model and the report, and say how it went."""
    from qif2hw import api

    state = state_of(output, checkpoint)
    name = task if isinstance(task, str) else task.name
    curve: list[tuple[int, float, float]] = []
    try:
        with out.stage(f"train {name}") as stage:
            result = run_training(
                stage, task, regime=regime, fields=fields, seed=seed, weight_bits=weight_bits,
                checkpoint=str(state), curve=curve, **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        # Beside what goes to standard output it is gone with the command.
        if state.exists() and (checkpoint is not None or not is_stream(output)):
            out.note(f"{state}: the same command goes on from here")
        raise
    api.save(result.network, output)
    if checkpoint is None:
        state.unlink(missing_ok=True)
    if report is not None:
        from qif2hw_cli.training.report import write_report

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
    encoded = fields if isinstance(task, str) or task.fields is None else task.fields.count
    if early:
        with_fields = f"--fields {encoded or 1} " if is_table else ""
        out.say(f"{result.steps} first-order steps: {with_fields}--steps {result.steps} repeats the training")
    for line in str(result.diagnosis or "").splitlines():
        out.say(f"  {line}")
    out.data(
        {
            "model": output,
            "task": name,
            "regime": regime,
            "fields": encoded,
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


def state_of(output: str, checkpoint: str | None) -> Path:
    """File for the state of a run."""
    return Path(f"{output}{STATE}") if checkpoint is None else Path(checkpoint)


def check_files(output: str, checkpoint: str | None, *, read: bool) -> None:
    """Whether the model and the state of a run can be written; with ``read``, whether a state that is there is one.

    What it holds is checked when it is read: that takes torch, whose import takes seconds.

    Raises
    ------
    InputError
        If not.
    """
    state = state_of(output, checkpoint)
    for path in (output, state):
        check_writable(path)
    if read and state.exists():
        with torch_needed():
            from safetensors import SafetensorError, safe_open
        try:
            with safe_open(state, framework="np"):
                pass
        except (SafetensorError, ValueError):
            raise InputError(f"{state}: this is not a checkpoint of a training run") from None
        except OSError as error:
            raise InputError(f"{state}: cannot be read ({reason(error)})") from None


@contextmanager
def torch_needed() -> Iterator[None]:
    """Imports of torch; `InputError` says how to install it where it is not."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise InputError("training needs torch, which is not installed: pip install 'qif2hw[train]'") from None


def run_training(
    stage: Stage,
    task: "Task | str",
    *,
    regime: str = "ordinary",
    fields: int | None = None,
    finish: int | None = None,
    data: str | None = None,
    quick: bool = False,
    curve: list[tuple[int, float, float]] | None = None,
    **options: Any,
) -> "TrainResult":
    """Train for a task or the shipped one of this name; ``stage`` shows the progress, ``curve`` collects it.

    The other options are those of `qif2hw.train.train`.
    """
    with torch_needed():
        from qif2hw.experiments import tasks
        from qif2hw.train import train

    where = None if data is None else Path(data)
    if isinstance(task, str):
        chosen = tasks.quick(task) if quick else tasks.get(task, regime, where)
    else:
        chosen = task
    if fields is not None and fields > 1:
        chosen = tasks.with_receptive_fields(chosen, fields)
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
