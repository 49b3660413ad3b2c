"""What a network for a table is by default: its sizes, its receptive fields, how long it is trained."""

from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.train.task import Settings

FEW_INPUTS, FIELDS = 3, 8
"""Largest number of inputs that have receptive fields by default, and their number for each."""
BATCH = 256
"""Samples of a step where there are more than four times as many."""


def hidden_sizes(rows: int) -> tuple[int, ...]:
    """Two hidden layers: 32 neurons each for up to 1000 training rows, 64 for more than 4000."""
    return (32, 32) if rows <= 1000 else (48, 48) if rows <= 4000 else (64, 64)


def receptive_fields(inputs: int, count: int | None) -> ReceptiveFields | None:
    """Fields of every input: ``count``, none for 1; where it is not given, `FIELDS` for `FEW_INPUTS` inputs or less."""
    if count is None:
        count = FIELDS if inputs <= FEW_INPUTS else 1
    return None if count == 1 else ReceptiveFields(count)


def settings_for(rows: int) -> Settings:
    """How to train on so many rows."""
    batch = BATCH if rows > 4 * BATCH else None
    return Settings(
        steps=4000,
        learning_rate=3e-3,
        batch=batch,
        optimizer="soap",
        steady=0.8,
        look_every=20,
        patience=0.5,
    )
