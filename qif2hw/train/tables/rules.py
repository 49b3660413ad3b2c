"""What a network for a table is by default: its sizes, its receptive fields, how long it is trained."""

from itertools import pairwise

from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.train import finish
from qif2hw.train.task import Settings

FEW_INPUTS, FIELDS = 3, 8
"""Largest number of inputs that have receptive fields where none are compared, and their number for each."""
BATCH = 256
"""Samples of a step where there are more than four times as many."""
FINISH_STEPS, LEAST_ROWS = 80, 20
"""Most second-order steps, and the smallest number of training rows for which there are any."""

FULL_AFTER = 0.2
"""Share of the first-order steps from which on the second-order ones are not fewer."""


def hidden_sizes(rows: int) -> tuple[int, ...]:
    """Two hidden layers: of 32 neurons each for up to 1000 training rows, of 96 for more."""
    return (32, 32) if rows <= 1000 else (96, 96)


def field_count(inputs: int) -> int:
    """Receptive fields of each input: `FIELDS` for `FEW_INPUTS` inputs or less, 1 (none) for more."""
    return FIELDS if inputs <= FEW_INPUTS else 1


def receptive_fields(count: int) -> ReceptiveFields | None:
    """So many fields; none for 1."""
    return None if count == 1 else ReceptiveFields(count)


def finish_steps(rows: int, sizes: tuple[int, ...]) -> int:
    """Most second-order steps on so many training rows of a network of these sizes: none where they do not fit."""
    outputs, parameters = sizes[-1] // 2, sum((before + 1) * after for before, after in pairwise(sizes))
    return FINISH_STEPS if rows >= LEAST_ROWS and finish.fits(rows, outputs, parameters) else 0


def settings_for(rows: int, finish_steps: int, full_after: float = FULL_AFTER) -> Settings:
    """How to train on so many rows, with so many second-order steps at most."""
    batch = BATCH if rows > 4 * BATCH else None
    return Settings(
        steps=4000,
        learning_rate=3e-3,
        batch=batch,
        optimizer="soap",
        steady=0.8,
        look_every=20,
        patience=0.5,
        full_after=full_after,
        finish_steps=finish_steps,
    )
