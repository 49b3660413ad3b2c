r"""Encodings of inputs before they become spike times: Gaussian receptive fields.

Without them (direct latency encoding) each input is one channel, ``t = latest - x (latest - earliest)``.
"""

from dataclasses import replace

from qif2hw.errors import InputError
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.train.task import Task

STEPS, FINISH_STEPS = 2000, 80
"""Most first-order and second-order steps with fields, which make a loss better conditioned."""


def with_receptive_fields(task: Task, count: int, overlap: float = 1.0) -> Task:
    """A task whose coordinates are encoded by `ReceptiveFields`: its network gets ``count`` channels for each.

    Those inputs of an operator that describe the function keep one channel each.  A regression is trained with the
    second-order finish (`qif2hw.train.finish`), after at most `STEPS` steps; `Task.encoded` says itself how.

    Raises
    ------
    InputError
        If the task classifies images.
    """
    if task.classes is not None and task.make is not None:
        raise InputError(f"task '{task.name}' has a channel for each pixel: receptive fields are for coordinates")
    name = task.name
    task = task.encoded or task
    fields = ReceptiveFields(count, overlap)
    direct, encoded = task.branch_inputs, task.sizes[0] - task.branch_inputs
    host = task.host or _host(task.sizes[0], fields)
    settings = task.settings
    if task.objective is None and task.make is None:
        settings = replace(settings, steps=min(settings.steps, STEPS), finish_steps=FINISH_STEPS, finish_early=True)
    return replace(
        task,
        name=f"{name} ({count} receptive fields)",
        sizes=(direct + encoded * count, *task.sizes[1:]),
        fields=fields,
        settings=settings,
        host=replace(
            host,
            inputs=tuple(replace(one, fields=fields if k >= direct else None) for k, one in enumerate(host.inputs)),
        ),
    )


def _host(inputs: int, fields: ReceptiveFields) -> Host:
    """Inputs in [0, 1]; one result, as it is."""
    return Host(tuple(Input(f"x{k}", fields=fields) for k in range(inputs)), (Output("y"),))
