"""``qif2hw bench``: speed of training, accuracy against machine steps, comparison of two results."""

import click

from qif2hw_cli.commands.bench import circumstances, compare, execution, training
from qif2hw_cli.options.common import example


@click.group(epilog=example("qif2hw bench train --json"))
def command() -> None:
    """Measure: speed of training against this machine's ceiling and peers; accuracy against machine steps.

    With --json a result has its figures, machine, load and versions; `qif2hw bench compare` reads it.
    """


for one in (
    training.train,
    training.scaling,
    training.structure,
    training.accuracy,
    training.accelerator,
    training.everything,
    execution.stepped,
    execution.lava,
    execution.engine,
    execution.steps,
    circumstances.contention,
    circumstances.first_use,
    compare.compare,
):
    command.add_command(one)
