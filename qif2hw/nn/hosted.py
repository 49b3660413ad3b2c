"""The host's part in torch: formulas, and a network in the user's units."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from qif2hw import ir
from qif2hw.errors import InputError
from qif2hw.ir.host_part.formula import Formula, Step
from qif2hw.ir.host_part.host import Host, X, Y
from qif2hw.nn.functional.arguments import refuse_tracers

_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "Div": torch.div,
    "Exp": torch.exp,
    "Log": torch.log,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Sin": torch.sin,
    "Sqrt": torch.sqrt,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
}


def evaluate(formula: Formula, given: Mapping[str, Tensor]) -> Tensor:
    """`Formula.evaluate` in torch: the result (batch, columns) of values (batch, columns), with gradients."""
    values = dict(given)
    like = next(iter(values.values()))
    values |= {c.name: torch.from_numpy(c.values.copy()).to(like) for c in formula.constants}
    for step in formula.steps:
        values[step.output] = _apply(step, [values[name] for name in step.inputs])
    return values[formula.steps[-1].output]


def _apply(step: Step, inputs: list[Tensor]) -> Tensor:
    if step.op == "Gather":
        return inputs[0][:, list(step.columns)]
    if step.op == "Concat":
        return torch.cat(inputs, dim=1)
    if step.op == "ReduceSum":
        return inputs[0].sum(dim=1, keepdim=True)
    return _FUNCTIONS[step.op](*inputs)


class HostedNetwork(nn.Module):
    """A network with the host's part around it: ``y = solution(x, network(u))``, in the user's units.

    Parameters
    ----------
    network
        A `QIFNetwork` or a `DeepONet`: inputs in [0, 1].
    host
        Ranges of the inputs, and the solution.  Its receptive fields must be those of ``network``.

    Raises
    ------
    InputError
        If the two do not fit each other.
    """

    def __init__(self, network: nn.Module, host: Host) -> None:
        super().__init__()
        self.network, self.host = network, host
        own: Any = network.input_fields
        if tuple(one.fields for one in host.inputs) != own:
            raise InputError("the host's inputs and the network have different receptive fields")
        self.to_network()

    def forward(self, x: Tensor) -> Tensor:
        """The solution (batch, outputs) at inputs ``x`` (batch, inputs); `InputError` on values out of range."""
        refuse_tracers()
        self.host.check_inputs(x.detach().double().cpu().numpy())
        low, high = torch.tensor([(i.low, i.high) for i in self.host.inputs], dtype=torch.float64).to(x).T
        results: Tensor = self.network((x - low) / (high - low))
        return results if self.host.solution is None else evaluate(self.host.solution, {X: x, Y: results})

    def to_network(self) -> ir.Network:
        """The network for compiling, the host's part included; errors of its module's."""
        module: Any = self.network
        return replace(module.to_network(), host=self.host)
