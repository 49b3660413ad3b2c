"""Why a network does not train: silent neurons, outputs that miss the trial, colliding inputs, gradient norms."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from qif2hw.nn.functional.output import ForwardPass
from qif2hw.nn.network import QIFNetwork


@dataclass(frozen=True)
class Diagnosis:
    """State of a network on a set of samples.

    Parameters
    ----------
    silent
        Share of the neurons of each layer that have no ordinary spike in any sample.
    spikes
        Mean number of ordinary spikes per neuron and sample, by layer.
    outputs_missing
        Share of output spikes (samples times output neurons) that are not ordinary.
    colliding
        Share of the input spikes of each layer that arrive within one grid step of the one before.
    grid_step
        That grid step, in time units.
    gradient_norms
        Norm of the loss's gradient by parameter.
    pseudospikes
        Whether the outputs are meant to be pseudospikes: then what has no ordinary spike is no fault.
    """

    silent: tuple[float, ...]
    spikes: tuple[float, ...]
    outputs_missing: float
    colliding: tuple[float, ...]
    grid_step: float
    gradient_norms: dict[str, float]
    pseudospikes: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Likely faults, one sentence each."""
        warnings = []
        for k, share in enumerate(self.silent, start=1):
            if share > 0.2 and not self.pseudospikes:
                warnings.append(f"layer {k}: {share:.0%} of the neurons never spike: raise the initial phases")
        if self.outputs_missing > 0 and not self.pseudospikes:
            warnings.append(
                f"{self.outputs_missing:.2%} of the output spikes come after the trial: train longer or lengthen it"
            )
        if any(norm != norm or norm == float("inf") for norm in self.gradient_norms.values()):
            warnings.append("a gradient is not finite: lower the learning rate")
        return tuple(warnings)

    def __str__(self) -> str:
        lines = [
            f"layer {k}: {spikes:.2f} spikes per neuron, {silent:.1%} silent, "
            f"{colliding:.1%} of the inputs within {self.grid_step:.3g} of the one before"
            for k, (spikes, silent, colliding) in enumerate(
                zip(self.spikes, self.silent, self.colliding, strict=True), start=1
            )
        ]
        lines.append(f"outputs without an ordinary spike: {self.outputs_missing:.2%}")
        lines.append("gradient norms: " + ", ".join(f"{name} {norm:.2e}" for name, norm in self.gradient_norms.items()))
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def diagnose(network: QIFNetwork, x: Tensor, y: Tensor | None = None, *, grid_step: float | None = None) -> Diagnosis:
    """Diagnose ``network`` on inputs ``x`` (batch, inputs).

    Parameters
    ----------
    network
        The network; its gradients are left as they were.
    x, y
        Inputs (batch, inputs) and wanted results (batch, outputs); without these there are no gradient norms.
    grid_step
        Step of the time grid to count collisions on, in time units; ``T / 512`` by default.
    """
    step = network.regime.trial / 512 if grid_step is None else grid_step
    run = network.run(x)
    norms = {}
    if y is not None:
        names, parameters = zip(*network.named_parameters(), strict=True)
        loss = (run.y - y).square().mean() + network.deadline_penalty(run.first)
        grads = torch.autograd.grad(loss, parameters)
        norms = {name: float(grad.norm()) for name, grad in zip(names, grads, strict=True)}
    numbers = [out.number for out in run.layers]
    return Diagnosis(
        silent=tuple(float((n.amax(dim=0) == 0).double().mean()) for n in numbers),
        spikes=tuple(float(n.double().mean()) for n in numbers),
        outputs_missing=float((numbers[-1] == 0).double().mean()),
        colliding=_colliding(network, x, run, step),
        grid_step=step,
        gradient_norms=norms,
        pseudospikes=network.regime.margin is None,
    )


def _colliding(network: QIFNetwork, x: Tensor, run: ForwardPass, step: float) -> tuple[float, ...]:
    shares = []
    for times in [network.encode(x), *(out.times for out in run.layers[:-1])]:
        gaps = times.detach().flatten(1).sort(dim=1).values.diff(dim=1)
        gaps = gaps[torch.isfinite(gaps)]
        shares.append(float((gaps < step).double().mean()) if gaps.numel() else 0.0)
    return tuple(shares)
