"""``qif2hw train`` of a classifier of images, in time steps."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qif2hw_cli.output.console import Output, Stage
from qif2hw_cli.output.formats import percent, seconds

if TYPE_CHECKING:
    from qif2hw.train.classify import ClassifierResult


def train_images(
    out: Output,
    name: str,
    output: str,
    *,
    neuron: str,
    network: str | None,
    time_steps: int | None,
    data: str | None,
    **options: Any,
) -> None:
    """Train for a task of images, or for the images in a file or folder, and write the model."""
    from qif2hw import api
    from qif2hw.experiments.tasks import images
    from qif2hw.train.classify import processes

    task = images.get(name, network, time_steps)
    from qif2hw.train.classify import train_classifier

    with out.stage(f"train {task.name}") as stage:
        result = train_classifier(
            task, neuron=neuron, data=None if data is None else Path(data), progress=_reporter(stage), **options
        )
    if processes.rank():
        return
    api.save(result.network, output)
    _say(out, output, result, stage.seconds, options["weight_bits"])
    out.data(
        {
            "model": output,
            "task": task.name,
            "neuron": neuron,
            "time_steps": task.time_steps,
            "seed": options["seed"],
            "weight_bits": options["weight_bits"],
            "accuracy": result.accuracy,
            "accuracy_float": result.floating[1],
            "seconds": stage.seconds,
        }
    )


def _reporter(stage: Stage) -> Any:
    def report(done: int, total: int, loss: float, error: float) -> None:
        stage.update(done, total, f"loss {loss:.2e}, test error {percent(error)}")

    return report


def _say(out: Output, output: str, result: "ClassifierResult", took: float, weight_bits: int | None) -> None:
    bits = "float weights" if weight_bits is None else f"{weight_bits}-bit weights"
    shape = " x ".join(map(str, result.network.encoders[0].shape))
    out.say(
        f"{output}: {shape} inputs, {len(result.network.populations)} populations, "
        f"{result.network.clock.count} time steps, {bits}, trained in {seconds(took)}"
    )
    out.say(f"accuracy on the test set: {percent(result.accuracy)}")
    if weight_bits is not None:
        out.say(f"  before the weights went onto the grid: {percent(result.floating[1])}")
