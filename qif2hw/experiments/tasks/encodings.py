r"""Encodings of inputs before they become spike times: Gaussian receptive fields.

Without them (direct latency encoding) each input is one channel, ``t = latest - x (latest - earliest)``.
"""

from dataclasses import replace

from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.train.task import Task


def receptive_fields(x: FloatArray, count: int, overlap: float = 1.0) -> FloatArray:
    """Activities (samples, inputs * count) of `ReceptiveFields` of inputs ``x`` (samples, inputs) in [0, 1].

    The fields of one input stand side by side; errors are those of `ReceptiveFields`.
    """
    return _host(x.shape[1], ReceptiveFields(count, overlap)).encoded(x)


def with_receptive_fields(task: Task, count: int, overlap: float = 1.0) -> Task:
    """A task whose coordinates are encoded by `ReceptiveFields`: its network gets ``count`` channels for each.

    Those inputs of an operator that describe the function keep one channel each.
    """
    fields = ReceptiveFields(count, overlap)
    direct, encoded = task.branch_inputs, task.sizes[0] - task.branch_inputs
    host = task.host or _host(task.sizes[0], fields)
    return replace(
        task,
        name=f"{task.name} ({count} receptive fields)",
        sizes=(direct + encoded * count, *task.sizes[1:]),
        fields=fields,
        host=replace(
            host,
            inputs=tuple(replace(one, fields=fields if k >= direct else None) for k, one in enumerate(host.inputs)),
        ),
    )


def _host(inputs: int, fields: ReceptiveFields) -> Host:
    """Inputs in [0, 1]; one result, as it is."""
    return Host(tuple(Input(f"x{k}", fields=fields) for k in range(inputs)), (Output("y"),))
