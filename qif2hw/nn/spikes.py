"""Spikes between a module's layers: inputs as spike times, and layers side by side.

`torch.fx` sees a call of either as one node, so that `qif2hw.save` knows what was meant.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, fx

from qif2hw import neuron
from qif2hw.errors import InputError
from qif2hw.nn.functional.output import LayerOutput
from qif2hw.nn.regime import Regime

EARLIEST, LATEST = cast(tuple[float, float], Regime.encode)
F = TypeVar("F", bound=Callable[..., Any])


def _one_node(function: F) -> F:
    @wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        for one in arguments:
            if isinstance(one, fx.Proxy):
                return one.tracer.create_proxy("call_function", called, arguments, named)
        return function(*arguments, **named)

    return cast(F, called)


@_one_node
def encode(x: Tensor, earliest: float = EARLIEST, latest: float = LATEST) -> Tensor:
    r"""Input spike times as a `QIFLayer` takes them: one spike for each input, larger values first.

    .. math:: t = \mathrm{latest} - x\, (\mathrm{latest} - \mathrm{earliest})

    Parameters
    ----------
    x
        Inputs (batch, inputs) in [0, 1].  In a module that is saved a scaling before, as ``x / 4``, becomes the range
        of the model's input.
    earliest, latest
        Spike times of 1 and 0, in units of time.

    Returns
    -------
    Tensor
        Spike times (batch, inputs, 1).
    """
    return neuron.latency(x, earliest, latest).unsqueeze(2)


@_one_node
def side_by_side(*outputs: LayerOutput) -> LayerOutput:
    """The neurons of several layers as one, for the next layer: ``both = side_by_side(a, b)``.

    Layers may differ in how often their neurons spike.

    Parameters
    ----------
    *outputs
        What the layers returned, for the same batch.

    Raises
    ------
    InputError
        Without any.
    """
    if not outputs:
        raise InputError("side_by_side needs the outputs of one layer or more")
    most = max(one.times.shape[2] for one in outputs)
    padded = [torch.nn.functional.pad(one.times, (0, most - one.times.shape[2]), value=torch.inf) for one in outputs]
    return LayerOutput(
        torch.cat(padded, 1), torch.cat([one.psi for one in outputs], 1), torch.cat([one.next for one in outputs], 1)
    )
