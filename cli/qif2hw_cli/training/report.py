"""The report of a training: a learning curve and a plot of the predictions, as SVG files in a folder."""

from typing import TYPE_CHECKING

from qif2hw.files import make_folder, write_text
from qif2hw.folders import check_folder

if TYPE_CHECKING:
    from qif2hw.train import TrainResult

CURVE, PREDICTIONS = "learning-curve.svg", "predictions.svg"


def check_report(folder: str) -> None:
    """`InputError` if the folder cannot be made, or the files not be written."""
    check_folder(folder, (CURVE, PREDICTIONS))


def write_report(folder: str, result: "TrainResult", curve: list[tuple[int, float, float]]) -> None:
    """Write both files; ``curve`` has step, loss and error of a run without a validation set."""
    from qif2hw.train import figures

    home = make_folder(folder)
    validated = len(result.history) > 0
    rows = result.history if validated else curve
    write_text(home / CURVE, figures.learning_curve(rows, "validation loss" if validated else "test error"))
    write_text(home / PREDICTIONS, figures.predictions(result))
