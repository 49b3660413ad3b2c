"""``qif2hw train``: a model for one of the tasks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from qif2hw.errors import InputError
from qif2hw.experiments import catalogue
from qif2hw_cli.console import SEED, Output, Stage, example, json_option, percent, seconds
from qif2hw_cli.streams import OUTPUT
from qif2hw_cli.train_images import train_images

if TYPE_CHECKING:
    from qif2hw.train import TrainResult


EVENT_DRIVEN = ("regime", "receptive_fields")
"""Options for event-driven networks alone."""
STEPPED = ("neuron", "network", "time_steps", "data", "device")
"""Options for networks in time steps alone."""


@click.command(
    help="Train a network for TASK.\n\n"
    f"With exact spike-time gradients: {', '.join(catalogue.TASKS)}. "
    f"By the first spike, with exact gradients too: {', '.join(catalogue.FIRST_SPIKE_TASKS)}. "
    f"In time steps, with surrogate gradients: {', '.join(catalogue.IMAGE_TASKS)}, or a file or folder of labelled "
    "images (idx, npz, CIFAR binaries, train/CLASS/*.png). "
    "Prints the error or the accuracy on the test set, and warnings about the network if there are any.",
    epilog=example(
        "qif2hw train parabola -o model.onnx",
        "qif2hw train parabola -o model.onnx --weight-bits 8 --checkpoint state.safetensors",
        "qif2hw train poisson_pinn -o model.onnx --regime published",
        "qif2hw train digits -o model.onnx",
        "qif2hw train images.npz -o model.onnx --network resnet19 --time-steps 4 --device cuda",
    ),
)
@click.argument("task")
@click.option("-o", "--output", required=True, type=OUTPUT, metavar="M.onnx", help="The model to write.")
@click.option("--weight-bits", type=int, help="Train weights that lie on the hardware's grid, 2 to 8 bits.")
@click.option(
    "--regime",
    default="ordinary",
    show_default=True,
    help="ordinary: every output a real spike; published: outputs by pseudospike.",
)
@click.option(
    "--receptive-fields",
    type=int,
    metavar="N",
    help="Encode each input by N Gaussian receptive fields, which the host computes.",
)
@click.option(
    "--neuron", default="exact", show_default=True, help="In time steps: exact, euler (discretizations of QIF) or lif."
)
@click.option("--network", help="In time steps: small, vggsnn or resnet19, instead of the task's own.")
@click.option("--time-steps", type=int, help="In time steps: their number, instead of the task's own.")
@click.option("--data", type=click.Path(), help="Of classifiers: images in place of the task's own.")
@click.option("--device", default="cpu", show_default=True, help="In time steps: cpu or cuda.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="The same seed gives the same weights.")
@click.option("--steps", type=int, help="Steps with free weights, instead of the task's own number.")
@click.option("--checkpoint", type=click.Path(), help="Keep the state in this file, and go on from it if it exists.")
@json_option
def command(
    task: str,
    output: str,
    weight_bits: int | None,
    regime: str,
    receptive_fields: int | None,
    neuron: str,
    network: str | None,
    time_steps: int | None,
    data: str | None,
    device: str,
    seed: int,
    steps: int | None,
    checkpoint: str | None,
    as_json: bool,
) -> None:
    """Train a network for a task; the help text is above, since it lists the tasks."""
    from qif2hw.files import check_writable

    out = Output(as_json)
    event_driven = (*catalogue.TASKS, *catalogue.FIRST_SPIKE_TASKS)
    stepped = task in catalogue.IMAGE_TASKS or (task not in event_driven and Path(task).exists())
    if not stepped:
        catalogue.check(task, regime)
    for path in (output, checkpoint):
        if path is not None:
            check_writable(path)
    if stepped:
        _refuse(EVENT_DRIVEN, "a task in continuous time")
        with _torch():
            train_images(
                out, task, output, neuron=neuron, network=network, time_steps=time_steps, data=data, device=device,
                seed=seed, steps=steps, weight_bits=weight_bits, checkpoint=checkpoint,
            )  # fmt: skip
        return
    first_spike = task in catalogue.FIRST_SPIKE_TASKS
    _refuse(tuple(name for name in STEPPED if not (first_spike and name == "data")), "a task in time steps")
    from qif2hw import api

    with out.stage(f"train {task}") as stage:
        result = run_training(
            stage,
            task,
            regime=regime,
            receptive_fields=receptive_fields,
            data=data,
            seed=seed,
            steps=steps,
            weight_bits=weight_bits,
            checkpoint=checkpoint,
        )
    api.save_model(result.network, output)
    sizes = [result.network.inputs, *(p.size for p in result.network.order)]
    bits = "float weights" if weight_bits is None else f"{weight_bits}-bit weights"
    out.say(f"{output}: {'-'.join(map(str, sizes))}, {bits}, trained in {seconds(stage.seconds)}")
    if first_spike:
        out.say(f"accuracy on the test set: {percent(1 - result.error)}")
    out.say(f"error on the test set: {percent(result.error)}")
    if len(result.errors) > 1:
        for quantity, errors in result.errors.items():
            out.say(f"  {quantity}: {percent(errors.relative)}")
    for line in str(result.diagnosis or "").splitlines():
        out.say(f"  {line}")
    out.data(
        {
            "model": output,
            "task": task,
            "regime": regime,
            "receptive_fields": receptive_fields,
            "sizes": sizes,
            "seed": seed,
            "weight_bits": weight_bits,
            "error": result.error,
            "accuracy": 1 - result.error if first_spike else None,
            "errors": {quantity: errors._asdict() for quantity, errors in result.errors.items()},
            "diagnosis": result.diagnosis.as_dict() if result.diagnosis else None,
            "warnings": result.diagnosis.warnings if result.diagnosis else (),
            "seconds": stage.seconds,
        }
    )


def _refuse(names: tuple[str, ...], kind: str) -> None:
    """`InputError` if one of these options was given: it is for another kind of task alone."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')}: it is an option for {kind}, which this one is not")


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
    name: str,
    *,
    regime: str = "ordinary",
    receptive_fields: int | None = None,
    data: str | None = None,
    seed: int = 0,
    steps: int | None = None,
    weight_bits: int | None = None,
    checkpoint: str | None = None,
) -> "TrainResult":
    """Train for the task ``name``; ``stage`` shows the progress."""
    with _torch():
        from qif2hw.experiments import tasks
        from qif2hw.train import train

    task = tasks.get(name, regime, None if data is None else Path(data))
    if receptive_fields is not None:
        task = tasks.with_receptive_fields(task, receptive_fields)

    def report(done: int, total: int, loss: float, error: float) -> None:
        stage.update(done, total, f"loss {loss:.2e}, test error {percent(error)}")

    return train(task, seed=seed, steps=steps, weight_bits=weight_bits, progress=report, checkpoint=checkpoint)
