"""How many receptive fields the inputs of a table get: short trainings are compared on the validation set."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from qif2hw.data.columns import Numbers
from qif2hw.train.loop import train
from qif2hw.train.tables.problem import TableOptions, table_task
from qif2hw.train.tables.rules import field_count

CANDIDATES = (1, 4, 8, 16)
"""Numbers of fields that are compared."""
STEPS = 300
"""First-order steps of each."""
MOST_CHANNELS = 256
"""Largest number of channels of a network that is compared."""
FEWEST_ROWS = 16
"""Validation rows below which nothing is compared."""
SHARE = 1 / 3
"""Share of a time limit after which no further number is tried."""


@dataclass(frozen=True)
class Comparison:
    """The number of receptive fields that was chosen, 1 for none, and the validation losses by number, if any."""

    fields: int
    losses: dict[int, float]


def choose_fields(
    name: str,
    numbers: Numbers,
    options: TableOptions | None = None,
    seed: int = 0,
    *,
    time_limit: float | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Choose the number of receptive fields for each input of a table.

    A network with each of the `CANDIDATES` is trained for `STEPS` steps; the least validation loss wins.  Another
    number than that of `field_count` must be better by more than the loss of so few rows is uncertain, by
    ``1 / sqrt(rows)``.

    Parameters
    ----------
    name, numbers, options, seed
        As of `table_task`.  Where the options have a number of fields, it is that.
    time_limit
        Seconds that the training may take: after a third of it no further number is tried.  Without a limit the choice
        depends on the arguments alone.
    progress
        Called with the number of trainings done, their total number, and a few words.

    Raises
    ------
    InputError
        As of `table_task`.
    """
    options = options or TableOptions()
    if options.fields is not None:
        return Comparison(options.fields, {})
    inputs = numbers.x.shape[1]
    usual = field_count(inputs)
    task = table_task(name, numbers, options, seed)
    assert task.validation_set is not None
    rows = len(task.validation_set(seed).x)
    others = [count for count in CANDIDATES if count != usual and count * inputs <= MOST_CHANNELS]
    if rows < FEWEST_ROWS or not others:
        return Comparison(usual, {})
    start, losses = time.perf_counter(), {}
    for done, count in enumerate((usual, *others)):
        if progress is not None:
            progress(done, 1 + len(others), f"{count} for each input")
        short = replace(options, fields=count, finish=0)
        history = train(table_task(name, numbers, short, seed), seed=seed, steps=STEPS).history
        losses[count] = float(history[:, 2].min())
        if time_limit is not None and time.perf_counter() - start > SHARE * time_limit:
            break
    best = min(losses, key=losses.__getitem__)
    better = losses[best] < (1 - rows**-0.5) * losses[usual]
    return Comparison(best if better else usual, losses)
